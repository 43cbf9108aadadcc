//! An open log.

use super::super::board::Board;
use super::super::log::Log;
use super::brush::{Brush, fill, wrapped};
use super::tasks::state;
use crate::screen::teller::{Line, Voice};
use crate::screen::{Tone, time};

/// The columns of the time and of the label.
const AT: usize = 9;
const LABEL: usize = 9;

pub(super) fn draw(board: &mut Board, brush: &mut Brush<'_>) {
    let title = board.log.as_ref().map(|log| title(board, log)).unwrap_or_default();
    brush.rule(&title);
    let room = brush.left().saturating_sub(1);
    let Some(log) = &mut board.log else { return };
    log.page = room.max(1);
    let columns = brush.width().saturating_sub(AT + LABEL);
    let mut drawn: Vec<(Tone, String, String)> = Vec::new();
    'lines: for line in log.upwards() {
        let texts = wrapped(&line.text, columns);
        for (index, text) in texts.iter().enumerate().rev() {
            if drawn.len() == room {
                break 'lines;
            }
            let front = if index == 0 { front(line, brush) } else { " ".repeat(AT + LABEL) };
            drawn.push((tone(line.voice), front, text.clone()));
        }
    }
    if drawn.is_empty() {
        brush.line(&[(Tone::Faint, "  nothing was told yet")]);
    }
    for (tone, front, text) in drawn.iter().rev() {
        brush.line(&[(Tone::Faint, front), (*tone, text)]);
    }
}

fn title(board: &Board, log: &Log) -> String {
    let mut title = board.short(&log.lane).to_owned();
    if let Some(entry) = board.entry(log.task) {
        let tokens = time::counted(board.usage(entry).total(), "token");
        title.push_str(&format!("   {}, {tokens}", state(board, entry)));
    }
    match log.below() {
        0 if log.follows() => {}
        below => title.push_str(&format!("   {} below", time::counted(below as u64, "line"))),
    }
    title
}

fn front(line: &Line, brush: &Brush<'_>) -> String {
    let clock = time::clock(line.at);
    let at = clock.split_whitespace().last().unwrap_or_default();
    let label = fill(&line.label, LABEL - 1, brush.look);
    format!("{} {label} ", fill(at, AT - 1, brush.look))
}

fn tone(voice: Voice) -> Tone {
    match voice {
        Voice::Says => Tone::Plain,
        Voice::Kugetsu | Voice::Thinks => Tone::Faint,
        Voice::Did => Tone::Good,
        Voice::Failed => Tone::Bad,
    }
}
