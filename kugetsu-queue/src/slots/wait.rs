//! Waiting for a slot: in line within the process, at the turnstile among processes, and at the
//! head of both with an ear on the doorbell and an eye on those who hold what is wanted.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use kugetsu_core::Slot;
use tokio::net::unix::pipe;
use tokio::time::sleep;

use super::note::Note;
use super::places::Places;
use super::process::Process;

/// How long the first in line goes without looking: the most that a release which nothing tells of
/// stays unseen.
const LOOK: Duration = Duration::from_secs(1);

/// How long those behind go without looking, for the case that the first in line was stopped.
const LOOK_BEHIND: Duration = Duration::from_secs(5);

/// Waits for a place and takes it; `None` once there is none to wait for. Dropping it leaves nothing
/// held.
pub(super) async fn acquire(places: &Arc<Places>, holder: &str) -> io::Result<Option<Slot>> {
    let _in_line = places.line.lock().await;
    if let Some(slot) = places.take(holder)? {
        return Ok(Some(slot));
    }
    let turn = loop {
        if places.limit() == 0 {
            return Ok(None);
        }
        tokio::select! {
            turn = places.turnstile.turn() => break turn?,
            () = sleep(LOOK_BEHIND) => {
                if let Some(slot) = places.take(holder)? {
                    return Ok(Some(slot));
                }
            }
        }
    };
    let slot = first_in_line(places, holder).await;
    drop(turn);
    slot
}

async fn first_in_line(places: &Arc<Places>, holder: &str) -> io::Result<Option<Slot>> {
    let bell = places.bell.listen()?;
    let _waiting = places.wait();
    let mut gone = HashSet::new();
    loop {
        if places.limit() == 0 {
            return Ok(None);
        }
        if let Some(slot) = places.take(holder)? {
            return Ok(Some(slot));
        }
        // Forgotten only now, so that whoever is woken and finds a place has it at once.
        if bell.silence() {
            continue;
        }
        let Some(holders) = living(places, &mut gone)? else { continue };
        tokio::select! {
            rung = bell.rung() => rung?,
            dead = any_end(&holders) => { gone.insert(dead); }
            () = sleep(LOOK) => {}
        }
    }
}

/// The other processes that hold a place; `None` if one of them has ended that was not known to have,
/// so that another look may find its place free. Those in `gone` have left theirs to what they
/// started, and nothing more is to be learned from them.
fn living(
    places: &Places,
    gone: &mut HashSet<Process>,
) -> io::Result<Option<Vec<(Process, pipe::Receiver)>>> {
    let mut holders = Vec::new();
    for (_, file) in places.look()? {
        let Some((note, _)) = file.as_ref().and_then(Note::read) else { continue };
        if note.by == Process::own() || gone.contains(&note.by) {
            continue;
        }
        let Some(end) = note.by.watch()? else {
            gone.insert(note.by);
            return Ok(None);
        };
        // What can be waited for like a pipe may take a pipe's place.
        holders.push((note.by, pipe::Receiver::from_owned_fd_unchecked(end)?));
    }
    Ok(Some(holders))
}

/// Returns the first of the processes that ends.
async fn any_end(holders: &[(Process, pipe::Receiver)]) -> Process {
    poll_fn(|context| {
        for (process, end) in holders {
            if end.poll_read_ready(context).is_ready() {
                return Poll::Ready(*process);
            }
        }
        Poll::Pending
    })
    .await
}
