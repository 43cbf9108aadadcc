//! Following a run: what it says is recorded, and what takes too long is stopped.

use std::time::Duration;

use kugetsu_core::{
    AgentControl, AgentError, AgentEvent, AgentRun, Failure, Finish, Happening, Report, Retry,
    Stop, Task, Tick, Usage,
};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;

use super::session::Ready;
use super::{At, Halt, Line, Stage, agent, session_ready};

/// Text of an agent is recorded in pieces of about this size, or at every line's end.
const CHUNK: usize = 400;

/// How much is recorded at once at most, of an agent that tells more meanwhile.
const TOGETHER: usize = 64;

/// What is known of a turn: what it used up, said and did.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) usage: Usage,
    /// What it said last.
    answer: String,
    /// Whether a tool was used since it said that.
    answered: bool,
    /// Whether it said or did anything at all.
    acted: bool,
    /// What it asked and was refused, unless it found a way to go on.
    refused: Option<String>,
    pub(crate) timed_out: bool,
}

impl Turn {
    pub(crate) fn report(&self) -> Report {
        let mut report = Report::default();
        self.answer.trim().clone_into(&mut report.answer);
        report
    }

    fn take(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::Message { text } => {
                if !text.trim().is_empty() {
                    self.acted = true;
                    self.refused = None;
                }
                if self.answered {
                    self.answer.clear();
                    self.answered = false;
                }
                self.answer.push_str(text);
            }
            AgentEvent::ToolStarted { .. } => self.answered = true,
            AgentEvent::ToolEnded { ok, .. } => {
                self.acted = true;
                self.answered = true;
                if *ok {
                    self.refused = None;
                }
            }
            AgentEvent::Asked { text, refused: true, .. } => self.refused = Some(text.clone()),
            AgentEvent::Usage(more) => self.usage = self.usage.plus(*more),
            _ => {}
        }
    }

    /// Whether the turn was a success, by what was seen of it.
    fn verdict(&self) -> Result<(), Failure> {
        if let Some(asked) = &self.refused {
            return Err(Failure::fatal(format!("the agent asked what nobody may answer: {asked}")));
        }
        if !self.acted {
            return Err(Failure::passing("the agent ended without having said or done anything"));
        }
        Ok(())
    }
}

/// Why a run is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Asked,
    Stall,
    Turn,
}

impl Line {
    pub(super) async fn follow(
        &self,
        task: &Task,
        session: &mut Ready,
        mut run: AgentRun,
        stop: &CancellationToken,
        turn: &mut Turn,
    ) -> Result<(), Halt> {
        let began = self.clock.tick();
        let overdue = began.plus(self.limits.turn);
        let mut stalled = began.plus(self.limits.stall);
        let mut scribe = Scribe::default();
        let ended = loop {
            let next = tokio::select! {
                biased;
                next = run.events.next(), if !scribe.is_full() => next,
                // The agent has nothing more to tell just now, so what it has told is recorded.
                () = std::future::ready(()), if scribe.has_news() => {
                    scribe.tell(self, task).await;
                    continue;
                }
                () = stop.cancelled() => break self.halt(&mut run, Reason::Asked, turn).await,
                reason = self.too_late(stalled, overdue) => {
                    break self.halt(&mut run, reason, turn).await;
                }
            };
            stalled = self.clock.tick().plus(self.limits.stall);
            match next {
                Some(Ok(AgentEvent::Finished(finish))) => {
                    scribe.write(AgentEvent::Finished(finish.clone()));
                    break judge(finish, turn);
                }
                Some(Ok(event)) => {
                    turn.take(&event);
                    if let AgentEvent::SessionStarted { session: id } = &event {
                        scribe.flush(self, task).await;
                        let news = session.record.agent_session.as_ref() != Some(id);
                        session.set_id(self, id.clone()).await?;
                        if news {
                            let told = session_ready(id, &session.how);
                            self.tell(task, vec![told]).await;
                        }
                    }
                    scribe.write(event);
                }
                Some(Err(error)) => {
                    scribe.flush(self, task).await;
                    session.lose(self, &error).await?;
                    break Err(error).at(Stage::Run);
                }
                None => break Err(ended_early()).at(Stage::Run),
            }
        };
        scribe.flush(self, task).await;
        ended
    }

    async fn too_late(&self, stalled: Tick, overdue: Tick) -> Reason {
        tokio::select! {
            () = self.clock.sleep_until(overdue) => Reason::Turn,
            () = self.clock.sleep_until(stalled) => Reason::Stall,
        }
    }

