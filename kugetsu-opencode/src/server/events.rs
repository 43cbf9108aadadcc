//! The server's stream of events, opened once for all runs and opened again when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sse_stream::SseStream;
use tokio::sync::watch;
use tokio_stream::StreamExt as _;

use super::http::Http;
use super::post::PostOffice;
use crate::wire::{self, News};

/// opencode sends a sign of life every ten seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// Between two tries to open the stream.
const PAUSE: Duration = Duration::from_millis(250);

/// What was said that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Unread(AtomicU64);

impl Unread {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads the stream for ever. `open` turns true once events arrive for the first time.
pub(crate) async fn read(
    http: Http,
    post: Arc<PostOffice>,
    open: watch::Sender<bool>,
    unread: Arc<Unread>,
) {
    loop {
        let _ = read_once(&http, &post, &open, &unread).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_once(
    http: &Http,
    post: &PostOffice,
    open: &watch::Sender<bool>,
    unread: &Unread,
) -> Option<()> {
    let response = http.stream("/global/event").await.ok()?;
    let mut stream = SseStream::from_bytes_stream(response.bytes_stream());
    loop {
        let sse = tokio::time::timeout(SILENCE, stream.next()).await.ok()??.ok()?;
        let Some(data) = sse.data else { continue };
        match wire::read_event(&data) {
            Ok(Some(News::Connected)) => {
                // The first time nobody can have missed anything.
                if open.send_replace(true) {
                    post.gap();
                }
            }
            Ok(Some(news)) => post.deliver(news),
            Ok(None) => {}
            Err(_) => {
                unread.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
