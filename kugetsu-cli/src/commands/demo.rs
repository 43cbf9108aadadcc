//! `kugetsu demo`: four issues of a sample repository, worked on by the real opencode.

mod issues;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AttemptEnd, Cursor, EventLog, Happening, IssueRef, Outcome, Request, SlotKey, Task, TaskState,
};
use kugetsu_queue::{Engine, Wait};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::foreground;
use crate::args::Demo;
use crate::errors::{CliError, Kind};
use crate::screen::progress::{Progress, Watch};
use crate::screen::table::Rows;
use crate::screen::{Screen, Tone, escape, time};
use crate::setup::Setup;
use issues::ISSUES;
use stage::Stage;

/// What became of one issue.
struct Ended {
    issue: IssueRef,
    task: Result<Task, CliError>,
    worktree: Option<String>,
}

pub(super) async fn demo(args: Demo, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    let stop = CancellationToken::new();
    let progress = Arc::new(Progress::new(screen));
    let _signals = foreground::listen(setup, &progress, &stop)?;
    let stage = Stage::set(setup, args.dir.as_deref()).await?;
    if !screen.json {
        screen.remark(format!("Everything of this demo is in {}", screen.path(stage.directory())));
        screen.remark("Four issues, at most two agents alive at once, the real opencode:");
        for issue in ISSUES {
            screen.remark(format!("  #{} {}", issue.number, issue.title));
        }
        screen.remark("Starting opencode and making the base session.");
    }
    let inner = stage.setup();
    let played = play(&stage, &stop, &progress).await;
    inner.close().await;
    let ended = played?;
    let most = stage.most_alive().await?;
    report(screen, &stage, &ended, most)?;
    if stop.is_cancelled() {
        return Err(CliError::new(Kind::Interrupted, "the demo was stopped"));
    }
    if most > stage::AGENTS {
        let limit = stage::AGENTS;
        return Err(CliError::failed(format!("{most} agents were alive at once, not {limit}")));
    }
    let failed = ended.iter().filter(|ended| !ended.is_done()).count();
    if failed > 0 {
        return Err(CliError::failed(format!("{failed} of {} issues failed", ended.len())));
    }
    Ok(())
}

async fn play(
    stage: &Stage,
    stop: &CancellationToken,
    progress: &Progress,
) -> Result<Vec<Ended>, CliError> {
    stage.remember_repository()?;
    super::init::make(stage.setup(), false).await?;
    let engine = stage.setup().engine().await?;
    let mut running = Vec::new();
    for script in ISSUES {
        let issue = stage.issue(script.number)?;
        let name = format!("#{} ", script.number);
        let watch = progress.watch(&name, &format!("#{} {}", script.number, script.title));
        let message = format!("{}\n\n{}", script.title, script.script);
        running.push(Box::pin(one(&engine, issue, message, stop, watch)));
    }
    Ok(all(running).await)
}

async fn one(
    engine: &Engine,
    issue: IssueRef,
    message: String,
    stop: &CancellationToken,
    mut watch: Watch,
) -> Ended {
    let request = Request::dev(issue.clone(), message);
    let task = foreground::watched(engine, request, Wait::Forever, stop, &mut watch).await;
    watch.end();
    Ended { issue, task, worktree: watch.heard.worktree.take() }
}

/// All of them at once, in their order.
async fn all<F: Future<Output = Ended> + Unpin>(mut running: Vec<F>) -> Vec<Ended> {
    let mut ended: Vec<Option<Ended>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, ended) in running.iter_mut().zip(&mut ended) {
            if ended.is_none()
                && let std::task::Poll::Ready(end) = std::pin::Pin::new(future).poll(cx)
            {
                *ended = Some(end);
            }
        }
        if ended.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    ended.into_iter().flatten().collect()
}

impl Ended {
    fn is_done(&self) -> bool {
        self.outcome().is_some_and(|outcome| matches!(outcome, Outcome::Completed { .. }))
    }

