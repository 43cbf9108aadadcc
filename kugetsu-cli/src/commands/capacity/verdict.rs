//! What the rows come to: what an agent costs, and how many of them are recommended, for one reason.

use serde::Serialize;

use super::row::{Row, mean, number, round};
use crate::args::CapacityEngine;

/// What agents cost in memory.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Memory {
    /// The first agent, with all that has to be there for it.
    pub(super) first_agent_mb: f64,
    /// Each one more.
    pub(super) further_agent_mb: f64,
    /// How these were found.
    pub(super) by: By,
    /// How many agents fit into the limit: `first + further × (n − 1)` is within it. `None` if more
    /// agents did not take more memory.
    pub(super) capacity: Option<usize>,
}

/// How the costs were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    /// Each agent has processes of its own: the mean of `memory_per_agent_mb`.
    Mean,
    /// All share one server: a line through the rows, by least squares.
    Line,
}

/// What keeps the recommendation from being larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    /// More would not fit into the memory.
    Memory,
    /// Of more some did not come to a good end.
    Failures,
    /// More got less done in the same time.
    Processors,
    /// Nothing: more were not tried.
    Tried,
    /// Nothing can be recommended.
    Nothing,
}

/// What the rows come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    /// The largest count at which all succeed.
    pub(super) optimum: Option<usize>,
    /// What agents cost; `None` if nothing is known of it.
    pub(super) memory: Option<Memory>,
    /// The one number. Never more than were tried.
    pub(super) recommended_agents: Option<usize>,
    pub(super) bound: Bound,
    /// Why, in a sentence.
    pub(super) reason: String,
}

/// A count that was to be tried and was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    pub(super) agents: usize,
    pub(super) reason: String,
}

/// Of the most that was ever done in a minute, so much may be lost to crowding.
const LEAST: f64 = 0.8;

impl Verdict {
    /// Rows in ascending order; `limit` is how many MB all agents together may use.
    /// What was not tried, and why, may be what the recommendation stands on.
    pub(super) fn of(
        rows: &[Row],
        left_out: &[LeftOut],
        engine: CapacityEngine,
        limit_mb: f64,
    ) -> Self {
        let good: Vec<&Row> = rows.iter().filter(|row| row.is_good()).collect();
        let memory = memory(&good, engine, limit_mb);
        let Some(optimum) = good.last().map(|row| row.agent_count) else {
            return nothing(None, memory, nobody(rows));
        };
        let fitting = fitting(&good, memory, limit_mb);
        let crowd = crowd(&good);
        let least = optimum.min(fitting).min(crowd.agents);
        if least == 0 {
            let one = memory.map_or(0.0, |memory| memory.first_agent_mb);
            let reason = format!(
                "not even one agent fits: it takes {} MB, and all agents together may use {} MB",
                whole(one),
                whole(limit_mb)
            );
            return nothing(Some(optimum), memory, reason);
        }
        let (bound, reason) = if fitting < optimum && fitting <= crowd.agents {
            (Bound::Memory, unfit(&good, memory, least, limit_mb))
        } else if let (true, Some(by)) = (crowd.agents < optimum, crowd.by) {
            (Bound::Processors, crowded(&good, least, by))
        } else if let Some(worse) = rows.iter().find(|row| row.agent_count > optimum) {
            (Bound::Failures, failed(worse))
        } else {
            (Bound::Tried, tried(left_out))
        };
        Self { optimum: Some(optimum), memory, recommended_agents: Some(least), bound, reason }
    }
}

fn nothing(optimum: Option<usize>, memory: Option<Memory>, reason: String) -> Verdict {
    Verdict { optimum, memory, recommended_agents: None, bound: Bound::Nothing, reason }
}

/// What agents cost, by the rows in which all succeeded.
fn memory(good: &[&Row], engine: CapacityEngine, limit_mb: f64) -> Option<Memory> {
    let mean = round(mean(good.iter().map(|row| row.memory_per_agent_mb))?);
    let line = if engine == CapacityEngine::Server { line(good) } else { None };
    let (first, further, by) = match line {
        Some((first, further)) => (round(first), round(further.max(0.0)), By::Line),
        None => (mean, mean, By::Mean),
    };
    let capacity = if first > limit_mb {
        Some(0)
    } else if further > 0.0 {
        Some(1 + floor((limit_mb - first) / further))
    } else {
        None
    };
    // What was said of one agent or another is the same, whichever way it is put.
    let capacity = match by {
        By::Mean if mean > 0.0 => Some(floor(limit_mb / mean)),
        _ => capacity,
    };
    Some(Memory { first_agent_mb: first, further_agent_mb: further, by, capacity })
}

