use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Notice, NoticeKind, Notifier, NotifyError, Severity};

/// Which notices a sink wants: all of them unless it is said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    kinds: Option<BTreeSet<NoticeKind>>,
    least: Severity,
}

impl Default for Route {
    fn default() -> Self {
        Self { kinds: None, least: Severity::Info }
    }
}

impl Route {
    /// All notices.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only these kinds.
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = NoticeKind>) -> Self {
        self.kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Only what matters at least so much.
    pub fn with_severity(mut self, least: Severity) -> Self {
        self.least = least;
        self
    }

    /// The kinds that are wanted; `None` for all.
    pub fn kinds(&self) -> Option<&BTreeSet<NoticeKind>> {
        self.kinds.as_ref()
    }

    /// How much a notice has to matter.
    pub fn severity(&self) -> Severity {
        self.least
    }

    /// Whether this notice is wanted.
    pub fn wants(&self, notice: &Notice) -> bool {
        notice.severity >= self.least
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&notice.kind))
    }
}

/// A notifier that passes on only what its route wants, and is done at once with the rest.
#[derive(Debug, Clone)]
pub struct Routed {
    inner: Arc<dyn Notifier>,
    route: Route,
}

impl Routed {
    /// Passes on what the route wants to this notifier, and has its name.
    pub fn new(inner: Arc<dyn Notifier>, route: Route) -> Self {
        Self { inner, route }
    }
}

#[async_trait]
impl Notifier for Routed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        if self.route.wants(notice) { self.inner.notify(notice).await } else { Ok(()) }
    }
}
