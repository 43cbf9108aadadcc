//! An open log.

use super::super::board::Board;
use super::super::entry::Entry;
use super::super::log::Log;
use super::brush::{Brush, fill, tail, wrapped};
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
    let runs = board.entries.get(&log.task).is_some_and(Entry::runs);
    log.page = room.max(1);
    let columns = brush.width().saturating_sub(AT + LABEL);
    let mut drawn: Vec<(Tone, String, String)> = Vec::new();
    if runs && log.follows() && !log.teller.doing.is_empty() {
        let now = fill("now", LABEL - 1, brush.look);
        let doing = log.teller.begun().unwrap_or_else(|| log.teller.doing.clone());
        let doing = tail(&flat(&doing), columns, brush.look);
        drawn.push((Tone::Faint, format!("{}{now} ", " ".repeat(AT)), doing));
    }
    'lines: for line in log.upwards() {
        let texts = wrapped(&flat(&line.text), columns);
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
    let lane = board.short(&log.lane);
    let standing = board.entry(log.task).map_or_else(String::new, |entry| {
        let tokens = time::counted(board.usage(entry).total(), "token");
        format!("   {}, {tokens}", state(board, entry))
    });
    let below = if log.follows() {
        String::new()
    } else {
        format!("   {} below", time::counted(log.below() as u64, "line"))
    };
    format!("{lane}{standing}{below}")
}

fn front(line: &Line, brush: &Brush<'_>) -> String {
    let clock = time::clock(line.at);
    let at = clock.split_whitespace().last().unwrap_or_default();
    let label = fill(&line.label, LABEL - 1, brush.look);
    format!("{} {label} ", fill(at, AT - 1, brush.look))
}

/// Tabs are columns that nobody can tell here.
fn flat(text: &str) -> String {
    text.replace('\t', "    ")
}

fn tone(voice: Voice) -> Tone {
    match voice {
        Voice::Says => Tone::Plain,
        Voice::Kugetsu | Voice::Thinks => Tone::Faint,
        Voice::Did => Tone::Good,
        Voice::Failed => Tone::Bad,
    }
}
