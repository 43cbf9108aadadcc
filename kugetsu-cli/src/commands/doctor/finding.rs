//! What can be wrong, by name, and what was found.

use std::path::PathBuf;

use kugetsu_core::{IssueRef, SessionId};
use serde::Serialize;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Good to know.
    Note,
    /// Work goes on, but something is in danger or not as it should be.
    Warning,
    /// Something does not work, or something may get lost.
    Error,
}

impl Severity {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What `--fix` does about it. None of it loses anything.
#[derive(Debug, Clone)]
pub(super) enum Cure {
    /// Gives a file or directory this mode.
    Mode(PathBuf, u32),
    /// Makes a directory.
    MakeDirectory(PathBuf),
    /// Removes a file that says what is no longer so.
    Remove(PathBuf),
    /// Moves records that cannot be read into a file.
    SetAside,
    /// Makes a new store of what can be read, and keeps the damaged one.
    Salvage,
    /// Cuts off what a dead writer has left at the end of the journal.
    CutJournal,
    /// Lets the first task of each lane run.
    FreeLanes,
    /// Makes the base and the PM's session if they are missing.
    MakeSessions,
    /// Forgets the record of the base or of the PM's session, of which the agent knows nothing any
    /// more, so that it is made anew.
    ForgetSession(SessionId),
    /// Makes the issue's worktree again from its branch.
    MakeWorktree(IssueRef),
    /// What the worktrees' own repair does.
    Worktrees(Box<kugetsu_git::Finding>),
    /// Gives opencode's sessions the rules of their roles.
    Permissions,
    /// Ends processes that nobody owns.
    EndLeftovers,
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// The check's name, which stays the same for ever.
    pub(super) check: &'static str,
    #[serde(skip)]
    pub(super) group: Group,
    pub(super) severity: Severity,
    /// What was found, in a sentence without a full stop.
    pub(super) found: String,
    /// Why it matters, in the same form.
    pub(super) why: &'static str,
    /// How a person mends it.
    pub(super) mend: String,
    /// Whether `--fix` mends it.
    pub(super) fixable: bool,
    /// What was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mended: Option<String>,
    /// Why it could not be mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<String>,
    #[serde(skip)]
    pub(super) cure: Option<Cure>,
}

impl Finding {
    /// What this check found, and how a person mends it.
    pub(super) fn new(
        check: &'static Check,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            check: check.id,
            group: check.group,
            severity: check.severity,
            found: found.into(),
            why: check.why,
            mend: mend.into(),
            fixable: false,
            mended: None,
            failed: None,
            cure: None,
        }
    }

    /// `--fix` does this.
    pub(super) fn cured_by(mut self, cure: Cure) -> Self {
        self.fixable = true;
        self.cure = Some(cure);
        self
    }

    /// Whether both tell of one thing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.check == other.check && self.found == other.found
    }
}

/// What findings are shown under, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Directory,
    Settings,
    Store,
    Programs,
    Sessions,
    Worktrees,
    Queue,
    Servers,
}

impl Group {
    pub(super) const ALL: [Self; 8] = [
        Self::Directory,
        Self::Settings,
        Self::Store,
        Self::Programs,
        Self::Sessions,
        Self::Worktrees,
        Self::Queue,
        Self::Servers,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::Settings => "Settings and env files",
            Self::Store => "Store",
            Self::Programs => "Programs",
            Self::Sessions => "Sessions",
            Self::Worktrees => "Worktrees",
            Self::Queue => "Queue and daemon",
            Self::Servers => "Servers",
        }
    }
}

/// Something that is looked for.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) group: Group,
    pub(super) severity: Severity,
    /// Why it matters, in a sentence without a full stop.
    pub(super) why: &'static str,
}

macro_rules! checks {
    ($($name:ident = $id:literal, $group:ident, $severity:ident, $why:literal;)*) => {
        $(pub(super) const $name: &Check = &Check {
            id: $id,
            group: Group::$group,
            severity: Severity::$severity,
            why: $why,
        };)*

        /// All of them but those of worktrees, which [`kugetsu_git::Fault`] names.
        #[cfg(test)]
        pub(super) const ALL: &[&Check] = &[$($name,)*];
    };
}

