//! Brings what the server tells to the runs that it is about.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::inbox::{Inbox, Letter};
use crate::wire::News;

/// Who wants to hear of which session. A session has one listener at a time.
#[derive(Debug, Default)]
pub(crate) struct PostOffice {
    boxes: Mutex<HashMap<String, Arc<Inbox>>>,
    closed: Notify,
}

/// A listener's box, closed when this is dropped.
#[derive(Debug)]
pub(crate) struct PostBox {
    office: Arc<PostOffice>,
    inbox: Arc<Inbox>,
}

impl Deref for PostBox {
    type Target = Arc<Inbox>;

    fn deref(&self) -> &Arc<Inbox> {
        &self.inbox
    }
}

impl Drop for PostBox {
    /// Nobody wants to hear of the session any more, nor of its sub-agents'.
    fn drop(&mut self) {
        self.office.boxes().retain(|_, open| !Arc::ptr_eq(open, &self.inbox));
        self.office.closed.notify_waiters();
    }
}

impl PostOffice {
    /// A box for what is told of the session. Who has it now may be about to leave, so it is waited
    /// for; `None` if that takes too long.
    pub(crate) async fn open(
        self: &Arc<Self>,
        session: &str,
        at_most: Duration,
    ) -> Option<PostBox> {
        let open = async {
            loop {
                let closed = self.closed.notified();
                let mut closed = std::pin::pin!(closed);
                closed.as_mut().enable();
                if let Some(opened) = self.try_open(session) {
                    return opened;
                }
                closed.await;
            }
        };
        tokio::time::timeout(at_most, open).await.ok()
    }

    fn try_open(self: &Arc<Self>, session: &str) -> Option<PostBox> {
        let mut boxes = self.boxes();
        if boxes.contains_key(session) {
            return None;
        }
        let inbox = Arc::new(Inbox::default());
        boxes.insert(session.to_owned(), Arc::clone(&inbox));
        Some(PostBox { office: Arc::clone(self), inbox })
    }

    /// Whether any run is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.boxes().is_empty()
    }

    pub(crate) fn deliver(&self, news: News) {
        let mut boxes = self.boxes();
        if let News::Created { session, parent: Some(parent) } = &news
            && let Some(inbox) = boxes.get(parent).cloned()
        {
            boxes.insert(session.clone(), inbox);
        }
        match news.session() {
            Some(session) => {
                if let Some(inbox) = boxes.get(session) {
                    inbox.put(Letter::News(news));
                }
            }
            // An error of nobody in particular may be anybody's.
            None if matches!(news, News::Error { .. }) => {
                each(&boxes, |inbox| inbox.put(Letter::News(news.clone())));
            }
            None => {}
        }
    }

    /// Tells every run that something may have been missed.
    pub(crate) fn gap(&self) {
        each(&self.boxes(), |inbox| inbox.put(Letter::Gap));
    }

    /// Tells every run that the server is gone.
    pub(crate) fn dead(&self, why: &str) {
        each(&self.boxes(), |inbox| inbox.put(Letter::Dead(why.to_owned())));
    }

    fn boxes(&self) -> MutexGuard<'_, HashMap<String, Arc<Inbox>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn each(boxes: &HashMap<String, Arc<Inbox>>, tell: impl Fn(&Inbox)) {
    let mut told: Vec<*const Inbox> = Vec::new();
    for inbox in boxes.values() {
        if !told.contains(&Arc::as_ptr(inbox)) {
            told.push(Arc::as_ptr(inbox));
            tell(inbox);
        }
    }
}
