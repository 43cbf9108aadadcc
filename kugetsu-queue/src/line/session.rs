//! The session of an attempt: found, or forked from the base by way of the repository's copy.

use std::collections::BTreeSet;
use std::sync::Arc;

use kugetsu_core::{
    AgentError, AgentId, AgentRunner, AgentSession, AgentSessionId, AgentSessions, Conversation,
    Expected, IssueRef, NewAgentSession, RepoRef, Retry, Role, Session, SessionError, SessionId,
    SessionKind, SessionQuery, SessionState, Worktree,
};

use super::{At, Halt, Line, Stage, rules};
use crate::logs::LogFile;

/// How much of a lost session's log its successor is told, in bytes.
const TAIL: u64 = 4096;

/// How much of its conversation instead, if that is known.
const TALK: usize = 8192;

/// How many logs are looked at for that of a lost session.
const LOGS: usize = 20;

/// The base session and the PM's, as `init` makes them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Base {
    /// The one from which all others descend.
    pub base: Session,
    /// The PM's.
    pub pm: Session,
}

/// A session in which a run may begin.
#[derive(Debug)]
pub(super) struct Ready {
    /// Whose session it is.
    pub(super) agent: Arc<dyn AgentRunner>,
    pub(super) record: Session,
    pub(super) conversation: Conversation,
    pub(super) how: String,
    /// The session that the issue had before and that the agent does not know any more.
    pub(super) lost: Option<AgentSessionId>,
    /// Whether this one knows nothing of the issue yet.
    pub(super) anew: bool,
}

impl Ready {
    /// Records what the session is doing.
    pub(super) async fn set_state(&mut self, line: &Line, state: SessionState) -> Result<(), Halt> {
        line.amend(&mut self.record, |record| record.state = state).await.at(Stage::Session)
    }

    /// Records the agent's id of the session, which it tells only when it runs.
    pub(super) async fn set_id(&mut self, line: &Line, id: AgentSessionId) -> Result<(), Halt> {
        if self.record.agent_session.as_ref() == Some(&id) {
            return Ok(());
        }
        line.amend(&mut self.record, |record| record.agent_session = Some(id.clone()))
            .await
            .at(Stage::Session)
    }

    /// Forgets an id that the agent does not know any more, so that the next attempt begins anew.
    /// Where the agent can be asked for its sessions, that attempt finds out by itself.
    pub(super) async fn lose(&mut self, line: &Line, why: &AgentError) -> Result<(), Halt> {
        if !matches!(why, AgentError::UnknownSession { .. }) || self.agent.sessions().is_some() {
            return Ok(());
        }
        line.amend(&mut self.record, |record| record.agent_session = None).await.at(Stage::Session)
    }
}