checks! {
    NOT_MADE = "directory.not-made", Directory, Error,
        "no command works before it is";
    DIRECTORY_MISSING = "directory.missing", Directory, Error,
        "commands that need it fail";
    NO_DIRECTORY = "directory.in-the-way", Directory, Error,
        "commands that need the directory fail";
    READ_ONLY = "directory.read-only", Directory, Error,
        "nothing can be recorded, so no agent can work";
    FOREIGN = "directory.foreign", Directory, Error,
        "what belongs to another user can be changed by them, and not by you";
    MOVED = "directory.moved", Directory, Warning,
        "sessions and worktrees know the place where they were made";
    TWO = "directory.two", Directory, Note,
        "each has its own queue and its own limit of agents";
    LOOSE = "mode.loose", Directory, Warning,
        "other users of this machine can read what agents said and did, or change it";
    DISK_LOW = "disk.low", Directory, Warning,
        "agents fill disks quickly";
    DISK_FULL = "disk.full", Directory, Error,
        "nothing can be recorded, so attempts fail";
    SETTINGS = "settings.invalid", Settings, Error,
        "commands refuse to work with settings that may not mean what was meant";
    SETTINGS_LEFT_OUT = "settings.left-out", Settings, Warning,
        "what was meant to be a setting is none";
    ENV_LOOSE = "env.loose", Settings, Error,
        "secrets in it are open to others, and no agent is started with it";
    ENV_INVALID = "env.invalid", Settings, Error,
        "no agent is started with it";
    SOURCES = "repos.invalid", Settings, Error,
        "no repository's source is known, so no worktree can be made";
    STORE_GONE = "store.gone", Store, Error,
        "the tasks, the log of events and the sessions were in it";
    STORE_NEWER = "store.newer", Store, Error,
        "this kugetsu would damage what it does not know";
    STORE_DAMAGED = "store.damaged", Store, Error,
        "tasks and sessions in it may be wrong or missing";
    STORE_CLOSED = "store.closed", Store, Error,
        "nothing works without it";
    STORE_TORN = "store.torn", Store, Note,
        "nobody was told that it was written, and the next one that writes cuts it off";
    STORE_TORN_KEPT = "store.torn-kept", Store, Note,
        "a process or the machine died while it wrote";
    STORE_TWO = "store.two", Store, Note,
        "nothing reads it, and what is in it may be out of date";
    LEFT_OVER = "file.left-over", Directory, Note,
        "who wrote it died before it was whole, and nothing reads it";
    STORE_UNKNOWN = "store.unchecked", Store, Note,
        "only kugetsu's own stores can be examined";
    TASK_UNREADABLE = "task.unreadable", Store, Error,
        "it is not carried out, and keeps later tasks of its issue waiting";
    EVENT_UNREADABLE = "event.unreadable", Store, Warning,
        "whoever reads the log is not told what happened";
    SESSION_UNREADABLE = "session.unreadable", Store, Error,
        "its issue cannot be continued";
    NOTICE_UNREADABLE = "notice.unreadable", Store, Warning,
        "the inbox does not show it";
    LANE_STUCK = "queue.lane-stuck", Store, Error,
        "its tasks would wait for ever";
    GIT_MISSING = "git.missing", Programs, Error,
        "no worktree can be made without it";
    GIT_OLD = "git.old", Programs, Error,
        "it lacks options that keep what agents configure from running";
    AGENT_MISSING = "agent.missing", Programs, Error,
        "no agent can work";
    AGENT_UNFIT = "agent.unfit", Programs, Error,
        "no agent can work";
    BASE_MISSING = "session.base-missing", Sessions, Error,
        "new issues have nothing to begin from";
    PM_MISSING = "session.pm-missing", Sessions, Error,
        "messages to the PM cannot be carried out";
    NO_WORKTREE = "session.without-worktree", Sessions, Warning,
        "its agent has no place to work in";
    AGENT_SESSION_GONE = "session.agent-gone", Sessions, Warning,
        "what was said in it is lost; the issue goes on with a new one";
    PERMISSION = "session.permission", Sessions, Error,
        "its agent would ask for permission, and nobody answers";
    PERMISSIONS_CLOSED = "session.permission-unknown", Sessions, Warning,
        "whether an agent would wait for an answer is not known";
    NO_SESSION = "worktree.without-session", Worktrees, Note,
        "it takes place, and no agent knows what was done in it";
    WORKTREES_CLOSED = "worktrees.closed", Worktrees, Error,
        "no agent can work";
    NOT_RUNNING = "daemon.not-running", Queue, Warning,
        "nobody carries out what is queued";
    HUNG = "daemon.hung", Queue, Error,
        "nothing of what is queued goes on";
    STALE_PID = "daemon.stale-pid", Queue, Note,
        "it misleads whoever reads it; kugetsu itself asks the kernel";
    PAUSED = "queue.paused", Queue, Note,
        "nothing more is begun until it is resumed";
    LONG_PAUSED = "queue.paused-long", Queue, Warning,
        "it may have been forgotten";
    NO_ROOM = "machine.no-room", Queue, Warning,
        "no agent starts before there is";
    CIRCUIT = "queue.circuit-open", Queue, Warning,
        "only one attempt at a time tries whether the queue can go on";
    LEFTOVERS = "process.left-over", Queue, Warning,
        "they take memory and may still change files";
    SERVERS = "server.invalid", Servers, Error,
        "no git server is known";
    UNREACHABLE = "server.unreachable", Servers, Warning,
        "issues and pull requests on it can be neither read nor written";
    TOKEN_UNSET = "server.token-unset", Servers, Warning,
        "issues on it that are not public cannot be read, and nothing can be written";
    NO_TOKEN = "server.no-token", Servers, Note,
        "issues on it that are not public cannot be read, and nothing can be written";
    CHECK_FAILED = "doctor.check-failed", Directory, Error,
        "what it looks for is not known";
    CHECK_HUNG = "doctor.check-hung", Directory, Error,
        "whatever needs the same thing hangs too";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let mut names: Vec<&str> = ALL.iter().map(|check| check.id).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b".-".contains(&b)), "{name}");
        }
        assert!(ALL.iter().all(|check| !check.why.ends_with('.')));
    }
}
