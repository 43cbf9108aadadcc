//! Tasks.

use async_trait::async_trait;
use kugetsu_core::{
    Due, Event, Expected, Moment, Revision, Role, StoreError, Task, TaskId, TaskQuery, TaskStore,
    Tick, Timestamp,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params, params_from_iter};
use serde::Serialize;

use super::SqliteStore;
use super::events;
use super::fault::is_duplicate;
use crate::fault::Fault;

#[async_trait]
impl TaskStore for SqliteStore {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let id = task.id;
        let write = async {
            let record = Record::of(task, expected)?;
            let events = events::documents(events)?;
            self.database
                .write(move |transaction| {
                    match expected {
                        Expected::Absent => record.insert(transaction)?,
                        Expected::At(revision) => record.update(transaction, revision)?,
                    }
                    events::insert(transaction, &events)
                })
                .await
        };
        write.await.map_err(|fault| fault.into_commit_error(self.path(), id))
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT document, id FROM task WHERE id = ?1")?
                    .query_and_then([id.to_string()], read)?
                    .next()
                    .transpose()
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("load task {id}")))
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        self.database
            .read(move |connection| {
                let boot = now.tick.boot.to_string();
                let (tick, wall) = (number(now.tick.millis), number(now.at.as_millis()));
                connection
                    .prepare_cached(DUE)?
                    .query_and_then(params![boot, tick, wall, role == Role::Pm], read)?
                    .filter_map(readable)
                    .take(usize::try_from(limit).unwrap_or(usize::MAX))
                    .collect()
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "look for tasks that are due"))
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        self.database
            .read(move |connection| {
                let boot = now.tick.boot.to_string();
                let mut next: Option<Due> = None;
                for select in NEXT {
                    let due = connection
                        .prepare_cached(select)?
                        .query_and_then(params![boot, role == Role::Pm], |row| {
                            // One that cannot be read is never claimed, so nobody waits for it.
                            read(row).and_then(|_| due_of(row))
                        })?
                        .find_map(readable)
                        .transpose()?;
                    next = next.into_iter().chain(due).min_by_key(|due| due.wait(now));
                }
                Ok(next)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "look when a task is due"))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        let (select, values) = listing(query);
        let limit = query.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached(&select)?
                    .query_and_then(params_from_iter(values), read)?
                    .filter_map(readable)
                    .take(limit)
                    .collect()
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "list tasks"))
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        self.database
            .write(move |transaction| {
                let lane: Option<String> = transaction
                    .prepare_cached(
                        "DELETE FROM task WHERE id = ?1 AND revision = ?2 RETURNING lane",
                    )?
                    .query_row(params![id.to_string(), number(expected.0)], |row| row.get(0))
                    .optional()?;
                let lane = lane.ok_or(Fault::Conflict)?;
                set_head(transaction, &lane)
            })
            .await
            .map_err(|fault| fault.into_commit_error(self.path(), id))
    }
}

/// The first open tasks of their lanes whose time has come, as [`Due::reached`] has it.
const DUE: &str = "
    SELECT document, id FROM task
    WHERE head = 1
      AND ((due_boot = ?1 AND due_tick <= ?2) OR (due_boot <> ?1 AND due_wall <= ?3))
      AND (issue IS NULL) = ?4
    ORDER BY priority DESC, seq";

/// What is due first, in this boot, and in those before and behind it by name. Only what was left by
/// another boot is sorted, until it is written again.
const NEXT: [&str; 3] = [
    "SELECT document, id, due_boot, due_tick, due_wall FROM task
     WHERE head = 1 AND (issue IS NULL) = ?2 AND due_boot = ?1 ORDER BY due_tick",
    "SELECT document, id, due_boot, due_tick, due_wall FROM task
     WHERE head = 1 AND (issue IS NULL) = ?2 AND due_boot < ?1 ORDER BY due_wall",
    "SELECT document, id, due_boot, due_tick, due_wall FROM task
     WHERE head = 1 AND (issue IS NULL) = ?2 AND due_boot > ?1 ORDER BY due_wall",
];

