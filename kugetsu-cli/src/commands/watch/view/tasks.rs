//! The queue: its tasks, and what the agents of the running ones tell.

use kugetsu_core::Status;

use super::super::board::Board;
use super::super::entry::{Entry, Standing};
use super::brush::{Brush, Look, fill, right, tail, width};
use crate::screen::{Tone, time};

/// How wide each column is. On a narrow terminal there are fewer of them.
#[derive(Clone, Copy)]
struct Columns {
    issue: usize,
    state: usize,
    time: usize,
    tokens: usize,
}

impl Columns {
    fn of(width: usize) -> Self {
        if width < 72 {
            let (state, time) = (11, 8);
            let issue = width.saturating_sub(5 + state + time);
            return Self { issue, state, time, tokens: 0 };
        }
        Self { issue: (width * 3 / 10).clamp(12, 40), state: 13, time: 9, tokens: 11 }
    }
}

/// A line of the list, and the row that it belongs to.
struct Drawn {
    row: usize,
    pieces: Vec<(Tone, String)>,
}

/// Draws the tasks, so that the selected one is among those that are seen.
pub(super) fn draw(board: &mut Board, brush: &mut Brush<'_>) {
    let count = |status| board.count(status);
    brush.rule(&format!(
        "Queue   {} at work, {} pending, {} completed, {} error, {} cancelled",
        count(Status::Notified),
        count(Status::Pending),
        count(Status::Completed),
        count(Status::Error),
        count(Status::Cancelled),
    ));
    let rows = board.rows();
    if rows.is_empty() {
        brush.line(&[(Tone::Faint, "  nothing is queued, and nothing was")]);
        if !brush.look.still {
            brush.line(&[(Tone::Faint, "  kugetsu queue enqueue <issue> <message> queues a task")]);
        }
        return;
    }
    let columns = Columns::of(brush.width());
    brush.line(&[(Tone::Faint, &head(columns, brush.look))]);
    let room = brush.left().saturating_sub(usize::from(!brush.look.still));
    let selected = board.selected(&rows);
    // No more than can be seen, whichever of them is at the top.
    let first = selected.saturating_sub(room);
    let last = selected.saturating_add(room).min(rows.len());
    let mut lines = Vec::new();
    for (row, entry) in rows.iter().enumerate().take(last).skip(first) {
        lines.push(Drawn { row, pieces: line(board, entry, columns, brush.look) });
        if let Some(pieces) = latest(board, entry, brush.width(), brush.look) {
            lines.push(Drawn { row, pieces });
        }
    }
    let end = lines.iter().rposition(|line| line.row == selected).unwrap_or(0) + 1;
    let top = lines_above(&lines, end, room);
    for line in lines.iter().skip(top).take(room) {
        let pieces: Vec<(Tone, &str)> = line.pieces.iter().map(|(t, s)| (*t, s.as_str())).collect();
        if line.row == selected && !brush.look.still {
            brush.bar(&pieces);
        } else {
            brush.line(&pieces);
        }
    }
    board.page = room.max(1);
}

/// How many lines are out of sight so that the selected one is in the middle, or as near to it as
/// the ends of the list allow.
fn lines_above(lines: &[Drawn], end: usize, room: usize) -> usize {
    let most = lines.len().saturating_sub(room);
    end.saturating_sub(room / 2 + 1).min(most)
}

fn head(columns: Columns, look: Look) -> String {
    let issue = fill("    ISSUE", 4 + columns.issue, look);
    let state = fill("STATE", columns.state, look);
    let time = right("TIME", columns.time, look);
    if columns.tokens == 0 {
        return format!("{issue} {state}{time}");
    }
    format!("{issue} {state}{time}{}  MESSAGE", right("TOKENS", columns.tokens, look))
}

fn line(board: &Board, entry: &Entry, columns: Columns, look: Look) -> Vec<(Tone, String)> {
    let (sign, tone) = sign(board, entry, look);
    let passed = match &entry.standing {
        Standing::Runs { since, .. } => board.now.at.since(*since),
        Standing::Waits { .. } => board.now.at.since(entry.created),
        Standing::Over { took, .. } => *took,
    };
    let tokens = match board.usage(entry).total() {
        0 => String::new(),
        some => time::grouped(some),
    };
    let said = match &entry.standing {
        Standing::Over { why, .. } | Standing::Waits { why, .. } if !why.is_empty() => why,
        _ => &entry.message,
    };
    let lane = board.short(&entry.lane);
    let mut pieces = vec![
        (tone, format!("  {sign} ")),
        (Tone::Strong, fill(&tail(lane, columns.issue, look), columns.issue, look)),
        (tone, format!(" {}", fill(&state(board, entry), columns.state, look))),
        (Tone::Plain, right(&time::stopwatch(passed), columns.time, look)),
    ];
    if columns.tokens > 0 {
        pieces.push((Tone::Plain, right(&tokens, columns.tokens, look)));
        pieces.push((Tone::Faint, format!("  {said}")));
    }
    pieces
}

/// The last thing that the agent told, below its task.
fn latest(board: &Board, entry: &Entry, columns: usize, look: Look) -> Option<Vec<(Tone, String)>> {
    let (latest, goes_on) = board.latest(entry);
    (entry.runs() && !latest.is_empty()).then(|| {
        let branch = format!("    {} ", look.sign("└", "`-"));
        let room = columns.saturating_sub(width(&branch));
        let latest = if goes_on { tail(latest, room, look) } else { latest.to_owned() };
        vec![(Tone::Faint, branch), (Tone::Plain, latest)]
    })
}

fn sign(board: &Board, entry: &Entry, look: Look) -> (&'static str, Tone) {
    match &entry.standing {
        Standing::Runs { .. } if board.is_lapsed(entry) => (look.sign("◌", "?"), Tone::Bad),
        Standing::Runs { .. } => (look.sign("●", "*"), Tone::Good),
        Standing::Waits { .. } => (look.sign("○", "."), Tone::Plain),
        Standing::Over { status: Status::Completed, .. } => (look.sign("✓", "+"), Tone::Good),
        Standing::Over { status: Status::Error, .. } => (look.sign("✗", "x"), Tone::Bad),
        Standing::Over { .. } => (look.sign("–", "-"), Tone::Faint),
    }
}

/// Where the task stands, in a word or two.
pub(super) fn state(board: &Board, entry: &Entry) -> String {
    match &entry.standing {
        Standing::Runs { .. } if board.is_lapsed(entry) => "lost worker".into(),
        Standing::Runs { stopping: true, .. } => "stopping".into(),
        Standing::Runs { attempt, .. } if attempt.0 > 1 => format!("attempt {attempt}"),
        Standing::Runs { .. } => "at work".into(),
        Standing::Waits { due, why } => {
            let (wait, ahead) = (due.wait(board.now), board.ahead(entry));
            if ahead > 0 {
                format!("behind {ahead}")
            } else if !wait.is_zero() && !why.is_empty() {
                format!("again {}", time::stopwatch(wait))
            } else if !wait.is_zero() {
                format!("in {}", time::stopwatch(wait))
            } else {
                "pending".into()
            }
        }
        Standing::Over { status, .. } => status.to_string(),
    }
}
