//! A foreground start beside a daemon: the daemon runs the agent, on its one server and under its one
//! limit, and the foreground shows it, stops it and tells what came of it.
//!
//! The task has one attempt, as whoever waits decides about another. If the daemon goes away before it
//! has taken the task, or gives it back, the foreground carries it out itself; if it dies at work, the
//! attempt is lost, and that is said.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::OnceLock;
use std::time::Duration;

use kugetsu_core::{Priority, Request, Task, TaskId, TaskState};
use kugetsu_queue::{Engine, HoldKind, StartError, Wait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::foreground::Show;
use super::{daemon, queue_daemon};
use crate::caller::Caller;
use crate::errors::CliError;
use crate::screen::progress::Watch;
use crate::settings::SETTINGS;
use crate::setup::Setup;

/// How often it is looked what the daemon has told, and whether it is still there.
const LOOK: Duration = Duration::from_millis(250);

/// How long a daemon has to take a task for which there was a place just now.
const PROMPT: Duration = Duration::from_secs(10);

/// A daemon that runs agents for us.
pub(super) struct Beside<'a> {
    setup: &'a Setup,
    engine: &'a Engine,
    daemon: u32,
}

/// What a look at the task has shown.
enum Seen {
    /// It is on its way.
    Open,
    /// It is over.
    Settled(Box<Task>),
    /// The daemon will not take it: it is ours to carry out.
    Ours,
}

impl<'a> Beside<'a> {
    /// The daemon, if it runs and would do as this command is told to. A queue that rests is for the
    /// daemon alone: what is started by hand goes past it.
    pub(super) async fn a_daemon(
        setup: &'a Setup,
        engine: &'a Engine,
    ) -> Result<Option<Self>, CliError> {
        let Some(daemon) = daemon(setup)? else { return Ok(None) };
        let is_ours = daemon.pid == std::process::id();
        if is_ours || setup.caller()? != Caller::Person || !has_our_settings(setup, daemon.pid) {
            return Ok(None);
        }
        let beside = Self { setup, engine, daemon: daemon.pid };
        Ok((!beside.rests().await?).then_some(beside))
    }

    /// Has the request carried out, and shows what happens until the task has ended.
    pub(super) async fn work(
        &self,
        request: Request,
        wait: Wait,
        stop: &CancellationToken,
        watch: &mut Watch,
    ) -> Result<Task, CliError> {
        let queue = self.engine.queue();
        // Nobody who started by hand has ever stood in the queue's line.
        let task =
            queue.task(request.clone()).with_max_attempts(1).with_priority(Priority(i16::MAX));
        if !queue.lane(&task).await?.is_empty() {
            return super::foreground::watched(self.engine, request, wait, stop, watch).await;
        }
        match self.engine.has_place(&task).await {
            Ok(()) => {}
            Err(busy @ (StartError::NoSlot { .. } | StartError::InUse { .. }))
                if wait != Wait::No =>
            {
                watch.waits(&format!("waiting: {busy}"));
            }
            Err(error) => return Err(error.into()),
        }
        let end = self.engine.events().end().await?;
        let follower = self.engine.events().follow(end).with_look(LOOK);
        let mut show = Show::new(follower, watch);
        let (ours, id) = (OnceLock::from(task.id), task.id);
        let _ = queue.enqueue(&task).await?;
        let ended = self.followed(id, wait, stop, &mut show, &ours).await;
        show.rest(&ours).await?;
        ended
    }

    async fn followed(
        &self,
        id: TaskId,
        wait: Wait,
        stop: &CancellationToken,
        show: &mut Show<'_>,
        ours: &OnceLock<TaskId>,
    ) -> Result<Task, CliError> {
        let patience = match wait {
            Wait::No => Some(Instant::now() + PROMPT),
            Wait::For(time) => Some(Instant::now() + time),
            Wait::Forever => None,
        };
        let (mut is_stopped, mut told) = (false, String::new());
        loop {
            match self.look(id, patience).await? {
                Seen::Settled(task) => return Ok(*task),
                Seen::Open => {}
                Seen::Ours => match self.carry_out(id, stop, show, ours).await {
                    Ok(Some(task)) => return Ok(task),
                    // Somebody else has it after all.
                    Ok(None) => {}
                    Err(
                        busy @ (StartError::NoSlot { .. }
                        | StartError::InUse { .. }
                        | StartError::NoRoom { .. }),
                    ) => {
                        let over = patience.is_some_and(|end| Instant::now() >= end);
                        if (wait == Wait::No || over) && self.engine.withdraw(id).await? {
                            return Err(busy.into());
                        }
                        let words = format!("waiting: {busy}");
                        if words != told {
                            show.waits(&words);
                            told = words;
                        }
                    }
                    Err(error) => return Err(error.into()),
                },
            }
            if stop.is_cancelled() && !is_stopped {
                is_stopped = true;
                match self.engine.queue().cancel(id).await {
                    // It came to its end by itself.
                    Err(error) if error.lease_is_lost() => {}
                    cancelled => drop(cancelled?),
                }
                continue;
            }
            tokio::select! {
                () = show.next(ours) => {}
                () = stop.cancelled(), if !is_stopped => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Where the task stands, once what is dead has been given up.
    async fn look(&self, id: TaskId, patience: Option<Instant>) -> Result<Seen, CliError> {
        let task = self.engine.queue().load(id).await?;
        match &task.state {
            TaskState::Settled { .. } => Ok(Seen::Settled(Box::new(task))),
            TaskState::Leased { .. } => {
                if !queue_daemon::is_daemon(self.setup, self.daemon)? {
                    self.engine.give_up(&task).await?;
                }
                Ok(Seen::Open)
            }
            TaskState::Pending { .. } => {
                let is_late = patience.is_some_and(|end| Instant::now() >= end);
                let left = is_late
                    || self.rests().await?
                    || !queue_daemon::is_daemon(self.setup, self.daemon)?;
                Ok(if left { Seen::Ours } else { Seen::Open })
            }
            _ => Ok(Seen::Open),
        }
    }

    /// Carries it out in this process, as if no daemon ran.
    async fn carry_out(
        &self,
        id: TaskId,
        stop: &CancellationToken,
        show: &mut Show<'_>,
        ours: &OnceLock<TaskId>,
    ) -> Result<Option<Task>, StartError> {
        // The engine cancels its own when somebody else wants the task to end.
        let mut started = Box::pin(self.engine.start_queued(id, stop.child_token()));
        loop {
            tokio::select! {
                ended = &mut started => return ended,
                // What cannot be shown does not end the run.
                () = show.next(ours) => {}
            }
        }
    }

    /// Whether the daemon takes nothing from the queue just now, though there is room.
    async fn rests(&self) -> Result<bool, CliError> {
        let holds = self.engine.holds().active().await?;
        Ok(holds.iter().any(|hold| hold.kind != HoldKind::Room))
    }
}

/// Whether the daemon goes by the same settings: none comes from the command line here, and those that
/// come from variables are the same there.
fn has_our_settings(setup: &Setup, daemon: u32) -> bool {
    let Ok(environ) = fs::read(format!("/proc/{daemon}/environ")) else { return false };
    let theirs: BTreeMap<OsString, OsString> = environ
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            Some((word(&entry[..at]), word(&entry[at + 1..])))
        })
        .collect();
    let is_same = |name: &str| {
        let set = |value: Option<&OsString>| value.filter(|value| !value.is_empty()).cloned();
        let name = OsString::from(name);
        set(theirs.get(&name)) == set(setup.around().variables.get(&name))
    };
    setup.flags().is_empty() && SETTINGS.iter().all(|setting| is_same(setting.variable))
}
