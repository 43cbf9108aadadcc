//! Work that blocks, from async code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fault::Fault;

/// Runs the work on a thread that may block. A panic in it is a fault.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Fault> + Send + 'static,
{
    let work = || {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
    };
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
