//! git worktrees for kugetsu: one bare clone a repository, one worktree an issue.
//!
//! [`GitWorktrees`] keeps everything below two directories of its own and never touches a checkout
//! of the operator's:
//!
//! ```text
//! <repositories>/github.com/acme/widgets.git     a bare clone that kugetsu owns
//! <worktrees>/github.com-acme-widgets-42         the worktree of issue 42, on the branch fix/issue-42
//! ```
//!
//! Both are ordinary git: `git worktree list`, `git fsck` and whatever an agent does in its worktree
//! work as usual. Remote branches are `refs/remotes/origin/*`, so that a fetch never moves a branch
//! that an agent works on.
//!
//! # Who does what
//!
//! The user's own `git` talks to the network, with the user's credential helpers, ssh agent and
//! proxies, and is asked for the user's settings. libgit2 does references and inspection; it starts
//! no program, whatever is configured. The few files of a worktree's administration are written
//! here, complete and then renamed into place, so that a crash leaves a worktree or none.
//!
//! The worktree's own files are written here too, from the clone's objects, where git would write
//! them as they are. Where attributes, the user's settings, submodules or anything odd in a tree
//! could make a difference, the user's `git` writes them. The result is the same to the byte.
//!
//! # What an agent cannot make us run
//!
//! Agents may write their worktree and, since worktrees share it, the clone's configuration. So each
//! `git` that is started here gets a git directory of its own, made for this one command, which
//! borrows only the clone's objects: it sees the user's configuration and ours, and no hook, filter,
//! file system monitor, credential helper, proxy or include from the clone or from a worktree.

//! # What is fast
//!
//! A source that is unchanged is not fetched: one on this machine is compared by its references, any
//! other by one `git ls-remote`. A worktree that is removed is not there any more at once; its files
//! are deleted by a thread that nobody waits for, so its disk space comes back a little later. What
//! that thread has not done when its process ends is done by the next process that makes or removes
//! a worktree there, or by [`recover`](kugetsu_core::WorktreeProvider::recover), which returns when
//! all is deleted.
//!
//! # What is broken
//!
//! [`GitWorktrees::examine`] tells what is the matter as plain [`Finding`]s, and changes nothing;
//! [`GitWorktrees::mend`] mends one of them, if that loses nothing. What exists nowhere else is saved
//! before, byte for byte, and stays until somebody deletes it:
//!
//! ```text
//! refs/kugetsu/rescue/<issue>/<commit>    in the clone: the worktree's files, what was staged, and
//!                                         commits that no branch has
//! <worktrees>/.<issue>.rescue/<number>/   what stood where something of ours belongs
//! <repositories>/…/.<name>.rescue/        damaged parts of a clone
//! ```

#![warn(missing_docs, unreachable_pub)]

mod adopt;
mod blocking;
mod checkout;
mod clone;
mod delete;
mod entry;
mod examine;
mod fault;
mod files;
mod finding;
mod git;
mod gone;
mod inspect;
mod last;
mod list;
mod lock;
mod mend;
mod prepare;
mod provider;
mod recover;
mod remove;
mod rescue;
mod scratch;
mod settings;
mod site;
mod source;
mod stale;
mod standing;
mod take_over;
mod unchanged;

pub use checkout::Checkout;
pub use finding::{Fault, Finding, Mended, Remedy, Weight};
pub use provider::GitWorktrees;
pub use source::{HttpsSources, InvalidSource, RepositoryMap, Source, Sources};
pub use take_over::{TakenOver, remote_of};

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
