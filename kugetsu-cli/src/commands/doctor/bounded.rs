//! Looking at something that may hang or panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It took too long.
    Hung,
    /// It panicked.
    Crashed,
}

/// What `look` finds, on a thread that nobody waits for longer than this. A runtime's own threads are
/// waited for when it ends, so that one which hangs would hang everything.
pub(super) async fn aside<T: Send + 'static>(
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("doctor".into()).spawn(move || {
        // A panic drops the sender, which is the answer then.
        let _ = tell.send(look());
    });
    if thread.is_err() {
        return Err(NoAnswer::Crashed);
    }
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(NoAnswer::Crashed),
        Err(_) => Err(NoAnswer::Hung),
    }
}

/// What `look` comes to, unless it takes longer than this or panics.
pub(super) async fn within<T>(
    limit: Duration,
    look: impl Future<Output = T>,
) -> Result<T, NoAnswer> {
    let mut look = pin!(look);
    let caught = std::future::poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| look.as_mut().poll(cx))) {
            Ok(Poll::Ready(found)) => Poll::Ready(Ok(found)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(NoAnswer::Crashed)),
        }
    });
    tokio::time::timeout(limit, caught).await.unwrap_or(Err(NoAnswer::Hung))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_or_panics_is_told_and_holds_up_nobody() {
        let short = Duration::from_millis(20);
        let long = Duration::from_mins(1);
        let (_never, end) = std::sync::mpsc::channel::<()>();
        assert_eq!(aside(short, move || end.recv().is_ok()).await, Err(NoAnswer::Hung));
        assert_eq!(within(short, std::future::pending::<()>()).await, Err(NoAnswer::Hung));
        assert_eq!(aside(long, || 7).await, Ok(7));
        assert_eq!(within(long, async { 7 }).await, Ok(7));
        let panics = async { assert!(short > long, "at the disco") };
        assert_eq!(within(long, panics).await, Err(NoAnswer::Crashed));
    }
}
