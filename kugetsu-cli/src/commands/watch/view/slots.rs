//! The slots: who holds a place for an agent.

use super::super::board::Board;
use super::brush::{Brush, fill, right};
use crate::screen::{Tone, escape, time};

/// Draws who holds which slot, in at most a third of the lines.
pub(super) fn draw(board: &Board, brush: &mut Brush<'_>) {
    let classes = &board.sight.classes;
    let held: Vec<String> = classes
        .iter()
        .map(|class| format!("{} {} of {}", class.key, class.holders.len(), class.limit))
        .collect();
    brush.rule(&format!("Slots   {}", held.join(", ")));
    let holders: Vec<_> = classes
        .iter()
        .flat_map(|class| class.holders.iter().map(|holder| (class.key.to_string(), holder)))
        .collect();
    let most = (brush.left().saturating_sub(4) / 3).max(1);
    let shown = if holders.len() > most { most - 1 } else { holders.len() };
    for (class, holder) in &holders[..shown] {
        let look = brush.look;
        let place = fill(&format!("  {class} {}", holder.index), 9, look);
        let since = holder
            .since
            .map_or_else(String::new, |since| time::stopwatch(board.now.at.since(since)));
        let pid = holder.pid.map_or_else(String::new, |pid| format!("pid {pid}"));
        let name = escape::line(&holder.holder);
        let room = brush.width().saturating_sub(9 + 13 + 9);
        brush.line(&[
            (Tone::Faint, &place),
            (Tone::Plain, &fill(board.short(&name), room, look)),
            (Tone::Faint, &right(&pid, 13, look)),
            (Tone::Plain, &right(&since, 9, look)),
        ]);
    }
    match holders.len() - shown {
        0 if holders.is_empty() => brush.line(&[(Tone::Faint, "  no agent is at work")]),
        0 => {}
        more => brush.line(&[(Tone::Faint, &format!("  and {more} more"))]),
    }
}
