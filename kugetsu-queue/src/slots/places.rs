//! The places of one key: its lock files, which of them this process holds, and how one is taken.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use kugetsu_core::slot::SlotGuard;
use kugetsu_core::{IssueRef, Slot, SlotKey};

use super::SlotLimits;
use super::awaited::{Awaited, Waiting};
use super::extent::Extent;
use super::lock::KernelLock;
use super::note::Pen;
use super::turnstile::Turnstile;
use crate::bell::Bell;

/// How often a place that only somebody's look was in the way of is tried again.
const PATIENCE: u32 = 100;

/// All places of one key.
#[derive(Debug)]
pub(super) struct Places {
    key: SlotKey,
    files: Files,
    limit: AtomicU32,
    board: Mutex<Board>,
    pub(super) bell: Bell,
    pub(super) turnstile: Turnstile,
    /// The tasks of this process that wait, first come, first served.
    pub(super) line: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Files {
    Class { home: PathBuf, extent: Extent, awaited: Awaited },
    Issue { lock: PathBuf },
}

/// What this process knows of each place. The kernel would grant a lock a second time through the
/// file that has it, so what is held here is not asked for again.
#[derive(Debug)]
struct Board {
    places: Vec<Place>,
    chance: u64,
    /// The place that was given back last, which nobody is likelier to have taken than any other.
    last: Option<u32>,
    pen: Option<Pen>,
}

#[derive(Debug)]
enum Place {
    /// Not held here; the open file, if there is one.
    Free(Option<KernelLock>),
    /// Held here.
    Held,
}

impl Places {
    pub(super) fn of_class(key: SlotKey, home: &Path, limit: u32) -> io::Result<Arc<Self>> {
        let extent = Extent::open(&home.join("extent"))?;
        let awaited = Awaited::open(&home.join("awaited"))?;
        let bell = Bell::new(home.join("bell"));
        bell.hang()?;
        let turnstile = Turnstile::new(home.join("turnstile.lock"));
        let files = Files::Class { home: home.to_owned(), extent, awaited };
        Ok(Self::new(key, files, limit, bell, turnstile))
    }

    pub(super) fn of_issue(issue: &IssueRef, home: &Path) -> Arc<Self> {
        let file = |suffix: &str| home.join(format!("{}.{suffix}", issue.stem()));
        let bell = Bell::new(file("bell"));
        let turnstile = Turnstile::new(file("turnstile.lock"));
        let files = Files::Issue { lock: file("lock") };
        Self::new(SlotKey::Issue(issue.clone()), files, 1, bell, turnstile)
    }

    fn new(key: SlotKey, files: Files, limit: u32, bell: Bell, turnstile: Turnstile) -> Arc<Self> {
        let chance = RandomState::new().build_hasher().finish();
        Arc::new(Self {
            key,
            files,
            limit: AtomicU32::new(limit.min(SlotLimits::MOST)),
            board: Mutex::new(Board { places: Vec::new(), chance, last: None, pen: None }),
            bell,
            turnstile,
            line: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn key(&self) -> &SlotKey {
        &self.key
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }

    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit.min(SlotLimits::MOST), Ordering::Release);
        self.bell.ring();
    }

    /// Has whoever gives a place back ring the bell, until this is dropped.
    pub(super) fn wait(&self) -> Option<Waiting<'_>> {
        match &self.files {
            Files::Class { awaited, .. } => Some(awaited.wait()),
            // An issue's bell is rung whenever there is one.
            Files::Issue { .. } => None,
        }
    }

    /// Takes a place if one is free.
    pub(super) fn take(self: &Arc<Self>, holder: &str) -> io::Result<Option<Slot>> {
        let limit = self.limit();
        let mut board = self.board();
        let Some((index, lock)) = self.take_one(&mut board, limit)? else { return Ok(None) };
        match self.admit(&mut board, index, limit, &lock, holder) {
            Ok(true) => {
                board.places[index as usize] = Place::Held;
                drop(board);
                let guard = Guard {
                    places: Arc::clone(self),
                    index,
                    lock: Some(lock),
                    shared: false.into(),
                };
                Ok(Some(Slot::new(self.key.clone(), index, Arc::new(guard))))
            }
            // Nobody is told of this release: whoever heard it would find things as they are.
            refused => {
                lock.release()?;
                board.places[index as usize] = Place::Free(Some(lock));
                refused.map(|_| None)
            }
        }
    }

    /// Which places are held, by whomever, and what their files say: by index.
    pub(super) fn look(&self) -> io::Result<Vec<(u32, Option<File>)>> {
        let mut board = self.board();
        let mut held = Vec::new();
        let extent = match &self.files {
            Files::Class { extent, .. } => extent.len()?,
            Files::Issue { .. } => 1,
        };
        for index in 0..self.limit().max(extent) {
            if self.is_held(&mut board, index)? {
                held.push((index, File::open(self.lock_file(index)).ok()));
            }
        }
        Ok(held)
    }

