//! Everything at once: taken out, and put into a new store.

use std::path::{Path, PathBuf};

use kugetsu_core::StoreError;
use serde_json::value::RawValue;

use super::JsonStore;
use super::book::{Book, Open};
use super::record::{Append, Brought, Is, Memo, Put, Record, on_one_line};
use super::state::Span;
use crate::contents::Contents;
use crate::fault::Fault;

/// How many events one record holds.
const TOGETHER: usize = 100;

impl JsonStore {
    /// Everything that the store holds, as of one instant.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        self.book
            .read(read)
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read everything"))
    }

    /// Hands everything that the store holds to `work`, and lets nobody write meanwhile. When `work`
    /// succeeds, the journal is put aside under its name with `suffix` behind it, which is returned,
    /// the view is removed, and whoever has the store open is told that it is not there any more.
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
        self.book
            .hand_over(suffix, move |open| Ok(work(&read(open)?)))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "hand everything over"))
    }

    /// Makes a store in this directory that holds this, unless there is one: then it stays as it is,
    /// and this is `false`. A crash leaves none, or a whole one. Blocks its thread.
    pub fn make(directory: &Path, contents: &Contents) -> Result<bool, StoreError> {
        let book = Book::new(directory);
        book.make(records(contents))
            .map_err(|fault| fault.into_store_error(book.path(), "make the store"))
    }
}

pub(super) fn read(open: &Open) -> Result<Contents, Fault> {
    let Open { journal, state, .. } = open;
    let document = |span: Span| journal.document(span);
    let all = |spans: &mut dyn Iterator<Item = Span>| -> Result<Vec<String>, Fault> {
        spans.map(document).collect()
    };
    let notice = |(span, unread)| Ok((document(span)?, unread));
    let notices = state.notices.iter().map(|notice| (notice.span, notice.unread));
    Ok(Contents {
        tasks: all(&mut state.tasks.values().map(|kept| kept.span))?,
        events: all(&mut state.events.iter().copied())?,
        sessions: all(&mut state.sessions.values().map(|kept| kept.span))?,
        notices: notices.map(notice).collect::<Result<_, Fault>>()?,
        memos: state.memos.clone().into_iter().collect(),
    })
}

/// The records of a journal that holds this.
pub(super) fn records(contents: &Contents) -> impl Iterator<Item = Result<String, Fault>> {
    let tasks = contents.tasks.iter().map(|text| {
        let task = on_one_line(text)?;
        Record::Task(Is { task: &task }).text()
    });
    let sessions = contents.sessions.iter().map(|text| {
        let session = on_one_line(text)?;
        Record::Session(Put { session: &session }).text()
    });
    let memos = contents.memos.iter().map(|(name, text)| {
        Record::Memo(Memo { name: name.clone(), text: Some(text.clone()) }).text()
    });
    let notices = contents.notices.iter().map(|(text, unread)| {
        let notice = on_one_line(text)?;
        Record::Notice(Brought { unread: *unread, notice: &notice }).text()
    });
    let events = contents.events.chunks(TOGETHER).map(|texts| {
        let events = texts.iter().map(|text| on_one_line(text));
        let events: Vec<Box<RawValue>> = events.collect::<Result<_, _>>()?;
        Record::Append(Append { events: events.iter().map(AsRef::as_ref).collect() }).text()
    });
    tasks.chain(sessions).chain(memos).chain(notices).chain(events)
}

/// The records of a journal that holds what this one does, and nothing outdated.
pub(super) fn rewritten(open: &Open) -> Result<Vec<String>, Fault> {
    records(&read(open)?).collect()
}
