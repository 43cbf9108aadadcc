//! Stopping a run, from three sides: its control, its dropped events, and its own end.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;
use kugetsu_core::agent::{AgentControl, AgentError, AgentEvent, Stop};
use kugetsu_core::ids::AgentId;
use tokio::sync::{mpsc, watch};

/// What a run tells, one by one.
pub(super) type Telling = Result<AgentEvent, AgentError>;

/// How a run is to stop; what comes later is never gentler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stopping {
    #[default]
    No,
    Politely,
    Now,
}

/// Asks a run to stop.
#[derive(Debug, Clone)]
struct Pedal {
    ask: watch::Sender<Stopping>,
    /// How the run ended, as far as stopping goes: `Err` if it could not be proven.
    stopped: watch::Receiver<Option<Result<(), String>>>,
}

/// The run's own side of it.
#[derive(Debug)]
pub(super) struct Brake {
    asked: watch::Receiver<Stopping>,
    stopped: watch::Sender<Option<Result<(), String>>>,
}

/// The control of a run.
#[derive(Debug)]
pub(super) struct Control {
    who: AgentId,
    pedal: Pedal,
}

/// What a run does. Dropping it stops the run.
#[derive(Debug)]
pub(super) struct Events {
    told: mpsc::Receiver<Telling>,
    pedal: Pedal,
}

/// All three sides of a run whose events come from here.
pub(super) fn sides(who: &AgentId, told: mpsc::Receiver<Telling>) -> (Events, Control, Brake) {
    let (ask, asked) = watch::channel(Stopping::No);
    let (tell, stopped) = watch::channel(None);
    let pedal = Pedal { ask, stopped };
    let control = Control { who: who.clone(), pedal: pedal.clone() };
    (Events { told, pedal }, control, Brake { asked, stopped: tell })
}

impl Pedal {
    fn press(&self, how: Stopping) {
        self.ask.send_if_modified(|now| {
            let is_more = how > *now;
            *now = (*now).max(how);
            is_more
        });
    }
}

impl Brake {
    /// Waits until the run is asked to stop at least like this.
    pub(super) async fn pressed(&mut self, least: Stopping) -> Stopping {
        match self.asked.wait_for(|asked| *asked >= least).await {
            Ok(asked) => *asked,
            // Nobody is left who could want the run.
            Err(_) => Stopping::Now,
        }
    }

    /// Tells whoever waits for it that nothing of the run is alive, or why that is not known.
    pub(super) fn tell(&self, stopped: Result<(), String>) {
        self.stopped.send_replace(Some(stopped));
    }
}

#[async_trait]
impl AgentControl for Control {
    async fn stop(&self, how: Stop) -> Result<(), AgentError> {
        self.pedal.press(match how {
            Stop::Politely => Stopping::Politely,
            Stop::Now => Stopping::Now,
        });
        let mut stopped = self.pedal.stopped.clone();
        let died = |detail: String| AgentError::Died { who: self.who.to_string(), detail };
        match stopped.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Err(why))) => Err(died(why.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(died("its turn was lost".into())),
        }
    }

    async fn answer(&self, _question: &str, _answer: &str) -> Result<(), AgentError> {
        Err(AgentError::Unsupported {
            who: self.who.to_string(),
            operation: "take an answer".into(),
        })
    }
}

impl Stream for Events {
    type Item = Telling;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Telling>> {
        self.told.poll_recv(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // A run that has ended does not hear it.
        self.pedal.press(Stopping::Now);
    }
}
