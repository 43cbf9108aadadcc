//! The records of which a rewritten journal is made.

use serde_json::value::RawValue;

use super::book::Open;
use super::record::{Append, Brought, Is, Memo, Put, Record, on_one_line};
use super::state::Span;
use crate::fault::Fault;

/// How many events one record holds.
const TOGETHER: usize = 100;

/// Everything that is stored, as it was written.
pub(super) fn records(open: &Open) -> impl Iterator<Item = Result<String, Fault>> {
    let Open { state, .. } = open;
    let raw = |span| document(open, span);
    let tasks = state
        .tasks
        .values()
        .map(move |kept| raw(kept.span).and_then(|task| Record::Task(Is { task: &task }).text()));
    let sessions = state.sessions.values().map(move |kept| {
        raw(kept.span).and_then(|session| Record::Session(Put { session: &session }).text())
    });
    let memos = state.memos.iter().map(|(name, text)| {
        Record::Memo(Memo { name: name.clone(), text: Some(text.clone()) }).text()
    });
    let notices = state.notices.iter().map(move |notice| {
        let unread = notice.unread;
        let brought =
            |notice: Box<RawValue>| Record::Notice(Brought { unread, notice: &notice }).text();
        raw(notice.span).and_then(brought)
    });
    let events = state.events.chunks(TOGETHER).map(move |spans| {
        let events: Vec<Box<RawValue>> =
            spans.iter().map(|span| raw(*span)).collect::<Result<_, _>>()?;
        Record::Append(Append { events: events.iter().map(AsRef::as_ref).collect() }).text()
    });
    tasks.chain(sessions).chain(memos).chain(notices).chain(events)
}

fn document(open: &Open, span: Span) -> Result<Box<RawValue>, Fault> {
    on_one_line(&open.journal.document(span)?)
}
