//! Work that blocks, from async code.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use crate::fault::Fault;

thread_local! {
    /// Whether this thread polls what may block it.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Has what blocks in this future, such as a look into a store, happen in the thread that polls it,
/// and starts no other thread for it. For a program that does one thing and ends: whatever else runs
/// in that thread stands still meanwhile.
pub async fn in_this_thread<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _blocks = Blocks(MAY_BLOCK.replace(true));
        work.as_mut().poll(context)
    })
    .await
}

/// Puts back what was, also after a panic.
struct Blocks(bool);

impl Drop for Blocks {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.0);
    }
}

/// Runs the work on a thread that may block; an error if the runtime is shutting down.
pub(crate) async fn blocking_io<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    if MAY_BLOCK.get() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost)))
}

/// Runs the work on a thread that may block. A panic in it is a fault.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Fault> + Send + 'static,
{
    let work = || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    };
    if MAY_BLOCK.get() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Fault::Lost("the runtime is shutting down".into())),
    }
}

/// What a panic in the work is.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Fault {
    Fault::Lost(format!("the work panicked: {}", words(panic)))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn it_happens_where_it_is_told_to() {
        let here = thread::current().id();
        let at_work = || blocking(|| Ok(thread::current().id()));
        let at_look = || blocking_io(|| Ok(thread::current().id()));
        assert_ne!(at_work().await.unwrap(), here);
        let (work, look) = in_this_thread(async {
            tokio::task::yield_now().await;
            (at_work().await.unwrap(), at_look().await.unwrap())
        })
        .await;
        assert_eq!((work, look), (here, here));
        assert_ne!(at_work().await.unwrap(), here);
        assert_ne!(at_look().await.unwrap(), here);
        let panicked = in_this_thread(blocking(|| -> Result<(), Fault> { panic!("of a test") }));
        assert!(panicked.await.is_err());
    }
}
