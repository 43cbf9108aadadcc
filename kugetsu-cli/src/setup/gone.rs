//! A store that was there and is not there any more.

use std::path::{Path, PathBuf};

use crate::args::StoreKind;
use crate::paths::Paths;

/// What is known where a store is gone.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Where it was.
    pub(crate) path: PathBuf,
    kind: StoreKind,
    /// The other kind of store, if that is there: it is the one that was used.
    other: Option<PathBuf>,
    /// What the last conversion has put aside.
    before: Option<PathBuf>,
    /// The journal's second name, if it is there.
    spare: Option<PathBuf>,
}

impl Gone {
    /// `None` if the store is there, or never was.
    pub(crate) fn find(kind: StoreKind, paths: &Paths) -> Option<Self> {
        let (path, other) = match kind {
            StoreKind::Sqlite => (paths.database(), paths.journal()),
            StoreKind::Json => (paths.journal(), paths.database()),
        };
        let other = Some(other).filter(|other| other.exists());
        if path.exists() || !(paths.has_remains() || other.is_some()) {
            return None;
        }
        let spare = (kind == StoreKind::Json).then(|| paths.spare_journal());
        let spare = spare.filter(|spare| spare.exists());
        Some(Self { before: before(&path), path, kind, other, spare })
    }

    /// Whether a new one may be made in its place.
    pub(crate) fn is_for_good(&self) -> bool {
        self.other.is_none()
    }

    /// What to do about it.
    pub(crate) fn advice(&self, shown: impl Fn(&Path) -> String) -> String {
        let Self { kind, other, before, .. } = self;
        let (name, own) = match kind {
            StoreKind::Sqlite => ("json", "sqlite"),
            StoreKind::Json => ("sqlite", "json"),
        };
        let kept = before.as_deref().map(|before| {
            let since = if other.is_some() { ", without what happened since" } else { "" };
            format!("; {} is what it was before it was converted{since}", shown(before))
        });
        let kept = kept.unwrap_or_default();
        match (other, &self.spare) {
            (Some(other), _) => format!(
                "everything is in {}: set `store = \"{name}\"` again, and to go back run \
                 `kugetsu store convert --to {own}`{kept}",
                shown(other)
            ),
            (None, Some(spare)) => {
                format!("run `kugetsu doctor --fix`, which brings it back from {}", shown(spare))
            }
            (None, None) => format!(
                "put it back from a backup, or run `kugetsu doctor --fix` to begin a new one{kept}"
            ),
        }
    }
}

/// The newest that a conversion has put aside: its name ends with the time.
fn before(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let begins = format!("{name}.before-");
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let newest = names.filter(|name| name.starts_with(&begins) && name.ends_with('Z')).max()?;
    Some(path.with_file_name(newest))
}
