//! Who holds what.

use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use kugetsu_core::{SlotHolder, Timestamp};

use super::note::Note;
use super::places::Places;

/// How long one that has just taken a slot is given to say so.
const GRACE: Duration = Duration::from_millis(5);

/// Who holds the places now, by index.
pub(super) fn of(places: &Places) -> io::Result<Vec<SlotHolder>> {
    let held = places.look()?;
    Ok(held
        .into_iter()
        .map(|(index, file)| {
            let Some((note, since)) = file.as_ref().and_then(signed) else {
                return SlotHolder::new(places.key().clone(), index, "somebody who left no name");
            };
            let words = if note.by.is_alive() {
                note.holder
            } else {
                format!(
                    "{} (process {} is gone, and what it started is still alive)",
                    note.holder, note.by.pid
                )
            };
            let holder = SlotHolder::new(places.key().clone(), index, words).with_pid(note.by.pid);
            match since {
                Some(since) => holder.with_since(since),
                None => holder,
            }
        })
        .collect())
}

/// The note of the one that holds the place. One of a process that is gone may be older than the
/// lock, so that it gets a second look.
fn signed(file: &File) -> Option<(Note, Option<Timestamp>)> {
    match Note::read(file) {
        Some((note, since)) if note.by.is_alive() => Some((note, since)),
        _ => {
            thread::sleep(GRACE);
            Note::read(file)
        }
    }
}
