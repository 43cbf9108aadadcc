use super::conversation::{self, Message};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// One request that the model was asked to answer.
///
/// Requests for a session title are answered but not recorded: an agent sends them beside its
/// turn, and a test counts turns.
///
/// Made by the model.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Recorded {
    /// Its place in the order of arrival, from 0.
    pub number: u64,
    /// The agent session that asked, if it said so.
    pub session: Option<String>,
    /// The model that was asked for, without its provider.
    pub model: String,
    /// How many answers followed the last user message already.
    pub step: usize,
    /// The directive that decided the answer, as written. `done` if the script was used up,
    /// `hello` if there was none.
    pub directive: String,
    /// The size of the request's body.
    pub bytes: usize,
    /// The conversation so far.
    #[serde(skip)]
    pub messages: Arc<[Message]>,
    /// How it ended; `None` while the model still works on it.
    pub ended: Option<Ended>,
}

impl Recorded {
    /// The last user message, byte for byte.
    pub fn prompt(&self) -> &str {
        conversation::prompt(&self.messages)
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// The whole answer went out.
    Answered,
    /// The answer was this HTTP status.
    Refused(u16),
    /// The answer was broken off or spoiled, as the script wanted it.
    Broken,
    /// The caller went away before the answer was complete.
    CallerWentAway,
    /// The model was stopped before the answer was complete.
    ModelStopped,
}

/// All that was asked, and who waits to hear of it.
#[derive(Debug)]
pub(super) struct Journal {
    ledger: watch::Sender<Ledger>,
    closing: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) requests: Vec<Recorded>,
    pub(super) arrived: u64,
    pub(super) most_in_flight: usize,
}

impl Ledger {
    pub(super) fn in_flight(&self) -> usize {
        self.requests.iter().filter(|request| request.ended.is_none()).count()
    }
}

impl Journal {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            ledger: watch::Sender::new(Ledger::default()),
            closing: AtomicBool::new(false),
        })
    }

    pub(super) fn watch(&self) -> watch::Receiver<Ledger> {
        self.ledger.subscribe()
    }

    /// Writes the request down. It is in flight until the returned entry is dropped.
    pub(super) fn open(self: &Arc<Self>, mut request: Recorded) -> Entry {
        let mut number = 0;
        self.ledger.send_modify(|ledger| {
            number = ledger.arrived;
            request.number = number;
            ledger.arrived += 1;
            ledger.requests.push(request);
            ledger.most_in_flight = ledger.most_in_flight.max(ledger.in_flight());
        });
        Entry { journal: Some(Arc::clone(self)), number, ended: None }
    }

    /// From here on, what is dropped unfinished was dropped by the model.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// Takes the first request that has ended out of the record.
    pub(super) fn take_ended(&self) -> Option<Recorded> {
        let mut taken = None;
        self.ledger.send_if_modified(|ledger| {
            let ended = ledger.requests.iter().position(|request| request.ended.is_some());
            taken = ended.map(|position| ledger.requests.remove(position));
            taken.is_some()
        });
        taken
    }

    fn settle(&self, number: u64, ended: Ended) {
        self.ledger.send_modify(|ledger| {
            if let Some(request) = ledger.requests.iter_mut().find(|r| r.number == number) {
                request.ended = Some(ended);
            }
        });
    }
}

/// A request in flight. Dropping it settles how it ended.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` for a request that is not recorded.
    journal: Option<Arc<Journal>>,
    number: u64,
    ended: Option<Ended>,
}

impl Entry {
    pub(super) fn unrecorded() -> Self {
        Self { journal: None, number: 0, ended: None }
    }

    pub(super) fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(journal) = &self.journal else { return };
        let unfinished = || {
            if journal.closing.load(Ordering::SeqCst) {
                Ended::ModelStopped
            } else {
                Ended::CallerWentAway
            }
        };
        journal.settle(self.number, self.ended.unwrap_or_else(unfinished));
    }
}
