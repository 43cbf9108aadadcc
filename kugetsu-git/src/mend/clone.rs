//! Mending clones.

use std::fs;
use std::path::{Path, PathBuf};

use git2::Repository;
use kugetsu_core::{RepoRef, WorktreeError};

use super::repository_of;
use crate::blocking::blocking;
use crate::clone::{self, Extent};
use crate::delete::delete;
use crate::entry;
use crate::examine::{Damage, damage, damaged_objects, stale_locks};
use crate::fault::Doing;
use crate::finding::{Fault, Finding, Mended};
use crate::provider::GitWorktrees;
use crate::remove::touch;
use crate::rescue::{Rescue, move_aside};
use crate::scratch::make_directory;
use crate::site::{Roots, beside};
use crate::source::Source;
use crate::stale;

/// Mends what is the matter with a clone; `None` if the finding is about something else.
pub(super) async fn mend(
    worktrees: &GitWorktrees,
    roots: &Roots,
    finding: &Finding,
) -> Result<Option<Mended>, WorktreeError> {
    let path = finding.path.clone();
    let mended = match finding.fault {
        Fault::CloneGone => again(worktrees, roots, path).await?,
        Fault::CloneBroken => whole(worktrees, roots, path).await?,
        Fault::ObjectsMissing => objects(worktrees, roots, path).await?,
        Fault::RemoteDiffers => remote(worktrees, roots, path).await?,
        Fault::CloneHalfMade => delete_half(roots, path).await?,
        Fault::CloneLock => unlock(roots, path).await?,
        Fault::RecordDangling if finding.issue.is_none() => forget_record(roots, path).await?,
        _ => return Ok(None),
    };
    Ok(Some(mended))
}

/// The repository whose clone is at `clone`, and where it comes from.
fn source(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: &Path,
) -> Result<(RepoRef, Source), WorktreeError> {
    let told = |repository: &str, why: String| WorktreeError::NoRepository {
        repository: repository.to_owned(),
        why,
    };
    let Some(repository) = repository_of(roots, clone) else {
        let why = "no repository's clone belongs there; move it away".to_owned();
        return Err(told(&clone.display().to_string(), why));
    };
    match worktrees.sources.source(&repository) {
        Ok(source) => Ok((repository, source)),
        Err(error) => Err(told(&repository.to_string(), error.to_string())),
    }
}

async fn fetch(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: &Path,
    extent: Extent,
) -> Result<(), WorktreeError> {
    let (repository, source) = source(worktrees, roots, clone)?;
    let (git, fetches) = (&worktrees.git, &worktrees.fetches);
    clone::bring(git, fetches, &repository, clone.to_owned(), (source, None), extent).await
}

async fn again(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: PathBuf,
) -> Result<Mended, WorktreeError> {
    if fs::symlink_metadata(&clone).is_ok() {
        return Ok(Mended::default());
    }
    fetch(worktrees, roots, &clone, Extent::New).await?;
    Ok(Mended::new(format!("{} is cloned again", clone.display())))
}

/// Makes a clone one that git takes for a repository, and fetches.
async fn whole(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: PathBuf,
) -> Result<Mended, WorktreeError> {
    if repository_of(roots, &clone).is_none() {
        return Ok(Mended::default());
    }
    let lock = clone::lock(clone.clone()).await?;
    let (damage, rescued) = {
        let clone = clone.clone();
        blocking(move || {
            let _held = lock;
            let damage = damage(&clone);
            let mut rescued = Vec::new();
            for part in &damage {
                rewrite(&clone, *part, &mut rescued)
                    .doing(|| format!("mend {} of {}", part.name(), clone.display()))?;
            }
            Ok((damage, rescued))
        })
        .await?
    };
    if damage.is_empty() {
        return Ok(Mended::default());
    }
    let mut done = format!("{} is a repository again", clone.display());
    if let Err(error) = fetch(worktrees, roots, &clone, Extent::All).await {
        done += ", and could not be fetched: ";
        done += &error.to_string();
    }
    Ok(Mended::new(done).with_rescued(rescued))
}

fn rewrite(clone: &Path, part: Damage, rescued: &mut Vec<String>) -> std::io::Result<()> {
    let path = clone.join(part.name());
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    let before = if is_file { fs::read(&path)? } else { Vec::new() };
    if fs::symlink_metadata(&path).is_ok() {
        rescued.push(move_aside(&path, &beside(clone, "rescue"))?.display().to_string());
    }
    match part {
        Damage::Head => entry::put(&path, b"ref: refs/heads/main\n"),
        Damage::Config => entry::put(
            &path,
            b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
        ),
        Damage::Objects => {
            make_directory(&path.join("info"))?;
            make_directory(&path.join("pack"))
        }
        Damage::References => make_directory(&path.join("heads")),
        Damage::Packed => {
            // Without the header nothing is said of tags, so git looks at them itself.
            let lines = before.split(|&byte| byte == b'\n');
            let whole: Vec<&[u8]> = lines.filter(|line| is_packed(line)).collect();
            let mut text = whole.join(&b'\n');
            if !text.is_empty() {
                text.push(b'\n');
            }
            entry::put(&path, &text)
        }
    }
}

