//! `kugetsu doctor --fix-permissions`: every session of opencode's has the rules of its role.

use kugetsu_core::{
    AgentSessionId, Role, Session, SessionKind, SessionQuery, Slot, SlotKey, SlotPool as _,
};
use kugetsu_opencode::Permissions;
use serde_json::json;

use crate::errors::CliError;
use crate::setup::Setup;

/// What was mended, and what could not be.
pub(super) struct Fixed {
    pub(super) permissions: Permissions,
    /// Sessions in which somebody is at work, by name.
    pub(super) busy: Vec<String>,
}

pub(super) async fn fix(setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    if !screen.json {
        screen.say("Fixing session permissions")?;
    }
    let Some(fixed) = mend(setup).await? else {
        if screen.json {
            screen.answer(&json!({ "database": null, "fixed": [], "in_use": [] }))?;
        } else {
            screen.say("opencode database not found")?;
        }
        return Err(CliError::silent());
    };
    let sessions: Vec<&str> = fixed.permissions.wrong.iter().map(|w| w.session.as_str()).collect();
    if screen.json {
        screen.answer(&json!({
            "database": fixed.permissions.database,
            "fixed": sessions,
            "in_use": fixed.busy,
        }))?;
    } else {
        for session in sessions {
            screen.say(format!("  {session}"))?;
        }
        for busy in &fixed.busy {
            screen.remark(format!("Left alone, since somebody is at work in it: {busy}"));
        }
        if fixed.busy.is_empty() {
            screen.say("Session permissions fix complete")?;
        }
    }
    if fixed.busy.is_empty() { Ok(()) } else { Err(CliError::silent()) }
}

/// Mends the permissions of all sessions in which nobody is at work. `None` if opencode has no
/// database.
pub(super) async fn mend(setup: &Setup) -> Result<Option<Fixed>, CliError> {
    let Some(opencode) = setup.opencode_agent()? else { return Ok(None) };
    let sessions = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let mut free = Vec::new();
    let mut busy = Vec::new();
    // Held until all is mended.
    let mut slots: Vec<Slot> = Vec::new();
    let pool = setup.slots()?;
    for (session, (id, role)) in sessions.iter().filter_map(|s| Some((s, known(s)?))) {
        let key = match &session.kind {
            SessionKind::Dev(issue) => SlotKey::Issue(issue.clone()),
            SessionKind::Pm => SlotKey::Pm,
            // Nobody works in the others; they are only forked.
            _ => {
                free.push((id, role));
                continue;
            }
        };
        match pool.try_acquire(&key, "kugetsu doctor").await? {
            Some(slot) => {
                slots.push(slot);
                free.push((id, role));
            }
            None => busy.push(session.kind.to_string()),
        }
    }
    let mended = opencode.mend_permissions(&free).await?;
    Ok(mended.map(|permissions| Fixed { permissions, busy }))
}

/// The agent's session and the role that it is for.
pub(super) fn known(session: &Session) -> Option<(AgentSessionId, Role)> {
    let role = if session.kind == SessionKind::Pm { Role::Pm } else { Role::Dev };
    session.agent_session.clone().map(|id| (id, role))
}
