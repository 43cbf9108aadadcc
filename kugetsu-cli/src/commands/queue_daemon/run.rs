//! `kugetsu queue-daemon run`: the daemon itself.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Event, Happening};
use kugetsu_queue::{Follower, Shutdown};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::lock::{self, Lock};
use super::log::Log;
use crate::commands::queue::{failed, settled};
use crate::errors::{CliError, Kind};
use crate::screen::{Screen, escape};
use crate::setup::Setup;

/// What the daemon says when it is ready, and whoever starts it waits for.
pub(super) const READY: &str = "ready";

/// How often the log is looked at for what no bell has told of.
const LOOK: Duration = Duration::from_mins(1);

/// Where the daemon tells what it does: in its log and, unless it has left it, on the terminal.
struct Voice {
    log: Log,
    screen: Option<Arc<Screen>>,
}

impl Voice {
    fn say(&self, line: &str) {
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
        let who = lock::told(paths)?;
        return Err(CliError::new(Kind::InUse, format!("the daemon is already running: {who}"))
            .hint("`kugetsu queue-daemon restart` takes its place"));
    };
    let path = queue.join("daemon.log");
    let log = Log::open(path.clone())
        .map_err(|error| CliError::io(format_args!("write {}", path.display()), &error))?;
    let screen = (!detached).then(|| Arc::clone(setup.screen()));
    let voice = Arc::new(Voice { log, screen });
    let shutdown = Shutdown::new();
    let _signals = listen(shutdown.clone(), Arc::clone(&voice))?;
    let engine = setup.engine().await?;
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
    let pid = std::process::id();
    voice.say(&format!("process {pid} carries out what is queued"));
    setup.screen().say(READY)?;
    let trouble = {
        let voice = Arc::clone(&voice);
        move |error: kugetsu_queue::ServeError| voice.say(&format!("trouble: {error}"))
    };
    engine.serve(shutdown, trouble).await;
    served.cancel();
    let _ = telling.await;
    voice.say(&format!("process {pid} has ended"));
    Ok(())
}

/// The first SIGTERM or SIGINT drains, the next one cancels.
fn listen(shutdown: Shutdown, voice: Arc<Voice>) -> Result<AbortOnDropHandle<()>, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.drain.is_cancelled() {
                shutdown.cancel.cancel();
                voice.say("stopping the agents; their tasks go back to the queue");
            } else {
                shutdown.drain.cancel();
                voice.say("starting no more agents; once more to stop those that run");
            }
        }
    })))
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
