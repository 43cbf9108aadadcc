//! The store in one `SQLite` file.

mod care;
mod format;

use std::path::Path;

use kugetsu_queue::SqliteStore;

pub(crate) async fn open(home: &Path) -> SqliteStore {
    SqliteStore::open(home.join("state/kugetsu.db")).await.unwrap()
}

crate::stores::promises!(super::open);
crate::stores::crashes!(super::open, "");
crate::stores::inbox!(super::open);
