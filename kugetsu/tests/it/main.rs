//! kugetsu embedded in a program, with a fake agent in the program itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod building;
mod ending;
mod house;
mod sharing;
mod working;
