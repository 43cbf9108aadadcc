//! Sessions and worktrees.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Replace the base and PM sessions; settings, env files, repositories and worktrees stay
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Also the repositories' copies of the base, and worktrees without a session
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Destroy {
    /// The issue whose session and worktree are removed
    #[arg(group = "what")]
    pub(crate) issue: Option<String>,
    /// Remove the PM's session
    #[arg(long, group = "what")]
    pub(crate) pm_agent: bool,
    /// Remove the base session, the repositories' copies of it, and the PM's session
    #[arg(long, group = "what")]
    pub(crate) base: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    /// Remove the worktree even if work in it is lost
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short = 'y', long, visible_alias = "force", overrides_with = "yes")]
    pub(crate) yes: bool,
}
