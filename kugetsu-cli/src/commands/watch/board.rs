//! The board: all that is shown, and what a key does to it. It reads nothing and writes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    Event, Happening, Moment, SlotHolder, SlotKey, Status, Task, TaskId, Timestamp, Usage,
};
use kugetsu_queue::Mask;
use kugetsu_queue::hold::{Hold, HoldKind};

use super::entry::{Entry, Standing, Told};
use super::keys::Key;
use super::log::Log;

/// How many settled tasks are shown, the newest ones.
const SETTLED: usize = 200;

/// How long it is shown what came of a deed.
const SAID: Duration = Duration::from_secs(8);

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    /// Which kugetsu this is.
    pub(super) place: String,
    /// What an issue's name begins with where that goes without saying.
    server: String,
    pub(super) now: Moment,
    pub(super) sight: Sight,
    pub(super) entries: HashMap<TaskId, Entry>,
    told: HashMap<TaskId, Told>,
    selected: Option<TaskId>,
    /// How many settled tasks are shown.
    settled: usize,
    /// What is hidden in messages.
    mask: Arc<Mask>,
    /// The log that is open.
    pub(super) log: Option<Log>,
    /// What lies above all else.
    pub(super) over: Option<Over>,
    /// What came of the last deed.
    said: Option<(String, Timestamp)>,
    /// How many rows of tasks fit on a page.
    pub(super) page: usize,
}

/// What is seen beside the tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) classes: Vec<Class>,
    pub(super) holds: Vec<Hold>,
    /// Whether the daemon runs.
    pub(super) daemon: bool,
}

/// The slots of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) key: SlotKey,
    pub(super) limit: u32,
    pub(super) holders: Vec<SlotHolder>,
}

/// What lies above the board until a key is pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    Help,
    /// A question, and what is done after a yes.
    Ask(String, Deed),
}

/// What a key has done that the board cannot do by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Quit,
    Suspend,
    Redraw,
    /// Read what was told of this task, asked for at this time.
    OpenLog(TaskId, Timestamp),
    CloseLog,
    Cancel(TaskId),
    Retry(TaskId),
    Pause,
    Resume,
}

impl Board {
    /// An empty board. Of issues on `server` the server is not shown.
    pub(super) fn new(place: String, server: &str, now: Moment) -> Self {
        Self {
            place,
            server: format!("{server}/"),
            now,
            sight: Sight::default(),
            entries: HashMap::new(),
            told: HashMap::new(),
            selected: None,
            settled: SETTLED,
            mask: Arc::default(),
            log: None,
            over: None,
            said: None,
            page: 10,
        }
    }

    /// Shows so many settled tasks.
    pub(super) fn with_settled(mut self, settled: usize) -> Self {
        self.settled = settled;
        self
    }

    /// Hides these secrets in what people have written.
    pub(super) fn with_mask(mut self, mask: Arc<Mask>) -> Self {
        self.mask = mask;
        self
    }

    /// Begins anew: these are all tasks that there are, and what was told of late.
    pub(super) fn fill(&mut self, tasks: &[Task], recent: &[Event]) {
        self.told.clear();
        for event in recent {
            self.hear(event);
        }
        self.entries = tasks.iter().map(|task| (task.id, Entry::of(task, &self.mask))).collect();
        self.told.retain(|id, _| self.entries.get(id).is_some_and(Entry::runs));
    }

    /// The task is now this, or is forgotten.
    pub(super) fn put(&mut self, id: TaskId, task: Option<&Task>) {
        match task {
            Some(task) => drop(self.entries.insert(id, Entry::of(task, &self.mask))),
            None => drop(self.entries.remove(&id)),
        }
        if !self.entries.get(&id).is_some_and(Entry::runs) {
            self.told.remove(&id);
        }
    }

    /// Takes in what happened. Says whether the task has changed and has to be put anew.
    pub(super) fn hear(&mut self, event: &Event) -> bool {
        match &event.what {
            Happening::Claimed { .. } => {
                let mut told = Told::default();
                told.hear(event);
                self.told.insert(event.task, told);
                true
            }
            Happening::Agent(_)
            | Happening::WorktreeReady { .. }
            | Happening::SessionReady { .. }
            | Happening::SlotTaken { .. } => {
                self.told.entry(event.task).or_default().hear(event);
                false
            }
            _ => true,
        }
    }

    /// Looks at what is not a task. Says whether it is new.
    pub(super) fn see(&mut self, sight: Sight) -> bool {
        let is_new = self.sight != sight;
        self.sight = sight;
        is_new
    }

    /// The running tasks whose lease has lapsed, as far as is known here.
    pub(super) fn lapsed(&self) -> Vec<TaskId> {
        self.entries.values().filter(|entry| self.is_lapsed(entry)).map(|entry| entry.id).collect()
    }

    pub(super) fn is_lapsed(&self, entry: &Entry) -> bool {
        matches!(&entry.standing, Standing::Runs { expires, .. } if expires.reached(self.now))
    }

    /// How many tasks people see in this status.
    pub(super) fn count(&self, status: Status) -> usize {
        self.entries.values().filter(|entry| entry.status() == status).count()
    }

    pub(super) fn pause(&self) -> Option<&Hold> {
        self.sight.holds.iter().find(|hold| hold.kind == HoldKind::Pause)
    }

