//! What the command promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod daemon;
mod delegate;
mod demo;
mod desk;
mod destroy;
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
mod store;
mod watch;
