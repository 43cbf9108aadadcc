//! What a [`MemoStore`] promises.

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{MemoStore, StoreError};

use super::promise::{at_once, promises};
use super::sample::HOSTILE;

/// One store of memos, empty at first.
#[async_trait]
pub trait MemoStoreFixture: Send + Sync + 'static {
    /// Opens the store. Every call opens the same one again, as another process would; a store that
    /// lives in one process only hands out the same one.
    async fn open(&self) -> Arc<dyn MemoStore>;
}

promises! {
    /// Makes a test of each promise of [`MemoStore`](kugetsu_core::MemoStore). The argument is a
    /// [`MemoStoreFixture`](crate::suite::MemoStoreFixture).
    macro memo_store_conformance of memos for dyn MemoStoreFixture ($);

    from self {
        a_memo_is_there_after_reopening,
        a_memo_comes_back_as_it_was,
        a_memo_that_was_never_set_is_not_there,
        a_memo_is_replaced_by_the_next_of_its_name,
        a_memo_that_was_forgotten_is_gone,
        memos_are_found_by_the_beginning_of_their_names,
        of_many_memos_of_one_name_at_once_one_stays_whole,
    }
}

fn fine<T>(done: Result<T, StoreError>) -> T {
    done.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

async fn set(store: &dyn MemoStore, name: &str, text: &str) {
    fine(store.set_memo(name, Some(text)).await);
}

async fn get(store: &dyn MemoStore, name: &str) -> Option<String> {
    fine(store.memo(name).await)
}

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

async fn a_memo_is_there_after_reopening(f: &dyn MemoStoreFixture) {
    let store = f.open().await;
    set(&*store, "cursor/inbox", "7").await;
    drop(store);
    assert_eq!(get(&*f.open().await, "cursor/inbox").await.as_deref(), Some("7"));
}

async fn a_memo_comes_back_as_it_was(f: &dyn MemoStoreFixture) {
    let store = f.open().await;
    let long = "long ".repeat(20_000);
    for (number, text) in HOSTILE.into_iter().chain([long.as_str()]).enumerate() {
        // A name may be as odd as a text.
        let name = format!("{number}/{}", text.chars().take(60).collect::<String>());
        set(&*store, &name, text).await;
        assert_eq!(get(&*f.open().await, &name).await.as_deref(), Some(text), "{name:?}");
    }
}

async fn a_memo_that_was_never_set_is_not_there(f: &dyn MemoStoreFixture) {
    let store = f.open().await;
    set(&*store, "a/b", "1").await;
    for name in ["a", "a/", "a/bc", "A/B", ""] {
        assert_eq!(get(&*store, name).await, None, "{name:?}");
    }
}

async fn a_memo_is_replaced_by_the_next_of_its_name(f: &dyn MemoStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    set(&*here, "a", "first").await;
    set(&*here, "b", "other").await;
    set(&*there, "a", "second").await;
    assert_eq!(get(&*here, "a").await.as_deref(), Some("second"));
    assert_eq!(get(&*here, "b").await.as_deref(), Some("other"));
}

async fn a_memo_that_was_forgotten_is_gone(f: &dyn MemoStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    set(&*here, "a", "1").await;
    set(&*here, "ab", "2").await;
    fine(there.set_memo("a", None).await);
    // What is not there is forgotten already.
    fine(there.set_memo("a", None).await);
    assert_eq!(get(&*here, "a").await, None);
    assert_eq!(fine(f.open().await.memos("").await), [pair("ab", "2")]);
}

async fn memos_are_found_by_the_beginning_of_their_names(f: &dyn MemoStoreFixture) {
    let store = f.open().await;
    for name in ["hold/pause", "hold", "hold/provider/x", "holds/a", "HOLD/a", "hold%", "cursor/a"]
    {
        set(&*store, name, &name.to_lowercase()).await;
    }
    let found = fine(f.open().await.memos("hold/").await);
    assert_eq!(
        found,
        [pair("hold/pause", "hold/pause"), pair("hold/provider/x", "hold/provider/x")],
        "by name"
    );
    assert_eq!(fine(store.memos("hold%").await), [pair("hold%", "hold%")]);
    assert_eq!(fine(store.memos("nothing").await), []);
    assert_eq!(fine(store.memos("").await).len(), 7);
}

async fn of_many_memos_of_one_name_at_once_one_stays_whole(f: &dyn MemoStoreFixture) {
    let stores = [f.open().await, f.open().await];
    let texts: Vec<String> = (0..16).map(|number| number.to_string().repeat(500)).collect();
    let work = texts.iter().cloned().enumerate().map(|(number, text)| {
        let store = Arc::clone(&stores[number % 2]);
        async move { set(&*store, "a", &text).await }
    });
    at_once(work).await;
    let left = get(&*f.open().await, "a").await.unwrap_or_default();
    assert!(texts.contains(&left), "what is left is {left:?}");
    assert_eq!(fine(stores[0].memos("").await).len(), 1);
}
