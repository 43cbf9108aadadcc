//! What is the matter with one clone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use git2::{Config, Oid, Repository};
use kugetsu_core::{RepoRef, WorktreeError};

use super::objects::missing;
use super::planted::planted;
use super::sites::{entries, is_directory};
use crate::clone;
use crate::entry;
use crate::finding::{Fault, Finding, Remedy};
use crate::git::without_secrets;
use crate::site::Site;
use crate::source::Sources;

pub(super) fn examine(
    clone: &Path,
    repository: Option<&RepoRef>,
    sources: &dyn Sources,
    sites: &[Site],
    found: &mut Vec<Finding>,
) {
    let mut look = Look { clone, found };
    let damage = damage(clone);
    let opened = clone::open(clone);
    match &opened {
        Err(WorktreeError::Unsupported { operation, .. }) => look.tell(
            Fault::Unsupported,
            clone,
            operation.clone(),
            Remedy::by_hand("unset the extension in the clone's config"),
        ),
        _ if !damage.is_empty() => look.broken(&damage),
        Err(error) => {
            let remedy =
                Remedy::by_hand("look at it, and move it away; the next start makes it again");
            look.tell(Fault::CloneBroken, clone, error.to_string(), remedy);
        }
        Ok(_) => {}
    }
    look.config();
    look.hooks();
    look.locks(sites);
    look.worktrees(sites);
    let Ok(opened) = opened else { return };
    if let Some(repository) = repository {
        look.remote(&opened, repository, sources);
    }
    look.objects(&opened, repository, sources);
    look.rescued(&opened);
}

/// Tells of worktrees' clones that are gone.
pub(super) fn examine_missing(sites: &[Site], found: &mut Vec<Finding>) {
    let mut gone: BTreeMap<&Path, usize> = BTreeMap::new();
    for site in sites {
        if fs::symlink_metadata(&site.clone).is_err() && is_directory(&site.tree) {
            *gone.entry(&site.clone).or_default() += 1;
        }
    }
    for (clone, count) in gone {
        let trees =
            if count == 1 { "a worktree hangs".into() } else { format!("{count} worktrees hang") };
        found.push(Finding::new(
            Fault::CloneGone,
            None,
            clone,
            format!("the clone {} is gone, and {trees} off it", clone.display()),
            Remedy::mend("clone it again; the worktrees' files stay as they are"),
        ));
    }
}

/// A part of a clone without which git does not take it for a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Head,
    Config,
    Objects,
    References,
    Packed,
}

impl Damage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Config => "config",
            Self::Objects => "objects",
            Self::References => "refs",
            Self::Packed => "packed-refs",
        }
    }
}

/// What of a clone is missing or cannot be read. A directory that holds nothing of a clone is none.
pub(crate) fn damage(clone: &Path) -> Vec<Damage> {
    let all = ["HEAD", "config", "objects", "refs", "packed-refs", "worktrees"];
    if !all.iter().any(|name| fs::symlink_metadata(clone.join(name)).is_ok()) {
        return Vec::new();
    }
    let mut damage = Vec::new();
    let head = entry::read_file(&clone.join("HEAD")).ok().flatten().unwrap_or_default();
    let head = String::from_utf8_lossy(&head);
    let is_id = |text: &str| text.len() == 40 && Oid::from_str(text).is_ok();
    if !head.starts_with("ref: refs/") && !is_id(head.trim()) {
        damage.push(Damage::Head);
    }
    let config = clone.join("config");
    if !matches!(entry::read_file(&config), Ok(Some(_))) || Config::open(&config).is_err() {
        damage.push(Damage::Config);
    }
    if !is_directory(&clone.join("objects")) {
        damage.push(Damage::Objects);
    }
    if !is_directory(&clone.join("refs")) {
        damage.push(Damage::References);
    }
    if is_packed_damaged(&clone.join("packed-refs")) {
        damage.push(Damage::Packed);
    }
    damage
}

/// Whether a line of packed references is none.
fn is_packed_damaged(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return false };
    if !found.is_file() {
        return true;
    }
    let Ok(text) = fs::read(path) else { return true };
    let is_line = |line: &[u8]| {
        line.starts_with(b"#")
            || line.strip_prefix(b"^").is_some_and(|id| id.len() == 40)
            || (line.get(40) == Some(&b' ')
                && line[..40].iter().all(u8::is_ascii_hexdigit)
                && line[41..].starts_with(b"refs/"))
    };
    let lines = text.split(|&byte| byte == b'\n');
    !lines.filter(|line| !line.is_empty()).all(is_line)
}

struct Look<'a> {
    clone: &'a Path,
    found: &'a mut Vec<Finding>,
}

