//! How the board looks.

mod brush;
mod log;
mod slots;
mod tasks;

use kugetsu_queue::HoldKind;
use ratatui::buffer::Buffer;

use brush::{Brush, fill, width};
pub(super) use brush::{Look, text};

use super::board::{Board, Over};
use crate::screen::{Tone, escape, time};

/// The smallest terminal on which the board is of any use.
const SMALLEST: (u16, u16) = (40, 10);

const KEYS: [(&str, &str); 11] = [
    ("up, down, k, j", "select a task; in a log, go through it"),
    ("page up, down", "the same by pages"),
    ("g, G", "to the first, to the last"),
    ("Enter, l", "open the log of the task"),
    ("Esc, q", "close the log; leave the board"),
    ("s", "stop the agent and cancel the task, or cancel a waiting one"),
    ("r", "queue a task once more that is over"),
    ("p", "pause the queue: no more agents are started; or resume it"),
    ("?", "this help"),
    ("Ctrl-L", "read and draw everything anew"),
    ("Ctrl-C", "leave; agents go on"),
];

/// Draws the board as it is now.
pub(super) fn draw(board: &mut Board, look: Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut brush = Brush::new(buffer, look);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut brush, area.width, area.height);
    } else {
        header(board, &mut brush);
        match (&board.over, &board.log) {
            (Some(Over::Help), _) => help(&mut brush),
            (_, Some(_)) => log::draw(board, &mut brush),
            _ => {
                slots::draw(board, &mut brush);
                tasks::draw(board, &mut brush);
            }
        }
        footer(board, &mut brush);
    }
    brush.finish();
}

/// How high the whole board is, if nothing of it is left out.
pub(super) fn height(board: &Board) -> u16 {
    let holders: usize = board.sight.classes.iter().map(|class| class.holders.len()).sum();
    let lines = 20 + board.sight.holds.len() + holders * 4 + board.rows().len() * 2;
    u16::try_from(lines).unwrap_or(u16::MAX).min(2000)
}

fn too_small(brush: &mut Brush<'_>, columns: u16, lines: u16) {
    let (least_columns, least_lines) = SMALLEST;
    brush.line(&[(Tone::Strong, "kugetsu: too small")]);
    brush.line(&[(Tone::Plain, &format!("{columns}x{lines} of {least_columns}x{least_lines}"))]);
    brush.line(&[(Tone::Plain, "q leaves")]);
}

fn header(board: &Board, brush: &mut Brush<'_>) {
    let (daemon, tone) =
        if board.sight.daemon { ("daemon runs", Tone::Good) } else { ("no daemon", Tone::Bad) };
    let paused = if board.pause().is_some() { "PAUSED  " } else { "" };
    let clock = time::clock(board.now.at);
    let clock = clock.split_whitespace().last().unwrap_or_default();
    let right = width(paused) + width(daemon) + 2 + width(clock);
    let left = brush.width().saturating_sub(right + 10);
    let place = fill(&board.place, left, brush.look);
    brush.line(&[
        (Tone::Strong, "kugetsu "),
        (Tone::Faint, &place),
        (Tone::Plain, "  "),
        (Tone::Bad, paused),
        (tone, daemon),
        (Tone::Plain, "  "),
        (Tone::Faint, clock),
    ]);
    for hold in board.sight.holds.iter().take(3) {
        let until = match hold.until {
            Some(until) => format!("for {}", time::stopwatch(until.wait(board.now))),
            None if hold.kind == HoldKind::Room => "for now".to_owned(),
            None => "until it is resumed".to_owned(),
        };
        let kind = escape::line(&hold.kind.to_string());
        let line = format!("{kind} {until}: {}", escape::line(&hold.reason));
        brush.line(&[(Tone::Bad, &line)]);
    }
}

fn help(brush: &mut Brush<'_>) {
    brush.rule("Keys");
    for (keys, meaning) in KEYS {
        if brush.left() > 1 {
            brush.line(&[(Tone::Strong, &format!("  {keys:<15} ")), (Tone::Plain, meaning)]);
        }
    }
}

fn footer(board: &Board, brush: &mut Brush<'_>) {
    if brush.look.still {
        return;
    }
    brush.bottom(1);
    match (&board.over, board.said(), &board.log) {
        (Some(Over::Ask(question, _)), ..) => brush.bar(&[(Tone::Strong, question)]),
        (Some(Over::Help), ..) => brush.line(&[(Tone::Faint, "any key goes back")]),
        (None, Some(said), _) => brush.line(&[(Tone::Strong, said)]),
        (None, None, open) => {
            let arrows = brush.look.sign("↑↓", "jk");
            let pause = if board.pause().is_some() { "resume" } else { "pause" };
            let (walk, enter, leave) = match open {
                Some(_) => ("scroll", None, ("Esc", "back")),
                None => ("select", Some(("Enter", "log")), ("q", "quit")),
            };
            // What is needed most comes first, since the end may be cut off.
            let mut keys = vec![(arrows, walk)];
            keys.extend(enter);
            keys.extend([leave, ("?", "help"), ("s", "stop"), ("r", "retry"), ("p", pause)]);
            let pieces: Vec<(Tone, String)> = keys
                .iter()
                .flat_map(|(key, what)| {
                    [(Tone::Strong, (*key).to_owned()), (Tone::Faint, format!(" {what}  "))]
                })
                .collect();
            let pieces: Vec<(Tone, &str)> = pieces.iter().map(|(t, s)| (*t, s.as_str())).collect();
            brush.line(&pieces);
        }
    }
}
