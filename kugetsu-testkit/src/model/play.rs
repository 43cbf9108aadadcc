use super::record::{Ended, Entry};
use hyper::body::{Body, Bytes, Frame};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// One thing that happens while an answer goes out.
#[derive(Debug)]
pub(super) enum Beat {
    Send(Bytes),
    Rest(Duration),
    /// What was sent so far goes out before the next beat.
    Flush,
    /// Nothing more happens until the caller goes away.
    Never,
    /// The connection breaks here.
    Break,
}

/// An answer on its way: beat after beat, made only when the caller takes them.
///
/// Hyper drops it as soon as the caller goes away, which ends the work and settles the entry.
pub(super) struct Play {
    beats: Box<dyn Iterator<Item = Beat> + Send>,
    rest: Option<Pin<Box<Sleep>>>,
    entry: Entry,
    finally: Ended,
}

impl Play {
    pub(super) fn new(
        beats: impl Iterator<Item = Beat> + Send + 'static,
        entry: Entry,
        finally: Ended,
    ) -> Self {
        Self { beats: Box::new(beats), rest: None, entry, finally }
    }

    pub(super) fn once(bytes: impl Into<Bytes>, entry: Entry, finally: Ended) -> Self {
        Self::new(std::iter::once(Beat::Send(bytes.into())), entry, finally)
    }
}

impl Body for Play {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(cx));
                self.rest = None;
            }
            match self.beats.next() {
                Some(Beat::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Beat::Rest(time)) => self.rest = Some(Box::pin(sleep(time))),
                Some(Beat::Flush) => {
                    // Hyper flushes when a body has nothing more for now.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Beat::Never) => self.rest = Some(Box::pin(sleep(Duration::MAX))),
                Some(Beat::Break) => {
                    self.entry.end(Ended::Broken);
                    let broken = io::Error::other("the script breaks the connection here");
                    return Poll::Ready(Some(Err(broken)));
                }
                None => {
                    let finally = self.finally;
                    self.entry.end(finally);
                    return Poll::Ready(None);
                }
            }
        }
    }
}
