//! Following a turn: what the server tells, what it asks, and whether it is over.

use std::collections::VecDeque;

use kugetsu_core::agent::{AgentError, AgentEvent, Finish};
use kugetsu_core::error::{Failure, Retry};
use tokio::time::{MissedTickBehavior, interval};

use super::Brake;
use super::turn::{End, Turn};
use super::verdict::{self, Verdict};
use crate::server::Letter;
use crate::wire::{News, Permission, Status};
use crate::{failure, rules};

/// So many looks at an idle session without a last word are enough.
const PATIENCE: u32 = 4;
/// A turn's last messages are enough to see how it ended.
const TAIL: u32 = 8;

impl Turn {
    /// Tells what happens until the turn is over, or has to be stopped.
    pub(super) async fn follow(&mut self, brake: &mut Brake) -> End {
        let started = AgentEvent::SessionStarted { session: self.session.id.clone() };
        // The channel is empty; even a run that is stopped at once tells its session.
        let _ = self.tell.try_send(Ok(started));
        let mut waiting = VecDeque::new();
        let mut idle_looks = 0;
        let mut look = interval(self.runner.config().limits.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.reset();
        loop {
            tokio::select! {
                biased;
                _ = brake.pressed() => return End::Stop,
                // While the reader is behind, letters wait in the inbox, where they grow together.
                permit = self.tell.clone().reserve_owned(), if !waiting.is_empty() => {
                    let Ok(permit) = permit else { return End::Stop };
                    if let Some(event) = waiting.pop_front() {
                        permit.send(self.masked(Ok(event)));
                    }
                }
                letter = self.inbox.next(), if waiting.is_empty() => {
                    match self.read(letter, &mut waiting).await {
                        Step::On => {}
                        Step::Look => {
                            if let Some(end) = self.judge(true, &mut waiting).await {
                                return self.finish(end, waiting, brake).await;
                            }
                        }
                        Step::End(end) => return self.finish(end, waiting, brake).await,
                    }
                }
                _ = look.tick() => {
                    waiting.extend(self.translator.flush());
                    self.decide_all(&mut waiting).await;
                    match self.is_idle().await {
                        Some(true) => idle_looks += 1,
                        _ => idle_looks = 0,
                    }
                    if idle_looks > 0
                        && let Some(end) = self.judge(idle_looks < PATIENCE, &mut waiting).await
                    {
                        return self.finish(end, waiting, brake).await;
                    }
                }
            }
        }
    }

    /// Tells what is still waiting, unless nobody listens or wants to hear the end of it.
    async fn finish(&mut self, end: End, waiting: VecDeque<AgentEvent>, brake: &mut Brake) -> End {
        for event in waiting {
            tokio::select! {
                sent = self.tell.send(self.masked(Ok(event))) => if sent.is_err() { break },
                _ = brake.pressed() => break,
            }
        }
        end
    }

    async fn read(&mut self, letter: Letter, waiting: &mut VecDeque<AgentEvent>) -> Step {
        let news = match letter {
            Letter::News(news) => news,
            Letter::Gap => {
                self.catch_up(None, waiting).await;
                return Step::Look;
            }
            Letter::Dead(why) => return Step::End(End::Dead(why)),
        };
        waiting.extend(self.translator.read(&news));
        match news {
            News::Status { session, status } if session == self.session.id.as_str() => {
                return self.status(&status, waiting);
            }
            News::Error { session, error }
                if session.as_deref().is_none_or(|s| s == self.session.id.as_str()) =>
            {
                self.last_error = Some(error);
            }
            News::Permission { ask, .. } => {
                self.decide(&ask, waiting).await;
            }
            News::Question { ask, .. } => {
                self.refuse_question(&ask.id, ask.text(), waiting).await;
            }
            // An answer's last state, which may come after the word that the session is idle.
            News::Message { info, .. } if info.error.is_some() => return Step::Look,
            _ => {}
        }
        Step::On
    }

    fn status(&mut self, status: &Status, waiting: &mut VecDeque<AgentEvent>) -> Step {
        let (attempt, message, next) = match status {
            Status::Idle => return Step::Look,
            Status::Retry { attempt, message, next } => (*attempt, message, *next),
            _ => return Step::On,
        };
        let retry = until(next);
        let (provider, asked) = (self.provider(), (attempt, retry.wait()));
        let limits = &self.runner.config().limits;
        let bounds = (limits.provider_retries, limits.provider_patience);
        if let Some(failure) = self.patience.ends(asked, message, &provider, bounds) {
            return Step::End(End::GiveUp(Finish::Failed { failure }));
        }
        if attempt <= limits.provider_retries && retry.wait() <= limits.provider_wait {
            let reason = format!("{}: {message}", failure::ASKED_AGAIN);
            waiting.push_back(AgentEvent::Waiting { reason });
            return Step::On;
        }
        let reason = format!("the model's provider failed, {attempt} times so far: {message}");
        Step::End(End::GiveUp(Finish::Failed { failure: Failure::new(reason, retry) }))
    }

    /// Of whom the model is.
    fn provider(&self) -> String {
        let told = self.translator.last_answer().map(|answer| answer.provider.as_str());
        let ours = self.runner.config().model.as_deref();
        let ours = ours.and_then(|model| Some(model.split_once('/')?.0));
        told.filter(|told| !told.is_empty()).or(ours).unwrap_or("of the model").to_owned()
    }

    /// Whether the turn is over, by what the server has stored of it.
    async fn judge(&mut self, patient: bool, waiting: &mut VecDeque<AgentEvent>) -> Option<End> {
        if !self.is_idle().await? {
            return None;
        }
        self.catch_up(Some(TAIL), waiting).await;
        let (refused, provider) = (self.refused.as_deref(), self.provider());
        match verdict::of(&self.translator, self.last_error.as_ref(), refused, &provider, patient) {
            Verdict::Over(finish) => {
                waiting.extend(self.translator.flush());
                Some(End::Finished(finish))
            }
            Verdict::Wait => None,
        }
    }

    /// `None` if it cannot be known now.
    async fn is_idle(&self) -> Option<bool> {
        let busy = self.server.http().status(&self.directory).await.ok()?;
        Some(!busy.contains_key(self.session.id.as_str()))
    }

    /// Reads what the server has stored; what was told already is not told again.
    async fn catch_up(&mut self, last: Option<u32>, waiting: &mut VecDeque<AgentEvent>) {
        let session = self.session.id.as_str().to_owned();
        let Ok(messages) = self.server.http().messages(&session, last).await else { return };
        for message in messages {
            let info = Box::new(message.info);
            waiting.extend(self.translator.read(&News::Message { session: session.clone(), info }));
            for part in message.parts {
                let part = Box::new(part);
                waiting
                    .extend(self.translator.read(&News::Part { session: session.clone(), part }));
            }
        }
    }

    /// Decides whatever is asked in the directory, in case an event about it was missed.
    async fn decide_all(&mut self, waiting: &mut VecDeque<AgentEvent>) {
        let http = self.server.http().clone();
        for ask in http.permissions(&self.directory).await.unwrap_or_default() {
            self.decide(&ask, waiting).await;
        }
        for ask in http.questions(&self.directory).await.unwrap_or_default() {
            self.refuse_question(&ask.id, ask.text(), waiting).await;
        }
    }

    /// The session's own rules ask nothing, but they do not hold for its sub-agents: for those the
    /// user's rules ask, and the session's are the answer. (1.18.33)
    async fn decide(&mut self, ask: &Permission, waiting: &mut VecDeque<AgentEvent>) {
        let http = self.server.http();
        let rules = self.runner.rules_for(http, self.role, &self.directory).await;
        let verdict = rules::verdict(&rules.unwrap_or_default(), &ask.class, &ask.patterns);
        let sent = http.answer_permission(&self.directory, &ask.id, verdict).await;
        if verdict == rules::Verdict::Deny {
            self.refused(&ask.id, ask.text(), sent.is_ok(), waiting);
        }
    }

    async fn refuse_question(
        &mut self,
        id: &str,
        text: String,
        waiting: &mut VecDeque<AgentEvent>,
    ) {
        let sent = self.server.http().reject_question(&self.directory, id).await;
        self.refused(id, text, sent.is_ok(), waiting);
    }

    fn refused(
        &mut self,
        id: &str,
        text: String,
        refused: bool,
        waiting: &mut VecDeque<AgentEvent>,
    ) {
        if self.answered.insert(id.to_owned()) {
            self.refused.get_or_insert_with(|| text.clone());
            waiting.push_back(AgentEvent::Asked { question: id.to_owned(), text, refused });
        }
    }

    /// The event without the server's password, which every tool can read in its environment.
    pub(super) fn masked(
        &self,
        event: Result<AgentEvent, AgentError>,
    ) -> Result<AgentEvent, AgentError> {
        let mask = |text: String| self.server.http().password().mask(text);
        event.map(|event| match event {
            AgentEvent::Message { text } => AgentEvent::Message { text: mask(text) },
            AgentEvent::Thought { text } => AgentEvent::Thought { text: mask(text) },
            AgentEvent::ToolStarted { call, tool, title } => {
                AgentEvent::ToolStarted { call, tool, title: mask(title) }
            }
            AgentEvent::ToolEnded { call, tool, ok, summary } => {
                AgentEvent::ToolEnded { call, tool, ok, summary: mask(summary) }
            }
            AgentEvent::Asked { question, text, refused } => {
                AgentEvent::Asked { question, text: mask(text), refused }
            }
            AgentEvent::Waiting { reason } => AgentEvent::Waiting { reason: mask(reason) },
            other => other,
        })
    }
}

/// What follows from a letter.
enum Step {
    On,
    /// The turn may be over.
    Look,
    End(End),
}

/// A retry no sooner than this moment, in milliseconds since 1970.
fn until(next: u64) -> Retry {
    match next.saturating_sub(failure::now()) {
        0 => Retry::Later,
        millis => Retry::After { millis },
    }
}