impl Line {
    /// The issue's session with this agent, in its worktree: the one that is there, or a fork of the
    /// base. Its id is recorded before anything is said in it. What another agent has said in an
    /// earlier session of the issue is told like that of a lost one.
    pub(super) async fn dev_session(
        &self,
        agent: Arc<dyn AgentRunner>,
        issue: &IssueRef,
        worktree: &Worktree,
    ) -> Result<Ready, Halt> {
        let kind = SessionKind::Dev(issue.clone());
        let base = self.base().await?;
        // Nobody but its own agent can copy the base.
        let base = if base.agent == *agent.id() { Some(base) } else { None };
        let mut record = match self.find(&kind).await.at(Stage::Session)? {
            Some(record) => record,
            None => self.record(kind, agent.id()),
        };
        let mut elsewhere = None;
        if record.agent != *agent.id() {
            elsewhere = record.agent_session.take();
            record.agent = agent.id().clone();
            record.forked_from = None;
        }
        let Some(sessions) = agent.sessions() else {
            let base = base.and_then(|base| base.agent_session);
            return self.without_sessions(agent, record, elsewhere, base, worktree).await;
        };
        let new = NewAgentSession::new(&worktree.path, issue.to_string());
        let known = match &record.agent_session {
            Some(id) => sessions.describe(id).await.at(Stage::Session)?,
            None => None,
        };
        let anew = known.is_none();
        let lost = if anew { record.agent_session.clone().or(elsewhere) } else { None };
        let (session, how) = match known {
            Some(known) if known.directory == worktree.path => (known, "resumed".to_owned()),
            // It worked somewhere else; its copy that works here knows all that it knows.
            Some(known) => forked(sessions, &known.id, &new).await?,
            None => match &base {
                Some(base) => {
                    let from = self.repo_session(sessions, base, worktree).await?;
                    forked(sessions, &from, &new).await?
                }
                None => made(sessions, &new.with_briefing(rules::BASE_BRIEFING)).await?,
            },
        };
        if how != "resumed" {
            record.forked_from = base.and_then(|base| base.agent_session);
            record.how.clone_from(&how);
        }
        record.agent_session = Some(session.id.clone());
        record.directory = Some(worktree.path.clone());
        self.put(&mut record).await.at(Stage::Session)?;
        let conversation = Conversation::Resume(session.id);
        Ok(Ready { agent: Arc::clone(&agent), record, conversation, how, lost, anew })
    }

    /// What the agent is told of the session that the issue had before, if it was lost: the end of
    /// the issue's conversation, or of its newest log if none was kept.
    pub(super) fn lost_words(&self, issue: &IssueRef, session: &Ready) -> Option<String> {
        if !session.anew {
            return None;
        }
        // Even if the record of the session is lost, too: `destroy` forgets the conversation.
        if let Some(said) = self.context.as_ref().and_then(|context| context.earlier(TALK)) {
            return Some(rules::lost("conversation", &said, self.chance.bytes()));
        }
        let lost = session.lost.as_ref()?;
        let mut logs = self.logs.as_ref()?.list(Some(&issue.stem())).ok()?;
        logs.retain(|log| self.log.as_ref().is_none_or(|ours| ours.path() != log.path()));
        let of_lost = |log: &&LogFile| {
            log.summary().is_ok_and(|log| log.session.as_deref() == Some(lost.as_str()))
        };
        let log = logs.iter().take(LOGS).find(of_lost).or(logs.first())?;
        let tail = log.tail(TAIL).ok()?;
        // What is a secret now may not have been one when the log was written.
        Some(rules::lost("log", &self.mask.text(&tail), self.chance.bytes()))
    }

    /// The repositories in which agents have worked, but for the issue's own.
    pub(super) async fn repositories(&self, but: Option<&IssueRef>) -> Vec<RepoRef> {
        // Good to know, and no more: without it the agent works all the same.
        let sessions = self.sessions.find(&SessionQuery::all()).await.unwrap_or_default();
        let of = |session: Session| match session.kind {
            SessionKind::Repo(repository) => Some(repository),
            SessionKind::Dev(issue) => Some(issue.repository().clone()),
            _ => None,
        };
        let all: BTreeSet<RepoRef> = sessions.into_iter().filter_map(of).collect();
        all.into_iter().filter(|one| but.is_none_or(|but| but.repository() != one)).collect()
    }

    /// The PM's session. It is made by `init`, so a missing one is an error.
    pub(super) async fn pm_session(&self) -> Result<Ready, Halt> {
        let record = self.find(&SessionKind::Pm).await.at(Stage::Session)?;
        let Some((record, id)) = record.and_then(|r| r.agent_session.clone().map(|id| (r, id)))
        else {
            return Err(Halt::failed(
                Stage::Session,
                "PM agent session not found. Run 'kugetsu init' first.",
                Retry::Never,
            ));
        };
        let conversation = Conversation::Resume(id);
        let (agent, how) = (Arc::clone(&self.pm_agent), "resumed".into());
        Ok(Ready { agent, record, conversation, how, lost: None, anew: false })
    }

