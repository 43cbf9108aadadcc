//! Sessions: kugetsu's records, against worktrees and the agent's own.

use std::collections::BTreeSet;
use std::time::Duration;

use kugetsu_core::{AgentError, IssueRef, Session, SessionKind, SessionQuery};

use kugetsu_opencode::Wrong;

use super::super::bounded::within;
use super::super::finding::{
    AGENT_SESSION_GONE, BASE_MISSING, Cure, Finding, MOVED, NO_SESSION, NO_WORKTREE, PERMISSION,
    PERMISSIONS_CLOSED, PM_MISSING,
};
use super::super::permissions;
use super::directory::word;
use super::{Examination, Found};
use crate::errors::CliError;
use crate::setup::Setup;

/// How long the agent may take to say which sessions it has.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    if !of.has_store.get() {
        return Ok(Vec::new());
    }
    let setup = of.setup;
    let sessions = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let mut found = Vec::new();
    for (kind, check, name) in
        [(SessionKind::Base, BASE_MISSING, "base"), (SessionKind::Pm, PM_MISSING, "PM")]
    {
        if !sessions.iter().any(|session| session.kind == kind) {
            // One that is there and cannot be read is told as that.
            if setup.session(kind).await.is_ok() {
                let text = format!("the {name} session is missing");
                found.push(Finding::new(check, text, "kugetsu init").cured_by(Cure::MakeSessions));
            }
        }
    }
    found.extend(moved(setup, &sessions)?);
    found.extend(halves(setup, &sessions).await?);
    if permissions(setup, &sessions, &mut found).await != Whole::Yes {
        found.extend(agents(setup, &sessions).await);
    }
    Ok(found)
}

/// Whether the directory was somewhere else when the sessions were made.
fn moved(setup: &Setup, sessions: &[Session]) -> Result<Option<Finding>, CliError> {
    let root = setup.paths()?.root();
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let elsewhere: Vec<&Session> = sessions
        .iter()
        .filter(|session| {
            session
                .directory
                .as_ref()
                .is_some_and(|d| !d.starts_with(&real) && !d.starts_with(root))
        })
        .collect();
    let Some(first) = elsewhere.first() else { return Ok(None) };
    let place = first.directory.as_deref().map(word).unwrap_or_default();
    let text = format!(
        "{} of {} sessions work outside of {}, such as that of {} in {place}",
        elsewhere.len(),
        sessions.len(),
        word(root),
        first.kind,
    );
    let mend = "move the directory back, or set KUGETSU_DIR to where it was";
    Ok(Some(Finding::new(MOVED, text, mend)))
}

/// Sessions without a worktree, and worktrees without a session.
async fn halves(setup: &Setup, sessions: &[Session]) -> Found {
    // What keeps worktrees from being looked at is told by the check of it.
    let Ok(worktrees) = setup.worktrees() else { return Ok(Vec::new()) };
    let Ok(listed) = worktrees.list().await else { return Ok(Vec::new()) };
    let there: BTreeSet<IssueRef> = listed.into_iter().map(|worktree| worktree.issue).collect();
    let with_session: BTreeSet<&IssueRef> = sessions
        .iter()
        .filter_map(|session| match &session.kind {
            SessionKind::Dev(issue) => Some(issue),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for issue in &with_session {
        if !there.contains(issue) {
            let mend = format!("kugetsu continue {issue} makes it again, kugetsu prune forgets it");
            let text = format!("{issue} has a session and no worktree");
            let cure = Cure::MakeWorktree((*issue).clone());
            found.push(Finding::new(NO_WORKTREE, text, mend).cured_by(cure));
        }
    }
    for issue in there.iter().filter(|issue| !with_session.contains(issue)) {
        let text = format!("{issue} has a worktree and no session");
        let mend = format!("kugetsu start {issue} goes on in it, kugetsu prune removes it");
        found.push(Finding::new(NO_SESSION, text, mend));
    }
    Ok(found)
}

/// Whether the agent has all sessions that kugetsu knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// The rules of opencode's sessions. Asking for them tells how many of the sessions there are.
async fn permissions(setup: &Setup, sessions: &[Session], found: &mut Vec<Finding>) -> Whole {
    let Ok(Some(opencode)) = setup.opencode_agent() else { return Whole::No };
    let known: Vec<_> = sessions.iter().filter_map(permissions::known).collect();
    let told = match within(PATIENCE, opencode.examine_permissions(&known)).await {
        Ok(Ok(Some(told))) => told,
        Ok(Ok(None)) => return if known.is_empty() { Whole::Yes } else { Whole::No },
        Ok(Err(AgentError::Missing { .. })) => return Whole::Yes,
        Ok(Err(error)) => {
            let mend = "see whether `opencode db path` works";
            found.push(Finding::new(PERMISSIONS_CLOSED, error.to_string(), mend));
            return Whole::Yes;
        }
        Err(_) => {
            let text = "opencode does not say which sessions it has";
            found.push(Finding::new(
                PERMISSIONS_CLOSED,
                text,
                "see whether `opencode db path` works",
            ));
            return Whole::Yes;
        }
    };
    for wrong in &told.wrong {
        let of = sessions.iter().find(|s| s.agent_session.as_ref() == Some(&wrong.session));
        let kind = of.map(|session| session.kind.to_string()).unwrap_or_default();
        let what = match &wrong.why {
            Wrong::Missing => "has no permissions in opencode's database".to_owned(),
            Wrong::Unreadable => "has permissions that make no sense".to_owned(),
            Wrong::Asks(class) => format!("would ask for {class}"),
            Wrong::Allows(class) => format!("may {class}, which its role may not"),
            _ => "has wrong permissions".to_owned(),
        };
        let text = format!("the session {} ({kind}) {what}", wrong.session);
        let mend = "kugetsu doctor --fix-permissions";
        found.push(Finding::new(PERMISSION, text, mend).cured_by(Cure::Permissions));
    }
    if told.sessions == known.len() { Whole::Yes } else { Whole::No }
}

/// Sessions of which the agent knows nothing any more.
async fn agents(setup: &Setup, sessions: &[Session]) -> Vec<Finding> {
    let mut found = Vec::new();
    let all = async {
        for session in sessions {
            let Some(id) = &session.agent_session else { continue };
            // An agent that is missing is told elsewhere.
            let Ok(Some(agent)) = setup.agent_of(session) else { continue };
            let Some(of_agent) = agent.sessions() else { continue };
            if let Ok(None) = of_agent.describe(id).await {
                let kind = &session.kind;
                let text = format!("the agent has deleted its session {id}, that of {kind}");
                let finding = |mend: String| Finding::new(AGENT_SESSION_GONE, text, mend);
                found.push(match kind {
                    SessionKind::Base | SessionKind::Pm => {
                        finding("kugetsu init --force makes new ones".into())
                            .cured_by(Cure::ForgetSession(session.id))
                    }
                    SessionKind::Dev(issue) => finding(format!(
                        "nothing has to be done: kugetsu continue {issue} makes another"
                    )),
                    _ => finding("nothing has to be done: the next start makes another".into()),
                });
            }
        }
    };
    let _ = within(PATIENCE, all).await;
    found
}
