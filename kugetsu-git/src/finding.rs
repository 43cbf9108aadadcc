//! What can be the matter with worktrees and clones.

use std::path::{Path, PathBuf};

use kugetsu_core::IssueRef;
use serde::Serialize;

/// One thing that is the matter with a worktree, a clone or the directories that hold them.
///
/// It is plain data, as it was when it was looked at. Names and paths in it come from agents and
/// remotes: escape them before they are shown. It holds no password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What is the matter.
    pub fault: Fault,
    /// The issue whose worktree it is about, if it is about one.
    pub issue: Option<IssueRef>,
    /// The file or directory that it is about.
    pub path: PathBuf,
    /// What was found, in a sentence without a full stop.
    pub found: String,
    /// What can be done.
    pub remedy: Remedy,
}

impl Finding {
    pub(crate) fn new(
        fault: Fault,
        issue: Option<&IssueRef>,
        path: &Path,
        found: impl Into<String>,
        remedy: Remedy,
    ) -> Self {
        let (issue, path) = (issue.cloned(), path.to_owned());
        Self { fault, issue, path, found: found.into(), remedy }
    }

    /// Whether [`mend`](crate::GitWorktrees::mend) mends it without losing anything.
    pub fn is_mendable(&self) -> bool {
        matches!(self.remedy, Remedy::Mend(_))
    }
}

/// What can be done about a finding, in words that follow on "to mend it, ".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Remedy {
    /// [`mend`](crate::GitWorktrees::mend) does this, and nothing is lost by it.
    Mend(String),
    /// A person has to do this.
    ByHand(String),
    /// Nothing has to be done.
    Nothing,
}

impl Remedy {
    pub(crate) fn mend(what: impl Into<String>) -> Self {
        Self::Mend(what.into())
    }

    pub(crate) fn by_hand(what: impl Into<String>) -> Self {
        Self::ByHand(what.into())
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Weight {
    /// Good to know.
    Note,
    /// Work goes on, but something is in danger or not as it should be.
    Warning,
    /// An agent cannot work on the issue, or work may get lost.
    Error,
}

/// What was done about a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mended {
    /// What was done, in a sentence without a full stop; empty if nothing was left to be done.
    pub done: String,
    /// Where work was saved before: references in the clone, and paths beside the worktree.
    pub rescued: Vec<String>,
}

impl Mended {
    pub(crate) fn new(done: impl Into<String>) -> Self {
        Self { done: done.into(), rescued: Vec::new() }
    }

    pub(crate) fn with_rescued(mut self, rescued: impl IntoIterator<Item = String>) -> Self {
        self.rescued.extend(rescued);
        self
    }

    /// Whether somebody had mended it already.
    pub fn was_nothing_left(&self) -> bool {
        self.done.is_empty()
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident, $id:literal, $weight:ident, $why:literal;)*) => {
        /// What is the matter. New ones may come; the ids of those that are here stay.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, which stays the same for ever: `worktree.link-wrong`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// How much it matters.
            pub fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }

            /// Why it matters, in a sentence without a full stop.
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }
        }
    };
}

