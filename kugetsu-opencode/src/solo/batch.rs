//! Asking once for all who wait to know, where asking is a program's whole start.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kugetsu_core::agent::AgentError;
use tokio::sync::oneshot;

/// Who waits for what. An answer was always asked for after its question was put.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    waiting: Mutex<Vec<Waiting<T>>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting<T> {
    key: String,
    tell: oneshot::Sender<Option<T>>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T: Clone> Batch<T> {
    /// What there is about the key; `None` if there is nothing. Whoever comes first asks, with
    /// `ask`, for all keys that wait by then and are to be asked `together`.
    pub(crate) async fn get<F>(
        &self,
        key: &str,
        together: impl Fn(&str) -> bool,
        ask: impl FnOnce(Vec<String>) -> F,
    ) -> Result<Option<T>, AgentError>
    where
        F: Future<Output = Result<HashMap<String, T>, AgentError>>,
    {
        let (tell, mut told) = oneshot::channel();
        self.waiting().push(Waiting { key: key.to_owned(), tell });
        let _turn = self.turn.lock().await;
        if let Ok(found) = told.try_recv() {
            return Ok(found);
        }
        // Nobody has asked for us, or who did has failed.
        let all = std::mem::take(&mut *self.waiting());
        let (mut ours, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|waiting| together(&waiting.key));
        self.waiting().extend(others);
        let mut keys: Vec<String> = ours.iter().map(|waiting| waiting.key.clone()).collect();
        keys.push(key.to_owned());
        keys.sort();
        keys.dedup();
        let found = ask(keys).await?;
        for waiting in ours.drain(..) {
            let _ = waiting.tell.send(found.get(&waiting.key).cloned());
        }
        Ok(found.get(key).cloned())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_waits_while_another_asks_is_asked_for_together() {
        let batch: Arc<Batch<usize>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let mut all = tokio::task::JoinSet::new();
        for number in 0..8_usize {
            let (batch, asked) = (Arc::clone(&batch), Arc::clone(&asked));
            all.spawn(async move {
                let ask = |keys: Vec<String>| async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Ok(keys.into_iter().map(|key| (key.clone(), key.len())).collect())
                };
                batch.get(&"x".repeat(number), |_| true, ask).await.unwrap()
            });
        }
        let mut found: Vec<_> = all.join_all().await.into_iter().flatten().collect();
        found.sort_unstable();
        assert_eq!(found, (0..8).collect::<Vec<_>>());
        assert!(asked.load(Ordering::Relaxed) <= 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_who_asked_and_the_others_ask_again() {
        let batch: Batch<usize> = Batch::default();
        let fails =
            |_| async { Err(crate::fault::backend("ask", kugetsu_core::Retry::Later, "no")) };
        let works = |_| async { Ok(HashMap::from([("k".to_owned(), 1)])) };
        let (first, second) =
            tokio::join!(batch.get("k", |_| true, fails), batch.get("k", |_| true, works),);
        assert!(first.is_err());
        assert_eq!(second.unwrap(), Some(1));
    }
}