    /// Stops the run: politely and, after a grace, by force. What it still used up is counted.
    async fn halt(&self, run: &mut AgentRun, reason: Reason, turn: &mut Turn) -> Result<(), Halt> {
        let control = std::sync::Arc::clone(&run.control);
        let grace = self.clock.tick().plus(self.limits.grace);
        let polite = tokio::select! {
            stopped = control.stop(Stop::Politely) => stopped.is_ok(),
            () = self.clock.sleep_until(grace) => false,
        };
        if !polite {
            force(&*control).await;
        }
        // Whatever it says from here on is only counted; what it does not end is dropped, and so
        // stopped, with the run.
        let rest = async {
            while let Some(Ok(event)) = run.events.next().await {
                turn.take(&event);
            }
        };
        tokio::select! {
            () = rest => {}
            () = self.clock.sleep_until(self.clock.tick().plus(self.limits.grace)) => {}
        }
        turn.timed_out = reason != Reason::Asked;
        Err(match reason {
            Reason::Asked => Halt::Stopped,
            Reason::Stall => Halt::failed(
                Stage::Run,
                format!("the agent was silent for {}", spoken(self.limits.stall)),
                Retry::Later,
            ),
            Reason::Turn => Halt::failed(
                Stage::Run,
                format!("the agent's turn took longer than {}", spoken(self.limits.turn)),
                Retry::Later,
            ),
        })
    }
}

async fn force(control: &dyn AgentControl) {
    // If even this fails, the run is dropped next, which ends its process tree.
    let _ = control.stop(Stop::Now).await;
}

fn judge(finish: Finish, turn: &Turn) -> Result<(), Halt> {
    let failure = match finish {
        Finish::Done => match turn.verdict() {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        },
        Finish::Stopped => Failure::passing("the agent was stopped by somebody else"),
        Finish::Failed { failure } => failure,
        _ => Failure::passing("the agent ended in a way that this kugetsu does not know"),
    };
    Err(Halt::Failed { stage: Stage::Run, failure })
}

fn ended_early() -> AgentError {
    AgentError::Died { who: "the agent".into(), detail: "its events ended without an end".into() }
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Records what an agent does, with the pieces of a text joined. What it tells faster than it can be
/// recorded is recorded at once, in its order.
#[derive(Debug, Default)]
struct Scribe {
    held: Option<(Voice, String)>,
    news: Vec<Happening>,
}

/// Which of its texts an agent's piece of text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Message,
    Thought,
}

impl Scribe {
    fn write(&mut self, event: AgentEvent) {
        let (voice, piece) = match event {
            AgentEvent::Message { text } => (Voice::Message, text),
            AgentEvent::Thought { text } => (Voice::Thought, text),
            other => {
                self.join();
                self.news.push(agent(other));
                return;
            }
        };
        if self.held.as_ref().is_some_and(|(held, _)| *held != voice) {
            self.join();
        }
        let (_, text) = self.held.get_or_insert((voice, String::new()));
        text.push_str(&piece);
        if text.len() >= CHUNK || text.ends_with('\n') {
            self.join();
        }
    }

    fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    fn is_full(&self) -> bool {
        self.news.len() >= TOGETHER
    }

    /// Records what is whole.
    async fn tell(&mut self, line: &Line, task: &Task) {
        if self.has_news() {
            line.tell(task, std::mem::take(&mut self.news)).await;
        }
    }

    /// Records all.
    async fn flush(&mut self, line: &Line, task: &Task) {
        self.join();
        self.tell(line, task).await;
    }

    /// The text so far is whole.
    fn join(&mut self) {
        let Some((voice, text)) = self.held.take() else { return };
        self.news.push(agent(match voice {
            Voice::Message => AgentEvent::Message { text },
            Voice::Thought => AgentEvent::Thought { text },
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_and_nothing_changes_its_place() {
        let says = |text: &str| AgentEvent::Message { text: text.into() };
        let thinks = |text: &str| AgentEvent::Thought { text: text.into() };
        let waits = || AgentEvent::Waiting { reason: "the model rests".into() };
        let mut scribe = Scribe::default();
        for event in [says("a "), says("b"), thinks("c"), waits(), says("d\n"), says("e")] {
            scribe.write(event);
        }
        let whole = [says("a b"), thinks("c"), waits(), says("d\n")].map(agent);
        assert_eq!(scribe.news, whole, "what may go on is held back");
        scribe.join();
        assert_eq!(scribe.news.last(), Some(&agent(says("e"))));
        (0..TOGETHER).for_each(|_| scribe.write(waits()));
        assert!(scribe.is_full());
    }
}
