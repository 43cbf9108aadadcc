//! A task as the board shows it, and what its agent tells.

use std::time::Duration;

use kugetsu_core::{
    AgentEvent, Attempt, AttemptEnd, Due, Event, Happening, Outcome, Status, Task, TaskId,
    TaskState, Timestamp, Usage,
};
use kugetsu_queue::Mask;

use crate::screen::escape;
use crate::screen::teller::Teller;

/// How much of a message is kept.
const GLIMPSE: usize = 300;

/// A task as far as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: TaskId,
    /// The issue, or `pm`.
    pub(super) lane: String,
    pub(super) message: String,
    pub(super) priority: i16,
    pub(super) created: Timestamp,
    pub(super) standing: Standing,
    /// What its attempts have used up that are over.
    pub(super) usage: Usage,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// An agent works on it.
    Runs { attempt: Attempt, since: Timestamp, expires: Due, stopping: bool },
    /// It waits for its turn.
    /// `why` its last attempt failed, if one did.
    Waits { due: Due, why: String },
    /// It is over.
    Over { status: Status, why: String, took: Duration, at: Timestamp },
}

impl Entry {
    pub(super) fn of(task: &Task, mask: &Mask) -> Self {
        let glimpse = |text: &str| {
            let short: String = text.chars().take(GLIMPSE).collect();
            escape::line(short.trim())
        };
        let began = task.attempts.last().map_or(task.created, |attempt| attempt.started);
        let standing = match &task.state {
            TaskState::Pending { due } => {
                let why = match task.attempts.last().map(|attempt| &attempt.end) {
                    Some(AttemptEnd::Failed { failure }) => glimpse(&failure.reason),
                    Some(AttemptEnd::Lost) => "its worker was lost".to_owned(),
                    Some(AttemptEnd::Released { reason }) => glimpse(reason),
                    _ => String::new(),
                };
                Standing::Waits { due: *due, why }
            }
            TaskState::Leased { lease, cancel_requested } => Standing::Runs {
                attempt: lease.attempt,
                since: began,
                expires: lease.expires,
                stopping: *cancel_requested,
            },
            TaskState::Settled { outcome, at } => {
                let why = match outcome {
                    Outcome::Error { failure } => glimpse(&failure.reason),
                    _ => String::new(),
                };
                Standing::Over { status: task.status(), why, took: at.since(began), at: *at }
            }
            _ => {
                let why = "its state is none that this kugetsu knows".to_owned();
                let (status, took) = (task.status(), Duration::ZERO);
                Standing::Over { status, why, took, at: task.created }
            }
        };
        Self {
            id: task.id,
            lane: escape::line(&task.lane()),
            message: glimpse(&mask.text(task.request.message())),
            priority: task.priority.0,
            created: task.created,
            standing,
            usage: task.usage(),
        }
    }

    pub(super) fn status(&self) -> Status {
        match &self.standing {
            Standing::Runs { .. } => Status::Notified,
            Standing::Waits { .. } => Status::Pending,
            Standing::Over { status, .. } => *status,
        }
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.standing, Standing::Runs { .. })
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over { .. })
    }
}

/// What the agent of a running task has told in this attempt.
#[derive(Debug, Default)]
pub(super) struct Told {
    teller: Teller,
    latest: String,
    goes_on: bool,
}

impl Told {
    pub(super) fn hear(&mut self, event: &Event) {
        let lines = self.teller.hear(event);
        self.goes_on = false;
        if let Some(line) = lines.last() {
            self.latest = flat(&format!("{} {}", line.label, line.text));
        }
        match &event.what {
            Happening::Claimed { .. }
            | Happening::SessionReady { .. }
            | Happening::Agent(AgentEvent::ToolStarted { .. } | AgentEvent::Waiting { .. }) => {
                self.latest.clone_from(&self.teller.doing);
            }
            Happening::Agent(AgentEvent::Message { .. } | AgentEvent::Thought { .. }) => {
                if let Some(begun) = self.teller.begun() {
                    (self.latest, self.goes_on) = (flat(&begun), true);
                }
            }
            _ => {}
        }
    }

    /// The last thing that it told, in a line, and whether the line goes on.
    pub(super) fn latest(&self) -> (&str, bool) {
        (&self.latest, self.goes_on)
    }

    pub(super) fn usage(&self) -> Usage {
        self.teller.usage
    }
}

fn flat(text: &str) -> String {
    text.replace('\t', " ")
}