fn listing(query: &TaskQuery) -> (String, Vec<Value>) {
    let mut select = String::from("SELECT document, id FROM task WHERE 1 = 1");
    let mut values = Vec::new();
    if let Some(issue) = &query.issue {
        select += " AND issue = ?";
        values.push(Value::Text(issue.to_string()));
    }
    if let Some(status) = query.status {
        select += " AND status = ?";
        values.push(Value::Text(status.to_string()));
    }
    if query.open {
        select += " AND open = 1";
    }
    select += if query.open && query.issue.is_none() { " ORDER BY +seq" } else { " ORDER BY seq" };
    (select, values)
}

/// A task as its row.
pub(super) struct Record {
    id: String,
    revision: i64,
    lane: String,
    issue: Option<String>,
    status: String,
    priority: i16,
    open: bool,
    due_boot: Option<String>,
    due_tick: Option<i64>,
    due_wall: Option<i64>,
    document: String,
}

impl Record {
    pub(super) fn of(task: &Task, expected: Expected) -> Result<Self, Fault> {
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
        Ok(Self::new(task, text(task)?))
    }

    /// The row of this task, which is kept as this document.
    pub(super) fn new(task: &Task, document: String) -> Self {
        let due: Option<Due> = task.due();
        Self {
            id: task.id.to_string(),
            revision: number(task.revision.0),
            lane: task.lane(),
            issue: task.request.issue().map(ToString::to_string),
            status: task.status().to_string(),
            priority: task.priority.0,
            open: !task.is_settled(),
            due_boot: due.map(|due| due.tick.boot.to_string()),
            due_tick: due.map(|due| number(due.tick.millis)),
            due_wall: due.map(|due| number(due.after_reboot.as_millis())),
            document,
        }
    }

    pub(super) fn insert(&self, connection: &Connection) -> Result<(), Fault> {
        let inserted = connection
            .prepare_cached(
                "INSERT INTO task (id, revision, lane, issue, status, priority, open, head,
                                   due_boot, due_tick, due_wall, document)
                 VALUES (:id, :revision, :lane, :issue, :status, :priority, :open,
                         :open AND NOT EXISTS (SELECT 1 FROM task WHERE lane = :lane AND open = 1),
                         :due_boot, :due_tick, :due_wall, :document)",
            )?
            .execute(named_params! {
                ":id": self.id,
                ":revision": self.revision,
                ":lane": self.lane,
                ":issue": self.issue,
                ":status": self.status,
                ":priority": self.priority,
                ":open": self.open,
                ":due_boot": self.due_boot,
                ":due_tick": self.due_tick,
                ":due_wall": self.due_wall,
                ":document": self.document,
            });
        match inserted {
            Ok(_) => Ok(()),
            Err(error) if is_duplicate(&error) => Err(Fault::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts it where it was in the order of tasks, and returns its lane, whose head is to be set.
    pub(super) fn restore(&self, connection: &Connection, seq: i64) -> Result<String, Fault> {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO task (seq, id, revision, lane, issue, status, priority, open,
                                             head, due_boot, due_tick, due_wall, document)
                 VALUES (:seq, :id, :revision, :lane, :issue, :status, :priority, :open,
                         0, :due_boot, :due_tick, :due_wall, :document)",
            )?
            .execute(named_params! {
                ":seq": seq,
                ":id": self.id,
                ":revision": self.revision,
                ":lane": self.lane,
                ":issue": self.issue,
                ":status": self.status,
                ":priority": self.priority,
                ":open": self.open,
                ":due_boot": self.due_boot,
                ":due_tick": self.due_tick,
                ":due_wall": self.due_wall,
                ":document": self.document,
            })?;
        Ok(self.lane.clone())
    }

    fn update(&self, connection: &Connection, expected: Revision) -> Result<(), Fault> {
        let stored = connection
            .prepare_cached("SELECT seq, lane, open FROM task WHERE id = ?1 AND revision = ?2")?
            .query_row(params![self.id, number(expected.0)], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
            })
            .optional()?;
        let Some((seq, lane, open)) = stored else { return Err(Fault::Conflict) };
        let moves = lane != self.lane || open != self.open;
        connection
            .prepare_cached(
                "UPDATE task SET revision = :revision, lane = :lane, issue = :issue,
                                 status = :status, priority = :priority, open = :open,
                                 head = head AND NOT :moves, due_boot = :due_boot,
                                 due_tick = :due_tick, due_wall = :due_wall, document = :document
                 WHERE seq = :seq",
            )?
            .execute(named_params! {
                ":seq": seq,
                ":revision": self.revision,
                ":lane": self.lane,
                ":issue": self.issue,
                ":status": self.status,
                ":priority": self.priority,
                ":open": self.open,
                ":moves": moves,
                ":due_boot": self.due_boot,
                ":due_tick": self.due_tick,
                ":due_wall": self.due_wall,
                ":document": self.document,
            })?;
        if moves {
            set_head(connection, &lane)?;
            set_head(connection, &self.lane)?;
        }
        Ok(())
    }
}

