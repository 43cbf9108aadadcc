//! Ending what an earlier process of kugetsu left behind, before any new agent starts.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::files;
use crate::marker::Marker;
use crate::proc;
use crate::tree::Record;
use crate::trees::Trees;

/// A process that was left over and has been ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Its pid.
    pub pid: i32,
    /// The name of its program, as the kernel had it.
    pub program: String,
    /// Which tree it belonged to.
    pub tree: String,
}

/// A process tree of an earlier process, whose owner is gone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Leftover {
    /// The tree's name, as in [`Ended::tree`].
    pub tree: String,
    /// The record of it on disk.
    pub record: PathBuf,
    /// Its processes that are still alive, by pid, with the name of the program; none if only the
    /// record is left.
    pub processes: Vec<(i32, String)>,
}

pub(crate) fn leftovers(trees: &Trees) -> io::Result<Vec<Leftover>> {
    let mut left = Vec::new();
    // Whoever ends them must not take our look at a lock for an owner.
    let lock = trees.recovery_lock();
    let held = if lock.exists() { Some(files::try_lock(&lock)?) } else { None };
    if matches!(held, Some(None)) {
        return Ok(left);
    }
    let records = match fs::read_dir(trees.records()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(left),
        records => records?,
    };
    for entry in records {
        let record = entry?.path();
        let name = record.file_name().and_then(|name| name.to_str());
        let Some(marker) = name.and_then(|name| name.strip_suffix(".owner")) else { continue };
        let Ok(marker) = Marker::try_from(marker.to_owned()) else { continue };
        if !files::is_free(&record)? {
            continue;
        }
        let processes = proc::carriers(&marker).into_iter().map(|p| (p.pid, p.name())).collect();
        left.push(Leftover { tree: marker.to_string(), record, processes });
    }
    left.sort_by(|one, other| one.tree.cmp(&other.tree));
    Ok(left)
}

/// How long the pass waits for processes that were sent SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn recover(trees: &Trees) -> io::Result<Vec<Ended>> {
    // Whoever comes second must not start before the first one is done.
    let _one_at_a_time = files::lock(&trees.recovery_lock())?;
    let mut ended = Vec::new();
    for entry in fs::read_dir(trees.records())? {
        let name = entry?.file_name();
        let Some(marker) = name.to_str().and_then(|name| name.strip_suffix(".owner")) else {
            continue;
        };
        let Ok(marker) = Marker::try_from(marker.to_owned()) else { continue };
        let record = Record::of(trees, marker);
        if let Some(_abandoned) = files::try_lock(&record.owner())? {
            ended.extend(end(&record)?);
        }
    }
    Ok(ended)
}

fn end(record: &Record) -> io::Result<Vec<Ended>> {
    let until = Instant::now() + PATIENCE;
    let names: Vec<_> = proc::carriers(&record.marker).into_iter().map(|p| (p, p.name())).collect();
    let gone = proc::end_carriers(&record.marker, PATIENCE);
    // The lock is free once the guard and the program are, even if they cannot be looked at.
    while files::try_lock(&record.lock())?.is_none() {
        if Instant::now() >= until {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the process tree {} of an earlier run does not end", record.marker),
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    record.remove();
    Ok(gone
        .into_iter()
        .map(|process| Ended {
            pid: process.pid,
            program: names
                .iter()
                .find(|(known, _)| *known == process)
                .map(|(_, name)| name.clone())
                .unwrap_or_default(),
            tree: record.marker.to_string(),
        })
        .collect())
}
