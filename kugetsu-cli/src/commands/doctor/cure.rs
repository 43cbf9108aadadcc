//! Carrying out what mends a finding. Nothing is lost by any of it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use kugetsu_core::{Clock as _, IssueRef, SlotKey, SlotPool as _, WorktreeSpec};
use kugetsu_queue::json;
use kugetsu_queue::sqlite::care;

use super::finding::{Cure, Finding};
use super::permissions;
use crate::commands::queue_daemon::keep_out;
use crate::commands::{daemon, init};
use crate::errors::CliError;
use crate::screen::time;
use crate::setup::{Setup, clock};

/// Carries out each finding's cure. What concerns many findings is done once, and what is mended along
/// with another is told as that.
pub(super) async fn all(findings: Vec<Finding>, setup: &Setup) -> Vec<Finding> {
    let mut tried = Vec::new();
    let mut done: Vec<(String, Result<String, String>)> = Vec::new();
    for mut finding in findings {
        let Some(cure) = finding.cure.take() else { continue };
        let name = format!("{cure:?}");
        let before = done.iter().find(|(other, _)| *other == name);
        let result = if let Some((_, result)) = before {
            result.clone()
        } else {
            let result = match carry_out(&cure, setup).await {
                Ok(what) if what.is_empty() => Ok(if done.iter().any(|(_, did)| did.is_ok()) {
                    "it was mended along with another".into()
                } else {
                    "nothing was left of it".into()
                }),
                result => result.map_err(|e| e.message().to_owned()),
            };
            done.push((name, result.clone()));
            result
        };
        match result {
            Ok(what) => finding.mended = Some(what),
            Err(why) => finding.failed = Some(why),
        }
        tried.push(finding);
    }
    tried
}

/// Says what was done; nothing if nothing was left to be done.
async fn carry_out(cure: &Cure, setup: &Setup) -> Result<String, CliError> {
    let paths = setup.paths()?;
    let shown = |path: &Path| setup.screen().path(path);
    match cure {
        Cure::Mode(path, mode) => {
            tighten(path, *mode).map_err(|e| {
                CliError::io(format_args!("change the mode of {}", shown(path)), &e)
            })?;
            Ok(format!("its mode is {mode:o}"))
        }
        Cure::MakeDirectory(path) => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|e| CliError::io(format_args!("make {}", shown(path)), &e))?;
            Ok("made it".into())
        }
        Cure::Remove(path) => {
            fs::remove_file(path)
                .map_err(|e| CliError::io(format_args!("remove {}", shown(path)), &e))?;
            Ok("removed it".into())
        }
        Cure::SetAside => {
            let moved = care::set_aside(&paths.database(), clock()?.moment().at)?;
            Ok(format!("moved it to {}", shown(&moved.to)))
        }
        Cure::FreeLanes => {
            care::free_lanes(&paths.database())?;
            Ok("its first task may run".into())
        }
        Cure::CutJournal => {
            let kept = json::care::cut(paths.root())?;
            Ok(format!("cut it off; it is kept in {}", shown(&kept)))
        }
        Cure::Salvage => salvage(setup).await,
        Cure::MakeSessions => {
            init::make(setup, false).await?;
            Ok("made it".into())
        }
        Cure::ForgetSession(id) => {
            let Some(_slot) = setup.slots()?.try_acquire(&SlotKey::Pm, "kugetsu doctor").await?
            else {
                return Err(CliError::failed("the PM is in use; try again when it has ended"));
            };
            setup.stores().await?.sessions.remove(*id).await?;
            Ok("forgot it, so that a new one is made".into())
        }
        Cure::MakeWorktree(issue) => {
            let _slot = slot(setup, issue).await?;
            let base = setup.settings()?.get("base_branch").map(str::to_owned);
            let spec = WorktreeSpec::new(issue.clone()).with_base(base);
            let made = setup.worktrees()?.prepare(&spec).await?;
            Ok(format!("made it again at {}, branch {}", shown(&made.path), made.branch))
        }
        Cure::Worktrees(finding) => {
            let _slot = match &finding.issue {
                Some(issue) => Some(slot(setup, issue).await?),
                None => None,
            };
            let Some(git) = setup.git_worktrees()? else {
                return Err(CliError::failed("the worktrees are not git's"));
            };
            let mended = git.mend(finding).await?;
            if mended.was_nothing_left() {
                return Ok(String::new());
            }
            Ok(match mended.rescued.as_slice() {
                [] => mended.done,
                rescued => format!("{}; saved before: {}", mended.done, rescued.join(", ")),
            })
        }
        Cure::Permissions => {
            let fixed = permissions::mend(setup).await?;
            match fixed.and_then(|fixed| fixed.busy.into_iter().next()) {
                Some(busy) => Err(CliError::failed(format!("{busy} is in use; try again later"))),
                None => Ok("it has the rules of its role".into()),
            }
        }
        Cure::EndLeftovers => Ok(setup.end_leftovers().await?.join("; ")),
    }
}

async fn slot(setup: &Setup, issue: &IssueRef) -> Result<kugetsu_core::Slot, CliError> {
    let key = SlotKey::Issue(issue.clone());
    let slot = setup.slots()?.try_acquire(&key, "kugetsu doctor").await?;
    slot.ok_or_else(|| CliError::failed(format!("{issue} is in use; stop it, or try again later")))
}

/// Changes the mode of what is there and no link, and never opens it further.
fn tighten(path: &Path, mode: u32) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    if about.is_file() || about.is_dir() {
        let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(no_link).open(path);
        if let Ok(file) = file {
            return set(&file, mode);
        }
    }
    if about.file_type().is_symlink() {
        return Err(io::Error::other("it is a link"));
    }
    fs::set_permissions(path, Permissions::from_mode(about.mode() & mode))
}

fn set(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// A new store, made of the damaged one, unless somebody uses it.
async fn salvage(setup: &Setup) -> Result<String, CliError> {
    let paths = setup.paths()?;
    if let Some(daemon) = daemon(setup)? {
        return Err(CliError::failed(format!(
            "the daemon (process {}) uses it; end it with `kugetsu queue-daemon stop` first",
            daemon.pid
        )));
    }
    let slots = setup.slots()?;
    for key in [SlotKey::Dev, SlotKey::Pm] {
        if !slots.holders(&key).await?.is_empty() {
            return Err(CliError::failed("an agent is at work; wait for it, or stop it"));
        }
    }
    let _daemon = keep_out("kugetsu doctor --fix", setup)?;
    let now = clock()?.moment().at;
    let stamp = time::rfc3339(now).unwrap_or_else(|| now.as_millis().to_string());
    let stamp: String = stamp.chars().filter(char::is_ascii_alphanumeric).collect();
    let done = match setup.place()?.setting("store") {
        Some("json") => json::care::salvage(paths.root(), &stamp)?,
        _ => care::salvage(&paths.database(), &stamp, now)?,
    };
    let counted = [
        time::counted(done.tasks, "task"),
        time::counted(done.events, "event"),
        time::counted(done.sessions, "session"),
        time::counted(done.notices, "notice"),
    ];
    let mut told = match &done.kept {
        Some(kept) => format!(
            "made a new one with {}; the damaged one is kept as {}",
            counted.join(", "),
            setup.screen().path(kept)
        ),
        None if done.tasks + done.events + done.sessions + done.notices > 0 => {
            format!("it is back with {}", counted.join(", "))
        }
        None => "made a new, empty one".to_owned(),
    };
    if !done.lost.is_empty() {
        told = format!("{told}; lost: {}", done.lost.join("; "));
    }
    Ok(told)
}
