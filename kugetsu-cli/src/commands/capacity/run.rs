//! Measuring: row by row, so many real agents at once.

use std::time::{Duration, Instant};

use kugetsu_core::{EventLog, Happening, IssueRef, Outcome, Request, Task, TaskState};
use kugetsu_queue::{Engine, StartError, Wait};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::row::{End, Row, Seen, mb, number};
use super::sample::{Machine, Now, Sampler, available};
use super::show::Show;
use super::stage::{Place, Stage};
use super::verdict::LeftOut;
use crate::args::CapacityEngine;
use crate::commands::demo::most_at_once;
use crate::commands::init;
use crate::errors::CliError;
use crate::screen::escape;

/// How long an agent that was stopped has for its end. What is left then is ended with its process.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take until agents can start.
const BEFORE: Duration = Duration::from_mins(3);

const NO_MEMORY: &str = "it was stopped, since the machine had almost no memory left";

/// What was measured.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Measures.
pub(super) struct Run<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) machine: Machine,
    pub(super) engine: CapacityEngine,
    pub(super) timeout: Duration,
    pub(super) stop: CancellationToken,
    pub(super) show: &'a Show,
}

impl Run<'_> {
    /// Row after row, until all are done or `stop` is cancelled. The row that is measured then is
    /// given up. An error only if nothing was measured.
    pub(super) async fn all(&self, counts: &[usize]) -> Result<Measured, CliError> {
        let mut measured = Measured::default();
        for (index, &agents) in counts.iter().enumerate() {
            if self.stop.is_cancelled() {
                break;
            }
            if let Some(reason) = self.hindrance(&measured.rows, agents) {
                let left = counts[index..].iter();
                let left_out = |&agents: &usize| LeftOut { agents, reason: reason.clone() };
                measured.left_out.extend(left.map(left_out));
                break;
            }
            self.show.begin(agents, index);
            match self.show.during(self.row(agents)).await {
                Ok(Some(row)) => {
                    self.show.end(&row);
                    measured.rows.push(row);
                }
                Ok(None) => break,
                Err(error) if measured.rows.is_empty() => return Err(error),
                Err(error) => {
                    let reason =
                        format!("kugetsu could not begin: {}", escape::line(error.message()));
                    measured.left_out.push(LeftOut { agents, reason });
                    break;
                }
            }
        }
        Ok(measured)
    }

    /// Why so many are not even tried.
    fn hindrance(&self, rows: &[Row], agents: usize) -> Option<String> {
        if let Some(row) = rows.last()
            && row.success_count == 0
        {
            return Some(format!("with {} at once none had succeeded", row.agent_count));
        }
        let (first, further) = match (rows, self.engine) {
            ([.., one, other], _) => {
                let more = number(other.agent_count - one.agent_count);
                let further = ((other.added_mb() - one.added_mb()) / more).max(0.0);
                (other.added_mb() - further * number(other.agent_count - 1), further)
            }
            ([one], CapacityEngine::Run) => (one.memory_per_agent_mb, one.memory_per_agent_mb),
            ([one], CapacityEngine::Server) => (one.added_mb(), 40.0),
            ([], CapacityEngine::Run) => (350.0, 350.0),
            ([], CapacityEngine::Server) => (350.0, 20.0),
        };
        let need = first + further * number(agents - 1);
        let left = mb(available()?.saturating_sub(self.machine.reserve()));
        (need > left).then(|| {
            let (need, left) = (super::verdict::whole(need), super::verdict::whole(left));
            format!("they would need about {need} MB, and the machine has {left} MB to spare now")
        })
    }

    /// One row; `None` if it was given up.
    async fn row(&self, agents: usize) -> Result<Option<Row>, CliError> {
        let baseline = look().await?;
        let place = self.stage.place(agents)?;
        let seen = tokio::select! {
            seen = self.seen(&place, agents, baseline) => seen,
            () = self.stop.cancelled() => Ok(None),
        };
        place.clear().await;
        Ok(seen?.map(Row::of))
    }

    async fn seen(
        &self,
        place: &Place,
        agents: usize,
        baseline: Now,
    ) -> Result<Option<Seen>, CliError> {
        self.show.says("starting opencode");
        let made = tokio::time::timeout(BEFORE, init::make(&place.setup, false)).await;
        made.map_err(|_| CliError::failed("opencode did not become ready within three minutes"))??;
        let engine = place.setup.engine().await?;
        let issues: Vec<IssueRef> =
            (1..=agents).map(|number| place.issue(number)).collect::<Result<_, _>>()?;

        let idle = look().await?;
        let low = CancellationToken::new();
        let watch = Sampler::start(self.machine, low.clone())
            .map_err(|error| CliError::io("start a thread", &error))?;
        let began = Instant::now();
        let mut running = JoinSet::new();
        for issue in issues {
            let request = Request::dev(issue, self.stage.message());
            let stops = Stops { timeout: self.timeout, all: self.stop.clone(), low: low.clone() };
            running.spawn(one(engine.clone(), request, stops));
        }
        let mut ends = Vec::new();
        let mut duration = Duration::ZERO;
        while let Some(ended) = running.join_next().await {
            let (end, passed) = ended.unwrap_or_else(|error| {
                (End::Failed(format!("it ended in a panic: {error}")), began.elapsed())
            });
            duration = duration.max(passed);
            ends.push(end);
            self.show.ended(ends.len());
        }
        let passed = began.elapsed();
        let after = look().await?;
        let samples = blocking(move || watch.stop()).await?;
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let most_at_work = most_at_work(&*place.setup.stores().await?.tasks).await?;
        let used = after.processor().saturating_sub(idle.processor());
        Ok(Some(Seen {
            agents,
            ends,
            duration,
            timeout: self.timeout,
            baseline: baseline.memory(),
            idle: idle.memory(),
            most_at_work,
            samples,
            memory: self.machine.memory,
            busy: self.machine.part(used, passed),
        }))
    }
}

