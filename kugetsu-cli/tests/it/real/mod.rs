//! The command and the engine with the real opencode, against the scripted model.

mod agents;
mod attribution;
mod canaries;
mod capacity;
mod daemon;
mod death;
mod doctor;
mod faults;
mod hostile;
mod house;
mod import;
mod issue;
mod job;
mod limit;
mod logs;
mod mcp;
mod pm;
mod store;
mod telegram;
mod values;