/// Marks the first open task of the lane, and no other of it.
pub(super) fn set_head(connection: &Connection, lane: &str) -> Result<(), Fault> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT min(seq) FROM task WHERE lane = ?1 AND open = 1")?
        .query_row([lane], |row| row.get(0))?;
    connection
        .prepare_cached("UPDATE task SET head = 0 WHERE lane = ?1 AND head = 1 AND seq IS NOT ?2")?
        .execute(params![lane, first])?;
    connection
        .prepare_cached("UPDATE task SET head = 1 WHERE seq = ?1 AND head = 0")?
        .execute([first])?;
    Ok(())
}

fn due_of(row: &Row<'_>) -> Result<Due, Fault> {
    let boot: String = row.get(2)?;
    let boot = uuid::Uuid::try_parse(&boot).map_err(|e| Fault::Damaged(e.to_string()))?;
    let millis = |column| row.get(column).map(|value: i64| u64::try_from(value).unwrap_or(0));
    let after_reboot = Timestamp::from_millis(millis(4)?);
    Ok(Due { tick: Tick { boot, millis: millis(3)? }, after_reboot })
}

/// Leaves out a record that cannot be read: it stops nothing but itself, and [`Care`](crate::Care)
/// tells of it.
pub(super) fn readable<T>(read: Result<T, Fault>) -> Option<Result<T, Fault>> {
    if matches!(read, Err(Fault::Damaged(_))) { None } else { Some(read) }
}

fn read(row: &Row<'_>) -> Result<Task, Fault> {
    serde_json::from_str(document(row, 0)?).map_err(|error| {
        let id: String = row.get(1).unwrap_or_default();
        Fault::unreadable(&format!("task {id}"), &error)
    })
}

/// The JSON document in this column.
pub(super) fn document<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Fault> {
    row.get_ref(column)?.as_str().map_err(|error| Fault::Damaged(error.to_string()))
}

/// As the JSON document that is stored.
pub(super) fn text(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Refused(error.to_string()))
}

/// As an integer of `SQLite`, which is signed. What is beyond stays the largest.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use kugetsu_core::Status;

    use super::*;
    use crate::sqlite::file::{self, Use};

    fn plan(select: &str, values: usize) -> String {
        let home = tempfile::tempdir().unwrap();
        let connection = file::connect(&home.path().join("kugetsu.db"), Use::Writing).unwrap();
        let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {select}")).unwrap();
        let values = params_from_iter((0..values).map(|_| Value::Integer(1)));
        let rows = query.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_due_is_found_without_looking_at_other_tasks() {
        assert_eq!(plan(DUE, 4), "SEARCH task USING INDEX task_ready (<expr>=?)");
    }

    #[test]
    fn what_is_next_is_found_without_sorting_what_this_boot_has() {
        let [this, before, behind] = NEXT.map(|select| plan(select, 2));
        assert_eq!(this, "SEARCH task USING INDEX task_next (<expr>=? AND due_boot=?)");
        for (other, range) in [(before, '<'), (behind, '>')] {
            let search =
                format!("SEARCH task USING INDEX task_next (<expr>=? AND due_boot{range}?)");
            assert_eq!(other, format!("{search}\nUSE TEMP B-TREE FOR ORDER BY"));
        }
    }

    #[test]
    fn listing_looks_only_at_what_is_meant() {
        let check = |query: TaskQuery, index: &str| {
            let (select, values) = listing(&query);
            let plan = plan(&select, values.len());
            assert!(plan.contains(index), "{query:?}: {plan}");
        };
        let issue = "github.com/acme/widgets#42".parse().unwrap();
        check(TaskQuery::open(), "task_open");
        check(TaskQuery::all().with_status(Status::Error), "task_status");
        check(TaskQuery::open().with_issue(issue), "task_issue");
    }
}
