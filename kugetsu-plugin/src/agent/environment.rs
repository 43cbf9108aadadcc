//! What a command agent is told in its environment.

use kugetsu_core::agent::{Conversation, Role};
use kugetsu_core::ids::AgentSessionId;
use kugetsu_guard::Environment;

/// What the agent may do: `dev` or `pm`.
pub(super) const ROLE: &str = "KUGETSU_AGENT_ROLE";
/// Which conversation this is a turn of: `fresh`, `resume` or `fork`.
pub(super) const CONVERSATION: &str = "KUGETSU_CONVERSATION";
/// The session that is resumed, or the id of the new one unless the program tells its own.
pub(super) const SESSION: &str = "KUGETSU_AGENT_SESSION";
/// The session that is forked; set for a fork only.
pub(super) const ORIGIN: &str = "KUGETSU_AGENT_ORIGIN";
/// What people see a new conversation called; not set if it has no title.
pub(super) const TITLE: &str = "KUGETSU_AGENT_TITLE";

/// Variables by which a service manager hears of us, which no agent speaks for.
const SCRUBBED: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// The environment of one run.
pub(super) fn of(
    configured: &Environment,
    role: Role,
    conversation: &Conversation,
    session: &AgentSessionId,
    title: &str,
) -> Environment {
    let environment = SCRUBBED.into_iter().fold(configured.clone(), Environment::without);
    let environment = environment
        .with(ROLE, if role == Role::Pm { "pm" } else { "dev" })
        .with(CONVERSATION, word(conversation))
        .with(SESSION, session.as_str());
    let environment = match conversation {
        Conversation::Fork(origin) => environment.with(ORIGIN, origin.as_str()),
        _ => environment.without(ORIGIN),
    };
    // An environment cannot hold a NUL.
    match title.replace('\0', "") {
        title if title.is_empty() => environment.without(TITLE),
        title => environment.with(TITLE, title),
    }
}

fn word(conversation: &Conversation) -> &'static str {
    match conversation {
        Conversation::Resume(_) => "resume",
        Conversation::Fork(_) => "fork",
        _ => "fresh",
    }
}
