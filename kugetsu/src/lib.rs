//! A team of coding agents on a team's issues: the crates of kugetsu, put together.
#![warn(missing_docs, unreachable_pub)]
