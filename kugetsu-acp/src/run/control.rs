//! Stopping a run, from three sides: its control, its dropped events, and its own end.

use async_trait::async_trait;
use kugetsu_core::agent::{AgentControl, AgentError, Stop};
use tokio::sync::watch;

use crate::fault::Who;

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
    async fn stopped(&self, who: &Who) -> Result<(), AgentError> {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(|stopped| !matches!(stopped, Stopped::NotYet)).await.as_deref() {
            Ok(Stopped::Unproven(why)) => Err(who.died(why)),
            Ok(_) => Ok(()),
            Err(_) => Err(who.died("its turn was lost")),
        }
    }
}

impl Brake {
    /// Waits until the run is asked to stop, at least so hard.
    pub(crate) async fn pressed(&mut self, least: Stopping) -> Stopping {
        match self.asked.wait_for(|asked| *asked >= least).await {
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
pub(crate) struct RunControl {
    pub(crate) pedal: Pedal,
    pub(crate) who: Who,
}

#[async_trait]
impl AgentControl for RunControl {
    async fn stop(&self, how: Stop) -> Result<(), AgentError> {
        self.pedal.press(match how {
            Stop::Politely => Stopping::Politely,
            Stop::Now => Stopping::Now,
        });
        self.pedal.stopped(&self.who).await
    }

    async fn answer(&self, _question: &str, _answer: &str) -> Result<(), AgentError> {
        Err(self.who.unsupported("take an answer: what it asks is answered at once"))
    }
}
