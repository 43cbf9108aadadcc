use kugetsu_core::{Retry, WorktreeError};

use crate::fault;

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorktreeError> + Send + 'static,
) -> Result<T, WorktreeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(fault::backend("finish a piece of work", Retry::Later, error)),
    }
}
