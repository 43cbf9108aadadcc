//! JSON-RPC 2.0 with a program, over its standard streams.

mod calls;
mod connection;
mod lines;
mod process;

pub(crate) use connection::{CallError, Connection};
