//! An agent at work in the foreground: shown while it works, summed up when it has ended.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kugetsu_core::{
    Cause, Cursor, Event, Failure, IssueRef, Outcome, Report, Request, Task, TaskId, TaskState,
    Worktree,
};
use kugetsu_queue::{Engine, Follower, StartError, Wait};
use tokio_util::sync::CancellationToken;

use super::{beside, queue};
use crate::args::Turn;
use crate::errors::{CliError, Kind};
use crate::screen::progress::{Progress, Watch};
use crate::screen::{Screen, Tone, escape, time};
use crate::setup::Setup;
use crate::signals::Signals;

/// What the agent is told: from the command line, a file, or the input.
pub(super) fn message(
    setup: &Setup,
    given: Option<String>,
    file: Option<&Path>,
) -> Result<Option<String>, CliError> {
    let text = match (file, given.as_deref()) {
        (Some(_), Some(_)) => return Err(given_twice()),
        (Some(file), None) => {
            let file = setup.around().directory.join(file);
            std::fs::read_to_string(&file).map_err(|error| {
                CliError::usage(format!("could not read {}: {error}", file.display()))
            })?
        }
        (None, Some("-")) => setup.screen().read_all()?,
        (None, Some(_)) => given.unwrap_or_default(),
        (None, None) => return Ok(None),
    };
    if text.trim().is_empty() {
        return Err(CliError::usage("the message is empty")
            .hint("say what the agent is to do, or give a file with `--message-file`"));
    }
    if text.contains('\0') {
        return Err(CliError::usage("the message contains a NUL character"));
    }
    Ok(Some(text))
}

pub(super) fn given_twice() -> CliError {
    CliError::usage("the message is given twice: here and by `--message-file`")
}

/// What `--wait` means.
fn wait(turn: &Turn) -> Wait {
    match turn.wait {
        None => Wait::No,
        Some(None) => Wait::Forever,
        Some(Some(time)) => Wait::For(time),
    }
}

/// Runs an agent for the issue and shows it, then says what came of it; or leaves it to the daemon.
/// Where a daemon runs, it is the daemon that runs the agent, and this follows it.
pub(super) async fn work(
    setup: &Setup,
    issue: &IssueRef,
    request: Request,
    turn: &Turn,
) -> Result<(), CliError> {
    let order = &turn.order;
    if turn.detach {
        return queue::enqueue(setup, request, order).await;
    }
    if order.priority.is_some() || order.after.is_some() || order.key.is_some() {
        return Err(CliError::usage("`--priority`, `--after` and `--key` go with `--detach`"));
    }
    let wait = wait(turn);
    let engine = setup.engine().await?;
    let (screen, stop) = (setup.screen(), CancellationToken::new());
    let progress = Arc::new(Progress::new(screen));
    let _signals = listen(setup, &progress, &stop)?;
    let mut watch = progress.watch("", &issue.to_string());
    let ended = match beside::Beside::a_daemon(setup, &engine).await? {
        Some(beside) => beside.work(request, wait, &stop, &mut watch).await,
        None => watched(&engine, request, wait, &stop, &mut watch).await,
    };
    watch.end();
    let task = ended?;
    summed_up(setup, issue, &task, &watch, stop.is_cancelled()).await
}

/// Cancels `stop` on the first signal, if this process is what signals mean.
pub(super) fn listen(
    setup: &Setup,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<Option<Signals>, CliError> {
    if !setup.around().is_of_process {
        return Ok(None);
    }
    let progress = Arc::clone(progress);
    let leaving = Arc::clone(&progress);
    let first = move || progress.remark("Stopping politely; once more to end at once.");
    Signals::listen(stop.clone(), first, move || leaving.leave()).map(Some)
}

/// Starts, and shows what happens until the task has ended.
pub(super) async fn watched(
    engine: &Engine,
    request: Request,
    wait: Wait,
    stop: &CancellationToken,
    watch: &mut Watch,
) -> Result<Task, CliError> {
    // Tried without waiting first, so that a wait can be told.
    match shown(engine, request.clone(), Wait::No, stop, watch).await? {
        Err(
            busy @ (StartError::NoSlot { .. }
            | StartError::InUse { .. }
            | StartError::NoRoom { .. }),
        ) if wait != Wait::No => {
            watch.waits(&format!("waiting: {busy}"));
            Ok(shown(engine, request, wait, stop, watch).await??)
        }
        started => Ok(started?),
    }
}

async fn shown(
    engine: &Engine,
    request: Request,
    wait: Wait,
    stop: &CancellationToken,
    watch: &mut Watch,
) -> Result<Result<Task, StartError>, CliError> {
    let end = engine.events().end().await?;
    let mut show = Show::new(engine.events().follow(end), watch);
    let queued = OnceLock::new();
    // The engine cancels its own when somebody else wants the task to end.
    let ours = stop.child_token();
    let mut started = Box::pin(engine.start(request, wait, ours, |task| {
        let _ = queued.set(task.id);
    }));
    let ended = loop {
        tokio::select! {
            ended = &mut started => break ended,
            // What cannot be shown does not end the run.
            () = show.next(&queued) => {}
        }
    };
    show.rest(&queued).await?;
    Ok(ended)
}

/// The events of one task among all, on their way to the screen.
pub(super) struct Show<'a> {
    follower: Follower,
    /// Those that came before it was known which task is ours.
    early: Vec<Event>,
    watch: &'a mut Watch,
}

impl<'a> Show<'a> {
    pub(super) fn new(follower: Follower, watch: &'a mut Watch) -> Self {
        Self { follower, early: Vec::new(), watch }
    }

