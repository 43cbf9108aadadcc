//! The gates: why a task is not running, said gate by gate in the order of the line.
//!
//! Nothing is read here: whoever asks looks around first and brings what it saw, a [`Situation`].

use std::time::Duration;

use kugetsu_core::{
    Attempt, AttemptEnd, Moment, Outcome, Role, SlotHolder, Task, TaskId, TaskState, Timestamp,
    WorkerId,
};
use serde::Serialize;

use crate::hold::{Hold, HoldKind};

/// What was seen of a task and of what it needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Situation {
    /// When one looked.
    pub now: Moment,
    /// The task; `None` if nothing was ever asked for.
    pub task: Option<Task>,
    /// The open tasks of its lane, oldest first, itself among them.
    pub lane: Vec<Task>,
    /// What is missing before agents can work at all.
    pub missing: Option<Missing>,
    /// What holds the queue.
    pub holds: Vec<Hold>,
    /// The process that serves the queue.
    pub daemon: Option<Server>,
    /// Who holds the issue's slot; nobody for the PM.
    pub issue: Option<SlotHolder>,
    /// Who holds the places of the agents of its class.
    pub holders: Vec<SlotHolder>,
    /// How many places there are.
    pub limit: u32,
    /// When the task's agent was last heard of.
    pub heard: Option<Timestamp>,
}

/// What is missing before agents can work, and how it is had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// What, such as `the base session is missing`.
    pub what: String,
    /// What to do, such as `kugetsu init`.
    pub mend: String,
}

impl Missing {
    /// This is missing, and that is what to do about it.
    pub fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// The process that serves a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Server {
    /// Which process.
    pub pid: u32,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
}

impl Server {
    /// This process, since then.
    pub fn new(pid: u32, since: Option<Timestamp>) -> Self {
        Self { pid, since }
    }
}

impl Situation {
    /// Of nothing at all: no task, no hold, no daemon, and `limit` places that are free.
    pub fn new(now: Moment, limit: u32) -> Self {
        Self {
            now,
            task: None,
            lane: Vec::new(),
            missing: None,
            holds: Vec::new(),
            daemon: None,
            issue: None,
            holders: Vec::new(),
            limit,
            heard: None,
        }
    }
}

/// One thing that a task has to pass before its agent works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Gate {
    /// Which one.
    pub name: GateName,
    /// Whether it can be passed.
    pub state: GateState,
}

/// Which gate, in the order of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateName {
    /// Kugetsu is initialised.
    Initialised,
    /// A task is queued.
    Queued,
    /// The queue is not paused.
    Pause,
    /// The model's provider is not at its limit.
    Provider,
    /// The queue does not rest after failures.
    Circuit,
    /// The task's time has come.
    Time,
    /// No earlier task of its lane is open.
    Lane,
    /// The daemon runs.
    Daemon,
    /// Nobody works on the issue.
    Issue,
    /// A place for an agent is free.
    Agent,
    /// The machine has room for another agent.
    Room,
}

impl GateName {
    /// What is so when it is open, as a sentence.
    pub fn promise(self) -> &'static str {
        match self {
            Self::Initialised => "Kugetsu is initialised.",
            Self::Queued => "A task is queued.",
            Self::Pause => "The queue is not paused.",
            Self::Provider => "The model's provider is not at its limit.",
            Self::Circuit => "The queue does not rest after failures.",
            Self::Time => "Its time has come.",
            Self::Lane => "No earlier task comes before it.",
            Self::Daemon => "The daemon runs.",
            Self::Issue => "Nobody else works on the issue.",
            Self::Agent => "A place for an agent is free.",
            Self::Room => "The machine has room for another agent.",
        }
    }
}

/// Whether a gate can be passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateState {
    /// It can.
    Open,
    /// It cannot yet.
    Closed {
        /// What it waits for: why it cannot be passed, as a clause.
        waits_for: String,
        /// Since when, if that is known.
        since: Option<Timestamp>,
        /// What would open it, in words.
        opens: String,
    },
}

/// A task at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Running {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: Attempt,
    /// Whose.
    pub worker: WorkerId,
    /// Since when.
    pub since: Timestamp,
    /// When its agent was last heard of; its start if it never was.
    pub heard: Timestamp,
    /// Whether somebody wants it to end.
    pub is_to_end: bool,
}

