//! The one place that says what an error is to a person: its kind, its hint and its exit code.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;

use kugetsu_core::{
    AgentError, Failure, ForgeError, InvalidIssueRef, QueueError, Retry, SessionError, SlotError,
    SlotHolder, StoreError, WorktreeError,
};
use kugetsu_plugin::PluginError;
use kugetsu_queue::StartError;
use serde_json::json;

use crate::exit;
use crate::screen::escape;

/// What kind of error, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Failed,
    NoSlot,
    NoRoom,
    InUse,
    Usage,
    Missing,
    Damaged,
    Temporary,
    Config,
    Interrupted,
}

impl Kind {
    pub(crate) fn exit(self) -> u8 {
        match self {
            Self::Failed => exit::FAILED,
            Self::NoSlot | Self::NoRoom | Self::InUse => exit::NO_SLOT,
            Self::Usage => exit::USAGE,
            Self::Missing => exit::MISSING,
            Self::Damaged => exit::DAMAGED,
            Self::Temporary => exit::TEMPORARY,
            Self::Config => exit::CONFIG,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NoSlot => "no_slot",
            Self::NoRoom => "no_room",
            Self::InUse => "in_use",
            Self::Usage => "usage",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Temporary => "temporary",
            Self::Config => "config",
            Self::Interrupted => "interrupted",
        }
    }

    fn of(retry: Retry) -> Self {
        if retry.is_possible() { Self::Temporary } else { Self::Failed }
    }
}

/// An error as a person is told it.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) kind: Kind,
    message: String,
    hint: Option<String>,
    causes: Vec<String>,
}

impl CliError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, causes: Vec::new() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Failed, and all that there is to say has been said.
    pub(crate) fn silent() -> Self {
        Self::failed("")
    }

    /// Whether there is something to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// What to do about it. The first hint stays.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// The same with something else that could be done about it.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(first) => format!("{first}; or {hint}"),
            None => hint.to_owned(),
        });
        self
    }

    /// The same, told as the reason for something larger.
    pub(crate) fn within(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// `action` failed with `error`, such as `read /etc/kugetsu`.
    pub(crate) fn io(action: impl fmt::Display, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::Interrupted | io::ErrorKind::TimedOut => Kind::Temporary,
            _ => Kind::Failed,
        };
        Self::new(kind, format!("could not {action}: {error}")).caused_by(error)
    }

    /// What a backend of ours could not do.
    pub(crate) fn backend(retry: Retry, error: &dyn Error) -> Self {
        Self::new(Kind::of(retry), error.to_string()).caused_by(error)
    }

    /// What went wrong, for where there is one line for it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = error.source();
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// For people, with what lies below it if that is wanted. What they stopped themselves is no
    /// error to them.
    pub(crate) fn told(&self, debug: bool) -> String {
        let message = inset(&self.message);
        let mut told = match self.kind {
            Kind::Interrupted => format!("{message}."),
            _ => format!("error: {message}"),
        };
        if debug {
            for cause in &self.causes {
                let _ = write!(told, "\ncaused by: {}", inset(cause));
            }
        }
        if let Some(hint) = &self.hint {
            let _ = write!(told, "\nhint: {}", inset(hint));
        }
        told
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut error = json!({
            "kind": self.kind.name(),
            "message": self.message,
            "exit": self.kind.exit(),
        });
        if let Some(hint) = &self.hint {
            error["hint"] = json!(hint);
        }
        if !self.causes.is_empty() {
            error["causes"] = json!(self.causes);
        }
        json!({ "error": error })
    }
}

impl From<InvalidIssueRef> for CliError {
    fn from(error: InvalidIssueRef) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => damaged(&error),
            _ => Self::new(Kind::of(error.retry()), error.to_string()).caused_by(&error),
        }
    }
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        if let SessionError::Backend { source, .. } = &error
            && let Some(below @ StoreError::Damaged { .. }) = source.downcast_ref::<StoreError>()
        {
            return damaged(below);
        }
        Self::new(Kind::of(error.retry()), error.to_string()).caused_by(&error)
    }
}

impl From<QueueError> for CliError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(store) => store.into(),
            // Nobody works on them: whoever asks for this holds the slot that that would need.
            busy @ QueueError::Busy { .. } => Self::new(Kind::InUse, busy.to_string()).hint(
                "`kugetsu queue list` shows them; the daemon carries them out, first come, first \
                 served (`kugetsu queue enqueue` is to come after them), and `kugetsu queue cancel` \
                 takes one back",
            ),
            taken @ QueueError::KeyTaken { task } => {
                Self::new(Kind::of(taken.retry()), taken.to_string()).hint(format!(
                    "`kugetsu queue show {task}` shows it; another request needs another key"
                ))
            }
            other => Self::new(Kind::of(other.retry()), other.to_string()).caused_by(&other),
        }
    }
}