/// The line through what the agents have added to memory: its value at one agent, and its slope.
fn line(good: &[&Row]) -> Option<(f64, f64)> {
    let agents = mean(good.iter().map(|row| number(row.agent_count)))?;
    let added = mean(good.iter().map(|row| row.added_mb()))?;
    let spread: f64 = good.iter().map(|row| (number(row.agent_count) - agents).powi(2)).sum();
    if spread == 0.0 {
        return None;
    }
    let together: f64 =
        good.iter().map(|row| (number(row.agent_count) - agents) * (row.added_mb() - added)).sum();
    let slope = together / spread;
    Some((added + slope * (1.0 - agents), slope))
}

/// How many agents fit, by what they cost and by what was seen.
fn fitting(good: &[&Row], memory: Option<Memory>, limit_mb: f64) -> usize {
    let by_cost = memory.and_then(|memory| memory.capacity).unwrap_or(usize::MAX);
    let too_large = good.iter().find(|row| row.added_mb() > limit_mb);
    by_cost.min(too_large.map_or(usize::MAX, |row| row.agent_count - 1))
}

/// Up to how many agents more of them get more done, or not much less.
struct Crowd<'a> {
    agents: usize,
    /// The first row of those in which much less got done.
    by: Option<&'a Row>,
}

fn crowd<'a>(good: &[&'a Row]) -> Crowd<'a> {
    let (mut agents, mut by, mut best) = (0, None, 0.0_f64);
    for row in good {
        best = best.max(row.a_minute());
        if row.a_minute() >= LEAST * best {
            (agents, by) = (row.agent_count, None);
        } else {
            by.get_or_insert(*row);
        }
    }
    Crowd { agents, by }
}

fn nobody(rows: &[Row]) -> String {
    match rows {
        [] => "nothing was measured".to_owned(),
        rows if rows.iter().all(|row| row.success_count == 0) => {
            "not one agent succeeded, so this says nothing about what the machine carries"
                .to_owned()
        }
        rows => {
            let some: usize = rows.iter().map(|row| row.success_count).sum();
            let all: usize = rows.iter().map(|row| row.agent_count).sum();
            format!(
                "only {some} of {all} agents succeeded, and never all that were started at once"
            )
        }
    }
}

fn unfit(good: &[&Row], memory: Option<Memory>, least: usize, limit_mb: f64) -> String {
    let limit = whole(limit_mb);
    // By what one agent costs, unless what was seen says it.
    if let Some(memory) = memory.filter(|memory| memory.capacity == Some(least)) {
        let need = |n: usize| {
            memory.first_agent_mb + memory.further_agent_mb * number(n.saturating_sub(1))
        };
        let (now, more) = (whole(need(least)), whole(need(least + 1)));
        return format!(
            "{least} agents need about {now} MB, and {} would need {more} MB; all together may use \
             {limit} MB",
            least + 1
        );
    }
    let row = good.iter().find(|row| row.added_mb() > limit_mb);
    let (agents, added) = row.map_or((0, 0.0), |row| (row.agent_count, row.added_mb()));
    format!("{agents} agents took {} MB, and all together may use {limit} MB", whole(added))
}

fn crowded(good: &[&Row], least: usize, by: &Row) -> String {
    let best = good.iter().find(|row| row.agent_count == least);
    format!(
        "more agents get less done: {} at once ended {:.1} in a minute, {least} at once {:.1} (the \
         processors were {:.0} % busy)",
        by.agent_count,
        by.a_minute(),
        best.map_or(0.0, |row| row.a_minute()),
        by.avg_cpu_percent,
    )
}

fn tried(left_out: &[LeftOut]) -> String {
    match left_out.first() {
        None => "it is the most that was tried, and all of them succeeded".to_owned(),
        Some(LeftOut { agents, reason }) => {
            format!("all of them succeeded, and {agents} were not tried: {reason}")
        }
    }
}

fn failed(row: &Row) -> String {
    let agents = row.agent_count;
    let mut what = Vec::new();
    if row.timeout_count > 0 {
        what.push(format!("{} of {agents} did not end in time", row.timeout_count));
    }
    if row.failed_count > 0 {
        what.push(format!("{} of {agents} failed", row.failed_count));
    }
    format!("with {agents} at once {}", what.join(" and "))
}

/// MB without decimals, as people read it.
pub(super) fn whole(mb: f64) -> String {
    crate::screen::time::grouped(u64::try_from(floor(mb + 0.5)).unwrap_or(u64::MAX))
}

/// A number of something, which is never negative and far below where this could be wrong.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn floor(value: f64) -> usize {
    value.max(0.0).floor() as usize
}
