//! The events of a run, whose end is the run's end.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use kugetsu_core::agent::{AgentError, AgentEvent};
use tokio::sync::mpsc;

use super::control::{Pedal, Stopping};

/// What a run does, one by one. Dropping it stops the run.
#[derive(Debug)]
pub(crate) struct Events {
    told: mpsc::Receiver<Result<AgentEvent, AgentError>>,
    pedal: Pedal,
}

impl Events {
    pub(crate) fn new(told: mpsc::Receiver<Result<AgentEvent, AgentError>>, pedal: Pedal) -> Self {
        Self { told, pedal }
    }
}

impl Stream for Events {
    type Item = Result<AgentEvent, AgentError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.told.poll_recv(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // A run that has ended does not hear it.
        self.pedal.press(Stopping::Now);
    }
}
