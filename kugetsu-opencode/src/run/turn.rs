//! A turn through the server, from the message to the proof that it is over.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentEvent, AgentSession, Finish, Role, RunRequest};
use kugetsu_guard::proc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Brake;
use super::control::Stopped;
use crate::limit::Patience;
use crate::runner::OpencodeRunner;
use crate::server::{HttpError, Lease, Model, PostBox, Prompt, TextPart};
use crate::sessions::{self, during};
use crate::wire::{ToldError, Translator};
use crate::{fault, ids};

/// A turn that has not begun by then will not.
const NOT_BEGUN: Duration = Duration::from_secs(2);

/// One turn, as long as it lasts.
pub(crate) struct Turn {
    pub(super) server: Lease,
    pub(super) inbox: PostBox,
    pub(super) session: AgentSession,
    pub(super) directory: PathBuf,
    pub(super) runner: OpencodeRunner,
    pub(super) role: Role,
    pub(super) translator: Translator,
    pub(super) tell: mpsc::Sender<Result<AgentEvent, AgentError>>,
    pub(super) last_error: Option<ToldError>,
    pub(super) patience: Patience,
    pub(super) refused: Option<String>,
    pub(super) answered: HashSet<String>,
    message: String,
}

/// How the turn came to its end.
pub(super) enum End {
    /// By itself, or by its own fault.
    Finished(Finish),
    /// It is to be stopped.
    Stop,
    /// The turn goes nowhere and has to be stopped, for this reason.
    GiveUp(Finish),
    /// The server is gone.
    Dead(String),
}

impl Turn {
    pub(super) fn new(
        runner: &OpencodeRunner,
        server: Lease,
        inbox: PostBox,
        session: AgentSession,
        directory: PathBuf,
        role: Role,
        tell: mpsc::Sender<Result<AgentEvent, AgentError>>,
    ) -> Result<Self, AgentError> {
        let message = ids::message().map_err(|error| fault::io("make an id", error))?;
        let translator = Translator::new(session.id.as_str(), Some(message.clone()));
        server.occupied().enter(&directory);
        Ok(Self {
            server,
            inbox,
            session,
            directory,
            runner: runner.clone(),
            role,
            translator,
            tell,
            last_error: None,
            patience: Patience::default(),
            refused: None,
            answered: HashSet::new(),
            message,
        })
    }

    /// The whole turn. `accept` is told as soon as opencode has the message, or cannot get it.
    pub(super) async fn run(
        mut self,
        request: RunRequest,
        accept: oneshot::Sender<Result<(), AgentError>>,
        mut brake: Brake,
    ) {
        let RunRequest { message, slots, .. } = request;
        let sent = self.send(&message).await;
        drop(message);
        if let Err(error) = sent {
            // Whether it arrived is not known for sure.
            let stopped = self.stop().await;
            self.leave().await;
            brake.tell(stopped);
            let _ = accept.send(Err(error));
            return;
        }
        let _ = accept.send(Ok(()));

        let end = self.follow(&mut brake).await;
        let (stopped, last) = self.end(end).await;
        // Only now is nothing of this run alive.
        drop(slots);
        let proven = matches!(stopped, Stopped::Proven);
        brake.tell(stopped);
        let held_back = if proven { self.translator.flush() } else { Vec::new() };
        for event in held_back.into_iter().map(Ok).chain([last]) {
            if self.tell.send(self.masked(event)).await.is_err() {
                break;
            }
        }
    }

    /// Proves that the turn is over, cleans up after it, and finds its last word.
    async fn end(&mut self, end: End) -> (Stopped, Result<AgentEvent, AgentError>) {
        let finished = |finish| Ok(AgentEvent::Finished(finish));
        let (stopped, last) = match end {
            End::Finished(finish) => (Stopped::Proven, finished(finish)),
            End::Stop => (self.stop().await, finished(Finish::Stopped)),
            End::GiveUp(finish) => (self.stop().await, finished(finish)),
            End::Dead(detail) => {
                let error = AgentError::Died { who: fault::WHO.into(), detail };
                (Stopped::Proven, Err(error))
            }
        };
        self.leave().await;
        (stopped, last)
    }

    /// Sends the message; a message that may or may not have arrived is asked for by its id.
    async fn send(&self, text: &str) -> Result<(), AgentError> {
        let http = self.server.http();
        let id = self.session.id.as_str();
        let busy = http.status(&self.directory).await.map_err(during("ask what a session does"))?;
        if busy.contains_key(id) {
            return Err(super::busy(id));
        }
        let model = self.runner.config().model.as_deref().and_then(Model::of);
        let parts = [TextPart::new(text)];
        let prompt = Prompt { message: &self.message, model, no_reply: false, parts };
        match http.prompt(id, &prompt).await {
            Err(error @ HttpError::Unanswered(_)) => {
                if http.has_message(id, &self.message).await.unwrap_or(false) {
                    return Ok(());
                }
                Err(error.during("send the message"))
            }
            sent => sent.map_err(during("send the message")),
        }
    }

    /// Aborts the turn, by its server's word if that can be had, else by the server's end.
    async fn stop(&self) -> Stopped {
        if self.server.death().is_some() {
            return Stopped::Proven;
        }
        let limit = self.runner.config().limits.stop;
        if matches!(tokio::time::timeout(limit * 2, self.abort()).await, Ok(Ok(()))) {
            return Stopped::Proven;
        }
        // A server that cannot stop one turn is of no use to the others.
        self.server.end(limit + self.runner.config().limits.grace).await;
        match self.server.death() {
            Some(_) => Stopped::Proven,
            None => Stopped::Unproven("neither its turn nor its server could be stopped".into()),
        }
    }

    /// Aborts until the session is idle and stays so: opencode says yes to a message before the
    /// turn begins, and an abort in between aborts nothing. (1.18.33)
    async fn abort(&self) -> Result<(), AgentError> {
        let http = self.server.http();
        let id = self.session.id.as_str();
        let until = Instant::now() + NOT_BEGUN;
        loop {
            sessions::abort(http, id, &self.directory, self.runner.config().limits.stop).await?;
            if self.has_begun().await? || Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether there is any answer to our message yet.
    async fn has_begun(&self) -> Result<bool, AgentError> {
        if self.translator.last_answer().is_some() {
            return Ok(true);
        }
        let last = self.server.http().messages(self.session.id.as_str(), Some(2)).await;
        let last = last.map_err(during("read a session"))?;
        Ok(last.iter().any(|told| told.info.parent.as_ref() == Some(&self.message)))
    }

    /// Ends whatever the turn has left running in its directory.
    async fn leave(&self) {
        if self.server.occupied().leave(&self.directory) && self.server.death().is_none() {
            // Watchers and language servers of the directory go by opencode's own hand.
            let _ = self.server.http().dispose(&self.directory).await;
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        let (server, directory) = (self.server.clone(), self.directory.clone());
        let grace = self.runner.config().limits.grace;
        let find = move || -> Vec<_> {
            server.tools().into_iter().filter(|tool| tool.works_in(&directory)).collect()
        };
        let sweep = move || proc::end_all(find, grace, grace + Duration::from_secs(5));
        let _ = tokio::task::spawn_blocking(sweep).await;
    }
}