    /// Says what is being waited for.
    pub(super) fn waits(&mut self, what: &str) {
        self.watch.waits(what);
    }

    /// Shows the next events of our task. Waits until there are some of any.
    pub(super) async fn next(&mut self, ours: &OnceLock<TaskId>) {
        match self.follower.next().await {
            Ok(events) => self.take(events, ours),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }

    /// Shows what is there already, and tells what could not be shown.
    pub(super) async fn rest(&mut self, ours: &OnceLock<TaskId>) -> Result<(), CliError> {
        loop {
            let events = self.follower.ready().await?;
            if events.is_empty() {
                return self.watch.trouble();
            }
            self.take(events, ours);
        }
    }

    fn take(&mut self, events: Vec<(Cursor, Event)>, ours: &OnceLock<TaskId>) {
        self.early.extend(events.into_iter().map(|(_, event)| event));
        let Some(task) = ours.get() else { return };
        for event in self.early.drain(..).filter(|event| event.task == *task) {
            self.watch.tell(&event);
        }
    }
}

/// What came of the task: told, or an error.
async fn summed_up(
    setup: &Setup,
    issue: &IssueRef,
    task: &Task,
    watch: &Watch,
    interrupted: bool,
) -> Result<(), CliError> {
    let again = format!("continue with `kugetsu continue {issue} [message]`");
    let TaskState::Settled { outcome, at } = &task.state else {
        return Err(CliError::failed(format!("{issue} did not come to an end")).hint(again));
    };
    match outcome {
        Outcome::Completed { .. } if setup.screen().json => Ok(()),
        Outcome::Completed { report } => {
            let took = time::stopwatch(at.since(task.created));
            told(setup.screen(), issue, report, task, watch, &took)?;
            setup.screen().remark(format!("hint: {again}"));
            // The work is done; that this cannot be told does not undo it.
            if let Ok(Some(status)) = setup.worktrees()?.inspect(issue).await
                && status.unpushed > 0
            {
                setup.screen().remark(format!("hint: {}", way_to(&status.worktree)));
            }
            Ok(())
        }
        Outcome::Error { failure } if matches!(failure.cause, Cause::Limit { .. }) => {
            let reset = time::clock(at.plus(failure.retry.wait()));
            let message = format!("{issue} failed: {}; try again after {reset}", failure.reason);
            let hint =
                format!("with `--detach` it waits for that: kugetsu continue --detach {issue}");
            Err(CliError::new(Kind::Temporary, message).hint(hint))
        }
        Outcome::Error { failure } => {
            let mut failure = failure.clone();
            failure.reason = format!("{issue} failed: {}", failure.reason);
            let told = explained(setup, failure).await;
            Err(match watch.heard.worktree {
                Some(_) => told.hint(again),
                None => told.hint("`--repo <URL or path>` says where a repository is cloned from"),
            })
        }
        Outcome::Cancelled if interrupted => {
            Err(CliError::new(Kind::Interrupted, format!("{issue} was stopped")).hint(again))
        }
        Outcome::Cancelled => {
            Err(CliError::failed(format!("{issue} was stopped by somebody else")).hint(again))
        }
        _ => Err(CliError::failed(format!("{issue} ended in an unknown way"))),
    }
}

/// How to get commits that are nowhere else.
fn way_to(worktree: &Worktree) -> String {
    let clone = worktree.repository.display().to_string();
    let words = ["git", "fetch", &clone, &worktree.branch].map(escape::word);
    format!("fetch it with `{}`", words.join(" "))
}

fn told(
    screen: &Screen,
    issue: &IssueRef,
    report: &Report,
    task: &Task,
    watch: &Watch,
    took: &str,
) -> Result<(), CliError> {
    let usage = task.usage();
    let or_dash = |text: Option<&str>| text.map_or("-".to_owned(), escape::line);
    let worktree = watch.heard.worktree.as_deref();
    let head = format!("{issue} is done ({took})");
    screen.say(screen.painted(Tone::Good, &head))?;
    let rows = [
        ("branch", escape::line(&report.branch)),
        ("commits", time::grouped(report.commits.into())),
        ("uncommitted", time::counted(report.uncommitted.into(), "file")),
        (
            "tokens",
            format!(
                "{} ({} in, {} out)",
                time::grouped(usage.total()),
                time::grouped(usage.input.saturating_add(usage.cache_read)),
                time::grouped(usage.output.saturating_add(usage.reasoning)),
            ),
        ),
        ("session", or_dash(watch.heard.session.as_deref())),
        ("worktree", worktree.map_or("-".to_owned(), |path| screen.path(Path::new(path)))),
    ];
    for (name, value) in rows {
        screen.say(format!("  {} {value}", screen.painted(Tone::Faint, &format!("{name:<12}"))))?;
    }
    Ok(())
}

/// How to get the agent's program.
pub(super) const INSTALL: &str = "say where opencode is with KUGETSU_OPENCODE (or `opencode_program` in \
     config.toml); in kugetsu's own repository, ./scripts/opencode installs it";

/// The failure as an error. If the agent's program is what is missing, it says so by its kind.
pub(super) async fn explained(setup: &Setup, failure: Failure) -> CliError {
    if let Ok(agent) = setup.agent() {
        let missing = match agent.probe().await {
            Ok(info) => info.trouble,
            Err(error) => Some(error.to_string()),
        };
        if missing.is_some() {
            let error = CliError::new(Kind::Missing, failure.reason);
            let is_opencode = agent.id().as_str() == "opencode";
            return if is_opencode { error.hint(INSTALL) } else { error };
        }
    }
    CliError::new(Kind::Failed, failure.reason)
}
