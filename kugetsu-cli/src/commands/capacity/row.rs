//! One row: so many agents at once, and what that took. Everything here is arithmetic.

use std::time::Duration;

use serde::Serialize;

use super::sample::Sample;

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// It did what it was asked for, in this time.
    Done(Duration),
    /// It did not; why.
    Failed(String),
    /// It had not ended when its time was over.
    TimedOut,
}

/// What was seen while so many agents were at work.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) agents: usize,
    pub(super) ends: Vec<End>,
    /// From the start of all to the end of the last; a timeout is an end.
    pub(super) duration: Duration,
    /// How long an agent may take.
    pub(super) timeout: Duration,
    /// Memory of everything of ours before anything was started for agents, in bytes.
    pub(super) baseline: u64,
    /// The same when agents could start: with the server, if there is one, and nobody using it.
    pub(super) idle: u64,
    /// How many agents were at work at once at most.
    pub(super) most_at_work: usize,
    pub(super) samples: Vec<Sample>,
    /// The machine's memory, in bytes.
    pub(super) memory: u64,
    /// Processor time that everything of ours has used, as a part of what the machine has.
    pub(super) busy: f64,
}

/// A row as it is written everywhere, rounded once, so that all places agree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) agent_count: usize,
    /// Seconds.
    pub(super) total_duration: f64,
    pub(super) success_count: usize,
    pub(super) failed_count: usize,
    pub(super) timeout_count: usize,
    /// Seconds, as the next three: of agents that succeeded or timed out. `None` if there are none.
    pub(super) avg_response_time: Option<f64>,
    pub(super) stddev_response_time: Option<f64>,
    pub(super) min_response_time: Option<f64>,
    pub(super) max_response_time: Option<f64>,
    /// Of all processors together, so at most 100.
    pub(super) peak_cpu_percent: f64,
    pub(super) avg_cpu_percent: f64,
    /// Of everything of ours: kugetsu, guards, opencode and what it starts.
    pub(super) peak_memory_mb: f64,
    pub(super) avg_memory_mb: f64,
    /// Of the machine's memory.
    pub(super) peak_memory_percent: f64,
    pub(super) avg_memory_percent: f64,
    /// All processes but kugetsu's own.
    pub(super) peak_opencode_procs: usize,
    pub(super) baseline_memory_mb: f64,
    pub(super) memory_per_agent_mb: f64,
    pub(super) total_cost_score: f64,
    /// What was there when the agents could start.
    pub(super) idle_memory_mb: f64,
    /// kugetsu's own process, at most. It is in `peak_memory_mb`.
    pub(super) kugetsu_memory_mb: f64,
    pub(super) most_at_work: usize,
    /// How busy programs that are not ours kept the processors meanwhile.
    pub(super) others_cpu_percent: f64,
    /// Why agents failed, each reason once.
    pub(super) reasons: Vec<String>,
    pub(super) samples: Vec<Sample>,
}

const MB: f64 = 1_048_576.0;

