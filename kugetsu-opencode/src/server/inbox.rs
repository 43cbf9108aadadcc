//! Where a run gets what the server tells about its session.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::wire::News;

/// What waits for a run.
#[derive(Debug)]
pub(crate) enum Letter {
    /// Something happened.
    News(News),
    /// The stream of events was interrupted; what was told meanwhile has to be asked for.
    Gap,
    /// The server is gone; nothing comes after this.
    Dead(String),
}

/// A run's own queue of letters. A reader that is slow gets fewer and larger ones, never less.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    letters: Mutex<VecDeque<Letter>>,
    arrived: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, letter: Letter) {
        let mut letters = self.letters();
        if let Some(letter) = merged(letters.back_mut(), letter) {
            letters.push_back(letter);
        }
        drop(letters);
        self.arrived.notify_one();
    }

    /// The next letter. Cancelling loses none.
    pub(crate) async fn next(&self) -> Letter {
        loop {
            if let Some(letter) = self.letters().pop_front() {
                return letter;
            }
            self.arrived.notified().await;
        }
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one letter of two that say the same thing more and more; returns the new one otherwise.
fn merged(last: Option<&mut Letter>, letter: Letter) -> Option<Letter> {
    match (last, letter) {
        (
            Some(Letter::News(News::Delta { part, field, delta, .. })),
            Letter::News(News::Delta { part: same, field: alike, delta: more, .. }),
        ) if *part == same && *field == alike => {
            delta.push_str(&more);
            None
        }
        (
            Some(Letter::News(News::Part { part, .. })),
            Letter::News(News::Part { part: newer, .. }),
        ) if part.id == newer.id => {
            *part = newer;
            None
        }
        (_, letter) => Some(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(part: &str, delta: &str) -> Letter {
        Letter::News(News::Delta {
            session: "s".into(),
            message: "m".into(),
            part: part.into(),
            field: "text".into(),
            delta: delta.into(),
        })
    }

    #[tokio::test]
    async fn pieces_of_one_text_wait_as_one_letter() {
        let inbox = Inbox::default();
        for piece in [delta("p", "a"), delta("p", "b"), delta("q", "c")] {
            inbox.put(piece);
        }
        inbox.put(Letter::Gap);
        let Letter::News(News::Delta { delta, .. }) = inbox.next().await else { panic!() };
        assert_eq!(delta, "ab");
        let Letter::News(News::Delta { delta, .. }) = inbox.next().await else { panic!() };
        assert_eq!(delta, "c");
        assert!(matches!(inbox.next().await, Letter::Gap));
    }
}
