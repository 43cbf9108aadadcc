use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{
    AgentEvent, AgentId, AgentSessionId, Attempt, Change, Clock, Cursor, Event, EventLog, Expected,
    Failure, Happening, Moment, Outcome, Priority, Request, Retry, Revision, Role, Session,
    SessionId, SessionKind, SessionStore, StoreError, Task, TaskId, TaskQuery, TaskStore, Usage,
    WorkerId,
};
use kugetsu_testkit::fake::{FixedChance, ManualClock, StoreFault, StoreOperation, StrictStore};

type Store = StrictStore<MemoryStore>;

fn now() -> Moment {
    ManualClock::new().moment()
}

fn task(number: u8) -> Task {
    let issue = "github.com/acme/widgets#42".parse().unwrap();
    let id = TaskId::new(now().at, &FixedChance([number; 16]));
    Task::new(id, Request::dev(issue, "Fix it."), now())
}

fn claimed(task: &Task) -> (Task, Event) {
    let claim = Change::Claim { worker: WorkerId::new("a").unwrap(), ttl: Duration::from_mins(1) };
    let (task, told) = task.apply(claim, now()).unwrap();
    (task, told.unwrap())
}

async fn enqueued(store: &Store, task: &Task) {
    store.commit(task, Expected::Absent, &[task.enqueued(now())]).await.unwrap();
}

