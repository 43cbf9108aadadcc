//! What a [`SessionStore`] promises.

use std::fmt::Debug;
use std::slice;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentId, AgentSessionId, Expected, RepoRef, Revision, Session, SessionError, SessionKind,
    SessionQuery, SessionState, SessionStore,
};

use super::promise::{at_once, promises};
use super::sample::{HOSTILE, at, issue, issue_of, named, session_id};

/// One store of sessions, empty at first.
#[async_trait]
pub trait SessionStoreFixture: Send + Sync + 'static {
    /// Opens the store. Every call opens the same one again, as another process would; a store that
    /// lives in one process only hands out the same one.
    async fn open(&self) -> Arc<dyn SessionStore>;
}

promises! {
    /// Makes a test of each promise of [`SessionStore`](kugetsu_core::SessionStore). The argument is
    /// a [`SessionStoreFixture`](crate::suite::SessionStoreFixture).
    macro session_store_conformance of sessions for dyn SessionStoreFixture ($);

    from self {
        a_session_put_is_there_after_reopening,
        a_session_comes_back_as_it_was,
        a_session_that_was_never_put_is_not_there,
        revisions_count_the_writes,
        the_revision_in_the_record_is_not_read,
        a_new_session_is_refused_where_one_is,
        a_change_of_a_session_that_is_not_there_is_refused,
        a_change_of_an_outdated_session_is_refused,
        of_many_changes_of_a_session_at_once_one_is_made,
        there_is_one_session_of_each_kind,
        of_many_first_sessions_of_a_kind_at_once_one_is_made,
        a_session_cannot_take_the_place_of_another,
        sessions_are_found_in_the_order_of_their_kinds,
        a_query_finds_the_session_of_its_kind_and_no_other,
        a_session_removed_is_gone,
        removing_what_is_not_there_is_done_already,
        a_kind_is_free_again_after_its_session_was_removed,
    }
}

fn session(number: u64, kind: SessionKind) -> Session {
    Session::new(session_id(number), kind, named(AgentId::new("scripted")), at(number).at)
}

fn repository(text: &str) -> RepoRef {
    match text.parse() {
        Ok(repository) => repository,
        Err(error) => panic!("{error}"),
    }
}

