//! Issues: their worktrees, with all that is in them, and their conversations.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kugetsu_core::{
    AgentSessionId, Clock as _, Expected, IssueRef, NewAgentSession, Session, SessionError,
    SessionId, SessionKind, SessionQuery, Worktree, WorktreeSpec,
};
use kugetsu_git::GitWorktrees;
use kugetsu_opencode::{OpencodeRunner, OtherDatabase};
use kugetsu_queue::SystemChance;

use super::Import;
use super::old::OldIssue;
use super::report::{Fate, Report};
use crate::errors::CliError;
use crate::setup::clock;

/// The conversations that the user's own opencode has.
struct Conversations {
    opencode: OpencodeRunner,
    path: PathBuf,
    database: Copy,
}

/// The copy of their database.
enum Copy {
    /// Nobody has wanted one of them yet.
    Unmade,
    /// There is none to be copied.
    Nothing,
    Made(OtherDatabase),
}

impl Import<'_> {
    pub(super) async fn issues(&self, report: &mut Report) -> Result<(), CliError> {
        let issues = self.reading().issues(report);
        if issues.is_empty() {
            return Ok(());
        }
        let known = self.known().await?;
        let mut conversations = None;
        for (issue, old) in &issues {
            let name = issue.to_string();
            if known.contains(issue) {
                report.add(Fate::Present, "issue", name, "");
                continue;
            }
            if old.is_over() {
                let note = "neither a worktree nor a conversation of it is left";
                report.add(Fate::Skipped, "issue", name, note);
                continue;
            }
            if self.dry_run {
                report.add(Fate::Imported, "issue", name, would(old));
                continue;
            }
            if conversations.is_none() {
                conversations = Some(self.conversations()?);
            }
            let talks = conversations.as_mut().and_then(Option::as_mut);
            match self.issue(issue, old, talks).await {
                Ok((fate, note)) => report.add(fate, "issue", name, note),
                Err(error) => report.add(Fate::Failed, "issue", name, error.message()),
            }
        }
        Ok(())
    }

    /// The issues that have a session here. Before `init` there are none.
    async fn known(&self) -> Result<BTreeSet<IssueRef>, CliError> {
        let paths = self.setup.paths()?;
        if self.dry_run && !paths.database().exists() && !paths.journal().exists() {
            return Ok(BTreeSet::new());
        }
        let sessions = &self.setup.stores().await?.sessions;
        let all = sessions.find(&SessionQuery::all()).await?;
        let of = |session: Session| match session.kind {
            SessionKind::Dev(issue) => Some(issue),
            _ => None,
        };
        Ok(all.into_iter().filter_map(of).collect())
    }

    async fn issue(
        &self,
        issue: &IssueRef,
        old: &OldIssue,
        conversations: Option<&mut Conversations>,
    ) -> Result<(Fate, String), CliError> {
        let mut notes = Vec::new();
        let worktree = self.worktree(issue, old, &mut notes).await?;
        let wanted = old.session.as_deref().and_then(|id| AgentSessionId::new(id).ok());
        let made = match (wanted, conversations) {
            (Some(id), Some(conversations)) => {
                let new = NewAgentSession::new(&worktree.path, issue.to_string());
                let made = conversations.take_over(&id, &new).await?;
                if made.is_none() {
                    notes.push(format!("opencode does not know its conversation {id} any more"));
                }
                made
            }
            (Some(_), None) => {
                notes.push("the agent that is set cannot take its conversation over".into());
                None
            }
            (None, _) => {
                notes.push("no conversation of it is known".into());
                None
            }
        };
        let now = clock()?.now();
        let agent = self.setup.agent()?.id().clone();
        let id = SessionId::new(now, &SystemChance);
        let mut session = Session::new(id, SessionKind::Dev(issue.clone()), agent, now);
        if let Some((id, how)) = made {
            session.agent_session = Some(id);
            session.how = how;
        }
        session.directory = Some(worktree.path);
        session.pr.clone_from(&old.pr);
        if let Some(created) = old.created {
            session.created = kugetsu_core::Timestamp::from_millis(created);
        }
        match self.setup.stores().await?.sessions.put(&session, Expected::Absent).await {
            Ok(_) => Ok((Fate::Imported, notes.join("; "))),
            // Somebody else has begun with it meanwhile.
            Err(SessionError::Conflict { .. }) => Ok((Fate::Present, String::new())),
            Err(error) => Err(error.into()),
        }
    }

    async fn worktree(
        &self,
        issue: &IssueRef,
        old: &OldIssue,
        notes: &mut Vec<String>,
    ) -> Result<Worktree, CliError> {
        let Some(name) = &old.worktree else {
            let base = self.setup.settings()?.get("base_branch").map(str::to_owned);
            let spec = WorktreeSpec::new(issue.clone()).with_base(base);
            notes.push("its worktree is gone, another one was made".into());
            return Ok(self.setup.worktrees()?.prepare(&spec).await?);
        };
        let from = self.old.root().join("worktrees").join(name);
        let git = self.git_of(issue, &from, notes)?;
        let taken = git.take_over(issue, &from).await?;
        if let Some(name) = &taken.kept {
            notes.push(format!("its branch is another one here; its commits are kept as {name}"));
        }
        match &taken.uncommitted {
            Some(_) if taken.is_laid_out => notes.push("with its uncommitted work".into()),
            Some(name) => notes.push(format!("its uncommitted work is kept as {name}")),
            None => {}
        }
        Ok(taken.worktree)
    }

    /// Our worktrees, told where the checkout's repository is if nobody else says it.
    fn git_of(
        &self,
        issue: &IssueRef,
        from: &Path,
        notes: &mut Vec<String>,
    ) -> Result<GitWorktrees, CliError> {
        let repository = issue.repository();
        let known = crate::repositories::known(&self.setup.paths()?.sources());
        let usual = format!("https://{repository}");
        if !known.contains_key(&repository.to_string())
            && let Some(source) = kugetsu_git::remote_of(from)
            && source.as_str().trim_end_matches(".git") != usual
        {
            crate::repositories::remember(self.setup, repository, source.as_str())?;
            notes.push(format!("its repository is {source}"));
        }
        self.setup
            .git_worktrees()?
            .ok_or_else(|| CliError::failed("worktrees that are not git's cannot take others over"))
    }

    /// Where the user's own opencode keeps its conversations, if the agent is one of opencode's.
    fn conversations(&self) -> Result<Option<Conversations>, CliError> {
        let Some(opencode) = self.setup.dev_opencode()? else { return Ok(None) };
        let around = self.setup.around();
        let set = |name| around.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").or(set("HOME").map(|home| home.join(".local/share")));
        let Some(data) = data.filter(|data| data.is_absolute()) else { return Ok(None) };
        let usual = data.join("opencode/opencode.db");
        let path = set("OPENCODE_DB").filter(|path| path.is_absolute()).unwrap_or(usual);
        Ok(Some(Conversations { opencode, path, database: Copy::Unmade }))
    }
}

impl Conversations {
    async fn take_over(
        &mut self,
        id: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<Option<(AgentSessionId, String)>, CliError> {
        if let Copy::Unmade = self.database {
            let copied = self.opencode.other_database(&self.path).await?;
            self.database = copied.map_or(Copy::Nothing, Copy::Made);
        }
        let Copy::Made(database) = &self.database else { return Ok(None) };
        let made = database.take_over(id, new).await?;
        Ok(made.map(|session| (session.id, session.how)))
    }
}

fn would(old: &OldIssue) -> String {
    let worktree = match &old.worktree {
        Some(name) => format!("from worktrees/{name}"),
        None => "its worktree is gone, another one is made".into(),
    };
    match &old.session {
        Some(id) => format!("{worktree}, conversation {id}"),
        None => format!("{worktree}, no conversation of it is known"),
    }
}