/// The attempt that is being made, if one is: its lease has not lapsed, and its slot is held.
pub fn running(seen: &Situation) -> Option<Running> {
    let task = seen.task.as_ref()?;
    let TaskState::Leased { lease, cancel_requested } = &task.state else { return None };
    if lease.expires.reached(seen.now) || !is_held(seen, task) {
        return None;
    }
    let since = task.attempts.last().map_or(task.created, |attempt| attempt.started);
    Some(Running {
        task: task.id,
        attempt: lease.attempt,
        worker: lease.worker.clone(),
        since,
        heard: seen.heard.unwrap_or(since).max(since),
        is_to_end: *cancel_requested,
    })
}

/// The gates that apply, in the order of the line. They are all open for a task that
/// [runs](running): it has passed them.
pub fn gates(seen: &Situation) -> Vec<Gate> {
    use GateName as Name;
    let task = seen.task.as_ref().filter(|task| !task.is_settled());
    let is_pm = seen.task.as_ref().is_some_and(|task| task.request.role() == Role::Pm);
    let mut gates = vec![
        (Name::Initialised, initialised(seen)),
        (Name::Queued, queued(seen)),
        (Name::Pause, pause(seen)),
        (Name::Provider, provider(seen)),
        (Name::Circuit, circuit(seen)),
    ];
    if let Some(task) = task {
        gates.push((Name::Time, time(seen, task)));
        gates.push((Name::Lane, lane(seen, task)));
    }
    gates.push((Name::Daemon, daemon(seen)));
    if !is_pm {
        gates.push((Name::Issue, issue(seen)));
    }
    gates.push((Name::Agent, agent(seen)));
    gates.push((Name::Room, room(seen)));
    let runs = running(seen).is_some();
    let state = |state: Option<GateState>| state.filter(|_| !runs).unwrap_or(GateState::Open);
    gates.into_iter().map(|(name, closed)| Gate { name, state: state(closed) }).collect()
}

fn closed(
    waits_for: impl Into<String>,
    since: Option<Timestamp>,
    opens: impl Into<String>,
) -> GateState {
    GateState::Closed { waits_for: waits_for.into(), since, opens: opens.into() }
}

fn initialised(seen: &Situation) -> Option<GateState> {
    let missing = seen.missing.as_ref()?;
    Some(closed(&missing.what, None, &missing.mend))
}

fn queued(seen: &Situation) -> Option<GateState> {
    let ask = "`kugetsu start`, `kugetsu continue`, `kugetsu queue enqueue`";
    let Some(task) = &seen.task else { return Some(closed("nothing was asked for", None, ask)) };
    let TaskState::Settled { outcome, at } = &task.state else { return None };
    let id = task.id;
    let (ended, opens) = match outcome {
        Outcome::Completed { .. } => ("was completed".to_owned(), ask.to_owned()),
        Outcome::Error { failure } => {
            (format!("failed: {}", failure.reason), format!("`kugetsu queue retry {id}`"))
        }
        Outcome::Cancelled => ("was cancelled".to_owned(), format!("`kugetsu queue retry {id}`")),
        _ => ("ended in an unknown way".to_owned(), ask.to_owned()),
    };
    Some(closed(
        format!("nothing is queued for it; the last task, {id}, {ended}"),
        Some(*at),
        opens,
    ))
}

fn pause(seen: &Situation) -> Option<GateState> {
    let hold = seen.holds.iter().find(|hold| hold.kind == HoldKind::Pause)?;
    let opens = "`kugetsu queue resume`";
    Some(closed(because(hold), Some(hold.since), opens))
}

fn provider(seen: &Situation) -> Option<GateState> {
    let holds = seen.holds.iter().filter(|hold| matches!(hold.kind, HoldKind::Provider(_)));
    // The one that holds longest.
    let wait = |hold: &Hold| hold.until.map_or(Duration::MAX, |until| until.wait(seen.now));
    let hold = holds.max_by_key(|hold| wait(hold))?;
    let opens = match hold.until {
        Some(until) => format!("it ends by itself in {}", in_words(until.wait(seen.now))),
        None => "the provider's next answer".to_owned(),
    };
    Some(closed(because(hold), Some(hold.since), opens))
}

fn circuit(seen: &Situation) -> Option<GateState> {
    let hold = seen.holds.iter().find(|hold| hold.kind == HoldKind::Circuit)?;
    let opens = match hold.until {
        Some(until) => {
            let wait = in_words(until.wait(seen.now));
            format!(
                "an attempt that succeeds; the next one tries in {wait}, or `kugetsu queue resume`"
            )
        }
        None => "`kugetsu queue resume`".to_owned(),
    };
    Some(closed(because(hold), Some(hold.since), opens))
}