    fn outcome(&self) -> Option<&Outcome> {
        match &self.task.as_ref().ok()?.state {
            TaskState::Settled { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    fn result(&self) -> String {
        match (&self.task, self.outcome()) {
            (Err(error), _) if error.kind == Kind::Interrupted => "stopped".into(),
            (Err(error), _) => error.told(false).replace('\n', " "),
            (_, Some(Outcome::Completed { .. })) => "done".into(),
            (_, Some(Outcome::Error { failure })) => escape::line(&failure.reason),
            (_, Some(Outcome::Cancelled)) => "stopped".into(),
            _ => "unknown".into(),
        }
    }

    /// How long the agent had it, waiting aside.
    fn took(&self) -> Duration {
        let attempt = self.task.as_ref().ok().and_then(|task| task.attempts.last());
        match attempt {
            Some(attempt) if attempt.end != AttemptEnd::Running => {
                attempt.ended.unwrap_or(attempt.started).since(attempt.started)
            }
            _ => Duration::ZERO,
        }
    }
}

fn report(screen: &Screen, stage: &Stage, ended: &[Ended], most: usize) -> Result<(), CliError> {
    let mut rows = Rows::new(["ISSUE", "BRANCH", "COMMITS", "FILES", "TOKENS", "TIME", "RESULT"])
        .right(2)
        .right(3)
        .right(4)
        .right(5);
    let mut told = Vec::new();
    for ended in ended {
        let (branch, commits) = match ended.outcome() {
            Some(Outcome::Completed { report }) => (report.branch.clone(), report.commits),
            _ => ("-".into(), 0),
        };
        let files = ended.worktree.as_deref().map_or(0, |path| stage.files_changed(path));
        let tokens = ended.task.as_ref().map_or(0, |task| task.usage().total());
        told.push(json!({
            "issue": ended.issue, "branch": branch, "commits": commits, "files": files,
            "tokens": tokens, "seconds": ended.took().as_secs_f64(), "result": ended.result(),
        }));
        rows.row([
            ended.issue.to_string(),
            branch,
            commits.to_string(),
            files.to_string(),
            time::grouped(tokens),
            time::stopwatch(ended.took()),
            ended.result(),
        ]);
    }
    if screen.json {
        return screen.answer(&json!({
            "directory": stage.directory(), "issues": told,
            "most_agents_alive": most, "limit": stage::AGENTS,
        }));
    }
    screen.say("")?;
    rows.show(screen)?;
    screen.say("")?;
    let limit = stage::AGENTS;
    screen.say(format!("At most {most} agents were alive at once (the limit was {limit})."))?;
    screen.say(screen.painted(Tone::Strong, "Look at it:"))?;
    let directory = stage.directory().display();
    screen.say(format!("  git -C {directory}/repository log --oneline --graph --all"))?;
    let program = std::env::current_exe().unwrap_or_else(|_| "kugetsu".into());
    screen.say(format!("  KUGETSU_DIR={directory}/kugetsu {} list", program.display()))?;
    screen.say(format!("  rm -rf {directory}    # when you have seen enough"))
}

/// How many agents were alive at once at most, by the log: from a slot's taking to the task's end.
async fn most_alive(log: &dyn EventLog) -> Result<usize, CliError> {
    let dev = SlotKey::Dev.to_string();
    most_at_once(log, |what| matches!(what, Happening::SlotTaken { class, .. } if *class == dev))
        .await
}

/// How many tasks were at once between what begins them and their end, at most.
pub(super) async fn most_at_once(
    log: &dyn EventLog,
    begins: impl Fn(&Happening) -> bool,
) -> Result<usize, CliError> {
    let (mut begun, mut most, mut cursor) = (Vec::new(), 0, Cursor(0));
    loop {
        let events = log.read(cursor, 256).await?;
        let Some((last, _)) = events.last() else { return Ok(most) };
        cursor = *last;
        for (_, event) in events {
            match &event.what {
                what if begins(what) && !begun.contains(&event.task) => begun.push(event.task),
                Happening::Settled { .. } => begun.retain(|task| *task != event.task),
                _ => {}
            }
            most = most.max(begun.len());
        }
    }
}
