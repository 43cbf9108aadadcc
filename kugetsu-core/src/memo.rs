//! Memos: small things that have to be remembered, by name.

use std::fmt;

use async_trait::async_trait;

use crate::store::StoreError;

/// Keeps short texts by name: how far a reader of the event log has come, that the queue is held.
/// Whoever writes one decides what its name and its text mean.
///
/// # Promises
///
/// * What was remembered is there after a crash once `set_memo` has returned; a crash in the middle
///   leaves the old text or the new one.
/// * Of several that set the same memo at once, one is the last, whole.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::memo_store_conformance!`.
#[async_trait]
pub trait MemoStore: fmt::Debug + Send + Sync + 'static {
    /// What is remembered under this name; `None` if nothing is.
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// Remembers the text under this name instead of what was; `None` forgets it.
    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError>;

    /// All memos whose names begin so, by name.
    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;
}