fn fine<T>(done: Result<T, SessionError>) -> T {
    done.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

/// Puts the session, and gives it back as it is stored.
async fn put(store: &dyn SessionStore, session: &Session, expected: Expected) -> Session {
    let mut stored = session.clone();
    stored.revision = fine(store.put(session, expected).await);
    stored
}

async fn load(store: &dyn SessionStore, session: &Session) -> Option<Session> {
    fine(store.load(session.id).await)
}

async fn all(store: &dyn SessionStore) -> Vec<Session> {
    fine(store.find(&SessionQuery::all()).await)
}

fn assert_conflict<T: Debug>(done: Result<T, SessionError>, about: &SessionKind) {
    match done {
        Err(SessionError::Conflict { kind }) => assert_eq!(kind, *about, "the conflict's kind"),
        other => panic!("instead of a conflict there was {other:?}"),
    }
}

async fn a_session_put_is_there_after_reopening(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let base = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    drop(store);
    let store = f.open().await;
    assert_eq!(load(&*store, &base).await, Some(base.clone()));
    let mut next = base.clone();
    next.state = SessionState::Active;
    let next = put(&*store, &next, Expected::At(base.revision)).await;
    drop(store);
    assert_eq!(load(&*f.open().await, &base).await, Some(next));
}

async fn a_session_comes_back_as_it_was(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let states = [
        SessionState::Idle,
        SessionState::Active,
        SessionState::Timeout,
        SessionState::Completed,
        SessionState::Failed,
    ];
    for (number, text) in (1..).zip(HOSTILE) {
        let mut full = session(number, SessionKind::Dev(issue(number)));
        full.agent_session = Some(named(AgentSessionId::new("ses_'\"$(x)\\")));
        full.forked_from = Some(named(AgentSessionId::new("../ses_0")));
        text.clone_into(&mut full.how);
        full.directory = Some(text.into());
        full.state = states[text.len() % states.len()];
        full.pr = Some(text.to_owned());
        full.updated = at(u64::from(u32::MAX)).at;
        let full = put(&*store, &full, Expected::Absent).await;
        assert_eq!(load(&*store, &full).await.as_ref(), Some(&full));
        assert_eq!(load(&*f.open().await, &full).await, Some(full), "reopened");
    }
    let bare = put(&*store, &session(0, SessionKind::Pm), Expected::Absent).await;
    assert_eq!(load(&*f.open().await, &bare).await, Some(bare));
}

async fn a_session_that_was_never_put_is_not_there(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    assert_eq!(load(&*store, &session(0, SessionKind::Base)).await, None);
    assert_eq!(all(&*store).await, []);
    put(&*store, &session(1, SessionKind::Base), Expected::Absent).await;
    assert_eq!(load(&*store, &session(0, SessionKind::Base)).await, None);
}

async fn revisions_count_the_writes(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let mut stored = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    assert_eq!(stored.revision, Revision(1));
    for revision in 2..10 {
        stored.updated = at(revision).at;
        stored = put(&*store, &stored, Expected::At(Revision(revision - 1))).await;
        assert_eq!(stored.revision, Revision(revision));
        assert_eq!(load(&*store, &stored).await.as_ref(), Some(&stored));
    }
}

async fn the_revision_in_the_record_is_not_read(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let mut odd = session(0, SessionKind::Base);
    odd.revision = Revision(77);
    let first = put(&*store, &odd, Expected::Absent).await;
    assert_eq!(first.revision, Revision(1));
    odd.updated = at(5).at;
    let second = put(&*store, &odd, Expected::At(Revision(1))).await;
    assert_eq!(second.revision, Revision(2));
    assert_eq!(load(&*store, &odd).await, Some(second));
}

async fn a_new_session_is_refused_where_one_is(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let first = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    let mut again = session(0, SessionKind::Base);
    again.state = SessionState::Failed;
    assert_conflict(store.put(&again, Expected::Absent).await, &again.kind);
    assert_eq!(load(&*store, &first).await, Some(first));
}

async fn a_change_of_a_session_that_is_not_there_is_refused(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let new = session(0, SessionKind::Base);
    assert_conflict(store.put(&new, Expected::At(Revision(1))).await, &new.kind);
    assert_conflict(store.put(&new, Expected::At(Revision(0))).await, &new.kind);
    assert_eq!(all(&*store).await, []);
}

async fn a_change_of_an_outdated_session_is_refused(f: &dyn SessionStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    let first = put(&*here, &session(0, SessionKind::Base), Expected::Absent).await;
    let mut next = first.clone();
    next.state = SessionState::Active;
    let next = put(&*here, &next, Expected::At(first.revision)).await;
    let mut late = first.clone();
    late.state = SessionState::Failed;
    assert_conflict(there.put(&late, Expected::At(first.revision)).await, &late.kind);
    assert_conflict(there.put(&late, Expected::At(Revision(3))).await, &late.kind);
    assert_eq!(load(&*there, &first).await, Some(next));
}

async fn of_many_changes_of_a_session_at_once_one_is_made(f: &dyn SessionStoreFixture) {
    let stores = [f.open().await, f.open().await];
    let mut current = put(&*stores[0], &session(0, SessionKind::Base), Expected::Absent).await;
    for round in 0..8 {
        let work = (0..16).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            let mut next = current.clone();
            next.how = format!("written by {number} in round {round}");
            let expected = Expected::At(current.revision);
            async move { (store.put(&next, expected).await, next) }
        });
        let mut winners = vec![];
        for (done, mut next) in at_once(work).await {
            match done {
                Ok(revision) => {
                    next.revision = revision;
                    winners.push(next);
                }
                lost => assert_conflict(lost, &current.kind),
            }
        }
        assert_eq!(winners.len(), 1, "as many have changed one session at once");
        current = winners.remove(0);
        assert_eq!(load(&*stores[1], &current).await.as_ref(), Some(&current));
    }
}

async fn there_is_one_session_of_each_kind(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let mut kept = vec![];
    for (number, kind) in (0..).zip(kinds()) {
        kept.push(put(&*store, &session(number, kind), Expected::Absent).await);
    }
    for (number, kind) in (100..).zip(kinds()) {
        let second = session(number, kind);
        assert_conflict(store.put(&second, Expected::Absent).await, &second.kind);
        assert_eq!(load(&*store, &second).await, None);
    }
    assert_eq!(all(&*store).await, kept);
}

