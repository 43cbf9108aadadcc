//! The inbox: where notices are kept until a person has read them.

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, StoreError};

/// Which notices to show.
///
/// Exhaustive: an inbox that did not know a third kind could not say what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notices {
    /// Those that nobody has read.
    Unread,
    /// All that are kept.
    All,
}

/// A notice in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredNotice {
    /// What it tells.
    pub notice: Notice,
    /// Whether nobody has read it.
    pub unread: bool,
}

impl StoredNotice {
    /// This notice, read or not.
    pub fn new(notice: Notice, unread: bool) -> Self {
        Self { notice, unread }
    }
}

/// A sink that keeps what it is brought, one of each key.
#[async_trait]
pub trait Inbox: Notifier {
    /// The notices in the inbox, in the order in which they came.
    async fn notices(&self, which: Notices) -> Result<Vec<StoredNotice>, StoreError>;

    /// Marks the notices with these keys as read. Naming them keeps one unread that came meanwhile.
    async fn mark_read(&self, keys: &[String]) -> Result<(), StoreError>;
}
