//! A new store, made of what can still be read of a damaged one, which is kept.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kugetsu_core::{Expected, Revision, StoreError, Task, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::quarantine::{self, keep};
use super::{Kind, bytes, unused};
use crate::care::Salvaged;
use crate::fault::Fault;
use crate::sqlite::file::{self, beside};
use crate::sqlite::tasks::{self, Record};

/// How far beyond the last row that was found more are looked for.
const BEYOND: i64 = 100_000;

/// The first page of a new store, and of any other of its format.
const PAGE: usize = 4096;

/// Puts a new store in the place of a damaged one or of one that is gone. The damaged file is kept
/// beside it under the name that ends with `.damaged-` and `stamp`, and what can be read of it is in
/// the new one; records that make no sense go where [`set_aside`](super::set_aside) puts them.
///
/// Nobody else may use the store meanwhile. A crash in between leaves the damaged file under one of
/// the two names, and salvaging once more goes on with it.
pub fn salvage(path: &Path, stamp: &str, at: Timestamp) -> Result<Salvaged, StoreError> {
    let salvage = || {
        let _gate = file::gate(path)?;
        let kept = put_aside(path, stamp)?;
        let unfinished = beside(path, ".salvaged");
        remove(&unfinished)?;
        file::make(&unfinished)?;
        let mut done = Salvaged { kept: kept.clone(), ..Salvaged::default() };
        if let Some(kept) = kept {
            let copy = beside(path, ".copy");
            remove(&copy)?;
            copy_of(&kept, &copy)?;
            fill(&copy, &unfinished, path, at, &mut done)?;
            remove(&copy)?;
        } else {
            done.lost.push("all that was in the file, which is gone".into());
        }
        let connection = file::open(&unfinished)?;
        connection.close().map_err(|(_, error)| error)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, path)?;
        File::open(file::directory_of(path))?.sync_all()?;
        remove(&unfinished)?;
        match fs::remove_file(note(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(done),
        }
    };
    salvage().map_err(|fault: Fault| fault.into_store_error(path, "salvage the store"))
}

