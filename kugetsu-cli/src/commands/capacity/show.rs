//! How far it has got, and how long it will still take.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::row::{Row, number};
use crate::args::CapacityEngine;
use crate::screen::progress::{Bar, Progress};
use crate::screen::time;

/// How often what has changed is drawn.
const EVERY: Duration = Duration::from_millis(250);

pub(super) struct Show {
    progress: Arc<Progress>,
    bar: Option<Bar>,
    state: Mutex<State>,
}

struct State {
    counts: Vec<usize>,
    pace: Pace,
    /// Which row is measured, since when, and how many of its agents have ended.
    row: usize,
    since: Instant,
    ended: usize,
    doing: &'static str,
}

/// How long rows take, by those that have ended.
struct Pace {
    engine: CapacityEngine,
    /// Agents and seconds.
    ended: Vec<(usize, f64)>,
}

impl Pace {
    fn guess(&self, agents: usize) -> f64 {
        let (start, each) = match self.engine {
            CapacityEngine::Server => (10.0, 1.0),
            CapacityEngine::Run => (14.0, 4.0),
        };
        start + each * number(agents)
    }

    /// The guess, as much too long or too short as it was for the rows that have ended.
    fn seconds(&self, agents: usize) -> f64 {
        let guessed: f64 = self.ended.iter().map(|(agents, _)| self.guess(*agents)).sum();
        let taken: f64 = self.ended.iter().map(|(_, seconds)| seconds).sum();
        let factor = if guessed > 0.0 { taken / guessed } else { 1.0 };
        factor * self.guess(agents)
    }
}

impl Show {
    pub(super) fn new(progress: &Arc<Progress>, counts: &[usize], engine: CapacityEngine) -> Self {
        let state = State {
            counts: counts.to_vec(),
            pace: Pace { engine, ended: Vec::new() },
            row: 0,
            since: Instant::now(),
            ended: 0,
            doing: "",
        };
        let bar = progress.bar("Measuring");
        Self { progress: Arc::clone(progress), bar, state: Mutex::new(state) }
    }

    /// Row `index` begins.
    pub(super) fn begin(&self, agents: usize, index: usize) {
        self.change(|state| {
            (state.row, state.since, state.ended) = (index, Instant::now(), 0);
        });
        if self.bar.is_none() {
            let rows = self.lock().counts.len();
            self.progress.remark(&format!("{} (row {} of {rows}) …", at_once(agents), index + 1));
        }
    }

    pub(super) fn says(&self, doing: &'static str) {
        self.change(|state| state.doing = doing);
    }

    /// So many agents of the row have ended.
    pub(super) fn ended(&self, ended: usize) {
        self.change(|state| (state.ended, state.doing) = (ended, ""));
    }

    /// The row has ended.
    pub(super) fn end(&self, row: &Row) {
        self.change(|state| {
            let seconds = state.since.elapsed().as_secs_f64();
            state.pace.ended.push((row.agent_count, seconds));
        });
        self.progress.remark(&told(row));
    }

    /// Draws while something is going on.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => self.draw(),
            }
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            let (part, message) = self.lock().drawn();
            bar.draw(part, &message);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.draw();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How much of all is done, and what is said beside it.
    fn drawn(&self) -> (f64, String) {
        let seconds = |counts: &[usize]| -> f64 {
            counts.iter().map(|&agents| self.pace.seconds(agents)).sum()
        };
        let row = self.row.min(self.counts.len().saturating_sub(1));
        let now = self.counts.get(row).map_or(0.0, |&agents| self.pace.seconds(agents));
        // A row that takes longer than it should is almost done for as long as it takes.
        let passed = self.since.elapsed().as_secs_f64().min(0.95 * now);
        let done = seconds(&self.counts[..row]) + passed;
        let all = seconds(&self.counts);
        let left = Duration::from_secs_f64((all - done).max(0.0));
        let agents = self.counts.get(row).copied().unwrap_or_default();
        let doing = match (self.doing, self.ended) {
            ("", ended) => format!("{ended} done"),
            (doing, _) => doing.to_owned(),
        };
        let left = time::stopwatch(left);
        let message = format!(
            "{left} left  {} (row {} of {}): {doing}",
            at_once(agents),
            row + 1,
            self.counts.len()
        );
        (if all > 0.0 { done / all } else { 0.0 }, message)
    }
}

fn at_once(agents: usize) -> String {
    if agents == 1 { "1 agent".to_owned() } else { format!("{agents} agents at once") }
}

/// A row in a line.
fn told(row: &Row) -> String {
    let mut ends = vec![format!("{} succeeded", row.success_count)];
    if row.failed_count > 0 {
        ends.push(format!("{} failed", row.failed_count));
    }
    if row.timeout_count > 0 {
        ends.push(format!("{} timed out", row.timeout_count));
    }
    let response =
        row.avg_response_time.map(|mean| format!(", {mean:.2} s each")).unwrap_or_default();
    format!(
        "{}: {}{response}, {:.2} MB in all",
        at_once(row.agent_count),
        ends.join(", "),
        row.peak_memory_mb
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_judged_by_the_rows_that_have_ended() {
        let mut pace = Pace { engine: CapacityEngine::Server, ended: Vec::new() };
        assert!((pace.seconds(5) - 15.0).abs() < 0.01);
        // It took twice as long as was thought.
        pace.ended.push((2, 24.0));
        assert!((pace.seconds(5) - 30.0).abs() < 0.01);
    }

    #[test]
    fn a_bar_never_says_that_a_row_is_over_which_is_not() {
        let state = State {
            counts: vec![1, 4],
            pace: Pace { engine: CapacityEngine::Server, ended: Vec::new() },
            row: 1,
            since: Instant::now().checked_sub(Duration::from_secs(1000)).unwrap(),
            ended: 3,
            doing: "",
        };
        let (part, message) = state.drawn();
        assert!(part < 1.0, "{part}");
        assert_eq!(message, "0:00 left  4 agents at once (row 2 of 2): 3 done");
    }
}