faults! {
    /// A directory of ours that others can enter.
    LooseMode, "worktrees.loose-mode", Warning,
        "other users of this machine can read, or change, what agents work on";
    /// Something in the worktrees' directory that is nobody's.
    Stray, "worktrees.stray", Note,
        "nothing of kugetsu's looks after it, so it stays for ever";
    /// Half of a worktree, whose maker or remover has died.
    HalfMade, "worktrees.half-made", Warning,
        "it only takes place: nobody works in it";
    /// Somebody makes or removes the worktree just now.
    Busy, "worktrees.busy", Note,
        "it cannot be examined while it changes";
    /// It cannot be looked at.
    Unreadable, "worktrees.unreadable", Error,
        "what cannot be read can be neither used nor saved";
    /// The worktree's directory is gone, its record in the clone is not.
    DirectoryGone, "worktree.directory-gone", Warning,
        "git takes the branch for checked out";
    /// The record of a worktree of an issue that kugetsu no longer knows.
    RecordDangling, "worktree.record-dangling", Warning,
        "git takes the branch for checked out";
    /// The worktree's directory was moved.
    Moved, "worktree.moved", Error,
        "the agent would not find its work";
    /// Something that is no worktree stands where one belongs.
    InTheWay, "worktree.in-the-way", Error,
        "the issue's worktree cannot be made";
    /// The link from the worktree to its record is missing or leads elsewhere.
    LinkWrong, "worktree.link-wrong", Error,
        "git does not know the directory as a worktree";
    /// A repository, or something else, stands where the link belongs.
    LinkReplaced, "worktree.link-replaced", Error,
        "what the agent commits there is on no branch of the issue's";
    /// The worktree's record in the clone is gone.
    RecordGone, "worktree.record-gone", Error,
        "git does not know the directory as a worktree";
    /// Parts of the worktree's record are missing or wrong.
    RecordDamaged, "worktree.record-damaged", Error,
        "git does not work in the worktree, or takes it for another one";
    /// The worktree is at no commit that is there.
    HeadBroken, "worktree.head-broken", Error,
        "git does not work in the worktree";
    /// The worktree is on no branch, and has commits that no branch has.
    HeadDetached, "worktree.head-detached", Warning,
        "its commits are on no branch, so the next checkout leaves them to be deleted";
    /// The worktree is on another branch than the issue's.
    HeadElsewhere, "worktree.head-elsewhere", Note,
        "what is pushed from it is not the issue's branch";
    /// The branch that the worktree is on was deleted.
    BranchGone, "worktree.branch-gone", Error,
        "the commits on it are kept by nothing";
    /// The branch that the worktree is on leads to a commit that is not there.
    BranchBroken, "worktree.branch-broken", Error,
        "git does not work in the worktree";
    /// The issue's branch is checked out in another worktree.
    BranchElsewhere, "worktree.branch-elsewhere", Error,
        "two would move one branch, so the issue's worktree is not made";
    /// The worktree's index cannot be read.
    IndexBroken, "worktree.index-broken", Error,
        "git does not work in the worktree";
    /// A lock file of a git that is gone.
    StaleLock, "worktree.stale-lock", Error,
        "git refuses to work in the worktree for ever";
    /// A merge, a rebase or the like was not finished.
    Unfinished, "worktree.unfinished", Note,
        "the next agent finds the worktree in the middle of it";
    /// A repository or a worktree inside of the worktree.
    Nested, "worktree.nested", Note,
        "git sees nothing of what is in it, so commits of the issue do not hold it";
    /// Where the worktree is was never noted.
    NotNoted, "worktree.not-noted", Note,
        "if somebody deletes the branch, it cannot be made again";
    /// The commit that the worktree was at is not in the clone.
    CommitsLost, "worktree.commits-lost", Error,
        "the worktree cannot be made again with all that was done";
    /// The clone that worktrees hang off is gone.
    CloneGone, "clone.gone", Error,
        "git works in none of its worktrees";
    /// The clone cannot be opened.
    CloneBroken, "clone.broken", Error,
        "git works in none of its worktrees";
    /// What is left of the making or fetching of a clone.
    CloneHalfMade, "clone.half-made", Note,
        "it only takes place";
    /// The clone's configuration asks for what libgit2 lacks.
    Unsupported, "clone.unsupported", Error,
        "the clone cannot be read";
    /// The clone says that it comes from elsewhere than it does.
    RemoteDiffers, "clone.remote-differs", Warning,
        "agents would push elsewhere";
    /// The clone's configuration or hooks run programs, or point git elsewhere.
    ConfigPlanted, "clone.config-planted", Warning,
        "kugetsu's own git never runs it, but yours and the agents' do";
    /// A worktree of the clone that is none of kugetsu's.
    ForeignWorktree, "clone.foreign-worktree", Note,
        "nothing of kugetsu's looks after it";
    /// A lock file of a git that is gone, in what all worktrees of a clone share.
    CloneLock, "clone.stale-lock", Error,
        "git refuses to change branches, or to fetch, for ever";
    /// Objects that branches need are missing or damaged.
    ObjectsMissing, "clone.objects-missing", Error,
        "git cannot show, check out or push what needs them";
    /// Work that was saved before something was mended.
    RescueKept, "clone.rescue-kept", Note,
        "it is kept until somebody deletes it";
}

impl Serialize for Fault {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.id())
    }
}
