//! `kugetsu prune`: what has lost its other half.

use std::collections::BTreeSet;

use kugetsu_core::{
    IssueRef, Session, SessionKind, SessionQuery, SlotKey, SlotPool, Unsaved, Worktree,
    WorktreeError,
};
use serde_json::json;

use super::destroy::{agreed, forget, unsaved};
use super::pull;
use crate::args::Prune;
use crate::errors::CliError;
use crate::screen::Screen;
use crate::setup::Setup;

/// What is there to be removed, and what is not removed and why. What is in use is neither.
#[derive(Debug, Default)]
struct Plan {
    sessions: Vec<Session>,
    worktrees: Vec<Worktree>,
    kept: Vec<(IssueRef, String)>,
}

pub(super) async fn prune(args: Prune, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let screen = setup.screen();
    let mut plan = plan(setup).await?;
    if plan.sessions.is_empty() && plan.worktrees.is_empty() {
        return report(screen, &[], &plan.kept);
    }
    if !screen.json {
        for session in &plan.sessions {
            screen.remark(format!("The session of {} has no worktree", session.kind));
        }
        for worktree in &plan.worktrees {
            screen.remark(format!("The worktree {} has no session", screen.path(&worktree.path)));
        }
    }
    agreed(setup, args.yes, "Remove them?")?;
    let mut removed = Vec::new();
    let issues: Vec<IssueRef> = plan.worktrees.iter().map(|w| w.issue.clone()).collect();
    for issue in issues {
        match remove(setup, &issue, None).await? {
            None => removed.push(format!("worktree {issue}")),
            Some(why) => plan.kept.push((issue, why)),
        }
    }
    for session in plan.sessions {
        let SessionKind::Dev(issue) = session.kind.clone() else { continue };
        match remove(setup, &issue, Some(session)).await? {
            None => removed.push(format!("session {issue}")),
            Some(why) => plan.kept.push((issue, why)),
        }
    }
    report(screen, &removed, &plan.kept)
}

async fn plan(setup: &Setup) -> Result<Plan, CliError> {
    let worktrees = setup.worktrees()?;
    let sessions = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let there = worktrees.list().await?;
    let with_worktree: BTreeSet<IssueRef> = there.iter().map(|w| w.issue.clone()).collect();
    let mut with_session = BTreeSet::new();
    let mut plan = Plan::default();
    for session in sessions {
        let SessionKind::Dev(issue) = &session.kind else { continue };
        with_session.insert(issue.clone());
        if with_worktree.contains(issue) || in_use(setup, issue).await? {
            continue;
        }
        match pull::keeps(setup, &session).await? {
            Some(why) => plan.kept.push((issue.clone(), why.message().to_owned())),
            None => plan.sessions.push(session),
        }
    }
    for worktree in there.into_iter().filter(|w| !with_session.contains(&w.issue)) {
        if in_use(setup, &worktree.issue).await? {
            continue;
        }
        match worktrees.inspect(&worktree.issue).await? {
            Some(status) if status.has_unsaved_work() => {
                plan.kept.push((worktree.issue, unsaved(&status)));
            }
            _ => plan.worktrees.push(worktree),
        }
    }
    Ok(plan)
}

/// Whether somebody works on the issue: then its other half may be on its way.
async fn in_use(setup: &Setup, issue: &IssueRef) -> Result<bool, CliError> {
    Ok(!setup.slots()?.holders(&SlotKey::Issue(issue.clone())).await?.is_empty())
}

/// Removes what there is of the issue, unless it is in use or something would be lost: then it says
/// why it is kept.
async fn remove(
    setup: &Setup,
    issue: &IssueRef,
    session: Option<Session>,
) -> Result<Option<String>, CliError> {
    let key = SlotKey::Issue(issue.clone());
    let Some(_slot) = setup.slots()?.try_acquire(&key, "kugetsu prune").await? else {
        return Ok(Some("it is in use".into()));
    };
    match setup.worktrees()?.remove(issue, Unsaved::Keep).await {
        Ok(()) => {}
        Err(error @ (WorktreeError::UnsavedWork { .. } | WorktreeError::InTheWay { .. })) => {
            return Ok(Some(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(session) = session {
        forget(setup, session).await?;
    }
    Ok(None)
}

fn report(
    screen: &Screen,
    removed: &[String],
    kept: &[(IssueRef, String)],
) -> Result<(), CliError> {
    if screen.json {
        let kept: Vec<_> =
            kept.iter().map(|(issue, why)| json!({ "issue": issue, "why": why })).collect();
        return screen.answer(&json!({ "removed": removed, "kept": kept }));
    }
    for what in removed {
        screen.say(format!("Removed the {what}"))?;
    }
    for (issue, why) in kept {
        screen.say(format!("Kept {issue}: {why}"))?;
    }
    if removed.is_empty() {
        screen.say("Nothing to prune.")?;
    }
    Ok(())
}