    /// Locks the first free place below `limit`, from the one on that this process had last, or a
    /// random one, so that processes seldom try the same one.
    fn take_one(&self, board: &mut Board, limit: u32) -> io::Result<Option<(u32, KernelLock)>> {
        if limit == 0 {
            return Ok(None);
        }
        let start = board.last.take().filter(|last| *last < limit);
        let start = start.unwrap_or_else(|| board.random() % limit);
        let order = || (start..limit).chain(0..start);
        for index in order() {
            if let Some(mut lock) = self.free_lock(board, index)? {
                if lock.try_take()? {
                    return Ok(Some((index, lock)));
                }
                board.places[index as usize] = Place::Free(Some(lock));
            }
        }
        for index in order() {
            if let Some(mut lock) = self.free_lock(board, index)? {
                if insist(&mut lock)? {
                    return Ok(Some((index, lock)));
                }
                board.places[index as usize] = Place::Free(Some(lock));
            }
        }
        Ok(None)
    }

    /// Whether the place that was just locked may be kept, and if so, says in it who keeps it.
    fn admit(
        &self,
        board: &mut Board,
        taken: u32,
        limit: u32,
        lock: &KernelLock,
        holder: &str,
    ) -> io::Result<bool> {
        let extent = match &self.files {
            Files::Class { extent, .. } => extent.beyond(limit)?,
            Files::Issue { .. } => 1,
        };
        if extent > limit {
            // Somebody has or had a larger limit, so that places beyond ours may be held.
            let mut held = 1;
            for index in (0..extent).filter(|index| *index != taken) {
                held += u32::from(self.is_held(board, index)?);
            }
            if held > limit {
                return Ok(false);
            }
        }
        let pen = match &mut board.pen {
            Some(pen) => pen,
            none => none.insert(Pen::new()?),
        };
        pen.write(holder, lock.file())?;
        Ok(true)
    }

    fn is_held(&self, board: &mut Board, index: u32) -> io::Result<bool> {
        match board.place(index) {
            Place::Held => Ok(true),
            Place::Free(Some(lock)) => lock.is_taken(),
            Place::Free(none) => match KernelLock::find(&self.lock_file(index))? {
                Some(lock) => none.insert(lock).is_taken(),
                None => Ok(false),
            },
        }
    }

    /// Takes the place's lock from the board to try it; `None` if the place is held here.
    fn free_lock(&self, board: &mut Board, index: u32) -> io::Result<Option<KernelLock>> {
        match board.place(index) {
            Place::Held => Ok(None),
            Place::Free(Some(_)) => {
                let Place::Free(lock) = std::mem::replace(board.place(index), Place::Free(None))
                else {
                    return Ok(None);
                };
                Ok(lock)
            }
            Place::Free(None) => {
                // First said, then used: who reads the extent after locking its own place either
                // sees this one, or is seen by whoever locks this one.
                if let Files::Class { extent, .. } = &self.files {
                    extent.use_place(index)?;
                }
                KernelLock::open(&self.lock_file(index)).map(Some)
            }
        }
    }

    fn lock_file(&self, index: u32) -> PathBuf {
        match &self.files {
            Files::Class { home, .. } => home.join(format!("{index}.lock")),
            Files::Issue { lock } => lock.clone(),
        }
    }

    /// Wakes whoever waits first in line.
    fn tell_of_release(&self) {
        match &self.files {
            Files::Class { awaited, .. } if !awaited.is_awaited() => {}
            _ => self.bell.ring(),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn place(&mut self, index: u32) -> &mut Place {
        let index = index as usize;
        while self.places.len() <= index {
            self.places.push(Place::Free(None));
        }
        &mut self.places[index]
    }

    /// The next of a sequence that differs from process to process.
    fn random(&mut self) -> u32 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) as u32
    }
}

/// Takes a lock that could not be had at first, unless somebody really holds it.
fn insist(lock: &mut KernelLock) -> io::Result<bool> {
    for _ in 0..PATIENCE {
        if lock.is_taken()? {
            return Ok(false);
        }
        if lock.try_take()? {
            return Ok(true);
        }
        thread::yield_now();
    }
    Ok(false)
}

/// A place that is held.
#[derive(Debug)]
struct Guard {
    places: Arc<Places>,
    index: u32,
    lock: Option<KernelLock>,
    /// Whether the file was given to somebody, who may have let a child inherit it.
    shared: AtomicBool,
}

impl SlotGuard for Guard {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        self.shared.store(true, Ordering::Release);
        self.lock.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let lock = self.lock.take().filter(|lock| {
            // Unlocking would free it for a child too that has inherited it. Closing does not.
            !self.shared.load(Ordering::Acquire) && lock.release().is_ok()
        });
        let mut board = self.places.board();
        board.last = Some(self.index);
        *board.place(self.index) = Place::Free(lock);
        drop(board);
        self.places.tell_of_release();
    }
}
