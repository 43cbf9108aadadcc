//! Sessions.

use async_trait::async_trait;
use kugetsu_core::{
    Expected, Revision, Session, SessionError, SessionId, SessionQuery, SessionStore,
};
use rusqlite::{Row, params};

use super::SqliteStore;
use super::fault::is_duplicate;
use super::tasks::{document, number, readable, text};
use crate::fault::Fault;

#[async_trait]
impl SessionStore for SqliteStore {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let write = async {
            let mut session = session.clone();
            session.revision = match expected {
                Expected::Absent => Revision(1),
                Expected::At(revision) => revision.next(),
            };
            let (id, kind) = (session.id.to_string(), text(&session.kind)?);
            let (revision, document) = (session.revision, text(&session)?);
            self.database
                .write(move |transaction| {
                    let written = match expected {
                        Expected::Absent => transaction
                            .prepare_cached(
                                "INSERT INTO session (id, kind, revision, document)
                                 VALUES (?1, ?2, ?3, ?4)",
                            )?
                            .execute(params![id, kind, number(revision.0), document]),
                        Expected::At(expected) => transaction
                            .prepare_cached(
                                "UPDATE session SET kind = ?2, revision = ?3, document = ?4
                                 WHERE id = ?1 AND revision = ?5",
                            )?
                            .execute(params![
                                id,
                                kind,
                                number(revision.0),
                                document,
                                number(expected.0)
                            ]),
                    };
                    match written {
                        Ok(0) => Err(Fault::Conflict),
                        Ok(_) => Ok(revision),
                        Err(error) if is_duplicate(&error) => Err(Fault::Conflict),
                        Err(error) => Err(error.into()),
                    }
                })
                .await
        };
        write.await.map_err(|fault| fault.into_put_error(self.path(), &session.kind))
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        self.database
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT document, id FROM session WHERE id = ?1")?
                    .query_and_then([id.to_string()], read)?
                    .next()
                    .transpose()
            })
            .await
            .map_err(|fault| fault.into_session_error(self.path(), &format!("load session {id}")))
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let find = async {
            let kind = query.kind.as_ref().map(text).transpose()?;
            self.database
                .read(move |connection| {
                    // Whoever asks for one must not take an unreadable one for none.
                    let is_for_one = kind.is_some();
                    let mut sessions: Vec<Session> = connection
                        .prepare_cached(
                            "SELECT document, id FROM session WHERE ?1 IS NULL OR kind = ?1",
                        )?
                        .query_and_then([kind], read)?
                        .filter_map(|read| if is_for_one { Some(read) } else { readable(read) })
                        .collect::<Result<_, _>>()?;
                    sessions.sort_by(|a, b| a.kind.cmp(&b.kind));
                    Ok(sessions)
                })
                .await
        };
        find.await.map_err(|fault| fault.into_session_error(self.path(), "find sessions"))
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        self.database
            .write(move |transaction| {
                transaction
                    .prepare_cached("DELETE FROM session WHERE id = ?1")?
                    .execute([id.to_string()])?;
                Ok(())
            })
            .await
            .map_err(|fault| fault.into_session_error(self.path(), &format!("remove session {id}")))
    }
}

fn read(row: &Row<'_>) -> Result<Session, Fault> {
    serde_json::from_str(document(row, 0)?).map_err(|error| {
        let id: String = row.get(1).unwrap_or_default();
        Fault::unreadable(&format!("session {id}"), &error)
    })
}
