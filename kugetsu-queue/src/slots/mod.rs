//! Slots as kernel locks on files, shared by all processes that use the same directory.
//!
//! ```text
//! <dir>/dev/<k>.lock     one of the class's places. Its kernel lock is the slot; its content says
//! <dir>/pm/<k>.lock      for people who took it last
//! <dir>/issue/<stem>.lock
//! <dir>/<class>/extent   its size is the number of places that any process has ever used
//! <dir>/<class>/awaited  whether somebody waits, so that a release rings for nobody in vain
//! …/turnstile.lock       held by the one process that waits first in line
//! …/bell                 a FIFO: whoever releases a slot that somebody waits for writes a byte, the
//!                        first in line reads it
//! ```
//!
//! # Promises
//!
//! * The lock is the only truth. It belongs to the open file, so a slot is free when the last
//!   process that has that file open has closed it or died, and not before; nothing has to be
//!   cleaned up. `SIGKILL` frees it, `SIGSTOP` does not.
//! * A pool never takes a slot that would bring the number held, over all processes, above its own
//!   limit, whatever limits the others were started with and however the limit was changed.
//! * Whoever waits is woken by a release or by a holder's death, in the order in which the tasks of a
//!   process and, behind the turnstile, the processes came. Somebody who comes just then may be
//!   served before. What nothing tells of (the end of a process that only inherited a slot) is seen
//!   within a second.
//! * Files are made with mode 0600 in directories of mode 0700, are close-on-exec, and are never
//!   removed: a lock on a file that is no longer there would exclude nobody. The directory has to be
//!   on a local file system.
//!
//! # What it costs
//!
//! Taking a free place and giving it back are three system calls: the two that lock and unlock, and
//! the one that writes who has it. Extent and `awaited` are read in memory, from pages of their files
//! that are mapped once; where they cannot be mapped, each costs a call more.
//!
//! # Looking without disturbing
//!
//! [`holders`](kugetsu_core::SlotPool::holders) asks the kernel for a shared lock and gives it back
//! at once. One who wants the slot at that very instant fails; before it believes that, it asks for
//! a shared lock itself, which it gets beside all who only look, and then tries again. (A process that
//! is stopped between asking and giving back keeps that one place from being taken until it goes on:
//! one slot too few for a while, never one too many.)

mod awaited;
mod extent;
mod holders;
mod lock;
mod note;
mod page;
mod places;
mod process;
mod turnstile;
mod wait;

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use kugetsu_core::{IssueRef, Retry, Slot, SlotError, SlotHolder, SlotKey, SlotPool};

use crate::blocking::blocking_io;
pub(crate) use lock::KernelLock;
use places::Places;

/// How many agents of each class may be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotLimits {
    /// Agents that work on issues.
    pub dev: u32,
    /// PM agents.
    pub pm: u32,
}

impl SlotLimits {
    /// What a limit is cut to. More agents than this nobody means.
    pub const MOST: u32 = 1024;

    /// So many dev agents, and one PM agent.
    pub fn new(dev: u32) -> Self {
        Self { dev, pm: 1 }
    }

    /// So many PM agents.
    pub fn with_pm(mut self, pm: u32) -> Self {
        self.pm = pm;
        self
    }
}

/// Slots as kernel locks on the files of one directory. Clones share them.
///
/// See the [module](self) for what it promises. Waiting needs a tokio runtime with I/O and time.
#[derive(Debug, Clone)]
pub struct FileSlots {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    dev: Arc<Places>,
    pm: Arc<Places>,
    /// Those issues of which somebody here holds or wants the slot.
    issues: Mutex<HashMap<IssueRef, Weak<Places>>>,
}

impl FileSlots {
    /// The slots in `directory`, which is made if there is none.
    pub fn open(directory: impl Into<PathBuf>, limits: SlotLimits) -> Result<Self, SlotError> {
        let directory = directory.into();
        let class = |key, name, limit| {
            let home = directory.join(name);
            make_directory(&home)?;
            Places::of_class(key, &home, limit)
        };
        let open = || {
            let dev = class(SlotKey::Dev, "dev", limits.dev)?;
            let pm = class(SlotKey::Pm, "pm", limits.pm)?;
            make_directory(&directory.join("issue"))?;
            Ok((dev, pm))
        };
        let (dev, pm) = open().map_err(|error| fault(&directory, "open the slots", error))?;
        Ok(Self { shared: Arc::new(Shared { directory, dev, pm, issues: Mutex::default() }) })
    }

    /// Where the slots are.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// Changes a class's limit for whoever takes a slot from this pool from now on. Slots that are
    /// held stay held. An issue's limit is always 1.
    pub fn set_limit(&self, key: &SlotKey, limit: u32) {
        match key {
            SlotKey::Dev => self.shared.dev.set_limit(limit),
            SlotKey::Pm => self.shared.pm.set_limit(limit),
            _ => {}
        }
    }

    /// The same as [`try_acquire`](SlotPool::try_acquire), for whoever has no runtime.
    pub fn try_take(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        let places = self.places(key)?;
        if places.limit() == 0 {
            return Err(SlotError::NoPlace { key: key.clone() });
        }
        places.take(holder).map_err(|error| self.fault(&format!("take a slot for {key}"), error))
    }

    /// The places of the key; none if the kind of key is not known.
    fn places(&self, key: &SlotKey) -> Result<Arc<Places>, SlotError> {
        match key {
            SlotKey::Dev => Ok(Arc::clone(&self.shared.dev)),
            SlotKey::Pm => Ok(Arc::clone(&self.shared.pm)),
            SlotKey::Issue(issue) => Ok(self.of_issue(issue)),
            _ => Err(SlotError::NoPlace { key: key.clone() }),
        }
    }

    fn of_issue(&self, issue: &IssueRef) -> Arc<Places> {
        let mut issues = self.shared.issues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = issues.get(issue).and_then(Weak::upgrade) {
            return places;
        }
        issues.retain(|_, places| places.strong_count() > 0);
        let places = Places::of_issue(issue, &self.shared.directory.join("issue"));
        issues.insert(issue.clone(), Arc::downgrade(&places));
        places
    }

    fn fault(&self, operation: &str, error: io::Error) -> SlotError {
        fault(&self.shared.directory, operation, error)
    }
}

#[async_trait]
impl SlotPool for FileSlots {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        let places = self.places(key)?;
        wait::acquire(&places, holder)
            .await
            .map_err(|error| self.fault(&format!("wait for a slot for {key}"), error))?
            .ok_or_else(|| SlotError::NoPlace { key: key.clone() })
    }

    // The system calls of this neither wait for anybody nor for a disk, so that they are made here.
    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        self.try_take(key, holder)
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        let places = self.places(key)?;
        blocking_io(move || holders::of(&places))
            .await
            .map_err(|error| self.fault(&format!("look who holds {key}"), error))
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        match key {
            SlotKey::Dev => self.shared.dev.limit(),
            SlotKey::Pm => self.shared.pm.limit(),
            SlotKey::Issue(_) => 1,
            _ => 0,
        }
    }
}

fn fault(directory: &Path, operation: &str, error: io::Error) -> SlotError {
    let retry = match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => Retry::Never,
        _ => Retry::Later,
    };
    SlotError::Backend {
        who: format!("the slots in {}", directory.display()),
        operation: operation.to_owned(),
        retry,
        source: Box::new(error),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
