//! The suites, run against what core and the testkit have to offer themselves.

mod agent;
mod memory;
mod notifier;
mod strict;
mod worktrees;
