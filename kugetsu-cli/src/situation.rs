//! Looking around: what there is to see of a task and of what it needs, for
//! [`gates`](kugetsu_queue::gates).

use kugetsu_core::{
    Cursor, IssueRef, Role, SlotKey, SlotPool as _, Task, TaskId, TaskQuery, TaskState, Timestamp,
};
use kugetsu_queue::gates::{Missing, Situation};

use crate::commands::daemon;
use crate::errors::CliError;
use crate::setup::Setup;
use crate::tasks;

/// How far back the event log is searched for a task's last event.
const BACK: u64 = 4096;

/// What is asked about.
#[derive(Debug, Clone)]
pub(crate) enum About {
    Issue(IssueRef),
    Pm,
    Task(Box<Task>),
}

impl About {
    /// What a person means by an issue, `pm`, or a task's id or the beginning of it.
    pub(crate) async fn parse(text: &str, setup: &Setup) -> Result<Self, CliError> {
        if text == "pm" {
            return Ok(Self::Pm);
        }
        if tasks::may_be_id(text) {
            return Ok(Self::Task(Box::new(setup.task(text).await?)));
        }
        Ok(Self::Issue(setup.issue(text)?))
    }

    /// Its name, as it is told.
    pub(crate) fn lane(&self) -> String {
        match self {
            Self::Issue(issue) => issue.to_string(),
            Self::Pm => "pm".to_owned(),
            Self::Task(task) => task.lane(),
        }
    }

    fn issue(&self) -> Option<&IssueRef> {
        match self {
            Self::Issue(issue) => Some(issue),
            Self::Pm => None,
            Self::Task(task) => task.request.issue(),
        }
    }
}

/// What there is to see of it now. Of an issue or the PM it is the task that runs, else the first
/// open one, else the one that was settled last.
pub(crate) async fn situation(about: &About, setup: &Setup) -> Result<Situation, CliError> {
    let queue = setup.queue().await?;
    let slots = setup.slots()?;
    let class = if about.issue().is_some() { SlotKey::Dev } else { SlotKey::Pm };
    let mut seen = Situation::new(queue.clock().moment(), slots.limit(&class));
    let query = match about.issue() {
        Some(issue) => TaskQuery::all().with_issue(issue.clone()),
        None => TaskQuery::all(),
    };
    let mut all = queue.store().list(&query).await?;
    all.retain(|task| (task.request.role() == Role::Pm) == about.issue().is_none());
    seen.task = match about {
        About::Task(task) => Some(*task.clone()),
        _ => the_one(&all).cloned(),
    };
    all.retain(|task| !task.is_settled());
    seen.lane = all;
    let missing = setup.missing_session().await?;
    seen.missing = missing
        .map(|name| Missing::new(format!("the {name} session is missing"), "`kugetsu init`"));
    seen.holds = setup.holds().await?.active().await?;
    seen.daemon = daemon(setup)?;
    if let Some(issue) = about.issue() {
        seen.issue = slots.holders(&SlotKey::Issue(issue.clone())).await?.pop();
    }
    seen.holders = slots.holders(&class).await?;
    if let Some(task) = seen.task.as_ref().filter(|task| task.lease().is_some()) {
        seen.heard = heard(setup, task.id).await?;
    }
    Ok(seen)
}

fn the_one(all: &[Task]) -> Option<&Task> {
    let settled = |task: &Task| match task.state {
        TaskState::Settled { at, .. } => Some(at),
        _ => None,
    };
    all.iter()
        .find(|task| task.lease().is_some())
        .or_else(|| all.iter().find(|task| !task.is_settled()))
        .or_else(|| all.iter().max_by_key(|task| settled(task)))
}

/// When the task's last event was, unless that is long ago.
async fn heard(setup: &Setup, task: TaskId) -> Result<Option<Timestamp>, CliError> {
    let store = std::sync::Arc::clone(&setup.stores().await?.tasks);
    let end = store.append(&[]).await?;
    let mut from = Cursor(end.0.saturating_sub(BACK));
    let mut heard = None;
    loop {
        let events = store.read(from, 512).await?;
        let Some((last, _)) = events.last() else { return Ok(heard) };
        from = *last;
        heard = events.iter().rfind(|(_, event)| event.task == task).map(|e| e.1.at).or(heard);
    }
}
