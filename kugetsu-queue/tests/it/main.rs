//! What kugetsu-queue promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admission;
mod agents;
mod bugs;
mod chaos;
mod contexts;
mod deliver;
mod faults;
mod gates;
mod json;
mod line;
mod logs;
mod process;
mod prompts;
mod serve;
mod slots;
mod sqlite;
mod stores;
