//! `kugetsu destroy`: a session and its worktree, the PM's session, or the base.

use kugetsu_core::{
    IssueRef, Session, SessionKind, SessionQuery, Slot, SlotKey, SlotPool, Unsaved, WorktreeStatus,
};
use serde_json::json;

use super::pull;
use crate::args::Destroy;
use crate::errors::{CliError, Kind, worker};
use crate::screen::time;
use crate::setup::Setup;

pub(super) async fn destroy(args: Destroy, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let issue = args.issue.as_deref().map(|text| setup.issue(text)).transpose()?;
    match issue {
        Some(issue) => destroy_issue(&issue, &args, setup).await,
        None if args.base => destroy_base(&args, setup).await,
        None => destroy_pm(&args, setup).await,
    }
}

async fn destroy_issue(issue: &IssueRef, args: &Destroy, setup: &Setup) -> Result<(), CliError> {
    let worktrees = setup.worktrees()?;
    let kind = SessionKind::Dev(issue.clone());
    let status = worktrees.inspect(issue).await?;
    let session = setup.session(kind.clone()).await?;
    if session.is_none() && status.is_none() {
        return Err(CliError::failed(format!("{issue} has no session and no worktree"))
            .hint("`kugetsu list --all` shows what there is"));
    }
    if let Some(session) = session.filter(|_| !args.force) {
        pull::check(setup, issue, &session).await?;
    }
    let fate = if args.force { Unsaved::Discard } else { Unsaved::Keep };
    let lost = match &status {
        Some(status) if args.force && status.has_unsaved_work() => {
            format!(" Lost with it is {}.", unsaved(status))
        }
        _ => String::new(),
    };
    let question = format!("Destroy the session and the worktree of {issue}?{lost}");
    agreed(setup, args.yes, &question)?;
    let _slot = taken(setup, &SlotKey::Issue(issue.clone()), &issue.to_string()).await?;
    worktrees.remove(issue, fate).await?;
    // Read only now that nobody else writes it.
    if let Some(session) = setup.session(kind).await? {
        forget(setup, session).await?;
    }
    setup.forget_context(issue)?;
    told(setup, &issue.to_string(), &format!("Destroyed the session and the worktree of {issue}"))
}

async fn destroy_pm(args: &Destroy, setup: &Setup) -> Result<(), CliError> {
    let Some(session) = setup.session(SessionKind::Pm).await? else {
        return Err(CliError::failed("there is no PM session").hint("`kugetsu init` makes one"));
    };
    agreed(setup, args.yes, "Destroy the PM's session?")?;
    let _slot = taken(setup, &SlotKey::Pm, "the PM").await?;
    forget(setup, session).await?;
    told(setup, "pm", "Destroyed the PM's session. `kugetsu init` makes a new one.")
}

async fn destroy_base(args: &Destroy, setup: &Setup) -> Result<(), CliError> {
    let all = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let dependent: Vec<Session> =
        all.into_iter().filter(|s| !matches!(s.kind, SessionKind::Dev(_))).collect();
    if dependent.is_empty() {
        return Err(CliError::failed("there is no base session").hint("`kugetsu init` makes one"));
    }
    let question =
        "Destroy the base session, the repositories' copies of it, and the PM's session?";
    agreed(setup, args.yes, question)?;
    let _slot = taken(setup, &SlotKey::Pm, "the PM").await?;
    for session in dependent {
        forget(setup, session).await?;
    }
    told(setup, "base", "Destroyed the base and the PM's session. `kugetsu init` makes new ones.")
}

/// Deletes the agent's session, and then the record of it: a crash in between leaves a record whose
/// agent session is gone, which heals itself.
pub(super) async fn forget(setup: &Setup, session: Session) -> Result<(), CliError> {
    if let (Some(id), Some(agent)) = (&session.agent_session, setup.agent_of(&session)?)
        && let Some(sessions) = agent.sessions()
    {
        sessions.delete(id).await?;
    }
    Ok(setup.stores().await?.sessions.remove(session.id).await?)
}

/// The slot, or who has it.
pub(super) async fn taken(setup: &Setup, key: &SlotKey, name: &str) -> Result<Slot, CliError> {
    let pool = setup.slots()?;
    if let Some(slot) = pool.try_acquire(key, "kugetsu destroy").await? {
        return Ok(slot);
    }
    let holder = pool.holders(key).await?.pop();
    let who = holder.as_ref().map(|holder| format!(": {}", worker(holder))).unwrap_or_default();
    let error = CliError::new(Kind::InUse, format!("{name} is in use{who}"));
    Err(match key {
        SlotKey::Issue(issue) => error.hint(format!("stop it first with `kugetsu stop {issue}`")),
        _ => error.hint("try again when it has ended"),
    })
}

/// What would be lost with a worktree.
pub(super) fn unsaved(status: &WorktreeStatus) -> String {
    let files = time::counted(status.dirty.into(), "uncommitted file");
    let commits = time::counted(status.unpushed.into(), "unpushed commit");
    format!("unsaved work: {files}, {commits}")
}

/// Goes on only if it is wanted: by `-y`, or by an answer.
pub(super) fn agreed(setup: &Setup, yes: bool, question: &str) -> Result<(), CliError> {
    let screen = setup.screen();
    if yes {
        return Ok(());
    }
    if !screen.can_ask() {
        return Err(CliError::usage("this cannot be undone, and nobody is there to be asked")
            .hint("give `-y` if you are sure"));
    }
    if screen.confirm(question)? {
        return Ok(());
    }
    Err(CliError::failed("nothing was changed"))
}

fn told(setup: &Setup, what: &str, sentence: &str) -> Result<(), CliError> {
    let screen = setup.screen();
    if screen.json {
        return screen.answer(&json!({ "destroyed": what }));
    }
    screen.say(sentence)
}