impl Row {
    pub(super) fn of(seen: Seen) -> Self {
        let times: Vec<f64> = seen.ends.iter().filter_map(|end| time(end, seen.timeout)).collect();
        let count = |of: fn(&End) -> bool| seen.ends.iter().filter(|end| of(end)).count();
        let most = |of: fn(&Sample) -> f64| seen.samples.iter().map(of).fold(0.0, f64::max);
        let peak = most(Sample::memory_mb).max(mb(seen.idle));
        let average = mean(seen.samples.iter().map(Sample::memory_mb)).unwrap_or(mb(seen.idle));
        let (baseline, machine) = (mb(seen.baseline), mb(seen.memory));
        let percent = |part: f64| round(100.0 * part / machine);
        let seconds = seen.duration.as_secs_f64();
        // As it is written, so that whoever computes it from the row gets the same.
        let each = round((round(peak) - round(baseline)) / number(seen.agents));
        let mut reasons = Vec::new();
        for end in &seen.ends {
            if let End::Failed(reason) = end
                && !reasons.contains(reason)
            {
                reasons.push(reason.clone());
            }
        }
        Self {
            agent_count: seen.agents,
            total_duration: round(seconds),
            success_count: count(|end| matches!(end, End::Done(_))),
            failed_count: count(|end| matches!(end, End::Failed(_))),
            timeout_count: count(|end| matches!(end, End::TimedOut)),
            avg_response_time: mean(times.iter().copied()).map(round),
            stddev_response_time: deviation(&times).map(round),
            min_response_time: times.iter().copied().reduce(f64::min).map(round),
            max_response_time: times.iter().copied().reduce(f64::max).map(round),
            peak_cpu_percent: round(most(|sample| sample.cpu_percent).max(100.0 * seen.busy)),
            avg_cpu_percent: round(100.0 * seen.busy),
            peak_memory_mb: round(peak),
            avg_memory_mb: round(average),
            peak_memory_percent: percent(peak),
            avg_memory_percent: percent(average),
            peak_opencode_procs: seen.samples.iter().map(|s| s.processes).max().unwrap_or(0),
            baseline_memory_mb: round(baseline),
            memory_per_agent_mb: each,
            total_cost_score: round(cost(each, seen.agents, round(seconds))),
            idle_memory_mb: round(mb(seen.idle)),
            kugetsu_memory_mb: round(most(|sample| sample.kugetsu_mb)),
            most_at_work: seen.most_at_work,
            others_cpu_percent: round(
                mean(seen.samples.iter().map(|s| s.others_cpu_percent)).unwrap_or(0.0),
            ),
            reasons,
            samples: seen.samples,
        }
    }

    /// Whether every agent did what it was asked for.
    pub(super) fn is_good(&self) -> bool {
        self.agent_count > 0 && self.success_count == self.agent_count
    }

    /// What the agents have added to the memory that was in use before them, in MB.
    pub(super) fn added_mb(&self) -> f64 {
        self.peak_memory_mb - self.baseline_memory_mb
    }

    /// How many agents ended well in a minute.
    pub(super) fn a_minute(&self) -> f64 {
        if self.total_duration > 0.0 {
            60.0 * number(self.success_count) / self.total_duration
        } else {
            0.0
        }
    }
}

/// `max(0, MB an agent × agents × seconds / 1000)`.
pub(super) fn cost(memory_per_agent: f64, agents: usize, seconds: f64) -> f64 {
    (memory_per_agent * number(agents) * seconds / 1000.0).max(0.0)
}

/// What counts as the agent's response time, if anything: who timed out counts with the timeout, and
/// how soon somebody failed says nothing.
fn time(end: &End, timeout: Duration) -> Option<f64> {
    match end {
        End::Done(time) => Some(time.as_secs_f64()),
        End::TimedOut => Some(timeout.as_secs_f64()),
        End::Failed(_) => None,
    }
}

pub(super) fn mean(all: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = all.fold((0_usize, 0.0), |(count, sum), one| (count + 1, sum + one));
    (count > 0).then(|| sum / number(count))
}

/// The sample's standard deviation; of one value it is 0.
fn deviation(all: &[f64]) -> Option<f64> {
    let mean = mean(all.iter().copied())?;
    let squares: f64 = all.iter().map(|one| (one - mean).powi(2)).sum();
    Some((squares / number(all.len().saturating_sub(1).max(1))).sqrt())
}

pub(super) fn mb(bytes: u64) -> f64 {
    number(usize::try_from(bytes).unwrap_or(usize::MAX)) / MB
}

/// Far below where a float could not hold it.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// To two decimals.
pub(super) fn round(value: f64) -> f64 {
    let rounded = (value * 100.0).round() / 100.0;
    // No `-0.0` in a file.
    if rounded == 0.0 { 0.0 } else { rounded }
}
