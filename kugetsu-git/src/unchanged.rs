//! Whether a source is as the clone knows it, so that a fetch would bring nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use git2::{Oid, Reference, Repository};

use crate::clone::{self, REMOTE};
use crate::settings::Settings;
use crate::source::Source;
use crate::stale;

/// What a source tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The name of the default branch.
    pub(crate) head: Option<String>,
    branches: BTreeMap<String, Oid>,
    /// Tags by name, and what each leads to in the end.
    tags: BTreeMap<String, Oid>,
}

impl Told {
    /// Reads what `git ls-remote --symref` prints. What cannot be read is not told.
    pub(crate) fn listed(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            if let Some(head) = line.strip_prefix("ref: ") {
                let head = head.strip_suffix("\tHEAD").map(str::trim);
                let head = head.and_then(|head| head.strip_prefix("refs/heads/"));
                told.head = head.map(str::to_owned).or(told.head);
                continue;
            }
            let Some((id, name)) = line.split_once('\t') else { continue };
            let Ok(id) = Oid::from_str(id) else { continue };
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                told.branches.insert(branch.to_owned(), id);
            } else if name.starts_with("refs/tags/") {
                // The end of a tag is told after the tag.
                told.tags.insert(name.strip_suffix("^{}").unwrap_or(name).to_owned(), id);
            }
        }
        told
    }

    /// Asks a repository on this machine, if what it would tell a fetch is what it holds.
    pub(crate) fn here(source: &Source, settings: &Settings) -> Option<Self> {
        let path = Path::new(source.as_str());
        if !path.is_absolute() || !settings.fetch_plainly(source.as_str()) {
            return None;
        }
        let repository = Repository::open(path).ok()?;
        if is_file(&repository.commondir().join("shallow")) || hides(&repository).ok()? {
            return None;
        }
        read(&repository).ok()?
    }

    /// The clone at `path`, if it is as told. With lock files in it that might be in the way it is
    /// taken not to be.
    pub(crate) fn known_in(&self, path: &Path) -> Option<Repository> {
        if is_file(&path.join("shallow")) || !stale::shared_locks(path).is_empty() {
            return None;
        }
        let repository = Repository::open_bare(path).ok()?;
        self.compare(&repository).unwrap_or(false).then_some(repository)
    }

    fn compare(&self, repository: &Repository) -> Result<bool, git2::Error> {
        if clone::default_branch(repository) != self.head {
            return Ok(false);
        }
        let head = repository.find_reference("HEAD")?;
        if let Some(name) = &self.head
            && head.symbolic_target()? != Some(&format!("refs/heads/{name}"))
        {
            return Ok(false);
        }
        let odb = repository.odb()?;
        let mut known = clone::followed(repository)?;
        for (name, target) in &self.branches {
            if known.remove(&format!("{REMOTE}{name}")) != Some(*target) {
                return Ok(false);
            }
        }
        // A fetch brings tags of commits that are here, and moves none.
        let news = |(name, end): (&String, &Oid)| !known.contains_key(name) && odb.exists(*end);
        if self.tags.iter().any(news) {
            return Ok(false);
        }
        Ok(!known.keys().any(|name| name.starts_with(REMOTE)))
    }
}

/// Whether it has settings by which it tells others less than it holds.
fn hides(repository: &Repository) -> Result<bool, git2::Error> {
    let config = repository.config()?.snapshot()?;
    let mut hiding = config.entries(Some(r"^(transfer|uploadpack|receive|extensions)\."))?;
    Ok(hiding.next().is_some())
}

/// `None` if it has something that is told in another way than it is held.
fn read(repository: &Repository) -> Result<Option<Told>, git2::Error> {
    let mut told = Told::default();
    let head = repository.find_reference("HEAD")?;
    if let Some(target) = head.symbolic_target()? {
        let Some(name) = target.strip_prefix("refs/heads/") else { return Ok(None) };
        // One that is still to be born is not told.
        told.head = repository.find_reference(target).is_ok().then(|| name.to_owned());
    }
    let odb = repository.odb()?;
    for reference in repository.references()? {
        let reference = reference?;
        let Ok(name) = reference.name() else { return Ok(None) };
        let is_tag = name.starts_with("refs/tags/");
        if !is_tag && !name.starts_with("refs/heads/") {
            continue;
        }
        let Some(id) = reference.target().filter(|id| odb.exists(*id)) else { return Ok(None) };
        if is_tag {
            told.tags.insert(name.to_owned(), end(&reference)?);
        } else if let Some(branch) = name.strip_prefix("refs/heads/") {
            told.branches.insert(branch.to_owned(), id);
        }
    }
    Ok(Some(told))
}

fn end(tag: &Reference<'_>) -> Result<Oid, git2::Error> {
    Ok(tag.peel(git2::ObjectType::Any)?.id())
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_remote_lists_is_read() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let told = Told::listed(&format!(
            "ref: refs/heads/main\tHEAD\n{one}\tHEAD\n{one}\trefs/heads/main\n\
             {two}\trefs/heads/a/b\n{one}\trefs/pull/1/head\n{one}\trefs/tags/v1\n\
             {two}\trefs/tags/v1^{{}}\nodd\n"
        ));
        assert_eq!(told.head.as_deref(), Some("main"));
        assert_eq!(told.branches.keys().collect::<Vec<_>>(), ["a/b", "main"]);
        assert_eq!(told.tags["refs/tags/v1"].to_string(), two);
        assert_eq!(told.tags.len(), 1);
    }
}