impl Look<'_> {
    fn tell(&mut self, fault: Fault, path: &Path, found: impl Into<String>, remedy: Remedy) {
        self.found.push(Finding::new(fault, None, path, found, remedy));
    }

    fn broken(&mut self, damage: &[Damage]) {
        let names: Vec<_> = damage.iter().map(|damage| damage.name()).collect();
        let found = format!(
            "in the clone {} these are missing or damaged: {}",
            self.clone.display(),
            names.join(", ")
        );
        let remedy = Remedy::mend(
            "move what is damaged aside, write it again, and fetch; the worktrees' files stay as \
             they are",
        );
        self.tell(Fault::CloneBroken, self.clone, found, remedy);
    }

    fn config(&mut self) {
        let mut files = vec![self.clone.join("config"), self.clone.join("config.worktree")];
        files.extend(entries(self.clone).iter().map(|entry| entry.join("config.worktree")));
        for file in files {
            // A pipe must not keep us waiting, nor an include lead us on.
            if !matches!(entry::read_file(&file), Ok(Some(_))) {
                continue;
            }
            let planted = planted(&file);
            if planted.is_empty() {
                continue;
            }
            let found = format!("{} sets {}", file.display(), planted.join(", "));
            let remedy = Remedy::by_hand(format!(
                "look at it, and take out what none of you has set: `git config --file {} \
                 --unset-all <name>`",
                file.display()
            ));
            self.tell(Fault::ConfigPlanted, &file, found, remedy);
        }
    }

    fn hooks(&mut self) {
        let directory = self.clone.join("hooks");
        let mut names = Vec::new();
        for inside in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = inside.file_name().to_string_lossy().into_owned();
            let can_run = fs::metadata(inside.path())
                .is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
            if can_run && !name.ends_with(".sample") {
                names.push(name);
            }
        }
        names.sort();
        if !names.is_empty() {
            let found = format!("{} holds hooks: {}", directory.display(), names.join(", "));
            let remedy =
                Remedy::by_hand("look at them, and delete those that none of you has made");
            self.tell(Fault::ConfigPlanted, &directory, found, remedy);
        }
        for name in ["info/attributes", "info/grafts", "objects/info/alternates", "commondir"] {
            let path = self.clone.join(name);
            if fs::symlink_metadata(&path).is_ok() {
                let found = format!("{} is none of kugetsu's", path.display());
                let remedy =
                    Remedy::by_hand("look at it, and delete it if none of you has made it");
                self.tell(Fault::ConfigPlanted, &path, found, remedy);
            }
        }
    }

    fn locks(&mut self, sites: &[Site]) {
        let of_a_site = |lock: &PathBuf| {
            sites.iter().any(|site| {
                site.clone == self.clone
                    && is_directory(&site.tree)
                    && *lock == site.clone.join(format!("{}.lock", site.branch()))
            })
        };
        let locks: Vec<_> =
            super::stale_locks(self.clone).into_iter().filter(|lock| !of_a_site(lock)).collect();
        for lock in locks {
            let found = format!("{} is left of a git that is gone", lock.display());
            self.tell(Fault::CloneLock, &lock, found, Remedy::mend("delete it"));
        }
    }

    /// Records of worktrees that are of no issue.
    fn worktrees(&mut self, sites: &[Site]) {
        for entry in entries(self.clone) {
            if sites.iter().any(|site| site.entry() == entry) {
                continue;
            }
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match entry::place(&entry) {
                Ok(Some(place)) if fs::symlink_metadata(&place).is_ok() => {
                    let found = format!("{} is a worktree of no issue", place.display());
                    let remedy = Remedy::by_hand("ask whoever has made it");
                    self.tell(Fault::ForeignWorktree, &place, found, remedy);
                }
                _ if fs::symlink_metadata(entry.join("locked")).is_ok() => {
                    let found = format!("the worktree {name} is gone, and its record is locked");
                    let remedy = Remedy::by_hand("unlock it with `git worktree unlock`");
                    self.tell(Fault::RecordDangling, &entry, found, remedy);
                }
                _ => {
                    let found = format!("the worktree {name} is gone, and its record is not");
                    let remedy =
                        Remedy::mend("save what only its record holds, and remove the record");
                    self.tell(Fault::RecordDangling, &entry, found, remedy);
                }
            }
        }
    }

    fn remote(&mut self, opened: &Repository, repository: &RepoRef, sources: &dyn Sources) {
        let Ok(source) = sources.source(repository) else { return };
        let urls = clone::urls(opened);
        if urls == [source.as_str()] {
            return;
        }
        let told: Vec<_> = urls.iter().map(|url| without_secrets(url)).collect();
        let told = if told.is_empty() { "nowhere".to_owned() } else { told.join(" and ") };
        let found = format!(
            "the clone {} says that it comes from {told}; it comes from {source}",
            self.clone.display()
        );
        let remedy = Remedy::mend("set the address in the clone's config");
        self.tell(Fault::RemoteDiffers, self.clone, found, remedy);
    }

    fn objects(
        &mut self,
        opened: &Repository,
        repository: Option<&RepoRef>,
        sources: &dyn Sources,
    ) {
        let missing = missing(opened);
        let Some(first) = missing.first() else { return };
        let found = format!(
            "in the clone {} at least {} of the objects that its branches need are missing or \
             damaged, among them {first}",
            self.clone.display(),
            missing.len()
        );
        let remedy = if repository.is_some_and(|repository| sources.source(repository).is_ok()) {
            Remedy::mend("move what is damaged aside, and fetch everything again")
        } else {
            Remedy::by_hand("say in repos.json where it comes from")
        };
        self.tell(Fault::ObjectsMissing, self.clone, found, remedy);
    }

    fn rescued(&mut self, opened: &Repository) {
        let Ok(all) = opened.references_glob("refs/kugetsu/rescue/*") else { return };
        let count = all.count();
        if count == 0 {
            return;
        }
        let things = if count == 1 {
            "1 reference keeps".into()
        } else {
            format!("{count} references keep")
        };
        let found = format!("{things} rescued work in the clone {}", self.clone.display());
        let remedy = Remedy::by_hand(format!(
            "see it with `git -C {} log --oneline --no-walk --glob=refs/kugetsu/rescue`, and delete what is of \
             no use any more with `git update-ref -d`",
            self.clone.display()
        ));
        self.tell(Fault::RescueKept, self.clone, found, remedy);
    }
}
