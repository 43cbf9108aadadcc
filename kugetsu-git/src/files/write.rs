//! Writing files by several threads.

use std::ffi::CStr;
use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use git2::{ObjectType, Odb, Oid};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};

use super::image::{self, HEAD};
use super::plan::{Directory, LINK, PROGRAM, Plan, Run};
use super::way::Way;
use super::{DIRECTORY, Left, open};

/// More threads than this have never been faster.
const MOST: usize = 4;
/// With fewer files a thread costs more than it brings.
const WORTHWHILE: usize = 400;
/// Larger files are left to git, so that memory has a bound: it is at most this for each thread.
const LARGEST: usize = 64 * 1024 * 1024;

/// Makes all directories and files, and notes in the plan's image what they are like.
pub(super) fn write(
    objects: &Path,
    plan: &mut Plan,
    tree: &Path,
    stop: &AtomicBool,
) -> Result<(), Left> {
    let root = rustix::fs::open(tree, DIRECTORY, Mode::empty())?;
    make_directories(&root, &plan.root)?;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MOST).min(plan.count / WORTHWHILE).max(1);
    let work = Mutex::new(Work { runs: plan.runs.iter(), rest: &mut plan.image });
    // The first that fails stops the others.
    let failed = AtomicBool::new(false);
    let one = || {
        let done =
            open(objects).and_then(|odb| Writer { odb, stop, failed: &failed }.all(&root, &work));
        failed.fetch_or(done.is_err(), Ordering::Relaxed);
        done
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, one).ok())
            .collect();
        let mut done = one();
        for other in others {
            let ended = other.join().unwrap_or_else(|_| Err(Left::odd("a thread ended")));
            // Who was stopped by another's failure has none of its own.
            if !matches!(done, Err(Left::Failed(_) | Left::Object(_))) && ended.is_err() {
                done = ended;
            }
        }
        done
    })
}

fn make_directories(parent: &OwnedFd, directory: &Directory) -> Result<(), Left> {
    for inside in &directory.inside {
        let name = &*inside.name;
        // Who can enter them is the umask's to say, as with git.
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777))?;
        if !inside.inside.is_empty() {
            let own = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?;
            make_directories(&own, inside)?;
        }
    }
    Ok(())
}

/// What is still to be done.
struct Work<'a> {
    runs: std::slice::Iter<'a, Run>,
    rest: &'a mut [u8],
}

impl<'a> Work<'a> {
    fn next(&mut self) -> Option<(&'a Run, &'a mut [u8])> {
        let run = self.runs.next()?;
        let (part, rest) = std::mem::take(&mut self.rest).split_at_mut_checked(run.bytes)?;
        self.rest = rest;
        Some((run, part))
    }
}

struct Writer<'a> {
    odb: Odb<'a>,
    stop: &'a AtomicBool,
    failed: &'a AtomicBool,
}

impl Writer<'_> {
    fn all(&self, root: &OwnedFd, work: &Mutex<Work<'_>>) -> Result<(), Left> {
        let mut way = Way::new(root);
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((run, image)) = next else { return Ok(()) };
            self.run(run, way.enter(&run.directory)?, image)?;
        }
    }

    fn run(&self, run: &Run, directory: &OwnedFd, mut image: &mut [u8]) -> Result<(), Left> {
        let skip = if run.directory.is_empty() { 0 } else { run.directory.len() + 1 };
        while image.len() > HEAD {
            if self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed) {
                return Err(Left::odd("it was stopped"));
            }
            let (entry, rest) = image.split_at_mut(image::size(image));
            let name = image::path(entry)?.to_bytes_with_nul().get(skip..);
            let name = name.and_then(|name| CStr::from_bytes_with_nul(name).ok());
            let name = name.ok_or_else(|| Left::odd("a name is odd"))?;
            let (mode, id) = image::about(entry);
            let found = self.file(directory, name, mode, Oid::from_bytes(id)?)?;
            image::note(entry, &found);
            image = rest;
        }
        Ok(())
    }

    fn file(&self, directory: &OwnedFd, name: &CStr, mode: u32, id: Oid) -> Result<Stat, Left> {
        let (size, kind) = self.odb.read_header(id)?;
        if kind != ObjectType::Blob || size > LARGEST {
            return Err(Left::odd("a file is very large, or none"));
        }
        let object = self.odb.read(id)?;
        if mode == LINK {
            rustix::fs::symlinkat(object.data(), directory, name)?;
            return Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?);
        }
        let bits = if mode == PROGRAM { 0o777 } else { 0o666 };
        let new =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, new, Mode::from_raw_mode(bits))?;
        let mut rest = object.data();
        while !rest.is_empty() {
            match rustix::io::write(&file, rest) {
                Ok(0) => return Err(Left::Failed(io::ErrorKind::WriteZero.into())),
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rustix::fs::fstat(&file)?)
    }
}
