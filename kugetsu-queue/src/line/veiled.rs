//! What an agent tells, without secrets, before anybody sees it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kugetsu_core::event::{Json, Unknown};
use kugetsu_core::{AgentError, AgentEvent, AgentEvents, AgentRun, Failure, Finish};
use tokio_stream::Stream;

use crate::mask::{Mask, Veil};

/// The run with all secrets masked in what it tells. The agent itself always has the real ones.
pub(super) fn veiled(run: AgentRun, mask: &Arc<Mask>) -> AgentRun {
    if mask.is_empty() {
        return run;
    }
    let events = Veiled {
        events: run.events,
        veil: Veil::new(Arc::clone(mask)),
        mask: Arc::clone(mask),
        voice: None,
        ready: VecDeque::new(),
    };
    AgentRun::new(Box::pin(events), run.control)
}

/// The failure with all secrets masked in its reason.
pub(crate) fn failure(mask: &Mask, mut failure: Failure) -> Failure {
    failure.reason = mask.cut_text(&failure.reason).into_owned();
    failure
}

/// Which of its texts an agent writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Message,
    Thought,
}

struct Veiled {
    events: AgentEvents,
    mask: Arc<Mask>,
    veil: Veil,
    /// Whose text is held back.
    voice: Option<Voice>,
    ready: VecDeque<Result<AgentEvent, AgentError>>,
}

impl Stream for Veiled {
    type Item = Result<AgentEvent, AgentError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Poll::Ready(Some(ready));
            }
            match ready!(self.events.as_mut().poll_next(cx)) {
                Some(Ok(event)) => self.hear(event),
                Some(Err(error)) => {
                    self.end_voice();
                    self.ready.push_back(Err(error));
                }
                None => {
                    self.end_voice();
                    if self.ready.is_empty() {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }
}

impl Veiled {
    fn hear(&mut self, event: AgentEvent) {
        let (voice, piece) = match event {
            AgentEvent::Message { text } => (Voice::Message, text),
            AgentEvent::Thought { text } => (Voice::Thought, text),
            other => {
                self.end_voice();
                self.ready.push_back(Ok(masked(other, &self.mask)));
                return;
            }
        };
        if self.voice != Some(voice) {
            self.end_voice();
        }
        self.voice = Some(voice);
        let told = self.veil.push(&piece);
        self.tell(voice, told);
    }

    fn end_voice(&mut self) {
        if let Some(voice) = self.voice.take() {
            let told = self.veil.rest();
            self.tell(voice, told);
        }
    }

    fn tell(&mut self, voice: Voice, text: String) {
        if !text.is_empty() {
            self.ready.push_back(Ok(match voice {
                Voice::Message => AgentEvent::Message { text },
                Voice::Thought => AgentEvent::Thought { text },
            }));
        }
    }
}

fn masked(mut event: AgentEvent, mask: &Mask) -> AgentEvent {
    let hide = |text: &mut String| *text = mask.cut_text(text).into_owned();
    match &mut event {
        AgentEvent::Message { text } | AgentEvent::Thought { text } => hide(text),
        AgentEvent::ToolStarted { call, tool, title: text }
        | AgentEvent::ToolEnded { call, tool, summary: text, .. } => {
            [call, tool, text].into_iter().for_each(hide);
        }
        AgentEvent::Asked { question, text, .. } => [question, text].into_iter().for_each(hide),
        AgentEvent::Waiting { reason } => hide(reason),
        AgentEvent::Finished(Finish::Failed { failure }) => hide(&mut failure.reason),
        AgentEvent::Unknown(Unknown { data, .. }) => hide_in(data, &hide),
        _ => {}
    }
    event
}

fn hide_in(data: &mut Json, hide: &impl Fn(&mut String)) {
    match data {
        Json::Text(text) => hide(text),
        Json::List(all) => all.iter_mut().for_each(|one| hide_in(one, hide)),
        Json::Object(members) => {
            for (name, one) in members {
                hide(name);
                hide_in(one, hide);
            }
        }
        _ => {}
    }
}
