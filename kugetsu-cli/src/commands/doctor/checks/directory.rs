//! The directory: is it there, is it ours, can it be written, is there room.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::bounded::{NoAnswer, aside};
use super::super::finding::{
    CHECK_FAILED, CHECK_HUNG, Cure, DIRECTORY_MISSING, DISK_FULL, DISK_LOW, FOREIGN, Finding,
    LOOSE, NO_DIRECTORY, NOT_MADE, READ_ONLY, TWO,
};
use super::{Examination, Found, left_over};
use crate::paths::Paths;
use crate::screen::escape;

/// How long the disk may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many files of a kind are named one by one.
const NAMED: usize = 20;

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let paths = of.setup.paths()?.clone();
    let home = of.setup.around().variable("HOME").map(|home| Path::new(home).join(".kugetsu"));
    let shown = of.setup.screen().path(paths.root());
    let looked = aside(PATIENCE, move || look(&paths, home.as_deref())).await;
    Ok(looked.unwrap_or_else(|no_answer| {
        vec![match no_answer {
            NoAnswer::Hung => Finding::new(
                CHECK_HUNG,
                format!("the disk of {shown} does not answer"),
                "see whether it is a network drive that is away",
            ),
            NoAnswer::Crashed => Finding::new(
                CHECK_FAILED,
                format!("looking at {shown} panicked"),
                "run `kugetsu doctor` again",
            ),
        }]
    }))
}

fn look(paths: &Paths, home: Option<&Path>) -> Vec<Finding> {
    let mut found = Vec::new();
    let root = paths.root();
    let told = word(root);
    match fs::metadata(root) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => {
            let mend = format!("move {told} away, or set KUGETSU_DIR to another place");
            return vec![Finding::new(NO_DIRECTORY, format!("{told} is no directory"), mend)];
        }
        Err(error) => {
            let found = format!("{told} is not there ({error})");
            return vec![Finding::new(NOT_MADE, found, "kugetsu init")];
        }
    }
    if !paths.are_made() {
        let found = format!("kugetsu is not initialised in {told}");
        return vec![Finding::new(NOT_MADE, found, "kugetsu init")];
    }
    for directory in paths.directories() {
        match fs::metadata(&directory) {
            Ok(about) if about.is_dir() => {}
            Ok(_) => found.push(Finding::new(
                NO_DIRECTORY,
                format!("{} is no directory", word(&directory)),
                format!("mv {0} {0}.old", word(&directory)),
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => found.push(
                Finding::new(
                    DIRECTORY_MISSING,
                    format!("{} is missing", word(&directory)),
                    format!("mkdir -m 700 {}", word(&directory)),
                )
                .cured_by(Cure::MakeDirectory(directory)),
            ),
            Err(error) => found.push(Finding::new(
                NO_DIRECTORY,
                format!("{} cannot be looked at: {error}", word(&directory)),
                format!("see to it that you may enter {told}"),
            )),
        }
    }
    found.extend(left_over::check(paths));
    modes(paths, &mut found);
    writable(root, &mut found);
    if let Ok(disk) = rustix::fs::statvfs(root) {
        let left = Room {
            bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
            files: (disk.f_files > 0).then_some(disk.f_favail),
        };
        found.extend(left.judged(&told));
    }
    if let Some(home) = home
        && home != root
        && home.join("env").is_dir()
        && home.join("kugetsu.db").is_file()
    {
        found.push(Finding::new(
            TWO,
            format!("there is another kugetsu in {}, while KUGETSU_DIR is {told}", word(home)),
            "use one of them, or see to it that every shell, service and cron job means the same",
        ));
    }
    found
}

/// How much room there is.
struct Room {
    bytes: u64,
    /// How many files, where that is limited.
    files: Option<u64>,
}

impl Room {
    const FULL: u64 = 100 * 1024 * 1024;
    const LOW: u64 = 2 * 1024 * 1024 * 1024;

    fn judged(&self, place: &str) -> Option<Finding> {
        let mend = format!(
            "free some space: `kugetsu prune`, `kugetsu queue clear`, and see `du -sh {place}/*`"
        );
        let megabytes = self.bytes / (1024 * 1024);
        if self.bytes < Self::FULL || self.files.is_some_and(|files| files < 1000) {
            let files = self.files.map_or(String::new(), |files| format!(" and {files} files"));
            let found = format!("the disk of {place} is full: {megabytes} MB{files} are left");
            return Some(Finding::new(DISK_FULL, found, mend));
        }
        if self.bytes < Self::LOW || self.files.is_some_and(|files| files < 50_000) {
            let found = format!("the disk of {place} is nearly full: {megabytes} MB are left");
            return Some(Finding::new(DISK_LOW, found, mend));
        }
        None
    }
}

fn writable(root: &Path, found: &mut Vec<Finding>) {
    let Err(error) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) else { return };
    let mend = match error {
        rustix::io::Errno::ROFS => "mount the file system for writing".to_owned(),
        _ => format!("see to it that you may write in {}", word(root)),
    };
    let error = std::io::Error::from(error);
    found.push(Finding::new(READ_ONLY, format!("{} cannot be written: {error}", word(root)), mend));
}