/// Whether the strict store panics at it.
async fn is_refused(caller: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> bool {
    match tokio::spawn(caller).await {
        Ok(done) => {
            done.unwrap();
            false
        }
        Err(error) => error.is_panic(),
    }
}

/// Makes a claim of a new task worse, and sees that it is refused.
async fn assert_refused(
    fault: &str,
    worsen: impl FnOnce(&mut Task, &mut Expected, &mut Vec<Event>) + Send,
) {
    let store = Store::new(Arc::default());
    let new = task(1);
    enqueued(&store, &new).await;
    let (mut next, told) = claimed(&new);
    let (mut expected, mut events) = (Expected::At(new.revision), vec![told]);
    worsen(&mut next, &mut expected, &mut events);
    let commit = async move { store.commit(&next, expected, &events).await };
    assert!(is_refused(commit).await, "{fault}");
}

#[tokio::test]
async fn a_change_that_apply_does_not_make_is_refused() {
    assert_refused("a revision is left out", |task, _, _| task.revision = Revision(3)).await;
    assert_refused("the same revision again", |task, _, _| task.revision = Revision(1)).await;
    assert_refused("nothing is told", |_, _, events| events.clear()).await;
    assert_refused("another change is told", |_, _, events| {
        events[0].what = Happening::CancelRequested;
    })
    .await;
    assert_refused("it is told twice", |_, _, events| events.push(events[0].clone())).await;
    assert_refused("another task's event", |_, _, events| events[0].task = task(2).id).await;
    assert_refused("another issue's event", |_, _, events| events[0].issue = None).await;
    assert_refused("another attempt is told", |_, _, events| {
        let worker = WorkerId::new("a").unwrap();
        events[0].what = Happening::Claimed { worker, attempt: Attempt(2) };
    })
    .await;
    assert_refused("another request", |task, _, _| task.request = Request::pm("x")).await;
    assert_refused("another priority", |task, _, _| task.priority = Priority(9)).await;
    assert_refused("the attempt is not recorded", |task, _, _| task.attempts.clear()).await;
    assert_refused("two attempts at once", |task, _, _| {
        task.attempts.push(task.attempts[0].clone());
    })
    .await;
    assert_refused("the attempt has ended", |task, _, _| {
        task.attempts[0].ended = Some(now().at);
    })
    .await;
    assert_refused("it is told before the last event", |_, _, events| {
        events[0].at = kugetsu_core::Timestamp::from_millis(1);
    })
    .await;
}

#[tokio::test]
async fn a_settled_task_is_never_written_again() {
    let store = Store::new(Arc::default());
    let new = task(1);
    enqueued(&store, &new).await;
    let (settled, told) = new.apply(Change::Cancel, now()).unwrap();
    store.commit(&settled, Expected::At(new.revision), told.as_slice()).await.unwrap();
    let mut again = settled.clone();
    again.revision = settled.revision.next();
    let told = Event::new(
        now().at,
        new.id,
        new.request.issue().cloned(),
        Happening::Settled { outcome: Outcome::Cancelled },
    );
    let commit = async move { store.commit(&again, Expected::At(settled.revision), &[told]).await };
    assert!(is_refused(commit).await);
}

#[tokio::test]
async fn what_a_late_caller_writes_is_a_conflict_and_no_panic() {
    let store = Store::new(Arc::default());
    let new = task(1);
    enqueued(&store, &new).await;
    let (next, told) = claimed(&new);
    let told = [told];
    store.commit(&next, Expected::At(new.revision), &told).await.unwrap();
    let late = store.commit(&next, Expected::At(new.revision), &told).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
}

#[tokio::test]
async fn a_change_is_not_told_without_being_made() {
    let store = Store::new(Arc::default());
    let new = task(1);
    enqueued(&store, &new).await;
    let appended = |event: Event| {
        let store = store.clone();
        async move { store.append(&[event]).await.map(|_| ()) }
    };
    assert!(is_refused(appended(claimed(&new).1)).await);
    let says = |task: &Task| {
        let what = Happening::Agent(AgentEvent::Message { text: "hello".into() });
        Event::new(now().at, task.id, task.request.issue().cloned(), what)
    };
    assert!(is_refused(appended(says(&task(2)))).await, "a task that is not there");
    assert!(!is_refused(appended(says(&new))).await);
}

#[tokio::test]
async fn a_session_stays_itself() {
    let store = Store::new(Arc::default());
    let id = SessionId::new(now().at, &FixedChance::LOW);
    let mut session = Session::new(id, SessionKind::Base, AgentId::new("fake").unwrap(), now().at);
    session.agent_session = Some(AgentSessionId::new("ses_1").unwrap());
    session.revision = store.put(&session, Expected::Absent).await.unwrap();
    let worse: [fn(&mut Session); 5] = [
        |_| {},
        |session| session.kind = SessionKind::Pm,
        |session| session.agent = AgentId::new("other").unwrap(),
        |session| session.updated = kugetsu_core::Timestamp::from_millis(1),
        |session| session.agent_session = None,
    ];
    for (number, worsen) in worse.into_iter().enumerate() {
        // What was refused has been written all the same, so each begins anew.
        let store = Store::new(Arc::default());
        store.put(&session, Expected::Absent).await.unwrap();
        let mut next = session.clone();
        worsen(&mut next);
        let put = async move {
            let _ = store.put(&next, Expected::At(Revision(1))).await;
            Ok(())
        };
        assert!(is_refused(put).await, "the one with number {number}");
    }
}

#[tokio::test]
async fn calls_fail_as_planned() {
    let store = Store::new(Arc::default());
    let (one, two, three) = (task(1), task(2), task(3));
    store.fail(StoreOperation::Commit, 2, StoreFault::Backend(Retry::Later));
    store.fail(StoreOperation::Commit, 3, StoreFault::Conflict);
    store.fail(StoreOperation::Commit, 4, StoreFault::AnswerLost);
    store.fail(StoreOperation::Due, 1, StoreFault::Backend(Retry::Never));
    enqueued(&store, &one).await;
    let commit = async |task: &Task| {
        store.commit(task, Expected::Absent, &[task.enqueued(now())]).await.unwrap_err()
    };
    assert!(matches!(commit(&two).await, StoreError::Backend { retry: Retry::Later, .. }));
    assert!(matches!(commit(&two).await, StoreError::Conflict { task } if task == two.id));
    assert_eq!(TaskStore::load(&store, two.id).await.unwrap(), None);
    assert!(matches!(commit(&three).await, StoreError::Backend { .. }));
    assert_eq!(TaskStore::load(&store, three.id).await.unwrap(), Some(three));
    enqueued(&store, &two).await;
    assert!(store.due(now(), Role::Dev, 1).await.is_err());
    assert_eq!(store.due(now(), Role::Dev, 1).await.unwrap().len(), 1);
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 3);
    assert_eq!(store.read(Cursor(0), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn everything_that_apply_makes_is_accepted() {
    let store: StrictStore<dyn TaskStore> = StrictStore::new(Arc::new(MemoryStore::new()));
    let clock = ManualClock::new();
    let mut task = task(1);
    store.commit(&task, Expected::Absent, &[task.enqueued(clock.moment())]).await.unwrap();
    let ttl = Duration::from_mins(1);
    let claim = || Change::Claim { worker: WorkerId::new("a").unwrap(), ttl };
    let usage = Usage::tokens(1, 2);
    let failure = Failure::passing("busy");
    let changes = [
        claim(),
        Change::Renew { attempt: Attempt(1), ttl },
        Change::Renew { attempt: Attempt(1), ttl },
        Change::Retry { attempt: Attempt(1), failure: failure.clone(), wait: ttl, usage },
        claim(),
        Change::Release { attempt: Attempt(2), reason: "it drains".into(), usage },
        claim(),
        // Its lease lapses.
        claim(),
        Change::Cancel,
        claim(),
        Change::Settle { attempt: Attempt(5), outcome: Outcome::Error { failure }, usage },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        clock.advance(if number == 2 { Duration::ZERO } else { ttl / 2 });
        if matches!(change, Change::Claim { .. }) {
            clock.advance(ttl * 2);
        }
        let (next, told) = task.apply(change, clock.moment()).unwrap();
        store.commit(&next, Expected::At(task.revision), told.as_slice()).await.unwrap();
        task = next;
    }
    assert!(task.is_settled());
}
