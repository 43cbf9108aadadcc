//! Everything at once: taken out, and put into a new store.

use std::path::{Path, PathBuf};

use kugetsu_core::{Notice, Session, StoreError, Task};
use rusqlite::{Connection, Row, Transaction, params};
use serde::de::DeserializeOwned;

use super::SqliteStore;
use super::events;
use super::file;
use super::tasks::{Record, number, text};
use crate::contents::Contents;
use crate::fault::Fault;

impl SqliteStore {
    /// Everything that the store holds, as of one instant.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        self.database
            .write_alone(|transaction| read(transaction))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read everything"))
    }

    /// Hands everything that the store holds to `work`, and lets nobody write meanwhile. When `work`
    /// succeeds, the store's file is put aside under its name with `suffix` behind it, which is
    /// returned, and whoever has the store open is told that it is not there any more.
    pub async fn hand_over<T, E, F>(
        &self,
        suffix: &str,
        work: F,
    ) -> Result<Result<(T, PathBuf), E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Contents) -> Result<T, E> + Send + 'static,
    {
        let (path, aside) = (self.path().to_owned(), file::beside(self.path(), suffix));
        self.database
            .write_alone(move |transaction| {
                Fault::must_be_free(&aside)?;
                let done = match work(&read(transaction)?) {
                    Ok(done) => done,
                    Err(error) => return Ok(Err(error)),
                };
                file::rename(&path, &aside)?;
                Ok(Ok((done, aside)))
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "hand everything over"))
    }

    /// Makes a store at `path` that holds this, unless there is one: then it stays as it is, and this
    /// is `false`. A crash leaves none, or a whole one. Blocks its thread.
    pub fn make(path: &Path, contents: &Contents) -> Result<bool, StoreError> {
        file::make_with(path, |transaction| fill(transaction, contents))
            .map_err(|fault| fault.into_store_error(path, "make the store"))
    }
}

fn read(connection: &Connection) -> Result<Contents, Fault> {
    let mut contents = Contents::default();
    let one = |row: &Row<'_>| row.get::<_, String>(0);
    contents.tasks = rows(connection, "SELECT document FROM task ORDER BY seq", one)?;
    contents.sessions = rows(connection, "SELECT document FROM session ORDER BY id", one)?;
    contents.memos = rows(connection, "SELECT name, text FROM memo ORDER BY name", |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    contents.notices =
        rows(connection, "SELECT document, unread FROM notice ORDER BY seq", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let events: Vec<(i64, String)> =
        rows(connection, "SELECT cursor, document FROM event ORDER BY cursor", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    for (cursor, (found, document)) in (1..).zip(events) {
        if found != cursor {
            return Err(Fault::Damaged(format!("its event {cursor} is missing")));
        }
        contents.events.push(document);
    }
    Ok(contents)
}

fn rows<T>(
    connection: &Connection,
    query: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Fault> {
    Ok(connection.prepare(query)?.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn fill(transaction: &Transaction<'_>, contents: &Contents) -> Result<(), Fault> {
    for document in &contents.tasks {
        let task: Task = parse("task", document)?;
        Record::new(&task, document.clone()).insert(transaction)?;
    }
    events::insert(transaction, &contents.events)?;
    for document in &contents.sessions {
        let session: Session = parse("session", document)?;
        let insert = "INSERT INTO session (id, kind, revision, document) VALUES (?1, ?2, ?3, ?4)";
        transaction.prepare_cached(insert)?.execute(params![
            session.id.to_string(),
            text(&session.kind)?,
            number(session.revision.0),
            document
        ])?;
    }
    for (document, unread) in &contents.notices {
        let notice: Notice = parse("notice", document)?;
        let insert = "INSERT INTO notice (key, unread, document) VALUES (?1, ?2, ?3)";
        transaction.prepare_cached(insert)?.execute(params![notice.key, unread, document])?;
    }
    for (name, memo) in &contents.memos {
        let insert = "INSERT INTO memo (name, text) VALUES (?1, ?2)";
        transaction.prepare_cached(insert)?.execute([name, memo])?;
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(what: &str, document: &str) -> Result<T, Fault> {
    serde_json::from_str(document)
        .map_err(|error| Fault::unreadable(&format!("a {what} that is to be kept"), &error))
}
