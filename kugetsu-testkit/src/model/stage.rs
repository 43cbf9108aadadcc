use super::conversation::{Conversation, Fnv1a, Role};
use super::record::Journal;
use super::script::{Directive, Script, Step};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What all requests share: the journal, the gates, and how often each failure has happened.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) journal: Arc<Journal>,
    gates: watch::Sender<BTreeSet<String>>,
    failures: Mutex<HashMap<Turn, u32>>,
}

/// A place in a script within one turn of one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Turn {
    session: Option<String>,
    users: usize,
    prompt: u64,
    position: usize,
}

impl Stage {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            journal: Journal::new(),
            gates: watch::Sender::new(BTreeSet::new()),
            failures: Mutex::default(),
        })
    }

    pub(super) fn open(&self, gate: &str) {
        self.gates.send_modify(|open| {
            open.insert(gate.to_owned());
        });
    }

    pub(super) async fn pass(&self, gate: &str) {
        // The sender lives as long as this stage, so that waiting cannot fail.
        let _ = self.gates.subscribe().wait_for(|open| open.contains(gate)).await;
    }

    /// Decides what to answer. A failure that is chosen counts as having happened.
    pub(super) fn choose(&self, asked: &Conversation, session: Option<&str>) -> Step {
        if asked.wants_title() {
            return Step { written: "title".to_owned(), ..Step::saying("Scripted title") };
        }
        let Some(script) = Script::parse(asked.prompt()) else {
            return Step {
                written: "hello".to_owned(),
                ..Step::saying("Hello! All is well here.")
            };
        };
        let turn = |position| Turn {
            session: session.map(str::to_owned),
            users: asked.count(Role::User),
            prompt: Fnv1a::of(asked.prompt().as_bytes()),
            position,
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = |position, times| failures.get(&turn(position)).copied().unwrap_or(0) >= times;
        let is_open = |gate: &str| self.gates.borrow().contains(gate);
        let (position, step) = script.step(asked.answers(), spent, is_open);
        if let Directive::Fail { times: Some(_), .. } = step.directive {
            *failures.entry(turn(position)).or_default() += 1;
        }
        step
    }
}
