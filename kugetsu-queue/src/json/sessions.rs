//! Sessions.

use async_trait::async_trait;
use kugetsu_core::{
    Expected, Revision, Session, SessionError, SessionId, SessionQuery, SessionStore,
};

use super::JsonStore;
use super::record::{Forget, Put, Record, document};
use crate::fault::Fault;

#[async_trait]
impl SessionStore for JsonStore {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let write = async {
            let mut session = session.clone();
            session.revision = match expected {
                Expected::Absent => Revision(1),
                Expected::At(revision) => revision.next(),
            };
            let record = Record::Session(Put { session: &document(&session)? }).text()?;
            self.book
                .write(move |open| {
                    let state = &open.state;
                    let of_kind = state.session_of(&session.kind);
                    if of_kind.is_some_and(|other| other.id != session.id) {
                        return Err(Fault::Conflict);
                    }
                    let found = state.sessions.get(&session.id).map(|kept| kept.is.revision);
                    match (found, expected) {
                        (None, Expected::Absent) => Ok((Some(record), session.revision)),
                        (Some(found), Expected::At(revision)) if found == revision => {
                            Ok((Some(record), session.revision))
                        }
                        _ => Err(Fault::Conflict),
                    }
                })
                .await
        };
        write.await.map_err(|fault| fault.into_put_error(self.path(), &session.kind))
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        self.book
            .read(move |open| Ok(open.state.sessions.get(&id).map(|kept| kept.is.clone())))
            .await
            .map_err(|fault| fault.into_session_error(self.path(), &format!("load session {id}")))
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let kind = query.kind.clone();
        self.book
            .read(move |open| {
                let all = open.state.sessions.values().map(|kept| &kept.is);
                let meant = all.filter(|session| kind.as_ref().is_none_or(|k| session.kind == *k));
                let mut sessions: Vec<Session> = meant.cloned().collect();
                sessions.sort_by(|a, b| a.kind.cmp(&b.kind));
                Ok(sessions)
            })
            .await
            .map_err(|fault| fault.into_session_error(self.path(), "find sessions"))
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        let write = async {
            let record = Record::Forget(Forget { session: id }).text()?;
            self.book
                .write(move |open| {
                    let is_there = open.state.sessions.contains_key(&id);
                    Ok((is_there.then_some(record), ()))
                })
                .await
        };
        write
            .await
            .map_err(|fault| fault.into_session_error(self.path(), &format!("remove session {id}")))
    }
}
