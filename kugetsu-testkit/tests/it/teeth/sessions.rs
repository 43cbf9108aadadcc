use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{
    Expected, Revision, Session, SessionError, SessionId, SessionQuery, SessionStore,
};
use kugetsu_testkit::suite::{SessionStoreFixture, sessions};

use super::assert_bites;

#[derive(Debug, Clone)]
struct Faulty {
    fault: &'static str,
    inner: MemoryStore,
}

#[async_trait]
impl SessionStoreFixture for Faulty {
    async fn open(&self) -> Arc<dyn SessionStore> {
        let mut store = self.clone();
        if self.fault == "forgets when it is closed" {
            store.inner = MemoryStore::new();
        }
        Arc::new(store)
    }
}

#[async_trait]
impl SessionStore for Faulty {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let stored: Option<Session> = self.inner.load(session.id).await?;
        let mut session = session.clone();
        let mut expected = expected;
        match (self.fault, &stored) {
            ("does not compare revisions", Some(stored)) => {
                expected = Expected::At(stored.revision);
            }
            ("makes what is not there", None) => expected = Expected::Absent,
            ("keeps two of a kind", None) => {
                let others = self.inner.find(&SessionQuery::of(session.kind.clone())).await?;
                for other in others {
                    self.inner.remove(other.id).await?;
                }
            }
            ("evicts", _) => {
                let others = self.inner.find(&SessionQuery::of(session.kind.clone())).await?;
                for other in others.iter().filter(|other| other.id != session.id) {
                    self.inner.remove(other.id).await?;
                }
            }
            ("reads the record's revision", Some(_)) => expected = Expected::At(session.revision),
            ("loses what it does not need", _) => session.pr = None,
            _ => {}
        }
        let revision = self.inner.put(&session, expected).await?;
        Ok(if self.fault == "does not count" { Revision(1) } else { revision })
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        self.inner.load(id).await
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let query = match self.fault {
            "finds all" => &SessionQuery::all(),
            _ => query,
        };
        let mut found = self.inner.find(query).await?;
        if self.fault == "orders by id" {
            found.sort_by_key(|session| session.id);
        }
        if self.fault == "orders by name" {
            found.sort_by_key(|session| session.kind.to_string());
        }
        Ok(found)
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        match self.fault {
            "removes nothing" => Ok(()),
            _ => self.inner.remove(id).await,
        }
    }
}

/// On one thread, where whoever yields lets all others go first.
#[tokio::test]
async fn a_faulty_session_store_is_noticed() {
    for (fault, name) in [
        ("forgets when it is closed", "a_session_put_is_there_after_reopening"),
        ("loses what it does not need", "a_session_comes_back_as_it_was"),
        ("does not compare revisions", "a_change_of_an_outdated_session_is_refused"),
        ("does not compare revisions", "of_many_changes_of_a_session_at_once_one_is_made"),
        ("does not compare revisions", "a_new_session_is_refused_where_one_is"),
        ("makes what is not there", "a_change_of_a_session_that_is_not_there_is_refused"),
        ("keeps two of a kind", "there_is_one_session_of_each_kind"),
        ("keeps two of a kind", "of_many_first_sessions_of_a_kind_at_once_one_is_made"),
        ("does not count", "revisions_count_the_writes"),
        ("removes nothing", "a_kind_is_free_again_after_its_session_was_removed"),
        ("evicts", "a_session_cannot_take_the_place_of_another"),
        ("reads the record's revision", "the_revision_in_the_record_is_not_read"),
        ("orders by id", "sessions_are_found_in_the_order_of_their_kinds"),
        ("orders by name", "sessions_are_found_in_the_order_of_their_kinds"),
        ("finds all", "a_query_finds_the_session_of_its_kind_and_no_other"),
        ("removes nothing", "a_session_removed_is_gone"),
        ("removes nothing", "removing_what_is_not_there_is_done_already"),
    ] {
        let faulty = Faulty { fault, inner: MemoryStore::new() };
        assert_bites(sessions::PROMISES, name, &faulty as &dyn SessionStoreFixture, fault).await;
    }
}
