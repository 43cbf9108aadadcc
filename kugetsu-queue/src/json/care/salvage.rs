//! A new journal, made of what can still be read of a damaged one, which is kept.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use kugetsu_core::event::{Event, Happening, Json, Unknown};
use kugetsu_core::{StoreError, TaskId, Timestamp};

use super::super::book::{Book, Open};
use super::super::contents;
use super::super::journal::{self, beside};
use super::super::mark::Mark;
use super::remains::{Gap, Read, Remains};
use crate::care::Salvaged;
use crate::contents::Contents;
use crate::fault::Fault;

/// How many events are put in the place of missing ones at the most.
const STANDING_IN: usize = 100_000;

/// How many gaps are named one by one.
const NAMED: usize = 5;

/// Puts a new journal in the place of a damaged one or of one that is gone. The damaged one is kept
/// beside it under the name that ends with `.damaged-` and `stamp`. In the new one is what each of
/// its lines says that matches its checksum, wherever it stands; where the journal is gone, or its
/// second name has more, what that says. In the place of each record that is missing the log has an
/// event of the unknown type `unreadable`. If anything is missing, a copy of the readable files as
/// they were is kept, too, under the name that ends with `.shown-` and `stamp`.
///
/// Nobody else may use the store meanwhile. A crash in between leaves the journal as it was.
pub fn salvage(directory: &Path, stamp: &str) -> Result<Salvaged, StoreError> {
    let book = Book::new(directory);
    let path = book.path();
    salvaged(&book, stamp).map_err(|fault| fault.into_store_error(path, "salvage the store"))
}

fn salvaged(book: &Book, stamp: &str) -> Result<Salvaged, Fault> {
    let path = book.path();
    journal::make_directory(path)?;
    let turn = book.turn()?;
    let mark = Mark::read(path);
    let (own, spare) = (Remains::find(path)?, Remains::find(&journal::spare(path))?);
    let to_keep = if own.is_some() { path.to_owned() } else { journal::spare(path) };
    let (is_there, has_spare) = (own.is_some(), spare.is_some());
    // Of two that have as much it is the journal itself.
    let best = spare.into_iter().chain(own).max_by_key(Remains::weight);
    let generation = best.as_ref().and_then(|remains| remains.generation);
    let mut done = Salvaged::default();
    let found = if let Some(remains) = best {
        everything(remains, path, mark, &mut done.lost)?
    } else {
        done.lost.push("all that was in it".into());
        Contents::default()
    };
    if !done.lost.is_empty()
        && let Some(shown) = book.view().keep(&unused(path, &format!(".shown-{stamp}")))?
    {
        done.lost.push(format!("what the readable files told is kept in {}", name(&shown)));
    }
    if is_there || (has_spare && !done.lost.is_empty()) {
        let kept = unused(path, &format!(".damaged-{stamp}"));
        // The file itself stays in its place until the new one is.
        fs::hard_link(&to_keep, &kept).or_else(|_| fs::copy(&to_keep, &kept).map(drop))?;
        File::open(&kept)?.sync_all()?;
        done.kept = Some(kept);
    }
    let marked = mark.map(|mark| mark.generation);
    let next = generation.max(marked).map_or(0, |generation| generation + 1);
    let last = journal::write(path, next, contents::records(&found))?;
    turn.mark(Mark { generation: next, seq: last });
    drop(turn);
    book.settle()?;
    done.tasks = found.tasks.len() as u64;
    done.events = found.events.len() as u64;
    done.sessions = found.sessions.len() as u64;
    done.notices = found.notices.len() as u64;
    Ok(done)
}

/// Everything that the remains say, with events in the places of those that are missing.
fn everything(
    remains: Remains,
    path: &Path,
    mark: Option<Mark>,
    lost: &mut Vec<String>,
) -> Result<Contents, Fault> {
    let Read { state, gaps } = remains.read(mark)?;
    let generation = remains.generation;
    let open = Open::new(remains.into_journal(path), state);
    let mut found = contents::read(&open)?;
    if mark.is_some_and(|mark| generation.is_some_and(|found| found < mark.generation)) {
        lost.push("what was changed since the journal was rewritten".into());
    }
    lost.extend(told(&gaps));
    stand_in(&mut found, &gaps)?;
    Ok(found)
}

/// Puts events where some are missing, so that those after them keep their places as far as that is
/// known, and that whoever has read the log up to some place misses nothing that comes now.
fn stand_in(found: &mut Contents, gaps: &[Gap]) -> Result<(), Fault> {
    let what = Unknown { kind: "unreadable".into(), data: Json::Null };
    let id = TaskId::of_key("unreadable");
    let event = Event::new(Timestamp::from_millis(0), id, None, Happening::Unknown(what));
    let text = serde_json::to_string(&event).map_err(|error| Fault::Refused(error.to_string()))?;
    let mut left = STANDING_IN;
    let mut some = |wanted: usize| {
        let count = wanted.min(left);
        left -= count;
        vec![text.clone(); count]
    };
    let mut events = Vec::with_capacity(found.events.len());
    let mut before = found.events.drain(..).enumerate().peekable();
    for gap in gaps {
        while let Some((_, event)) = before.next_if(|(index, _)| *index < gap.events) {
            events.push(event);
        }
        events.extend(some(usize::try_from(gap.count()).unwrap_or(usize::MAX)));
    }
    events.extend(before.map(|(_, event)| event));
    let cursors = found.memos.iter().filter(|(name, _)| name.starts_with("cursor/"));
    let read = cursors.filter_map(|(_, text)| text.parse::<usize>().ok()).max().unwrap_or(0);
    events.extend(some(read.saturating_sub(events.len())));
    found.events = events;
    Ok(())
}

/// What is missing, in words.
fn told(gaps: &[Gap]) -> Option<String> {
    let all: u64 = gaps.iter().map(|gap| gap.count()).sum();
    let mut told = match all {
        0 => return None,
        1 => "1 change".to_owned(),
        all => format!("{all} changes"),
    };
    for (number, gap) in gaps.iter().take(NAMED).enumerate() {
        let (first, last) = (gap.first, gap.last);
        let between = if number == 0 { " (record " } else { ", " };
        let _ = write!(told, "{between}{first}");
        if first < last {
            let _ = write!(told, " to {last}");
        }
    }
    let more = if gaps.len() > NAMED { " and more" } else { "" };
    let _ = write!(told, "{more}); what they changed is as it was before them");
    Some(told)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A name beside the journal's that is not taken yet.
fn unused(path: &Path, suffix: &str) -> PathBuf {
    let mut name = beside(path, suffix);
    let mut number = 2;
    while name.symlink_metadata().is_ok() {
        name = beside(path, &format!("{suffix}.{number}"));
        number += 1;
    }
    name
}
