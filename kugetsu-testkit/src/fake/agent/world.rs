use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kugetsu_core::{
    AgentError, AgentSession, AgentSessionId, Conversation, Failure, Finish, NewAgentSession, Role,
    RunRequest,
};
use tokio::sync::watch;

use crate::model::{self, Message, Voice};

/// One run of a [`FakeAgent`](super::FakeAgent).
///
/// Made by the agent, for whoever looks at what it was asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FakeRun {
    /// Where it works.
    pub directory: PathBuf,
    /// What it was told.
    pub message: String,
    /// Which conversation it was asked to go on with.
    pub conversation: Conversation,
    /// Which session it is a turn of.
    pub session: AgentSessionId,
    /// What a new conversation was to be called.
    pub title: String,
    /// What the agent may do.
    pub role: Role,
    /// How many slots it was given.
    pub slots: usize,
    /// How it ended; `None` while it is worked on.
    pub end: Option<Finish>,
}

/// What all clones of an agent share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) voice: Voice,
    sessions: Mutex<BTreeMap<AgentSessionId, Remembered>>,
    failures: Mutex<VecDeque<Failure>>,
    ledger: watch::Sender<Ledger>,
}

#[derive(Debug, Clone)]
struct Remembered {
    directory: PathBuf,
    how: &'static str,
    messages: Vec<Message>,
    busy: bool,
}

#[derive(Debug, Default)]
struct Ledger {
    runs: Vec<FakeRun>,
    at_work: usize,
    most_at_work: usize,
    sessions: u64,
    calls: u64,
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            voice: Voice::new(),
            sessions: Mutex::default(),
            failures: Mutex::default(),
            ledger: watch::Sender::default(),
        })
    }

    pub(super) fn fail_next(&self, failure: Failure) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back(failure);
    }

    pub(super) fn next_failure(&self) -> Option<Failure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn runs(&self) -> Vec<FakeRun> {
        self.ledger.borrow().runs.clone()
    }

    pub(super) fn at_work(&self) -> usize {
        self.ledger.borrow().at_work
    }

    pub(super) fn most_at_work(&self) -> usize {
        self.ledger.borrow().most_at_work
    }

    pub(super) async fn until(&self, wanted: impl Fn(&[FakeRun], usize) -> bool) {
        let mut ledger = self.ledger.subscribe();
        // The sender lives as long as this world, so that waiting cannot fail.
        let _ = ledger.wait_for(|ledger| wanted(&ledger.runs, ledger.at_work)).await;
    }

    /// A call's id, which no other call has.
    pub(super) fn call(&self) -> String {
        let mut number = 0;
        self.ledger.send_modify(|ledger| {
            ledger.calls += 1;
            number = ledger.calls;
        });
        format!("call_{number}")
    }

    pub(super) fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError> {
        let briefing = new.briefing.iter().map(|text| said(model::Role::User, text));
        self.remember(new, "create", briefing.collect())
    }

    pub(super) fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError> {
        let origin = self.sessions().get(from).cloned();
        let unknown = || AgentError::UnknownSession { session: from.clone() };
        self.remember(new, "fork", origin.ok_or_else(unknown)?.messages)
    }

    fn remember(
        &self,
        new: &NewAgentSession,
        how: &'static str,
        messages: Vec<Message>,
    ) -> Result<AgentSession, AgentError> {
        if !new.directory.is_dir() {
            let wanted = new.directory.clone();
            return Err(AgentError::WrongDirectory { wanted, found: None });
        }
        let mut number = 0;
        self.ledger.send_modify(|ledger| {
            ledger.sessions += 1;
            number = ledger.sessions;
        });
        let Ok(id) = AgentSessionId::new(format!("fake_{number}")) else {
            unreachable!("`fake_{number}` is a well-formed name")
        };
        let directory = new.directory.clone();
        let remembered = Remembered { directory: directory.clone(), how, messages, busy: false };
        self.sessions().insert(id.clone(), remembered);
        Ok(AgentSession::new(id, directory, how))
    }

    pub(super) fn describe(&self, id: &AgentSessionId) -> Option<AgentSession> {
        let sessions = self.sessions();
        let found = sessions.get(id)?;
        Some(AgentSession::new(id.clone(), &found.directory, found.how))
    }

    pub(super) fn delete(&self, id: &AgentSessionId) {
        self.sessions().remove(id);
    }

    pub(super) fn directory_of(&self, id: &AgentSessionId) -> Result<PathBuf, AgentError> {
        match self.sessions().get(id) {
            Some(found) => Ok(found.directory.clone()),
            None => Err(AgentError::UnknownSession { session: id.clone() }),
        }
    }

    pub(super) fn messages(&self, id: &AgentSessionId) -> Vec<Message> {
        self.sessions().get(id).map(|found| found.messages.clone()).unwrap_or_default()
    }

    pub(super) fn add(&self, id: &AgentSessionId, role: model::Role, text: &str) {
        if let Some(found) = self.sessions().get_mut(id) {
            found.messages.push(said(role, text));
        }
    }

    /// Begins a turn with the request's message; `None` if somebody works in the session.
    pub(super) fn begin(
        self: &Arc<Self>,
        session: &AgentSessionId,
        request: &RunRequest,
    ) -> Option<AtWork> {
        {
            let mut sessions = self.sessions();
            let found = sessions.get_mut(session)?;
            if std::mem::replace(&mut found.busy, true) {
                return None;
            }
            found.messages.push(said(model::Role::User, &request.message));
        }
        let mut number = 0;
        self.ledger.send_modify(|ledger| {
            number = ledger.runs.len();
            ledger.runs.push(FakeRun {
                directory: request.directory.clone(),
                message: request.message.clone(),
                conversation: request.conversation.clone(),
                session: session.clone(),
                title: request.title.clone(),
                role: request.role,
                slots: request.slots.len(),
                end: None,
            });
            ledger.at_work += 1;
            ledger.most_at_work = ledger.most_at_work.max(ledger.at_work);
        });
        Some(AtWork {
            world: Arc::clone(self),
            session: session.clone(),
            number,
            end: Finish::Stopped,
        })
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<AgentSessionId, Remembered>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(role: model::Role, text: &str) -> Message {
    Message { role, text: text.to_owned() }
}

/// A turn that is being worked on, until it is dropped.
#[derive(Debug)]
pub(super) struct AtWork {
    world: Arc<World>,
    session: AgentSessionId,
    number: usize,
    end: Finish,
}

impl AtWork {
    pub(super) fn end(mut self, end: Finish) {
        self.end = end;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(found) = self.world.sessions().get_mut(&self.session) {
            found.busy = false;
        }
        let end = self.end.clone();
        self.world.ledger.send_modify(|ledger| {
            ledger.at_work -= 1;
            ledger.runs[self.number].end = Some(end);
        });
    }
}
