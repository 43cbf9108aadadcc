//! What the journal says, all in all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kugetsu_core::{
    Due, Moment, Revision, Role, Session, SessionId, SessionKind, Task, TaskId, TaskQuery,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::Record;

/// Where a document stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) length: usize,
}

/// Something that is in memory, too.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) is: T,
    pub(super) span: Span,
}

/// A notice, of which only what is asked for is in memory.
#[derive(Debug)]
pub(super) struct NoticeAt {
    pub(super) unread: bool,
    pub(super) span: Span,
}

/// What a record has changed that people look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) task: Option<TaskId>,
    pub(super) sessions: bool,
    pub(super) notices: bool,
}

/// Tasks, sessions and memos as they are, and where events and notices stand.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By the order of their first commits.
    pub(super) tasks: BTreeMap<u64, Kept<Task>>,
    order: HashMap<TaskId, u64>,
    open: BTreeSet<u64>,
    next: u64,
    pub(super) sessions: BTreeMap<SessionId, Kept<Session>>,
    pub(super) memos: BTreeMap<String, String>,
    pub(super) notices: Vec<NoticeAt>,
    notice_of: HashMap<String, usize>,
    /// That of cursor 1 first.
    pub(super) events: Vec<Span>,
    /// The last record that changed something that people look at.
    pub(super) looks: u64,
    /// Whether records are missing, so that one may change what is not as it was before.
    has_gaps: bool,
}

impl State {
    /// Of a journal of which records are missing.
    pub(super) fn of_remains() -> Self {
        Self { has_gaps: true, ..Self::default() }
    }

    /// Makes the change that record `seq` says, whose text begins at `at` in the journal.
    pub(super) fn apply(&mut self, seq: u64, text: &str, at: u64) -> Result<Changed, String> {
        let record: Record<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let span = |raw: &RawValue| {
            let offset = raw.get().as_ptr().addr() - text.as_ptr().addr();
            Span { at: at + offset as u64, length: raw.get().len() }
        };
        let mut changed = Changed::default();
        match record {
            Record::Commit(said) => {
                let task: Task = read(said.task)?;
                let found = self.task(task.id).map_or(0, |kept| kept.is.revision.0);
                if found != said.was && !self.has_gaps {
                    return Err(follows(&format!("task {}", task.id), said.was, found));
                }
                changed.task = Some(task.id);
                self.put_task(task, span(said.task));
                self.events.extend(said.events.into_iter().map(span));
            }
            Record::Task(said) => {
                let task: Task = read(said.task)?;
                changed.task = Some(task.id);
                self.put_task(task, span(said.task));
            }
            Record::Remove(said) => {
                let found = self.task(said.task).map_or(0, |kept| kept.is.revision.0);
                if found != said.was && !self.has_gaps {
                    return Err(follows(&format!("task {}", said.task), said.was, found));
                }
                if let Some(order) = self.order.remove(&said.task) {
                    self.tasks.remove(&order);
                    self.open.remove(&order);
                }
                changed.task = Some(said.task);
            }
            Record::Append(said) => self.events.extend(said.events.into_iter().map(span)),
            Record::Session(said) => {
                let session: Session = read(said.session)?;
                let span = span(said.session);
                self.sessions.insert(session.id, Kept { is: session, span });
                changed.sessions = true;
            }
            Record::Forget(said) => {
                self.sessions.remove(&said.session);
                changed.sessions = true;
            }
            Record::Memo(said) => match said.text {
                Some(text) => drop(self.memos.insert(said.name, text)),
                None => drop(self.memos.remove(&said.name)),
            },
            Record::Notice(said) => {
                let Key { key } = read(said.notice)?;
                let notice = NoticeAt { unread: said.unread, span: span(said.notice) };
                self.notice_of.insert(key, self.notices.len());
                self.notices.push(notice);
                changed.notices = true;
            }
            Record::Read(said) => {
                for key in said.keys {
                    if let Some(index) = self.notice_of.get(&key) {
                        self.notices[*index].unread = false;
                    }
                }
                changed.notices = true;
            }
        }
        if changed != Changed::default() {
            self.looks = seq;
        }
        Ok(changed)
    }

    fn put_task(&mut self, task: Task, span: Span) {
        let order = *self.order.entry(task.id).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        if task.is_settled() {
            self.open.remove(&order);
        } else {
            self.open.insert(order);
        }
        self.tasks.insert(order, Kept { is: task, span });
    }

    pub(super) fn task(&self, id: TaskId) -> Option<&Kept<Task>> {
        self.tasks.get(self.order.get(&id)?)
    }

    /// The task's revision, if it is there.
    pub(super) fn revision(&self, id: TaskId) -> Option<Revision> {
        Some(self.task(id)?.is.revision)
    }

    pub(super) fn list(&self, query: &TaskQuery) -> Vec<Task> {
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let open = self.open.iter().filter_map(|order| self.tasks.get(order));
        let meant = |kept: &&Kept<Task>| query.matches(&kept.is);
        let own = |kept: &Kept<Task>| kept.is.clone();
        if query.open {
            return open.filter(meant).take(limit).map(own).collect();
        }
        self.tasks.values().filter(meant).take(limit).map(own).collect()
    }

    pub(super) fn due(&self, now: Moment, role: Role, limit: u32) -> Vec<Task> {
        let is_due = |task: &&Task| task.due().is_some_and(|due| due.reached(now));
        let mut due: Vec<&Task> = self.heads(role).filter(is_due).collect();
        // Stable, so that the oldest stays first among equals.
        due.sort_by_key(|task| std::cmp::Reverse(task.priority));
        due.into_iter().take(limit as usize).cloned().collect()
    }

    pub(super) fn next_due(&self, now: Moment, role: Role) -> Option<Due> {
        self.heads(role).filter_map(Task::due).min_by_key(|due| due.wait(now))
    }

    /// The first open tasks of their lanes, oldest first.
    fn heads(&self, role: Role) -> impl Iterator<Item = &Task> {
        let mut lanes = HashSet::new();
        let open = self.open.iter().filter_map(|order| Some(&self.tasks.get(order)?.is));
        open.filter(move |task| task.request.role() == role)
            .filter(move |task| lanes.insert(task.lane()))
    }

    /// The session of this conversation.
    pub(super) fn session_of(&self, kind: &SessionKind) -> Option<&Session> {
        self.sessions.values().map(|kept| &kept.is).find(|session| session.kind == *kind)
    }

    /// Whether a notice with this key is kept, and nobody has read it.
    pub(super) fn unread(&self, key: &str) -> Option<bool> {
        Some(self.notices[*self.notice_of.get(key)?].unread)
    }

    /// How long everything is that has to stay.
    pub(super) fn lives(&self) -> u64 {
        let tasks = self.tasks.values().map(|kept| kept.span);
        let sessions = self.sessions.values().map(|kept| kept.span);
        let notices = self.notices.iter().map(|notice| notice.span);
        let spans = tasks.chain(sessions).chain(notices).chain(self.events.iter().copied());
        let memos = self.memos.iter().map(|(name, text)| (name.len() + text.len()) as u64);
        spans.map(|span| span.length as u64).chain(memos).map(|length| length + OVERHEAD).sum()
    }
}

/// What is around a document in its line, about.
const OVERHEAD: u64 = 64;

#[derive(Deserialize)]
struct Key {
    key: String,
}

fn read<'de, T: Deserialize<'de>>(raw: &'de RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

fn follows(what: &str, was: u64, found: u64) -> String {
    format!("it changes revision {was} of {what}, whose revision is {found}")
}
