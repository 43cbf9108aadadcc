//! The log of one task: what was told of it, in lines that go on to come.

use std::collections::VecDeque;

use kugetsu_core::{Event, TaskId};

use super::keys::Key;
use crate::screen::teller::{Line, Teller};

/// How many lines are kept.
const KEPT: usize = 5000;

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) task: TaskId,
    pub(super) lane: String,
    pub(super) teller: Teller,
    lines: VecDeque<Line>,
    /// How many older lines are not kept any more.
    dropped: usize,
    /// The number of the line after the last one that is shown; `None` follows the end.
    bottom: Option<usize>,
    /// How many lines fit on a page.
    pub(super) page: usize,
}

impl Log {
    pub(super) fn new(task: TaskId, lane: String) -> Self {
        let (teller, lines) = (Teller::default(), VecDeque::new());
        Self { task, lane, teller, lines, dropped: 0, bottom: None, page: 10 }
    }

    /// Takes in what happened. Says whether that is something new to show.
    pub(super) fn hear(&mut self, event: &Event) -> bool {
        if event.task != self.task {
            return false;
        }
        self.lines.extend(self.teller.hear(event));
        while self.lines.len() > KEPT {
            self.lines.pop_front();
            self.dropped += 1;
        }
        true
    }

    /// Whether new lines come into sight by themselves.
    pub(super) fn follows(&self) -> bool {
        self.bottom.is_none()
    }

    /// The lines from the last one that is shown backwards.
    pub(super) fn upwards(&self) -> impl Iterator<Item = &Line> {
        let shown = self.bottom.unwrap_or(usize::MAX).saturating_sub(self.dropped);
        self.lines.iter().take(shown).rev()
    }

    /// How many lines there are below what is shown.
    pub(super) fn below(&self) -> usize {
        self.bottom.map_or(0, |bottom| self.end().saturating_sub(bottom))
    }

    pub(super) fn press(&mut self, key: Key) {
        let page = self.page.saturating_sub(1).max(1);
        let (at, end) = (self.bottom.unwrap_or(self.end()), self.end());
        let to = match key {
            Key::Up | Key::Char('k') => at.saturating_sub(1),
            Key::Down | Key::Char('j') => at + 1,
            Key::PageUp => at.saturating_sub(page),
            Key::PageDown | Key::Char(' ') => at + page,
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => end,
            _ => return,
        };
        // A page that is not full has nothing above it.
        let to = to.max(self.dropped + self.page.min(self.lines.len()));
        self.bottom = (to < end).then_some(to);
    }

    fn end(&self) -> usize {
        self.dropped + self.lines.len()
    }
}
