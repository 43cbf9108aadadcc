//! What the command promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod canaries;
mod daemon;
mod delegate;
mod demo;
mod desk;
mod destroy;
mod env;
mod errors;
mod help;
mod init;
mod list;
mod logs;
mod notify;
mod program;
mod prune;
mod queue;
mod real;
mod settings;
mod slots;
mod start;
mod stop;
mod watch;
