//! Files that were written beside the one that they were to replace, whose writer died before that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::finding::{Cure, Finding, LEFT_OVER};
use super::directory::word;
use crate::paths::Paths;

/// How long nobody has written such a file before nobody goes on to.
const LONG: Duration = Duration::from_mins(1);

/// How many are named at once. The next round has the next ones.
const NAMED: usize = 20;

/// What of ours is written so, at the top of the directory.
const NAMES: [&str; 8] = [
    "config.toml",
    "servers.json",
    "repos.json",
    "index.json",
    "notifications.json",
    "journal.jsonl",
    "journal.jsonl.view",
    "kugetsu.db",
];

/// What a salvage that was killed leaves beside the database, which the next one makes anew.
const OF_SALVAGE: [&str; 2] = ["kugetsu.db.salvaged", "kugetsu.db.copy"];

pub(super) fn check(paths: &Paths) -> Vec<Finding> {
    let is_old = |path: &PathBuf| {
        let about = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
        let age = about.and_then(|about| about.modified().ok()?.elapsed().ok());
        age.is_some_and(|age| age >= LONG)
    };
    let found = candidates(paths).into_iter().filter(is_old).take(NAMED);
    let told = |path: PathBuf| {
        let shown = word(&path);
        Finding::new(LEFT_OVER, format!("{shown} was never finished"), format!("rm {shown}"))
            .cured_by(Cure::Remove(path))
    };
    found.map(told).collect()
}

/// Where such files may be.
fn candidates(paths: &Paths) -> Vec<PathBuf> {
    let root = paths.root();
    let mut all: Vec<PathBuf> = NAMES.iter().map(|name| root.join(format!("{name}.new"))).collect();
    for name in ["kugetsu.db.new", OF_SALVAGE[0], OF_SALVAGE[1]] {
        all.extend(["-wal", "-shm"].map(|end| root.join(format!("{name}{end}"))));
    }
    all.extend(OF_SALVAGE.map(|name| root.join(name)));
    all.push(paths.queue().join("daemon.pid.new"));
    for (directory, end) in [
        (paths.env(), ".env.new"),
        (root.join("sessions"), ".json.new"),
        (paths.queue().join("items"), ".json.new"),
        (paths.contexts(), ".json.new"),
    ] {
        all.extend(ending(&directory, end));
    }
    all
}

fn ending(directory: &Path, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    let ours = names.filter(|name| name.to_string_lossy().ends_with(end));
    let mut found: Vec<PathBuf> = ours.map(|name| directory.join(name)).collect();
    found.sort();
    found
}
