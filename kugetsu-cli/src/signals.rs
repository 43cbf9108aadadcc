//! Ctrl-C and its kin: the first one stops politely, the second one ends the program.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::errors::CliError;
use crate::exit;

/// Listens as long as it lives.
#[derive(Debug)]
pub(crate) struct Signals {
    _listener: AbortOnDropHandle<()>,
}

impl Signals {
    /// From now on the first SIGINT, SIGTERM or SIGHUP calls `first` and cancels `stop`. The second
    /// calls `last` and ends this process at once; whatever guards the agents then ends them.
    pub(crate) fn listen(
        stop: CancellationToken,
        first: impl FnOnce() + Send + 'static,
        last: impl Fn() + Send + 'static,
    ) -> Result<Self, CliError> {
        let listen =
            |kind| signal(kind).map_err(|error| CliError::io("listen for signals", &error));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hangup = listen(SignalKind::hangup())?;
        let mut first = Some(first);
        let listener = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                let Some(first) = first.take() else {
                    last();
                    std::process::exit(i32::from(exit::INTERRUPTED));
                };
                first();
                stop.cancel();
            }
        });
        Ok(Self { _listener: AbortOnDropHandle::new(listener) })
    }
}
