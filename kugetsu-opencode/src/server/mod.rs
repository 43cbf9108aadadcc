//! A supervised `opencode serve`, and the runner's one of them.

mod api;
mod boot;
mod events;
mod http;
mod inbox;
mod log;
mod occupied;
mod password;
mod pool;
mod post;

pub(crate) use api::{Model, Prompt, TextPart, ToldSession};
pub(crate) use http::{Http, HttpError};
pub(crate) use inbox::{Inbox, Letter};
pub(crate) use pool::{Lease, Pool};
pub(crate) use post::{PostBox, PostOffice};

use std::sync::Arc;
use std::time::Duration;

use kugetsu_guard::proc::{self, Process};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use occupied::Occupied;

/// A living server. Dropping the last reference to it ends it and all that it has started.
#[derive(Debug)]
pub(crate) struct Server {
    http: Http,
    post: Arc<PostOffice>,
    occupied: Occupied,
    guard: Option<Process>,
    /// Told once: how the server came to its end.
    death: watch::Receiver<Option<String>>,
    ending: CancellationToken,
}

impl Server {
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    pub(crate) fn post(&self) -> &Arc<PostOffice> {
        &self.post
    }

    /// Which directories runs are in.
    pub(crate) fn occupied(&self) -> &Occupied {
        &self.occupied
    }

    /// How the server ended, if it has.
    pub(crate) fn death(&self) -> Option<String> {
        self.death.borrow().clone()
    }

    /// Tells of its end, also when nobody has the server any more.
    fn watch_death(&self) -> watch::Receiver<Option<String>> {
        self.death.clone()
    }

    /// Whatever its tools have started. Each tool is in a session of its own; what is in the
    /// server's are its own helpers, which it needs to the end of their work.
    pub(crate) fn tools(&self) -> Vec<Process> {
        let (Some(guard), Some(own)) = (self.guard, self.own()) else { return Vec::new() };
        let servers = own.session();
        let descendants = proc::descendants(guard.pid).into_iter();
        descendants.filter(|process| process.session() != servers).collect()
    }

    /// The memory of the server's own process, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        proc::resident(self.own()?)
    }

    fn own(&self) -> Option<Process> {
        proc::first_child(self.guard?.pid)
    }

    /// Ends the server and all that it has started, and returns when nothing of it is left.
    pub(crate) async fn end(&self, at_most: Duration) {
        self.ending.cancel();
        let mut death = self.death.clone();
        let _ = tokio::time::timeout(at_most, death.wait_for(Option::is_some)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}