/// Moves the file and its log out of the way, and returns where it is. Where it is to be is noted
/// first, so that whoever comes after one who did not come to an end finds it.
fn put_aside(path: &Path, stamp: &str) -> Result<Option<PathBuf>, Fault> {
    let note = note(path);
    let noted = match fs::read(&note) {
        Ok(name) => Some(file::directory_of(path).join(OsStr::from_bytes(&name))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let kept = match noted {
        Some(kept) if kept.try_exists()? && !path.try_exists()? => Some(kept),
        _ if path.try_exists()? => {
            let kept = unused(path, &format!(".damaged-{stamp}"));
            let mut file = File::create(&note)?;
            file.write_all(kept.file_name().unwrap_or_default().as_bytes())?;
            file.sync_all()?;
            fs::rename(path, &kept)?;
            Some(kept)
        }
        _ => None,
    };
    let log = beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() == 0) {
        fs::remove_file(log)?;
    } else if log.try_exists()? {
        match &kept {
            Some(kept) if !beside(kept, "-wal").exists() => fs::rename(&log, beside(kept, "-wal"))?,
            _ => fs::rename(&log, unused(path, &format!("-wal.damaged-{stamp}")))?,
        }
    }
    let index = beside(path, "-shm");
    if index.try_exists()? {
        fs::remove_file(index)?;
    }
    File::open(file::directory_of(path))?.sync_all()?;
    Ok(kept)
}

/// Says which file was put aside and is not made a new one of yet.
fn note(path: &Path) -> PathBuf {
    beside(path, ".salvaging")
}

fn remove(path: &Path) -> Result<(), Fault> {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// A copy that may be written, since reading a log means to write.
fn copy_of(kept: &Path, copy: &Path) -> Result<(), Fault> {
    fs::copy(kept, copy)?;
    let log = beside(kept, "-wal");
    if log.try_exists()? {
        fs::copy(log, beside(copy, "-wal"))?;
    }
    Ok(())
}

/// Opens the copy, with the first page of a new store if its own makes no sense.
fn opened(copy: &Path, sound: &Path) -> Result<Connection, Fault> {
    let attempt = || {
        let connection = file::open(copy)?;
        connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'task'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        connection.prepare("SELECT document FROM task")?;
        Ok(connection)
    };
    attempt().or_else(|_: Fault| {
        let mut page = vec![0; PAGE];
        File::open(sound)?.read_exact(&mut page)?;
        let file = OpenOptions::new().write(true).open(copy)?;
        let pages = u32::try_from(file.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
        page[28..32].copy_from_slice(&pages.to_be_bytes());
        // Nothing is known of free pages.
        page[32..40].fill(0);
        file.write_all_at(&page, 0)?;
        attempt()
    })
}

fn fill(
    copy: &Path,
    unfinished: &Path,
    path: &Path,
    at: Timestamp,
    done: &mut Salvaged,
) -> Result<(), Fault> {
    let old = match opened(copy, unfinished) {
        Ok(old) => old,
        Err(fault) => {
            done.lost.push(format!("all of it: {}", fault.into_store_error(path, "read it")));
            return Ok(());
        }
    };
    let mut new = file::open(unfinished)?;
    let new = new.transaction()?;
    let strange = quarantine::place(path);
    let mut lanes = BTreeSet::new();
    for (kind, columns, count) in [
        (Kind::Task, &["seq", "id", "document"][..], &mut done.tasks),
        (Kind::Event, &["cursor", "document"], &mut done.events),
        (Kind::Session, &["rowid", "id", "kind", "revision", "document"], &mut done.sessions),
        (Kind::Notice, &["seq", "key", "unread", "document"], &mut done.notices),
    ] {
        let table = kind.table();
        let mut put = |row: &Row<'_>| -> Result<(), Fault> {
            let document = bytes(row.get_ref("document")?);
            if let Some(why) = kind.trouble(&document) {
                return keep(&strange, &[quarantine::line(kind, row, &why, at)?]);
            }
            if kind == Kind::Task {
                if let Ok(task) = serde_json::from_slice::<Task>(&document) {
                    let before = Revision(task.revision.0.saturating_sub(1));
                    let record = Record::of(&task, Expected::At(before))?;
                    lanes.insert(record.restore(&new, row.get("seq")?)?);
                }
            } else {
                let values: Vec<Value> =
                    columns.iter().map(|name| row.get(*name)).collect::<Result<_, _>>()?;
                let marks = vec!["?"; columns.len()].join(", ");
                let names = columns.join(", ");
                new.prepare_cached(&format!(
                    "INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
                ))?
                .execute(params_from_iter(values))?;
            }
            *count += 1;
            Ok(())
        };
        let unread = walk(&old, table, columns[0], &mut put)?;
        if let Some(unread) = unread {
            done.lost.push(format!("{table}s: {unread}"));
        }
    }
    for lane in lanes {
        tasks::set_head(&new, &lane)?;
    }
    memos(&old, &new, &mut done.lost)?;
    sequences(&old, &new)?;
    new.commit()?;
    Ok(())
}

/// Hands on every row that can be read, from both ends of the table and then one by one. Returns what
/// is known to be missing, in words.
fn walk(
    old: &Connection,
    table: &str,
    number: &str,
    put: &mut dyn FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<Option<String>, Fault> {
    let fields = if number == "rowid" { "rowid, *" } else { "*" };
    let select = format!("SELECT {fields} FROM {table} NOT INDEXED");
    let mut seen = BTreeSet::new();
    for order in ["ASC", "DESC"] {
        let whole = (|| {
            let mut query = old.prepare(&format!("{select} ORDER BY {number} {order}"))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                if seen.insert(row.get::<_, i64>(number)?) {
                    put(row)?;
                }
            }
            Ok::<_, Fault>(())
        })();
        match whole {
            Ok(()) => return Ok(None),
            Err(Fault::Database(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    let told: i64 = old
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table], |row| row.get(0))
        .unwrap_or(0);
    let last = seen.last().copied().unwrap_or(0);
    let end = told.max(last).min(last.saturating_add(BEYOND));
    let mut missing = 0_u64;
    let Ok(mut one) = old.prepare(&format!("{select} WHERE {number} = ?1")) else {
        return Ok(Some("none can be read".into()));
    };
    for candidate in 1..=end {
        if seen.contains(&candidate) {
            continue;
        }
        let mut rows = one.query([candidate])?;
        match rows.next() {
            Ok(Some(row)) => put(row)?,
            Ok(None) => {}
            Err(_) => missing += 1,
        }
    }
    Ok(Some(match missing {
        0 => "some may be missing, of which nothing is known".into(),
        missing => format!("{missing} cannot be read"),
    }))
}

fn memos(old: &Connection, new: &Connection, lost: &mut Vec<String>) -> Result<(), Fault> {
    let mut is_whole = false;
    for order in ["ASC", "DESC"] {
        let mut put = new.prepare("INSERT OR IGNORE INTO memo (name, text) VALUES (?1, ?2)")?;
        let read = (|| {
            let mut query =
                old.prepare(&format!("SELECT name, text FROM memo ORDER BY name {order}"))?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                put.execute([row.get::<_, String>(0)?, row.get::<_, String>(1)?])?;
            }
            Ok::<_, rusqlite::Error>(())
        })();
        is_whole |= read.is_ok();
    }
    if !is_whole {
        lost.push("memos, such as that the queue is paused: some may be missing".into());
    }
    Ok(())
}

/// No number is given twice: readers of the log go on from the last one they have seen.
fn sequences(old: &Connection, new: &Connection) -> Result<(), Fault> {
    let read: i64 = new.query_row(
        "SELECT coalesce(max(CAST(text AS INTEGER)), 0) FROM memo WHERE name LIKE 'cursor/%'",
        [],
        |row| row.get(0),
    )?;
    for table in ["task", "event", "notice"] {
        let told: i64 = old
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = ?1", [table], |row| row.get(0))
            .unwrap_or(0);
        let least = if table == "event" { told.max(read) } else { told };
        let changed = new.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
            rusqlite::params![table, least],
        )?;
        if changed == 0 && least > 0 {
            new.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
                rusqlite::params![table, least],
            )?;
        }
    }
    Ok(())
}
