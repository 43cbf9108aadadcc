//! What the durable stores have in common, and what is checked of each of them.

mod crashes;
mod inbox;
mod promises;
pub(crate) mod roles;

use kugetsu_core::{
    AgentId, Chance, Change, Expected, Moment, Request, Session, SessionId, SessionKind, Task,
    TaskId, TaskStore, Tick, Timestamp, WorkerId,
};

pub(crate) use crashes::crashes;
pub(crate) use inbox::{inbox, notices};
pub(crate) use promises::promises;

#[derive(Debug)]
struct Numbered(u64);

impl Chance for Numbered {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[2..10].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }
}

pub(crate) fn now() -> Moment {
    let boot = uuid::Uuid::from_u128(1);
    Moment { at: Timestamp::from_millis(1_767_225_600_000), tick: Tick { boot, millis: 1_000_000 } }
}

pub(crate) fn task(number: u64) -> Task {
    let issue = format!("github.com/acme/widgets#{}", number + 1).parse().unwrap();
    Task::new(task_id(number), Request::dev(issue, "Fix it."), now())
}

pub(crate) fn task_id(number: u64) -> TaskId {
    TaskId::new(now().at, &Numbered(number))
}

pub(crate) async fn enqueue(store: &impl TaskStore, task: &Task) {
    store.commit(task, Expected::Absent, &[task.enqueued(now())]).await.unwrap();
}

/// The task as `worker` has claimed it, with what that tells.
pub(crate) fn claimed(task: &Task, worker: &str) -> (Task, kugetsu_core::Event) {
    let worker = WorkerId::new(worker).unwrap();
    let ttl = std::time::Duration::from_mins(1);
    let (task, told) = task.apply(Change::Claim { worker, ttl }, now()).unwrap();
    (task, told.unwrap())
}

/// The session of task 0's issue.
pub(crate) fn session() -> Session {
    let kind = SessionKind::Dev("github.com/acme/widgets#1".parse().unwrap());
    let id = SessionId::new(now().at, &Numbered(7));
    Session::new(id, kind, AgentId::new("scripted").unwrap(), now().at)
}

/// The session of this task's issue.
pub(crate) fn session_of(number: u64) -> Session {
    let kind = SessionKind::Dev(format!("github.com/acme/widgets#{}", number + 1).parse().unwrap());
    let id = SessionId::new(now().at, &Numbered(number));
    let mut session = Session::new(id, kind, AgentId::new("scripted").unwrap(), now().at);
    session.how = memo_of(number);
    session
}

/// A text of some length, of which half a text is recognised.
pub(crate) fn memo_of(number: u64) -> String {
    format!("{number};").repeat(100)
}
