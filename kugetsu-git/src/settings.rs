//! What the user has configured for git, as git itself tells it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use kugetsu_core::WorktreeError;

use crate::files;
use crate::git::Git;
use crate::lock::Lock;
use crate::scratch::Scratch;

/// The user's settings, and ours, for a git directory of our own. No setting of a clone's or of a
/// worktree's is among them.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Names, all in lower case but what stands between the dots, and values.
    all: Vec<(String, String)>,
    /// Files with attributes for every repository.
    attributes: Vec<PathBuf>,
    /// Files that settings are read from, whether they are there or not.
    from: Vec<PathBuf>,
}

impl Settings {
    /// `None` if git is too old to tell where its attributes are.
    fn read(told: &str) -> Option<Self> {
        let mut settings = Self::default();
        for line in told.lines() {
            let (name, value) = line.split_once('=').unwrap_or((line, "true"));
            match name {
                "GIT_ATTR_SYSTEM" | "GIT_ATTR_GLOBAL" => settings.attributes.push(value.into()),
                "GIT_CONFIG_SYSTEM" | "GIT_CONFIG_GLOBAL" => settings.from.push(value.into()),
                _ if name.starts_with("url.") => settings.all.push(rewriting(line)),
                _ => settings.all.push((name.to_owned(), value.to_owned())),
            }
        }
        (!settings.attributes.is_empty() && !settings.from.is_empty()).then_some(settings)
    }

    /// What could make git write other bytes, modes or index entries than the plain ones.
    pub(crate) fn change_files(&self) -> Option<String> {
        let changes = |(name, value): &&(String, String)| {
            let is = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
            let (yes, no) = (["true", "yes", "on", "1"], ["false", "no", "off", "0", ""]);
            match name.as_str() {
                "core.autocrlf" => !is(&no) && !is(&["input"]),
                "core.eol" => !is(&["lf", "native"]),
                "core.symlinks" | "core.filemode" => !is(&yes),
                "core.ignorecase"
                | "core.precomposeunicode"
                | "core.protecthfs"
                | "core.sparsecheckout"
                | "core.sparsecheckoutcone"
                | "core.splitindex"
                | "core.untrackedcache"
                | "index.sparse"
                | "index.skiphash" => !is(&no),
                "core.sharedrepository"
                | "core.safecrlf"
                | "core.fsync"
                | "core.fsyncmethod"
                | "attr.tree"
                | "index.version" => true,
                _ => name.starts_with("feature.") || name.starts_with("extensions."),
            }
        };
        if let Some((name, _)) = self.all.iter().find(changes) {
            return Some(format!("the setting {name}"));
        }
        let odd = self.attributes.iter().find(|path| !files::is_plain(path))?;
        Some(format!("the attributes in {}", odd.display()))
    }

    /// Whether a source's address is taken as it stands, and nothing is fetched or left out but what
    /// we ask for.
    pub(crate) fn fetch_plainly(&self, address: &str) -> bool {
        !self.all.iter().any(|(name, value)| {
            name == "url" && address.starts_with(value.as_str())
                || name == "fetch.prunetags"
                || name == "transfer.hiderefs"
                || ["uploadpack.", "remote.origin."].iter().any(|begin| {
                    // The two that are ours name the source.
                    name.starts_with(begin)
                        && !(name == "remote.origin.url" && value == address)
                        && !(name == "remote.origin.fetch" && value == crate::scratch::FETCH)
                })
        })
    }

    /// Whether they may differ from one git directory to the next.
    fn depend_on_place(&self) -> bool {
        self.all.iter().any(|(name, _)| name.starts_with("include"))
    }
}

/// An address may have an equals sign in it, which then stands in the name.
fn rewriting(line: &str) -> (String, String) {
    match line.rsplit_once(".insteadof=") {
        Some((_, value)) => ("url".into(), value.to_owned()),
        None => (line.to_owned(), String::new()),
    }
}

/// Settings that were told, as long as the files that they are from stay as they were.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    settings: Arc<Settings>,
    seen: Vec<Option<Stamp>>,
}

type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    let (changed, modified) =
        ((found.ctime(), found.ctime_nsec()), (found.mtime(), found.mtime_nsec()));
    Some((found.dev(), found.ino(), found.size(), changed, modified))
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

impl Told {
    /// What was told before, if it still holds.
    pub(crate) fn known(&self) -> Option<Arc<Settings>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        let same =
            known.settings.from.iter().map(|path| stamp(path)).eq(known.seen.iter().copied());
        same.then(|| known.settings.clone())
    }
}

impl Git {
    /// The settings that a git in `scratch` has. `None` if it does not tell them.
    pub(crate) async fn settings(
        &self,
        scratch: &Scratch,
        lock: &Lock,
    ) -> Result<Option<Arc<Settings>>, WorktreeError> {
        if let Some(known) = self.told.known() {
            return Ok(Some(known));
        }
        let began = SystemTime::now();
        let said = self.run(scratch, &scratch.path, &[], &["var", "-l"], lock).await?;
        let Some(settings) = Settings::read(&said.out).filter(|_| said.success) else {
            return Ok(None);
        };
        let settings = Arc::new(settings);
        let seen: Vec<_> = settings.from.iter().map(|path| stamp(path)).collect();
        // What was changed just now may be other than what git read.
        let is_old = |seen: &Option<Stamp>| seen.is_none_or(|seen| seen.3.0 + 2 < seconds(began));
        if !settings.depend_on_place() && seen.iter().all(is_old) {
            let known = Known { settings: settings.clone(), seen };
            *self.told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        Ok(Some(settings))
    }
}
