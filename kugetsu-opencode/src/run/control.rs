//! Stopping a run, from three sides: its control, its dropped events, and its own end.

use async_trait::async_trait;
use kugetsu_core::agent::{AgentControl, AgentError, Stop};
use tokio::sync::watch;

use crate::fault;

/// How a run is to stop; what comes later is never gentler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopping {
    #[default]
    No,
    Politely,
    Now,
}

/// How a run ended, as far as stopping goes.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stopped {
    #[default]
    NotYet,
    /// Nothing of the run is alive.
    Proven,
    /// It could not be proven.
    Unproven(String),
}

/// Asks a run to stop.
#[derive(Debug, Clone)]
pub(crate) struct Pedal {
    ask: watch::Sender<Stopping>,
    stopped: watch::Receiver<Stopped>,
}

/// The run's own side of it.
#[derive(Debug)]
pub(crate) struct Brake {
    asked: watch::Receiver<Stopping>,
    stopped: watch::Sender<Stopped>,
}

pub(crate) fn brake() -> (Pedal, Brake) {
    let (ask, asked) = watch::channel(Stopping::No);
    let (tell, stopped) = watch::channel(Stopped::NotYet);
    (Pedal { ask, stopped }, Brake { asked, stopped: tell })
}

impl Pedal {
    pub(crate) fn press(&self, how: Stopping) {
        self.ask.send_if_modified(|now| {
            let is_more = how > *now;
            *now = (*now).max(how);
            is_more
        });
    }

    /// Waits until nothing of the run is alive.
    pub(crate) async fn stopped(&self) -> Result<(), AgentError> {
        let mut stopped = self.stopped.clone();
        let died = |detail: String| AgentError::Died { who: fault::WHO.into(), detail };
        match stopped.wait_for(|stopped| !matches!(stopped, Stopped::NotYet)).await.as_deref() {
            Ok(Stopped::Unproven(why)) => Err(died(why.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(died("its turn was lost".into())),
        }
    }
}

impl Brake {
    /// Waits until the run is asked to stop.
    pub(crate) async fn pressed(&mut self) -> Stopping {
        match self.asked.wait_for(|asked| *asked != Stopping::No).await {
            Ok(asked) => *asked,
            // Nobody is left who could want the run.
            Err(_) => Stopping::Now,
        }
    }

    pub(crate) fn tell(&self, stopped: Stopped) {
        self.stopped.send_replace(stopped);
    }
}

/// The control of a run.
#[derive(Debug)]
pub(crate) struct RunControl(Pedal);

impl RunControl {
    pub(crate) fn new(pedal: Pedal) -> Self {
        Self(pedal)
    }
}

#[async_trait]
impl AgentControl for RunControl {
    async fn stop(&self, how: Stop) -> Result<(), AgentError> {
        self.0.press(match how {
            Stop::Politely => Stopping::Politely,
            Stop::Now => Stopping::Now,
        });
        self.0.stopped().await
    }
}
