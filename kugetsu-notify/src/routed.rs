use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Notice, NoticeKind, Notifier, NotifyError, Severity};

/// A notifier that passes on only some notices, and is done at once with the others.
#[derive(Debug, Clone)]
pub struct Routed {
    inner: Arc<dyn Notifier>,
    kinds: Option<BTreeSet<NoticeKind>>,
    least: Severity,
}

impl Routed {
    /// Passes on everything to this notifier, and has its name.
    pub fn new(inner: Arc<dyn Notifier>) -> Self {
        Self { inner, kinds: None, least: Severity::Info }
    }

    /// Passes on only these kinds.
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = NoticeKind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Passes on only what matters at least so much.
    pub fn with_severity(mut self, least: Severity) -> Self {
        self.least = least;
        self
    }

    /// Whether this notice is passed on.
    pub fn wants(&self, notice: &Notice) -> bool {
        notice.severity >= self.least
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&notice.kind))
    }
}

#[async_trait]
impl Notifier for Routed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        if self.wants(notice) { self.inner.notify(notice).await } else { Ok(()) }
    }
}
