//! Worktrees over real git repositories, in temporary directories.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod breakages;
mod checkout;
mod clones;
mod crash;
mod damage;
mod files;
mod gone;
mod ground;
mod hostile;
mod inspect;
mod last;
mod prepare;
mod remote;
mod remove;
mod repair;
mod source;
mod suite;
mod together;
mod unchanged;
