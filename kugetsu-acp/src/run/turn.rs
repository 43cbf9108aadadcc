//! Following a turn to its end.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::pin::{Pin, pin};

use kugetsu_core::agent::{AgentError, AgentEvent, AgentSession, Finish};
use kugetsu_core::slot::Slot;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::control::{Brake, Stopped, Stopping};
use crate::config::Limits;
use crate::failure;
use crate::process::Process;
use crate::records::{Record, Records};
use crate::talk::{End, Fault, Translator};

pub(super) struct Turn {
    pub(super) process: Process,
    pub(super) session: AgentSession,
    pub(super) translator: Translator,
    pub(super) record: Record,
    pub(super) records: Records,
    pub(super) lock: File,
    pub(super) slots: Vec<Slot>,
    pub(super) tell: mpsc::Sender<Result<AgentEvent, AgentError>>,
    pub(super) limits: Limits,
}

/// What a turn comes to.
enum Outcome {
    /// It was stopped from outside, in this way.
    Stopped(Stopping),
    Ended(Result<End, Fault>),
}

type Answer<'a> = Pin<&'a mut (dyn Future<Output = Result<End, Fault>> + Send)>;

impl Turn {
    pub(super) async fn run(
        mut self,
        answer: impl Future<Output = Result<End, Fault>> + Send,
        mut brake: Brake,
    ) {
        let answer = pin!(answer);
        let outcome = self.follow(answer, &mut brake).await;
        let Self { process, translator, mut record, records, lock, slots, tell, .. } = self;
        let (ended, died) = if let Outcome::Stopped(Stopping::Now) = outcome {
            (process.kill().await.map(|_| ()), None)
        } else {
            let (ended, died) = process.end().await;
            (ended, Some(died))
        };
        record.used = translator.used();
        // Without it the next turn tells more use than there was, which is no reason to fail this one.
        let _ = records.put(&record);
        // Only now is nothing of this run alive.
        drop((slots, lock));
        brake.tell(stopped(&ended));
        let last = match outcome {
            Outcome::Stopped(_) => Ok(Finish::Stopped),
            Outcome::Ended(Ok(end)) => {
                let refused = translator.refused();
                Ok(match failure::of_end(end, translator.said_anything(), refused) {
                    None => Finish::Done,
                    Some(failure) => Finish::Failed { failure },
                })
            }
            Outcome::Ended(Err(Fault::Refused(complaint))) => {
                Ok(Finish::Failed { failure: complaint.failure() })
            }
            Outcome::Ended(Err(Fault::Gone | Fault::Late)) => match died {
                Some(died) => Err(died),
                None => Ok(Finish::Stopped),
            },
        };
        let _ = tell.send(last.map(AgentEvent::Finished)).await;
    }

    /// Tells what happens until the turn has ended or is stopped.
    async fn follow(&mut self, mut answer: Answer<'_>, brake: &mut Brake) -> Outcome {
        let started = AgentEvent::SessionStarted { session: self.session.id.clone() };
        // The channel is empty; even a run that is stopped at once tells its session.
        let _ = self.tell.try_send(Ok(started));
        let mut waiting = VecDeque::new();
        let mut look = interval(self.limits.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_open = true;
        let mut ended = None;
        loop {
            if waiting.is_empty()
                && let Some(ended) = ended.take()
            {
                return Outcome::Ended(ended);
            }
            tokio::select! {
                biased;
                how = brake.pressed(Stopping::Politely) => {
                    if ended.is_none() {
                        return Outcome::Stopped(self.stop(how, answer, brake).await);
                    }
                    return Outcome::Stopped(how);
                }
                permit = self.tell.clone().reserve_owned(), if !waiting.is_empty() => {
                    let Ok(permit) = permit else { return Outcome::Stopped(Stopping::Now) };
                    if let Some(event) = waiting.pop_front() {
                        permit.send(Ok(event));
                    }
                }
                // What was told before the answer arrived before the answer.
                letter = self.process.talk.next(), if is_open && ended.is_none() && waiting.is_empty() => {
                    match letter {
                        Some(letter) => waiting.extend(self.translator.read(letter)),
                        None => is_open = false,
                    }
                }
                answered = &mut answer, if ended.is_none() && waiting.is_empty() => {
                    while let Some(letter) = self.process.talk.next_now() {
                        waiting.extend(self.translator.read(letter));
                    }
                    waiting.extend(self.translator.flush());
                    ended = Some(answered);
                }
                _ = look.tick() => waiting.extend(self.translator.flush()),
            }
        }
    }

    /// Asks the agent to end its turn and waits for its word, unless it is to stop at once. Returns
    /// how it is to be ended.
    async fn stop(&mut self, how: Stopping, mut answer: Answer<'_>, brake: &mut Brake) -> Stopping {
        if how == Stopping::Now {
            return how;
        }
        self.process.talk.cancel(self.session.id.as_str());
        let late = tokio::time::sleep(self.limits.stop);
        tokio::pin!(late);
        let mut is_open = true;
        loop {
            tokio::select! {
                biased;
                how = brake.pressed(Stopping::Now) => return how,
                () = &mut late => return Stopping::Now,
                _ = &mut answer => return Stopping::Politely,
                // Nobody may wait for room for what nobody will read.
                letter = self.process.talk.next(), if is_open => match letter {
                    Some(letter) => drop(self.translator.read(letter)),
                    None => is_open = false,
                },
            }
        }
    }
}

fn stopped(ended: &io::Result<()>) -> Stopped {
    match ended {
        Ok(()) => Stopped::Proven,
        Err(error) => Stopped::Unproven(error.to_string()),
    }
}
