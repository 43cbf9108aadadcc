//! `kugetsu list`: the sessions, and what belongs to them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kugetsu_core::{
    IssueRef, Session, SessionKind, SessionQuery, SessionState, SlotKey, SlotPool, Worktree,
};
use serde::Serialize;
use serde_json::json;

use crate::args::List;
use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

/// One row.
#[derive(Debug, Serialize)]
struct Listed {
    kind: &'static str,
    /// The issue or repository, for those that have one.
    of: Option<String>,
    /// The agent's id of the session.
    session: Option<String>,
    state: String,
    branch: Option<String>,
    worktree: Option<PathBuf>,
    pr: Option<String>,
    updated: Option<String>,
}

pub(super) async fn list(args: List, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let rows = listed(&args, setup).await?;
    let screen = setup.screen();
    if screen.json {
        return screen.answer(&json!({ "sessions": rows }));
    }
    let mut table = Rows::new(["SESSION_ID", "STATE", "ISSUE/KIND", "BRANCH", "WORKTREE"]);
    let mut with_pr = Rows::new(["SESSION_ID", "STATE", "ISSUE/KIND", "BRANCH", "PR", "WORKTREE"]);
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), escape::line);
    for row in &rows {
        let name = match (&row.of, row.kind) {
            (Some(of), "repo") => format!("repo {of}"),
            (Some(of), _) => of.clone(),
            (None, kind) => kind.to_owned(),
        };
        let worktree = row.worktree.as_deref().map_or("-".to_owned(), |path| screen.path(path));
        let cells =
            [or_dash(&row.session), row.state.clone(), name, or_dash(&row.branch), worktree];
        let [session, state, name, branch, worktree] = cells.clone();
        table.row(cells);
        with_pr.row([session, state, name, branch, or_dash(&row.pr), worktree]);
    }
    // A column in which nothing stands is not worth its width.
    let has_pr = rows.iter().any(|row| row.pr.is_some());
    if has_pr { with_pr.show(screen) } else { table.show(screen) }
}

async fn listed(args: &List, setup: &Setup) -> Result<Vec<Listed>, CliError> {
    let sessions = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let worktrees = setup.worktrees()?.list().await?;
    let mut worktrees: BTreeMap<IssueRef, Worktree> =
        worktrees.into_iter().map(|worktree| (worktree.issue.clone(), worktree)).collect();
    let mut rows = Vec::new();
    for session in sessions {
        let kind = match &session.kind {
            SessionKind::Repo(_) if !args.all => continue,
            SessionKind::Base => "base",
            SessionKind::Pm => "pm",
            SessionKind::Repo(_) => "repo",
            _ => "dev",
        };
        let worktree = match &session.kind {
            SessionKind::Dev(issue) => worktrees.remove(issue),
            _ => None,
        };
        rows.push(Listed {
            kind,
            of: match &session.kind {
                SessionKind::Dev(issue) => Some(issue.to_string()),
                SessionKind::Repo(repository) => Some(repository.to_string()),
                _ => None,
            },
            state: state(&session, setup).await?.to_string(),
            session: session.agent_session.map(|id| id.to_string()),
            branch: worktree.as_ref().map(|worktree| worktree.branch.clone()),
            worktree: worktree.map(|worktree| worktree.path),
            pr: session.pr,
            updated: time::rfc3339(session.updated),
        });
    }
    // People look for the base and the PM first, and for the issues then.
    rows.sort_by_key(|row| match row.kind {
        "base" => 0,
        "pm" => 1,
        "repo" => 2,
        _ => 3,
    });
    if args.all {
        rows.extend(worktrees.into_values().map(|worktree| Listed {
            kind: "dev",
            of: Some(worktree.issue.to_string()),
            session: None,
            state: "-".into(),
            branch: Some(worktree.branch),
            worktree: Some(worktree.path),
            pr: None,
            updated: None,
        }));
    }
    Ok(rows)
}

/// What the session is doing. A record that says `active` while nobody holds its slot was left by a
/// process that died.
async fn state(session: &Session, setup: &Setup) -> Result<SessionState, CliError> {
    if session.state != SessionState::Active {
        return Ok(session.state);
    }
    let key = match &session.kind {
        SessionKind::Dev(issue) => SlotKey::Issue(issue.clone()),
        SessionKind::Pm => SlotKey::Pm,
        _ => return Ok(SessionState::Idle),
    };
    let is_held = !setup.slots()?.holders(&key).await?.is_empty();
    Ok(if is_held { SessionState::Active } else { SessionState::Idle })
}
