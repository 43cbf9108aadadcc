//! `kugetsu queue-daemon run`: the daemon itself.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Event, Happening, TaskQueue};
use kugetsu_queue::{Follower, Shutdown};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::lock::{self, Lock};
use super::log::Log;
use super::notices::Notices;
use super::{drain, service};
use crate::commands::queue::{failed, settled};
use crate::errors::{CliError, Kind};
use crate::screen::{Screen, escape, time};
use crate::setup::Setup;

/// What the daemon says when it is ready, and whoever starts it waits for.
pub(super) const READY: &str = "ready";

/// How often the log is looked at for what no bell has told of.
pub(super) const LOOK: Duration = Duration::from_mins(1);

/// How often settled tasks that are old are forgotten.
const DAY: Duration = Duration::from_hours(24);

/// Where the daemon tells what it does: in its log and, unless it has left it, on the terminal.
pub(super) struct Voice {
    log: Log,
    screen: Option<Arc<Screen>>,
}

impl Voice {
    pub(super) fn say(&self, line: &str) {
        let line = escape::line(line);
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
        self.log.line(&format!("{now}  {line}"));
        if let Some(screen) = &self.screen {
            screen.remark(line);
        }
    }
}

pub(in crate::commands) async fn run(detached: bool, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_initialised().await?;
    if detached {
        // It is no leader of a group, since it was spawned into its parent's; if it is one all the
        // same, it has a terminal to itself already.
        let _ = rustix::process::setsid();
    }
    let paths = setup.paths()?;
    let queue = paths.queue();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&queue)
        .map_err(|error| CliError::io(format_args!("make {}", queue.display()), &error))?;
    let Some(_lock) = Lock::take(paths)? else {
        let Some(pid) = lock::daemon(paths)? else { return Err(lock::taken(paths)?) };
        let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default();
        let who = lock::words(pid, lock::since(paths, pid));
        return Err(CliError::new(Kind::InUse, format!("the daemon is already running: {who}"))
            .hint("`kugetsu queue-daemon restart` takes its place"));
    };
    let path = queue.join("daemon.log");
    let log = Log::open(path.clone())
        .map_err(|error| CliError::io(format_args!("write {}", path.display()), &error))?;
    let screen = (!detached).then(|| Arc::clone(setup.screen()));
    let voice = Arc::new(Voice { log, screen });
    let shutdown = Shutdown::new();
    let settings = setup.settings()?;
    let _signals = drain::listen(shutdown.clone(), settings.drain_timeout(), Arc::clone(&voice))?;
    let mut engine = setup.engine().await?;
    if let Some(every) = service::pulse() {
        engine = engine.with_pulse(every, service::lives);
    }
    for ended in setup.end_leftovers().await? {
        voice.say(&ended);
    }
    for recovered in engine.recover().await? {
        voice.say(&recovered.to_string());
    }
    let events = engine.events().follow(engine.events().end().await?).with_look(LOOK);
    let served = CancellationToken::new();
    let telling = tell(events, Arc::clone(&voice), served.clone());
    let telling = AbortOnDropHandle::new(tokio::spawn(telling));
    let notices = {
        let voice = Arc::clone(&voice);
        Notices::start(&engine, setup, Arc::new(move |line| voice.say(line))).await?
    };
    let clearing = clear(engine.queue().clone(), settings.cleanup_age(), Arc::clone(&voice));
    let _clearing = AbortOnDropHandle::new(tokio::spawn(clearing));
    let pid = std::process::id();
    voice.say(&format!("process {pid} carries out what is queued"));
    setup.screen().say(READY)?;
    service::ready("carries out what is queued");
    let trouble = {
        let voice = Arc::clone(&voice);
        move |error: kugetsu_queue::ServeError| voice.say(&format!("trouble: {error}"))
    };
    tokio::select! {
        () = engine.serve(shutdown.clone(), trouble) => {}
        () = drain::overdue(&shutdown) => voice.say("not all agents have stopped in time"),
    }
    let end = Instant::now() + drain::GONE - drain::STOPPING;
    served.cancel();
    let _ = tokio::time::timeout_at(end, telling).await;
    let _ = tokio::time::timeout_at(end, notices.end()).await;
    if shutdown.cancel.is_cancelled() {
        drain::close(setup, end, &voice).await;
    }
    voice.say(&format!("process {pid} has ended"));
    Ok(())
}

/// Forgets settled tasks that are old, now and every day.
async fn clear(queue: TaskQueue, age: Duration, voice: Arc<Voice>) {
    loop {
        match queue.clear(age).await {
            Ok(0) => {}
            Ok(cleared) => {
                let cleared = u64::try_from(cleared).unwrap_or(u64::MAX);
                voice.say(&format!("forgot {}", time::counted(cleared, "old settled task")));
            }
            Err(error) => voice.say(&format!("trouble: old tasks were not forgotten: {error}")),
        }
        let clock = queue.clock();
        clock.sleep_until(clock.tick().plus(DAY)).await;
    }
}

/// Tells what happens until all is `served`, and then the rest.
async fn tell(mut events: Follower, voice: Arc<Voice>, served: CancellationToken) {
    loop {
        let heard = tokio::select! {
            biased;
            heard = events.next() => heard,
            () = served.cancelled() => match events.ready().await {
                Ok(rest) if rest.is_empty() => return,
                rest => rest,
            },
        };
        match heard {
            Ok(heard) => {
                for line in heard.iter().filter_map(|(_, event)| line(event)) {
                    voice.say(&line);
                }
            }
            Err(error) => {
                voice.say(&format!("trouble: {error}"));
                if served.is_cancelled() {
                    return;
                }
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
        }
    }
}

fn line(event: &Event) -> Option<String> {
    let lane = event.issue.as_ref().map_or("pm".to_owned(), ToString::to_string);
    let what = match &event.what {
        Happening::Claimed { attempt, worker } => format!("attempt {attempt} begins ({worker})"),
        Happening::RetryScheduled { attempt, failure, .. } => failed(*attempt, failure),
        Happening::Released { attempt, reason } => {
            format!("attempt {attempt} was given back: {reason}")
        }
        Happening::CancelRequested => "is to be cancelled".to_owned(),
        Happening::Settled { outcome } => settled(outcome),
        _ => return None,
    };
    Some(format!("{lane}  {what}  [{}]", event.task))
}