    /// The tasks in the order in which they are shown: those that run, those that wait as they come
    /// up, and the last ones that are over.
    pub(super) fn rows(&self) -> Vec<&Entry> {
        let mut rows: Vec<&Entry> = self.entries.values().collect();
        rows.sort_by_key(|entry| match &entry.standing {
            Standing::Runs { since, .. } => (0, 0, since.as_millis(), entry.id),
            Standing::Waits { due, .. } if !due.reached(self.now) => {
                let wait = u64::try_from(due.wait(self.now).as_millis()).unwrap_or(u64::MAX);
                (2, 0, wait, entry.id)
            }
            Standing::Waits { .. } => {
                (1, -i32::from(entry.priority), entry.created.as_millis(), entry.id)
            }
            Standing::Over { at, .. } => (3, 0, u64::MAX - at.as_millis(), entry.id),
        });
        let open = rows.iter().filter(|entry| !entry.is_over()).count();
        rows.truncate(open.saturating_add(self.settled));
        rows
    }

    /// How many open tasks of its lane come before this one.
    pub(super) fn ahead(&self, entry: &Entry) -> usize {
        let is_before = |other: &&Entry| {
            other.lane == entry.lane
                && !other.is_over()
                && (other.created, other.id) < (entry.created, entry.id)
        };
        self.entries.values().filter(is_before).count()
    }

    pub(super) fn entry(&self, id: TaskId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// What the task has used up so far.
    pub(super) fn usage(&self, entry: &Entry) -> Usage {
        match self.told.get(&entry.id) {
            Some(told) if !entry.is_over() => entry.usage.plus(told.usage()),
            _ => entry.usage,
        }
    }

    /// The last thing that the task's agent told, and whether it is still telling it.
    pub(super) fn latest(&self, entry: &Entry) -> (&str, bool) {
        self.told.get(&entry.id).map_or(("", false), Told::latest)
    }

    /// An issue's name, without what goes without saying.
    pub(super) fn short<'a>(&self, lane: &'a str) -> &'a str {
        lane.strip_prefix(&self.server).unwrap_or(lane)
    }

    /// Which of the rows is selected: the first one, or its successor's place, if it is gone.
    pub(super) fn selected(&self, rows: &[&Entry]) -> usize {
        self.selected.and_then(|id| rows.iter().position(|entry| entry.id == id)).unwrap_or(0)
    }

    /// The task that a key is about: that of the open log, or the selected one.
    fn chosen(&self) -> Option<&Entry> {
        if let Some(log) = &self.log {
            return self.entry(log.task);
        }
        let rows = self.rows();
        rows.get(self.selected(&rows)).copied()
    }

    /// Shows this for a while, or until a key is pressed.
    pub(super) fn say(&mut self, said: impl Into<String>) {
        self.said = Some((said.into(), self.now.at));
    }

    pub(super) fn said(&self) -> Option<&str> {
        let (said, at) = self.said.as_ref()?;
        (self.now.at.since(*at) < SAID).then_some(said)
    }

    /// What the key means here.
    pub(super) fn press(&mut self, key: Key) -> Option<Deed> {
        match key {
            Key::Interrupt => return Some(Deed::Quit),
            Key::Suspend => return Some(Deed::Suspend),
            Key::Redraw => return Some(Deed::Redraw),
            _ => self.said = None,
        }
        if let Some(over) = self.over.take() {
            return match (over, key) {
                (Over::Ask(_, deed), Key::Char('y' | 'Y')) => Some(deed),
                _ => None,
            };
        }
        match key {
            Key::Char('?') => self.over = Some(Over::Help),
            Key::Char('p') if self.pause().is_some() => return Some(Deed::Resume),
            Key::Char('p') => return Some(Deed::Pause),
            Key::Char('s') => self.ask_to_stop(),
            Key::Char('r') => self.ask_to_retry(),
            Key::Escape | Key::Char('q') if self.log.take().is_some() => {
                return Some(Deed::CloseLog);
            }
            Key::Escape | Key::Char('q') => return Some(Deed::Quit),
            _ => match &mut self.log {
                Some(log) => log.press(key),
                None => return self.walk(key),
            },
        }
        None
    }

    fn walk(&mut self, key: Key) -> Option<Deed> {
        let rows = self.rows();
        let (at, last) = (self.selected(&rows), rows.len().checked_sub(1)?);
        let to = match key {
            Key::Enter | Key::Char('l') => {
                let entry = rows[at];
                let (id, lane, created) = (entry.id, entry.lane.clone(), entry.created);
                self.log = Some(Log::new(id, lane));
                return Some(Deed::OpenLog(id, created));
            }
            Key::Up | Key::Char('k') => at.saturating_sub(1),
            Key::Down | Key::Char('j') => at + 1,
            Key::PageUp => at.saturating_sub(self.page),
            Key::PageDown | Key::Char(' ') => at.saturating_add(self.page),
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            _ => return None,
        };
        self.selected = Some(rows[to.min(last)].id);
        None
    }

    fn ask_to_stop(&mut self) {
        let Some(entry) = self.chosen() else { return };
        let lane = self.short(&entry.lane);
        match &entry.standing {
            Standing::Over { .. } => self.say(format!("{lane} is over already")),
            Standing::Runs { stopping: true, .. } => {
                self.say(format!("{lane} is being stopped already"));
            }
            Standing::Runs { .. } => {
                let question = format!("Stop the agent of {lane} and cancel the task? [y/N]");
                self.over = Some(Over::Ask(question, Deed::Cancel(entry.id)));
            }
            Standing::Waits { .. } => {
                let question = format!("Cancel the task for {lane}? [y/N]");
                self.over = Some(Over::Ask(question, Deed::Cancel(entry.id)));
            }
        }
    }

    fn ask_to_retry(&mut self) {
        let Some(entry) = self.chosen() else { return };
        let lane = self.short(&entry.lane);
        if entry.is_over() {
            let question = format!("Queue the task for {lane} once more? [y/N]");
            self.over = Some(Over::Ask(question, Deed::Retry(entry.id)));
        } else {
            self.say(format!("the task for {lane} is not over yet"));
        }
    }
}
