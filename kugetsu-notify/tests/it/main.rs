#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod routed;
mod server;
mod telegram;
mod webhook;

use kugetsu_core::{Cursor, Event, Failure, Happening, Notice, Outcome, TaskId, Timestamp};

/// A notice of a failure, with this text in it.
fn notice(number: u64, text: &str) -> Notice {
    let outcome = Outcome::Error { failure: Failure::fatal(text) };
    let event = Event::new(
        Timestamp::from_millis(number),
        TaskId::of_key("a task"),
        Some("github.com/acme/widgets#1".parse().unwrap()),
        Happening::Settled { outcome },
    );
    Notice::of(&event, Cursor(number)).unwrap()
}