/// What ends an agent.
struct Stops {
    timeout: Duration,
    all: CancellationToken,
    low: CancellationToken,
}

/// One agent from its start to its end, and how long that took.
async fn one(engine: Engine, request: Request, stops: Stops) -> (End, Duration) {
    let began = Instant::now();
    let stop = stops.all.child_token();
    let mut started = Box::pin(engine.start(request, Wait::Forever, stop.clone(), |_| ()));
    let end = tokio::select! {
        biased;
        ended = &mut started => return (end_of(ended, began.elapsed()), began.elapsed()),
        () = stops.low.cancelled() => End::Failed(NO_MEMORY.to_owned()),
        () = tokio::time::sleep(stops.timeout) => End::TimedOut,
    };
    let passed = began.elapsed().min(stops.timeout);
    stop.cancel();
    let _ = tokio::time::timeout(PATIENCE, started).await;
    (end, passed)
}

fn end_of(ended: Result<Task, StartError>, passed: Duration) -> End {
    match ended {
        Err(error) => End::Failed(escape::line(&error.to_string())),
        Ok(task) => match task.state {
            TaskState::Settled { outcome: Outcome::Completed { .. }, .. } => End::Done(passed),
            TaskState::Settled { outcome: Outcome::Error { failure }, .. } => {
                End::Failed(escape::line(&failure.reason))
            }
            _ => End::Failed("it was stopped".to_owned()),
        },
    }
}

async fn look() -> Result<Now, CliError> {
    blocking(Now::look).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CliError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| CliError::failed(format!("could not look at the machine: {error}")))
}

/// How many agents were at work at once at most: from the first thing that an agent does to its end.
async fn most_at_work(log: &dyn EventLog) -> Result<usize, CliError> {
    most_at_once(log, |what| matches!(what, Happening::Agent(_))).await
}
