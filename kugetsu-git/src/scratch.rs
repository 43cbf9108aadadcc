//! A git directory of our own for one command.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use git2::Oid;
use kugetsu_core::WorktreeError;

use crate::delete::delete;
use crate::fault::Doing;
use crate::source::Source;

/// A git directory that borrows a clone's objects and nothing else: no configuration, no hooks, no
/// attributes, no branches of the clone are seen by a git that runs with it.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    pub(crate) objects: PathBuf,
}

/// References by full name, and what they point to.
pub(crate) type References = BTreeMap<String, Oid>;

impl Scratch {
    /// Makes it at `path`, where nothing else may be kept, with the references given.
    pub(crate) fn make(
        path: PathBuf,
        clone: &Path,
        references: &References,
        source: Option<&Source>,
    ) -> Result<Self, WorktreeError> {
        let scratch = Self { path, objects: clone.join("objects") };
        scratch.fill(references).doing(|| scratch.making())?;
        if let Some(source) = source {
            let mut config =
                git2::Config::open(&scratch.path.join("config")).doing(|| scratch.making())?;
            config.set_str("remote.origin.url", source.as_str()).doing(|| scratch.making())?;
            config.set_str("remote.origin.fetch", FETCH).doing(|| scratch.making())?;
        }
        let shallow = clone.join("shallow");
        if fs::symlink_metadata(&shallow).is_ok_and(|found| found.is_file()) {
            fs::copy(&shallow, scratch.path.join("shallow")).doing(|| scratch.making())?;
        }
        Ok(scratch)
    }

    fn fill(&self, references: &References) -> io::Result<()> {
        delete(&self.path)?;
        make_directory(&self.path)?;
        fs::create_dir(self.path.join("refs"))?;
        // git takes the borrowed objects, but a git directory has to look like one.
        fs::create_dir(self.path.join("objects"))?;
        fs::write(self.path.join("HEAD"), "ref: refs/heads/none\n")?;
        fs::write(
            self.path.join("config"),
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tlogAllRefUpdates = false\n",
        )?;
        write_packed(&self.path.join("packed-refs"), references)
    }

    fn making(&self) -> String {
        format!("make {}", self.path.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is swept before the next command.
        let _ = delete(&self.path);
    }
}

/// Writes references as git packs them.
pub(crate) fn write_packed(path: &Path, references: &References) -> io::Result<()> {
    let mut packed = io::BufWriter::new(fs::File::create(path)?);
    for (name, target) in references {
        writeln!(packed, "{target} {name}")?;
    }
    packed.flush()
}

/// Remote branches are kept apart from the agents' own.
pub(crate) const FETCH: &str = "+refs/heads/*:refs/remotes/origin/*";

/// Makes a directory, and those above it, that only we can enter. One that is there is left alone.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
