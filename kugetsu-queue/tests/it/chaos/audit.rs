//! The auditor: it reads what is on the disk when all is over, and knows nothing of how it came there.

use std::collections::BTreeMap;
use std::fs;

use kugetsu_core::{
    Attempt, AttemptEnd, Cursor, EventLog as _, Happening, Task, TaskId, TaskQuery, TaskStore as _,
};

use super::site::Site;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// What must not be.
    pub(crate) wrong: Vec<String>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    pub(crate) completed: usize,
    pub(crate) lost: usize,
    pub(crate) attempts: usize,
}

/// What the log has told of a task so far.
#[derive(Debug, Default)]
struct Told {
    newest: Attempt,
    ends: usize,
}

impl Audit {
    pub(crate) fn of(site: &Site) -> Self {
        let (tasks, events) = site.blocking(async |_| {
            let store = site.store().await;
            let mut events = Vec::new();
            let mut cursor = Cursor(0);
            loop {
                let more = store.read(cursor, 1000).await.unwrap();
                let Some((last, _)) = more.last() else { break };
                cursor = *last;
                events.extend(more);
            }
            (store.list(&TaskQuery::all()).await.unwrap(), events)
        });
        let mut audit = Self::default();
        let mut told: BTreeMap<TaskId, Told> = BTreeMap::new();
        for (_, event) in events {
            let told = told.entry(event.task).or_default();
            let mut wrong = |what: String| audit.wrong.push(format!("{}: {what}", event.task));
            let attempt = match &event.what {
                Happening::Claimed { attempt, .. } => {
                    if *attempt <= told.newest {
                        wrong(format!("attempt {attempt} was claimed after {}", told.newest));
                    }
                    told.newest = *attempt;
                    Some(*attempt)
                }
                Happening::RetryScheduled { attempt, .. } | Happening::Released { attempt, .. } => {
                    Some(*attempt)
                }
                Happening::Settled { .. } => {
                    told.ends += 1;
                    None
                }
                _ => continue,
            };
            if attempt.is_some_and(|attempt| attempt != told.newest) {
                wrong(format!("attempt {attempt:?} acted after {} was claimed", told.newest));
            }
            if told.ends > usize::from(attempt.is_none()) {
                wrong(format!("{:?} after its end", event.what));
            }
        }
        let done = fs::read_to_string(site.home().join("done")).unwrap_or_default();
        for task in tasks {
            let mut wrong = |what: String| audit.wrong.push(format!("{}: {what}", task.id));
            let ends = told.get(&task.id).map_or(0, |told| told.ends);
            if !task.is_settled() || ends != 1 {
                wrong(format!("it is {} and has ended {ends} times", task.status()));
            }
            let turns = done.lines().filter(|line| *line == task.request.message()).count();
            if turns > task.attempts.len() {
                wrong(format!("{turns} turns in {} attempts", task.attempts.len()));
            }
            if task.status() == kugetsu_core::Status::Completed {
                audit.completed += 1;
                if turns == 0 {
                    wrong("it is completed, and nobody did anything".into());
                }
            }
            let lost = task.attempts.iter().filter(|attempt| attempt.end == AttemptEnd::Lost);
            audit.lost += lost.count();
            audit.attempts += task.attempts.len();
            if task.attempts_spent() > task.max_attempts {
                wrong(format!("it has spent {} attempts", task.attempts_spent()));
            }
            audit.tasks.insert(task.id, task);
        }
        let violations = fs::read_to_string(site.home().join("violations")).unwrap_or_default();
        audit.wrong.extend(violations.lines().map(ToOwned::to_owned));
        audit
    }

    #[track_caller]
    pub(crate) fn assert_clean(&self, queued: &[TaskId]) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        let mut queued = queued.to_vec();
        queued.sort_unstable();
        let found: Vec<TaskId> = self.tasks.keys().copied().collect();
        assert_eq!(found, queued, "a task was lost, or came from nowhere");
        // Luck may fail a task three times in a row, but not many.
        assert!(self.completed * 100 >= queued.len() * 98, "{} completed", self.completed);
    }
}
