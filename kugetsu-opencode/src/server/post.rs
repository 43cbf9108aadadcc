//! Brings what the server tells to the runs that it is about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inbox::{Inbox, Letter};
use crate::wire::News;

/// Who wants to hear of which session.
#[derive(Debug, Default)]
pub(crate) struct PostOffice {
    boxes: Mutex<HashMap<String, Arc<Inbox>>>,
}

impl PostOffice {
    /// A box for what is told of the session; `None` if somebody has one already.
    pub(crate) fn open(&self, session: &str) -> Option<Arc<Inbox>> {
        let mut boxes = self.boxes();
        if boxes.contains_key(session) {
            return None;
        }
        let inbox = Arc::new(Inbox::default());
        boxes.insert(session.to_owned(), Arc::clone(&inbox));
        Some(inbox)
    }

    /// Nobody wants to hear of this box's session any more, nor of its sub-agents'.
    pub(crate) fn close(&self, inbox: &Arc<Inbox>) {
        self.boxes().retain(|_, open| !Arc::ptr_eq(open, inbox));
    }

    /// Whether any run is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.boxes().is_empty()
    }

    pub(crate) fn deliver(&self, news: News) {
        let mut boxes = self.boxes();
        if let News::Created { session, parent: Some(parent) } = &news {
            if let Some(inbox) = boxes.get(parent).cloned() {
                boxes.insert(session.clone(), inbox);
            }
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
