//! The suites, run against what core and the testkit have to offer themselves.

pub(crate) mod agent;
mod memory;
mod notifier;
mod strict;
pub(crate) mod worktrees;
