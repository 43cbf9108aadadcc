//! Telegram chats that get notices, and the outcome of what they have asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{MemoStore, Notice, NoticeKind, Notifier, NotifyError, StoreError, TaskId};
use kugetsu_notify::{ChatId, Route, TelegramNotifier};

/// Writes what the route wants into the sink's chats, and how a task ended also into the chat that has
/// asked for it, whatever the route.
#[derive(Debug)]
pub(super) struct Chat {
    telegram: Arc<TelegramNotifier>,
    route: Route,
    memos: Arc<dyn MemoStore>,
}

impl Chat {
    pub(super) fn new(
        telegram: Arc<TelegramNotifier>,
        route: Route,
        memos: Arc<dyn MemoStore>,
    ) -> Self {
        Self { telegram, route, memos }
    }

    async fn asker(&self, task: TaskId) -> Result<Option<ChatId>, StoreError> {
        let memo = self.memos.memo(&asked(self.name(), task)).await?;
        Ok(memo.and_then(|chat| chat.parse().ok()).map(ChatId))
    }

    fn fault(&self, error: StoreError) -> NotifyError {
        NotifyError::Backend {
            who: self.name().to_owned(),
            operation: "look up who has asked for a task".to_owned(),
            retry: error.retry(),
            source: error.into(),
        }
    }
}

#[async_trait]
impl Notifier for Chat {
    fn name(&self) -> &str {
        self.telegram.name()
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let mut chats =
            if self.route.wants(notice) { self.telegram.chats().clone() } else { BTreeSet::new() };
        let is_end = matches!(notice.kind, NoticeKind::TaskCompleted | NoticeKind::TaskError);
        let asker = if is_end {
            self.asker(notice.task).await.map_err(|error| self.fault(error))?
        } else {
            None
        };
        chats.extend(asker);
        let written = self.telegram.write(notice, &chats).await;
        let is_done = matches!(written, Ok(()) | Err(NotifyError::Refused { .. }));
        if asker.is_some() && is_done {
            let memo = asked(self.name(), notice.task);
            self.memos.set_memo(&memo, None).await.map_err(|error| self.fault(error))?;
        }
        written
    }
}

/// The memo that says which chat has asked for a task.
pub(super) fn asked(sink: &str, task: TaskId) -> String {
    format!("asked/{sink}/{task}")
}