    /// Makes the base session and the PM's. Those that are there are kept.
    pub(crate) async fn init(&self) -> Result<Base, Halt> {
        let base =
            self.make(SessionKind::Base, Role::Dev, "kugetsu base", rules::BASE_BRIEFING).await?;
        let pm = self.make(SessionKind::Pm, Role::Pm, "kugetsu PM", rules::PM_BRIEFING).await?;
        Ok(Base { base, pm })
    }

    async fn make(
        &self,
        kind: SessionKind,
        role: Role,
        title: &str,
        briefing: &str,
    ) -> Result<Session, Halt> {
        let agent = if role == Role::Pm { &self.pm_agent } else { &self.agents.default };
        let mut record = match self.find(&kind).await.at(Stage::Session)? {
            Some(found) => found,
            None => self.record(kind, agent.id()),
        };
        if record.agent != *agent.id() {
            record.agent = agent.id().clone();
            record.agent_session = None;
        }
        if let Some(sessions) = agent.sessions() {
            let known = match &record.agent_session {
                Some(id) => sessions.describe(id).await.at(Stage::Session)?,
                None => None,
            };
            if known.is_none() {
                let new =
                    NewAgentSession::new(&self.home, title).with_role(role).with_briefing(briefing);
                let made = sessions.create(&new).await.at(Stage::Session)?;
                record.agent_session = Some(made.id);
                record.how = made.how;
            }
        }
        record.directory = Some(self.home.clone());
        self.put(&mut record).await.at(Stage::Session)?;
        Ok(record)
    }

    /// The base. It and the PM's session have to be there before anything starts.
    async fn base(&self) -> Result<Session, Halt> {
        self.required(SessionKind::Pm, "PM").await?;
        self.required(SessionKind::Base, "base").await
    }

    async fn required(&self, kind: SessionKind, name: &str) -> Result<Session, Halt> {
        self.find(&kind).await.at(Stage::Session)?.ok_or_else(|| {
            let reason = format!("the {name} session is missing; run `kugetsu init`");
            Halt::failed(Stage::Session, reason, Retry::Never)
        })
    }

    /// The repository's copy of the base, made anew when the base is another one. It is made in the
    /// first worktree that needs it and serves the others too: for an agent it is of the
    /// repository, not of the directory.
    async fn repo_session(
        &self,
        sessions: &dyn AgentSessions,
        base: &Session,
        worktree: &Worktree,
    ) -> Result<AgentSessionId, Halt> {
        let kind = SessionKind::Repo(worktree.issue.repository().clone());
        let Some(origin) = base.agent_session.clone() else {
            return Err(Halt::failed(
                Stage::Session,
                "the base session has no agent session; run `kugetsu init --force`",
                Retry::Never,
            ));
        };
        let mut record = self
            .find(&kind)
            .await
            .at(Stage::Session)?
            .unwrap_or_else(|| self.record(kind.clone(), &base.agent));
        if let (Some(id), Some(from)) = (&record.agent_session, &record.forked_from)
            && *from == origin
            && record.agent == base.agent
            && sessions.describe(id).await.at(Stage::Session)?.is_some()
        {
            return Ok(id.clone());
        }
        if sessions.describe(&origin).await.at(Stage::Session)?.is_none() {
            return Err(Halt::failed(
                Stage::Session,
                "the agent has lost the base session; run `kugetsu init --force`",
                Retry::Never,
            ));
        }
        let title = format!("kugetsu base of {}", worktree.issue.repository());
        let made = sessions
            .fork(&origin, &NewAgentSession::new(&worktree.path, title))
            .await
            .at(Stage::Session)?;
        let outdated = record.agent_session.replace(made.id.clone());
        record.agent = base.agent.clone();
        record.forked_from = Some(origin);
        record.how = made.how;
        record.directory = Some(worktree.path.clone());
        match self.put(&mut record).await {
            Ok(()) => {
                if let Some(outdated) = outdated {
                    let _ = sessions.delete(&outdated).await;
                }
                Ok(made.id)
            }
            // Another start of the same repository was faster: its copy serves us both.
            Err(SessionError::Conflict { .. }) => {
                let _ = sessions.delete(&made.id).await;
                let theirs = self.find(&kind).await.at(Stage::Session)?;
                theirs.and_then(|session| session.agent_session).ok_or_else(|| {
                    Halt::failed(
                        Stage::Session,
                        format!("the session of {kind} changes all the time"),
                        Retry::Later,
                    )
                })
            }
            Err(other) => Err(other).at(Stage::Session),
        }
    }

