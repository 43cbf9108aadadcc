//! How much of an agent's chatter the store keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kugetsu_core::{AgentEvent, Happening};

/// How much of what an agent says and does in one attempt is recorded as events, in bytes: as much as
/// its log keeps. An agent that never stops talking fills no disk.
const MOST: u64 = 32 << 20;

/// What an event costs beside its texts.
const EACH: u64 = 256;

/// What is left for one attempt. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ration(Arc<AtomicU64>);

impl Ration {
    /// What of it is recorded, and whether this is where it begins to be too much.
    pub(super) fn cut(&self, what: Vec<Happening>) -> (Vec<Happening>, bool) {
        let mut begins = false;
        let fits = |what: &Happening| {
            let Some(size) = size(what) else { return true };
            let before = self.0.fetch_add(size + EACH, Ordering::Relaxed);
            let fits = before + size + EACH <= MOST;
            begins |= !fits && before <= MOST;
            fits
        };
        (what.into_iter().filter(fits).collect(), begins)
    }
}

/// How long the texts are, if it is chatter; what becomes of a task is never left out.
fn size(what: &Happening) -> Option<u64> {
    let Happening::Agent(event) = what else { return None };
    let length = match event {
        AgentEvent::Message { text } | AgentEvent::Thought { text } => text.len(),
        AgentEvent::ToolStarted { call, tool, title } => call.len() + tool.len() + title.len(),
        AgentEvent::ToolEnded { call, tool, summary, .. } => {
            call.len() + tool.len() + summary.len()
        }
        AgentEvent::Waiting { reason } => reason.len(),
        AgentEvent::Usage(_) => 0,
        _ => return None,
    };
    Some(length as u64)
}