async fn of_many_first_sessions_of_a_kind_at_once_one_is_made(f: &dyn SessionStoreFixture) {
    let stores = [f.open().await, f.open().await];
    for kind in kinds() {
        let work = (0..16).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            let new = session(fresh(number as u64, &kind), kind.clone());
            async move { store.put(&new, Expected::Absent).await }
        });
        let (made, refused): (Vec<_>, Vec<_>) =
            at_once(work).await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1, "as many sessions of {kind} were made");
        for refused in refused {
            assert_conflict(refused, &kind);
        }
        let found = fine(stores[1].find(&SessionQuery::of(kind.clone())).await);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

/// A number for a session of this kind, different for each kind.
fn fresh(number: u64, kind: &SessionKind) -> u64 {
    let place = kinds().iter().position(|other| other == kind).unwrap_or_default();
    number + 1000 * place as u64
}

async fn a_session_cannot_take_the_place_of_another(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let base = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    let pm = put(&*store, &session(1, SessionKind::Pm), Expected::Absent).await;
    let mut usurper = pm.clone();
    usurper.kind = SessionKind::Base;
    assert_conflict(store.put(&usurper, Expected::At(pm.revision)).await, &SessionKind::Base);
    assert_eq!(all(&*store).await, [base, pm]);
}

/// Kinds in their order; some differ only where a careless store does not look.
fn kinds() -> Vec<SessionKind> {
    let mut kinds = vec![SessionKind::Base];
    let repositories = [
        "github.com/ACME/widgets",
        "github.com/a/b-c",
        "github.com/a-b/c",
        "github.com/acme/widgets",
        "gitlab.com/a/b/c",
    ];
    kinds.extend(repositories.map(|text| SessionKind::Repo(repository(text))));
    kinds.push(SessionKind::Pm);
    for text in repositories {
        kinds.extend([2, 10].map(|number| SessionKind::Dev(issue_of(text, number))));
    }
    kinds
}

async fn sessions_are_found_in_the_order_of_their_kinds(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let mut put_so_far: Vec<Session> = vec![];
    for (number, kind) in (0..).zip(kinds().into_iter().rev()) {
        put_so_far.push(put(&*store, &session(number, kind), Expected::Absent).await);
        put_so_far.sort_by(|a, b| a.kind.cmp(&b.kind));
        assert_eq!(all(&*store).await, put_so_far);
    }
    assert_eq!(all(&*f.open().await).await, put_so_far);
    assert_eq!(put_so_far.iter().map(|s| s.kind.clone()).collect::<Vec<_>>(), kinds());
}

async fn a_query_finds_the_session_of_its_kind_and_no_other(f: &dyn SessionStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    for (number, kind) in (0..).zip(kinds()) {
        let query = SessionQuery::of(kind.clone());
        assert_eq!(fine(there.find(&query).await), [], "before there is one of {kind}");
        let new = put(&*here, &session(number, kind), Expected::Absent).await;
        assert_eq!(fine(there.find(&query).await), [new]);
    }
}

async fn a_session_removed_is_gone(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    let base = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    let pm = put(&*store, &session(1, SessionKind::Pm), Expected::Absent).await;
    fine(store.remove(base.id).await);
    assert_eq!(load(&*store, &base).await, None);
    assert_eq!(all(&*store).await, slice::from_ref(&pm));
    assert_conflict(store.put(&base, Expected::At(base.revision)).await, &base.kind);
    drop(store);
    assert_eq!(all(&*f.open().await).await, [pm]);
}

async fn removing_what_is_not_there_is_done_already(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    fine(store.remove(session_id(0)).await);
    let base = put(&*store, &session(0, SessionKind::Base), Expected::Absent).await;
    fine(store.remove(base.id).await);
    fine(store.remove(base.id).await);
    fine(f.open().await.remove(base.id).await);
    assert_eq!(all(&*store).await, []);
}

async fn a_kind_is_free_again_after_its_session_was_removed(f: &dyn SessionStoreFixture) {
    let store = f.open().await;
    for number in 0..4 {
        let new = session(number, SessionKind::Dev(issue(1)));
        let new = put(&*store, &new, Expected::Absent).await;
        assert_eq!(new.revision, Revision(1));
        assert_eq!(all(&*store).await, slice::from_ref(&new));
        fine(store.remove(new.id).await);
    }
    let again = put(&*store, &session(0, SessionKind::Dev(issue(1))), Expected::Absent).await;
    assert_eq!(again.revision, Revision(1));
}