fn room(seen: &Situation) -> Option<GateState> {
    let hold = seen.holds.iter().find(|hold| hold.kind == HoldKind::Room)?;
    let waits_for = format!("waiting: {}", hold.reason);
    let opens = "it goes on by itself as soon as there is room";
    Some(closed(waits_for, Some(hold.since), opens))
}

fn because(hold: &Hold) -> String {
    if hold.reason.is_empty() {
        return hold.kind.to_string();
    }
    format!("{}: {}", hold.kind, hold.reason)
}

fn time(seen: &Situation, task: &Task) -> Option<GateState> {
    let last = task.attempts.last();
    match &task.state {
        TaskState::Pending { due } if !due.reached(seen.now) => {
            let opens = format!("it comes in {}", in_words(due.wait(seen.now)));
            let ended = last.and_then(|attempt| attempt.ended);
            match last.map(|attempt| (attempt.number, &attempt.end)) {
                Some((number, AttemptEnd::Failed { failure })) => {
                    let why = format!("attempt {number} failed: {}", failure.reason);
                    Some(closed(format!("the next attempt waits; {why}"), ended, opens))
                }
                Some((number, AttemptEnd::Released { reason })) => {
                    let why = format!("attempt {number} was given back: {reason}");
                    Some(closed(format!("the next attempt waits; {why}"), ended, opens))
                }
                _ => Some(closed(
                    "the time that was asked for has not come",
                    Some(task.created),
                    opens,
                )),
            }
        }
        TaskState::Leased { lease, .. } if !lease.expires.reached(seen.now) => {
            let (attempt, worker) = (lease.attempt, &lease.worker);
            let what = format!("attempt {attempt} has a lease, but its worker {worker} is dead");
            let wait = in_words(lease.expires.wait(seen.now));
            let opens = format!("it lapses in {wait}; a daemon that starts does not wait for that");
            Some(closed(what, last.map(|attempt| attempt.started), opens))
        }
        _ => None,
    }
}

fn lane(seen: &Situation, task: &Task) -> Option<GateState> {
    let before = seen.lane.iter().take_while(|other| other.id != task.id);
    let before: Vec<&Task> = before.collect();
    let first = before.first()?;
    let more = match before.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more come before it"),
    };
    let (lane, id, status) = (first.lane(), first.id, first.status());
    Some(closed(
        format!("the earlier task {id} of {lane} is {status}{more}"),
        Some(first.created),
        format!("its end, or `kugetsu queue cancel {id}`"),
    ))
}

fn daemon(seen: &Situation) -> Option<GateState> {
    if seen.daemon.is_some() {
        return None;
    }
    Some(closed("the daemon does not run", None, "`kugetsu queue-daemon start`"))
}

fn issue(seen: &Situation) -> Option<GateState> {
    let holder = seen.issue.as_ref()?;
    Some(closed(
        format!("{} works on the issue", process(holder)),
        holder.since,
        "the end of its work, or `kugetsu stop <issue>`",
    ))
}

fn agent(seen: &Situation) -> Option<GateState> {
    let limit = usize::try_from(seen.limit).unwrap_or(usize::MAX);
    if seen.holders.len() < limit {
        return None;
    }
    let told = |holder: &SlotHolder| format!("{} ({})", holder.holder, process(holder));
    let holders: Vec<String> = seen.holders.iter().map(told).collect();
    let (held, names) = (seen.holders.len(), holders.join(", "));
    Some(closed(
        format!("no place for an agent is free: {held} of {limit} are taken, by {names}"),
        seen.holders.iter().filter_map(|holder| holder.since).max(),
        "the end of one of them",
    ))
}

fn process(holder: &SlotHolder) -> String {
    holder.pid.map_or("an unknown process".to_owned(), |pid| format!("process {pid}"))
}

/// Whether the slot of the task's lane is held: if not, no worker of it lives.
fn is_held(seen: &Situation, task: &Task) -> bool {
    match task.request.role() {
        Role::Pm => !seen.holders.is_empty(),
        _ => seen.issue.is_some(),
    }
}

/// `45 s`, `12 min`, `3 h 20 min`: rounded up, so that nobody looks too early.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    if seconds < 120 {
        return format!("{seconds} s");
    }
    let minutes = seconds.div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
