//! How the daemon comes to its end: it drains, for a limited time, and then it stops its agents, for
//! a limited time as well.

use std::sync::Arc;
use std::time::Duration;

use kugetsu_queue::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::run::Voice;
use super::service;
use crate::errors::CliError;

/// How long agents that are stopped may take.
pub(super) const STOPPING: Duration = Duration::from_secs(8);

/// When the daemon is gone after it began to stop its agents, whatever is left then: the guard ends
/// it.
pub(super) const GONE: Duration = Duration::from_secs(13);

/// The first SIGTERM, SIGINT or SIGHUP drains. The next one cancels, and so does the `limit`.
pub(super) fn listen(
    shutdown: Shutdown,
    limit: Duration,
    voice: Arc<Voice>,
) -> Result<AbortOnDropHandle<()>, CliError> {
    let listen = |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    // The terminal went away.
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        let mut told = async move || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        told().await;
        shutdown.drain.cancel();
        service::stopping("waiting for the running agents");
        voice.say("starting no more agents; once more to stop those that run");
        let waited = limit.as_secs();
        tokio::select! {
            () = told() => voice.say("stopping the agents; their tasks go back to the queue"),
            () = sleep(limit) => voice.say(&format!(
                "after {waited} s agents still run; stopping them, their tasks go back to the queue"
            )),
        }
        service::stopping("stopping the agents");
        shutdown.cancel.cancel();
        // More signals change nothing.
        loop {
            told().await;
        }
    })))
}

/// Returns when agents that are being stopped should have stopped.
pub(super) async fn overdue(shutdown: &Shutdown) {
    shutdown.cancel.cancelled().await;
    sleep(STOPPING).await;
}

/// Ends what was started, and the process at the latest when `end` has come.
pub(super) async fn close(setup: &crate::setup::Setup, end: Instant, voice: &Voice) {
    tokio::select! {
        () = setup.close() => {}
        () = sleep_until(end) => {
            voice.say("not everything has ended in time; the guard ends the rest");
            // Nothing is left to be settled: the tasks are in the queue, or count as lost.
            std::process::exit(0);
        }
    }
}
