//! The server's stream of events, opened once for all runs and opened again when it breaks.

use std::sync::Arc;
use std::time::Duration;

use sse_stream::SseStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;

use super::http::Http;
use super::post::PostOffice;
use crate::wire::{self, News};

/// opencode sends a sign of life every ten seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// Between two tries to open the stream.
const PAUSE: Duration = Duration::from_millis(250);

/// Reads the stream for ever. `open` turns true once events arrive for the first time.
pub(crate) async fn read(
    http: Http,
    post: Arc<PostOffice>,
    open: watch::Sender<bool>,
    say: mpsc::WeakSender<String>,
) {
    let mut unread = 0;
    loop {
        let _ = read_once(&http, &post, &open, &say, &mut unread).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read_once(
    http: &Http,
    post: &PostOffice,
    open: &watch::Sender<bool>,
    say: &mpsc::WeakSender<String>,
    unread: &mut u64,
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
            Err(error) => {
                *unread += 1;
                // Said once, in the server's own log.
                if let (1, Some(say)) = (*unread, say.upgrade()) {
                    let _ = say.try_send(format!("kugetsu: an event could not be read: {error}"));
                }
            }
        }
    }
}