/// Everything that others can read or write, and what is not the user's own.
fn modes(paths: &Paths, found: &mut Vec<Finding>) {
    let own = rustix::process::geteuid().as_raw();
    let mut loose = Vec::new();
    let mut foreign = Vec::new();
    for path in private(paths) {
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        if about.file_type().is_symlink() {
            continue;
        }
        if about.uid() != own {
            foreign.push(path);
        } else if about.mode() & closed(&path, paths) != 0 {
            loose.push((path, about));
        }
    }
    let told = |path: &Path, about: &Metadata, found: String, mend: String| {
        let mode = about.mode() & 0o7777 & !closed(path, paths);
        Finding::new(LOOSE, found, mend.replace("{mode}", &format!("{mode:o}")))
            .cured_by(Cure::Mode(path.to_owned(), mode))
    };
    for (path, about) in loose.iter().take(NAMED) {
        let text = format!("{} has mode {:o}", word(path), about.mode() & 0o7777);
        found.push(told(path, about, text, format!("chmod {{mode}} {}", word(path))));
    }
    // The next round has the next ones.
    if let Some((first, about)) = loose.get(NAMED) {
        let more = loose.len() - NAMED;
        let text = format!("{more} more files, such as {}, are open to others", word(first));
        found.push(told(first, about, text, format!("chmod -R go= {}", word(paths.root()))));
    }
    if let Some(first) = foreign.first() {
        let more = match foreign.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        found.push(Finding::new(
            FOREIGN,
            format!("{}{more} belong to another user", word(first)),
            format!("chown -R \"$(id -u)\" {}", word(paths.root())),
        ));
    }
}

/// What others must not have: anything, but a file that people write and that holds no secret may be
/// read, since it is in a directory that is closed.
fn closed(path: &Path, paths: &Paths) -> u32 {
    let is_for_people = path.parent() == Some(paths.root())
        && path.is_file()
        && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"kugetsu.db"));
    if is_for_people { 0o022 } else { 0o077 }
}

/// What only its owner should read: everything of ours but the worktrees and clones, in whose private
/// directories files are as git makes them, and env files, which have a check of their own.
fn private(paths: &Paths) -> Vec<PathBuf> {
    let root = paths.root();
    let mut all = vec![root.to_owned()];
    all.extend(paths.directories().into_iter().filter(|directory| directory != root));
    for directory in [root.to_owned(), paths.queue(), paths.logs()] {
        all.extend(files(&directory));
    }
    let is_store = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"opencode.db"))
    };
    all.extend(files(&paths.state("opencode")).into_iter().filter(is_store));
    all.extend(entries(&paths.logs()).into_iter().filter(|path| path.is_dir()));
    for directory in entries(&paths.logs()) {
        all.extend(files(&directory));
    }
    all.sort();
    all.dedup();
    all
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let is_file = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|about| about.is_file() || about.file_type().is_fifo())
    };
    entries(directory).into_iter().filter(is_file).collect()
}

/// The path as a word for a shell, and safe to be shown.
pub(super) fn word(path: &Path) -> String {
    escape::word(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_is_left() {
        let check = |bytes: u64, files: Option<u64>| {
            Room { bytes, files }.judged("/data").map(|finding| finding.check)
        };
        let giga = 1024 * 1024 * 1024;
        assert_eq!(check(50 * giga, Some(1_000_000)), None);
        assert_eq!(check(50 * giga, None), None);
        assert_eq!(check(giga, None), Some("disk.low"));
        assert_eq!(check(50 * giga, Some(20_000)), Some("disk.low"));
        assert_eq!(check(giga / 20, None), Some("disk.full"));
        assert_eq!(check(50 * giga, Some(3)), Some("disk.full"));
    }
}
