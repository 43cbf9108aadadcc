//! What kugetsu-queue promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chaos;
mod faults;
mod line;
mod process;
mod serve;
mod slots;
mod sqlite;
