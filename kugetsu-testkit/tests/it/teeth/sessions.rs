use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{
    Expected, Revision, Session, SessionError, SessionId, SessionQuery, SessionStore,
};
use kugetsu_testkit::suite::{SessionStoreFixture, sessions};

use super::{assert_each_is_noticed, assert_sound, faults};

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
        let found = self.inner.load(id).await?;
        match self.fault {
            "always finds something" if found.is_none() => {
                Ok(self.inner.find(&SessionQuery::all()).await?.pop())
            }
            _ => Ok(found),
        }
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

faults! {
    a_session_put_is_there_after_reopening {
        "forgets when it is closed" => "left: None",
    }
    a_session_comes_back_as_it_was {
        "loses what it does not need" => "pr: None",
    }
    a_session_that_was_never_put_is_not_there {
        "always finds something" => "left: Some(Session {",
    }
    revisions_count_the_writes {
        "does not count" => "left: Revision(1)",
    }
    the_revision_in_the_record_is_not_read {
        "reads the record's revision" => "the session base was changed by somebody else",
    }
    a_new_session_is_refused_where_one_is {
        "does not compare revisions" => "instead of a conflict there was Ok(Revision(",
    }
    a_change_of_a_session_that_is_not_there_is_refused {
        "makes what is not there" => "instead of a conflict there was Ok(Revision(1))",
    }
    a_change_of_an_outdated_session_is_refused {
        "does not compare revisions" => "instead of a conflict there was Ok(Revision(",
    }
    of_many_changes_of_a_session_at_once_one_is_made {
        "does not compare revisions" => "as many have changed one session at once",
    }
    there_is_one_session_of_each_kind {
        "keeps two of a kind" => "instead of a conflict there was Ok(Revision(1))",
    }
    of_many_first_sessions_of_a_kind_at_once_one_is_made {
        "keeps two of a kind" => "as many sessions of base were made",
    }
    a_session_cannot_take_the_place_of_another {
        "evicts" => "instead of a conflict there was Ok(Revision(2))",
    }
    sessions_are_found_in_the_order_of_their_kinds {
        "orders by id" => "left: [Session {",
        "orders by name" => "left: [Session {",
    }
    a_query_finds_the_session_of_its_kind_and_no_other {
        "finds all" => "before there is one of repo github.com/ACME/widgets",
    }
    a_session_removed_is_gone {
        "removes nothing" => "left: Some(Session {",
    }
    removing_what_is_not_there_is_done_already {
        "removes nothing" => "right: []",
    }
    a_kind_is_free_again_after_its_session_was_removed {
        "removes nothing" => "was changed by somebody else",
    }
}

/// On one thread, where whoever yields lets all others go first.
#[tokio::test]
async fn a_faulty_session_store_is_noticed() {
    let faulty = async |fault| {
        Box::new(Faulty { fault, inner: MemoryStore::new() }) as Box<dyn SessionStoreFixture>
    };
    assert_sound(sessions::PROMISES, &faulty).await;
    assert_each_is_noticed(sessions::PROMISES, FAULTS, &faulty).await;
}
