//! One turn of an agent.

mod control;
mod events;
mod turn;

use std::fs::File;
use std::sync::Arc;

use kugetsu_core::agent::{AgentRun, AgentSession};
use kugetsu_core::slot::Slot;
use tokio::sync::mpsc;

use crate::config::Limits;
use crate::fault::Who;
use crate::process::Process;
use crate::records::{Record, Records};
use crate::talk::Translator;
use control::{RunControl, brake};
use events::Events;
use turn::Turn;

/// How many events wait for a slow reader; the agent then waits, too.
const WAITING: usize = 64;

/// A session in which a turn may begin.
pub(crate) struct Ready {
    pub(crate) process: Process,
    pub(crate) session: AgentSession,
    pub(crate) record: Record,
    /// Whoever has it is alone in the session.
    pub(crate) lock: File,
}

/// Sends the message.
pub(crate) fn start(
    ready: Ready,
    message: String,
    slots: Vec<Slot>,
    records: Records,
    limits: &Limits,
    who: Who,
) -> AgentRun {
    let Ready { mut process, session, record, lock } = ready;
    let (tell, told) = mpsc::channel(WAITING);
    let (pedal, brake) = brake();
    let answer = process.talk.prompt(session.id.as_str(), message);
    let turn = Turn {
        process,
        translator: Translator::new(session.id.as_str(), record.used),
        session,
        record,
        records,
        lock,
        slots,
        tell,
        limits: limits.clone(),
    };
    tokio::spawn(turn.run(answer, brake));
    let events = Events::new(told, pedal.clone());
    AgentRun::new(Box::pin(events), Arc::new(RunControl { pedal, who }))
}
