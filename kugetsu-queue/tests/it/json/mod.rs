//! The store in readable files.

mod care;
mod convert;
pub(crate) mod faults;
mod format;
mod view;

use std::path::Path;

use kugetsu_queue::JsonStore;

pub(crate) async fn open(home: &Path) -> JsonStore {
    JsonStore::open(home.join("state")).await.unwrap()
}

crate::stores::promises!(super::open);
crate::stores::crashes!(super::open, "json-");
crate::stores::inbox!(super::open);
