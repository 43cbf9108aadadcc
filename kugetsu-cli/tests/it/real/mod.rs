//! The command and the engine with the real opencode, against the scripted model.

mod attribution;
mod daemon;
mod death;
mod faults;
mod hostile;
mod house;
mod import;
mod job;
mod limit;
mod logs;
mod mcp;
mod pm;
mod telegram;