/// Whether the line says where a reference is.
fn is_packed(line: &[u8]) -> bool {
    line.split_at_checked(40).is_some_and(|(id, name)| {
        id.iter().all(u8::is_ascii_hexdigit)
            && name.strip_prefix(b" ").and_then(|name| std::str::from_utf8(name).ok()).is_some_and(
                |name| name.starts_with("refs/") && git2::Reference::is_valid_name(name),
            )
    })
}

/// Moves damaged objects aside and fetches everything again.
async fn objects(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: PathBuf,
) -> Result<Mended, WorktreeError> {
    source(worktrees, roots, &clone)?;
    let lock = clone::lock(clone.clone()).await?;
    let rescued = {
        let clone = clone.clone();
        blocking(move || {
            let _held = lock;
            let mut rescued = Vec::new();
            for object in damaged_objects(&clone) {
                let to = move_aside(&object, &beside(&clone, "rescue"))
                    .doing(|| format!("move {} aside", object.display()))?;
                rescued.push(to.display().to_string());
            }
            Ok(rescued)
        })
        .await?
    };
    fetch(worktrees, roots, &clone, Extent::All).await?;
    let done = format!("everything of {} is fetched again", clone.display());
    Ok(Mended::new(done).with_rescued(rescued))
}

async fn remote(
    worktrees: &GitWorktrees,
    roots: &Roots,
    clone: PathBuf,
) -> Result<Mended, WorktreeError> {
    let (_, source) = source(worktrees, roots, &clone)?;
    let lock = clone::lock(clone.clone()).await?;
    blocking(move || {
        let _held = lock;
        let repository = clone::open(&clone)?;
        if clone::urls(&repository) == [source.as_str()] {
            return Ok(Mended::default());
        }
        clone::point_remote(&repository, &source)
            .doing(|| format!("set the address of {}", clone.display()))?;
        Ok(Mended::new(format!("{} comes from {source}", clone.display())))
    })
    .await
}

async fn delete_half(roots: &Roots, half: PathBuf) -> Result<Mended, WorktreeError> {
    let name = half.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = match name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) {
        Some((stem, "new" | "fetch")) if half.starts_with(&roots.repositories) => stem.to_owned(),
        _ => return Ok(Mended::default()),
    };
    let lock = clone::lock(half.with_file_name(format!("{stem}.git"))).await?;
    blocking(move || {
        let _held = lock;
        if fs::symlink_metadata(&half).is_err() {
            return Ok(Mended::default());
        }
        delete(&half).doing(|| format!("delete {}", half.display()))?;
        Ok(Mended::new(format!("{} is deleted", half.display())))
    })
    .await
}

/// Deletes a lock file, if it is old and nobody works in the clone or its worktrees.
async fn unlock(roots: &Roots, lock_file: PathBuf) -> Result<Mended, WorktreeError> {
    let clone = lock_file.ancestors().find(|path| repository_of(roots, path).is_some());
    let Some(clone) = clone.map(Path::to_path_buf) else { return Ok(Mended::default()) };
    let lock = clone::lock(clone.clone()).await?;
    blocking(move || {
        let _held = lock;
        let now = beside(&clone, "lock");
        touch(&now).doing(|| format!("write {}", now.display()))?;
        let mut locks = stale_locks(&clone);
        locks.retain(|lock| *lock == lock_file);
        Ok(match stale::remove_old(&locks, &now).first() {
            Some(lock) => Mended::new(format!("{} is deleted", lock.display())),
            None => Mended::default(),
        })
    })
    .await
}

/// Removes the record of a worktree that is of no issue and whose directory is gone.
async fn forget_record(roots: &Roots, entry: PathBuf) -> Result<Mended, WorktreeError> {
    let clone = entry.parent().and_then(Path::parent).map(Path::to_path_buf);
    let clone = clone.filter(|clone| {
        repository_of(roots, clone).is_some() && entry.parent() == Some(&clone.join("worktrees"))
    });
    let Some(clone) = clone else { return Ok(Mended::default()) };
    let lock = clone::lock(clone.clone()).await?;
    blocking(move || {
        let _held = lock;
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        let place = entry::place(&entry).doing(|| format!("read {}", entry.display()))?;
        if !is_there(&entry)
            || is_there(&entry.join("locked"))
            || place.is_some_and(|place| is_there(&place))
        {
            return Ok(Mended::default());
        }
        let stem = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let repository: Repository = clone::open(&clone)?;
        let head = entry::head(&repository, &entry);
        let rescue = Rescue { clone: &clone, stem: &stem, head, tree: None, entry: Some(&entry) };
        let rescued = rescue.save()?;
        delete(&entry).doing(|| format!("delete {}", entry.display()))?;
        Ok(Mended::new("the record is removed").with_rescued(rescued))
    })
    .await
}