    /// For agents that make their sessions only when they run: they tell its id then.
    async fn without_sessions(
        &self,
        agent: Arc<dyn AgentRunner>,
        mut record: Session,
        elsewhere: Option<AgentSessionId>,
        base: Option<AgentSessionId>,
        worktree: &Worktree,
    ) -> Result<Ready, Halt> {
        let can = agent.capabilities();
        let (conversation, how) = match (&record.agent_session, base) {
            (Some(id), _) if can.resume => (Conversation::Resume(id.clone()), "resumed"),
            (_, Some(from)) if can.fork => (Conversation::Fork(from), "forked"),
            _ => (Conversation::Fresh, "fresh"),
        };
        let mut lost = None;
        if how != "resumed" {
            lost = record.agent_session.take().or(elsewhere);
            how.clone_into(&mut record.how);
        }
        record.directory = Some(worktree.path.clone());
        self.put(&mut record).await.at(Stage::Session)?;
        let anew = how != "resumed";
        Ok(Ready { agent, record, conversation, how: how.to_owned(), lost, anew })
    }

    fn record(&self, kind: SessionKind, agent: &AgentId) -> Session {
        let now = self.clock.now();
        Session::new(SessionId::new(now, &*self.chance), kind, agent.clone(), now)
    }

    pub(super) async fn find(&self, kind: &SessionKind) -> Result<Option<Session>, SessionError> {
        Ok(self.sessions.find(&SessionQuery::of(kind.clone())).await?.pop())
    }

    /// Changes what is stored, also if somebody else has changed another part of it meanwhile.
    async fn amend(
        &self,
        record: &mut Session,
        change: impl Fn(&mut Session) + Send,
    ) -> Result<(), SessionError> {
        loop {
            change(record);
            match self.put(record).await {
                Err(SessionError::Conflict { kind }) => match self.find(&kind).await? {
                    Some(theirs) => *record = theirs,
                    None => return Err(SessionError::Conflict { kind }),
                },
                other => return other,
            }
        }
    }

    async fn put(&self, record: &mut Session) -> Result<(), SessionError> {
        record.updated = self.clock.now();
        let expected = match record.revision.0 {
            0 => Expected::Absent,
            _ => Expected::At(record.revision),
        };
        record.revision = self.sessions.put(record, expected).await?;
        Ok(())
    }
}

async fn forked(
    sessions: &dyn AgentSessions,
    from: &AgentSessionId,
    new: &NewAgentSession,
) -> Result<(AgentSession, String), Halt> {
    let made = sessions.fork(from, new).await.at(Stage::Session)?;
    // The runner has verified it; the line does not start an agent in a wrong directory all the
    // same, whichever runner it is.
    if made.directory != new.directory {
        let wrong = AgentError::WrongDirectory {
            wanted: new.directory.clone(),
            found: Some(made.directory.clone()),
        };
        let _ = sessions.delete(&made.id).await;
        return Err(wrong).at(Stage::Session);
    }
    let how = made.how.clone();
    Ok((made, how))
}

/// A session of an agent that has no base to copy.
async fn made(
    sessions: &dyn AgentSessions,
    new: &NewAgentSession,
) -> Result<(AgentSession, String), Halt> {
    let made = sessions.create(new).await.at(Stage::Session)?;
    let how = made.how.clone();
    Ok((made, how))
}