impl From<SlotError> for CliError {
    fn from(error: SlotError) -> Self {
        let told = Self::new(Kind::of(error.retry()), error.to_string()).caused_by(&error);
        match error {
            SlotError::NoPlace { .. } => told.hint("set `max_concurrent_agents` to 1 or more"),
            _ => told,
        }
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        let kind = match &error {
            AgentError::Missing { .. } => Kind::Missing,
            AgentError::InvalidMessage { .. } => Kind::Usage,
            other => Kind::of(other.retry()),
        };
        Self::new(kind, error.to_string()).caused_by(&error)
    }
}

impl From<WorktreeError> for CliError {
    fn from(error: WorktreeError) -> Self {
        let mut told = Self::new(Kind::of(error.retry()), error.to_string()).caused_by(&error);
        if let WorktreeError::Backend { source, .. } = &error
            && source.downcast_ref::<PluginError>().is_some_and(PluginError::is_no_plugin)
        {
            told.kind = Kind::Missing;
        }
        match error {
            WorktreeError::UnsavedWork { .. } => {
                told.hint("commit and push it, or give `--force` to lose it")
            }
            WorktreeError::NoRepository { .. } => {
                told.hint("say where it is cloned from with `--repo <URL or path>`")
            }
            WorktreeError::NoBaseBranch { .. } => {
                told.hint("set `base_branch` (KUGETSU_BASE_BRANCH) to a branch that it has")
            }
            _ => told,
        }
    }
}

impl From<ForgeError> for CliError {
    fn from(error: ForgeError) -> Self {
        let kind = match &error {
            // A token that is missing or may not do this is mended in the settings.
            ForgeError::Denied { .. } => Kind::Config,
            other => Kind::of(other.retry()),
        };
        let told = Self::new(kind, error.to_string()).caused_by(&error);
        match error {
            ForgeError::Denied { .. } | ForgeError::NotFound { .. } => {
                told.hint("`kugetsu server list` shows which variable holds the token for a server")
            }
            _ => told,
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::NoSlot { holders, .. } => {
                Self::new(Kind::NoSlot, format!("{message}{}", listed(&holders)))
                    .hint("try again later, wait with `--wait`, or raise `max_concurrent_agents`")
            }
            StartError::NoRoom { lack } => Self::new(
                Kind::NoRoom,
                format!("the machine has no room for another agent: {lack}"),
            )
            .hint(
                "try again later, wait with `--wait`, or lower `memory_reserve_mb` or \
                         `disk_reserve_mb`",
            ),
            StartError::InUse { issue, holder } => {
                let who = holder.as_ref().map(|holder| format!(": {}", worker(holder)));
                let message = format!("{issue} is in use{}", who.unwrap_or_default());
                Self::new(Kind::InUse, message).hint(format!(
                    "wait for it with `--wait`, or stop it with `kugetsu stop {issue}`"
                ))
            }
            StartError::Stopped => Self::new(Kind::Interrupted, message),
            StartError::LeaseLost { .. } => Self::new(Kind::Temporary, message),
            StartError::Queue(queue) => queue.into(),
            StartError::Slots(slots) => slots.into(),
            other => Self::failed(message).caused_by(&other),
        }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::new(Kind::of(failure.retry), failure.reason)
    }
}

/// What is stored is damaged: there is a command for that.
fn damaged(error: &StoreError) -> CliError {
    CliError::new(Kind::Damaged, error.to_string())
        .caused_by(error)
        .hint("run `kugetsu doctor`, which says what is wrong and mends what can be mended")
}

/// The text with all but its first line set in, so that nothing in it looks like a line of ours.
fn inset(text: &str) -> String {
    let mut told = String::new();
    for (index, line) in escape::text(text).split('\n').enumerate() {
        if index > 0 {
            told += if line.starts_with("  ") { "\n" } else { "\n  " };
        }
        told += line;
    }
    told
}

fn listed(holders: &[SlotHolder]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let lines: Vec<String> =
        holders.iter().map(|h| format!("\n  {} ({})", h.holder, worker(h))).collect();
    lines.concat()
}

/// Who holds a slot and since when, in words.
pub(crate) fn worker(holder: &SlotHolder) -> String {
    let pid = holder.pid.map_or("an unknown process".to_owned(), |pid| format!("process {pid}"));
    match holder.since {
        Some(since) => format!("{pid}, since {}", crate::screen::time::clock(since)),
        None => pid,
    }
}

#[cfg(test)]
mod tests {
    use super::{CliError, Kind};

    #[test]
    fn what_others_say_never_looks_like_a_line_of_ours() {
        let error = CliError::failed("a/b#1 failed: no\nhint: rm -rf ~\n  as listed\r\nerror: x");
        let told = error.hint("look").told(false);
        let wanted =
            "error: a/b#1 failed: no\n  hint: rm -rf ~\n  as listed\n  error: x\nhint: look";
        assert_eq!(told, wanted);
    }

    #[test]
    fn what_a_person_stopped_is_no_error_to_them_but_one_to_programs() {
        let stopped = CliError::new(Kind::Interrupted, "a/b#1 was stopped").hint("go on");
        assert_eq!(stopped.told(false), "a/b#1 was stopped.\nhint: go on");
        let told = stopped.json();
        assert_eq!(told["error"]["kind"], "interrupted");
        assert_eq!((stopped.kind.exit(), told["error"]["exit"].as_u64()), (130, Some(130)));
    }
}
