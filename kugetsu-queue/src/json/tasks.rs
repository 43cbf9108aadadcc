//! Tasks, and what happened.

use async_trait::async_trait;
use kugetsu_core::{
    Cursor, Due, Event, EventLog, Expected, Moment, Revision, Role, StoreError, Task, TaskId,
    TaskQuery, TaskStore,
};
use serde_json::value::RawValue;

use super::JsonStore;
use super::record::{Append, Commit, Record, Remove, document, was};
use crate::fault::Fault;

#[async_trait]
impl EventLog for JsonStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let write = async {
            let record = match documents(events)? {
                events if events.is_empty() => None,
                events => Some(Record::Append(Append { events: borrowed(&events) }).text()?),
            };
            let more = events.len();
            match record {
                None => self.book.read(|open| Ok(end(open.state.events.len()))).await,
                record => {
                    let after = move |before: usize| end(before + more);
                    self.book.write(move |open| Ok((record, after(open.state.events.len())))).await
                }
            }
        };
        write.await.map_err(|fault| fault.into_store_error(self.path(), "append to the event log"))
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.book
            .read(move |open| {
                let first = usize::try_from(after.0).unwrap_or(usize::MAX);
                let spans = open.state.events.iter().enumerate().skip(first);
                let mut events = Vec::new();
                for (index, span) in spans.take(limit as usize) {
                    let cursor = end(index + 1);
                    let event = serde_json::from_str(&open.journal.document(*span)?)
                        .map_err(|error| Fault::unreadable(&format!("event {cursor}"), &error))?;
                    events.push((cursor, event));
                }
                Ok(events)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read the event log"))
    }
}

#[async_trait]
impl TaskStore for JsonStore {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let id = task.id;
        let write = async {
            let successor = match expected {
                Expected::Absent => Revision(1),
                Expected::At(revision) => revision.next(),
            };
            if task.revision != successor {
                return Err(Fault::Refused(format!(
                    "its revision is {}, and {successor} has to come next",
                    task.revision
                )));
            }
            let (task, events) = (document(task)?, documents(events)?);
            let commit = Commit { was: was(expected), task: &task, events: borrowed(&events) };
            let record = Record::Commit(commit).text()?;
            self.book
                .write(move |open| match (open.state.revision(id), expected) {
                    (None, Expected::Absent) => Ok((Some(record), ())),
                    (Some(found), Expected::At(revision)) if found == revision => {
                        Ok((Some(record), ()))
                    }
                    _ => Err(Fault::Conflict),
                })
                .await
        };
        write.await.map_err(|fault| fault.into_commit_error(self.path(), id))
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.book
            .read(move |open| Ok(open.state.task(id).map(|kept| kept.is.clone())))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("load task {id}")))
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        self.book
            .read(move |open| Ok(open.state.due(now, role, limit)))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "look for tasks that are due"))
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        self.book
            .read(move |open| Ok(open.state.next_due(now, role)))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "look when a task is due"))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        let query = query.clone();
        self.book
            .read(move |open| Ok(open.state.list(&query)))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "list tasks"))
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        let write = async {
            let record = Record::Remove(Remove { was: expected.0, task: id }).text()?;
            self.book
                .write(move |open| match open.state.revision(id) {
                    Some(found) if found == expected => Ok((Some(record), ())),
                    _ => Err(Fault::Conflict),
                })
                .await
        };
        write.await.map_err(|fault| fault.into_commit_error(self.path(), id))
    }
}

fn documents(events: &[Event]) -> Result<Vec<Box<RawValue>>, Fault> {
    events.iter().map(document).collect()
}

fn borrowed(documents: &[Box<RawValue>]) -> Vec<&RawValue> {
    documents.iter().map(AsRef::as_ref).collect()
}

/// The cursor of the last of so many events.
fn end(events: usize) -> Cursor {
    Cursor(events as u64)
}
