//! `kugetsu store`: where everything is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kugetsu_core::{Slot, SlotHolder, SlotKey, SlotPool, StoreError};
use kugetsu_queue::{Contents, JsonStore, SqliteStore};
use serde_json::json;

use super::queue_daemon;
use crate::args::{Store, StoreKind};
use crate::errors::{CliError, Kind, worker};
use crate::paths::Paths;
use crate::settings::{self, Origin, Value};
use crate::setup::Setup;

/// Who holds the slots, for whoever looks.
const HOLDER: &str = "kugetsu store convert";

pub(super) async fn store(Store::Convert { to }: Store, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (screen, paths) = (setup.screen(), setup.paths()?);
    let from = used(setup)?;
    if from == to {
        let word = word(to);
        if screen.json {
            return screen.answer(&json!({ "store": word, "converted": false }));
        }
        return screen.say(format!("The store is {word} already."));
    }
    paths.make()?;
    let _daemon = queue_daemon::keep_out(HOLDER, setup)?;
    let _slots = all_slots(setup).await?;
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ");
    let before = Opened::open(from, paths).await?;
    clear(to, &before.contents().await?, &format!(".unused-{now}"), paths, setup).await?;

    let is_switched = Arc::new(AtomicBool::new(false));
    let moved = {
        let (paths, is_switched) = (paths.clone(), Arc::clone(&is_switched));
        move |contents: &Contents| {
            make(to, contents, &paths)?;
            switch(&paths.config(), to)?;
            is_switched.store(true, Ordering::Release);
            Ok(Moved::of(contents))
        }
    };
    let handed = before.hand_over(&format!(".before-{}-{now}", word(to)), moved).await;
    let (moved, kept) = handed.map_err(|error| {
        if !is_switched.load(Ordering::Acquire) {
            return error;
        }
        let before = screen.path(&file(from, paths));
        error.hint(format!("the store is {} from now on; move {before} away", word(to)))
    })?;
    // What shows it is written by whoever opens it.
    Opened::open(to, paths).await?;
    moved.tell(to, &kept, setup)
}

/// The store that is used, if it is one of ours and `config.toml` may say so.
fn used(setup: &Setup) -> Result<StoreKind, CliError> {
    let is_store = |value: &&Value| value.setting.key == "store";
    let value = setup.settings()?.values().iter().find(is_store);
    let over = match value.map(|value| &value.origin) {
        Some(Origin::Environment(name)) => Some(*name),
        Some(Origin::Flag) => Some("--config"),
        _ => None,
    };
    if let Some(over) = over {
        let message = format!("{over} says which store is used, whatever config.toml says");
        return Err(CliError::config(message)
            .hint("leave it away: what is converted is the store that config.toml names"));
    }
    match value.and_then(|value| value.text.as_deref()) {
        Some("json") => Ok(StoreKind::Json),
        Some("sqlite") | None => Ok(StoreKind::Sqlite),
        Some(other) => Err(CliError::failed(format!("the store {other:?} cannot be converted"))
            .hint("only `sqlite` and `json` can")),
    }
}

fn word(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Sqlite => "sqlite",
        StoreKind::Json => "json",
    }
}

/// All slots of agents, so that none starts meanwhile.
async fn all_slots(setup: &Setup) -> Result<Vec<Slot>, CliError> {
    let pool = setup.slots()?;
    let mut slots = Vec::new();
    for key in [SlotKey::Pm, SlotKey::Dev] {
        if let Some(holder) = pool.holders(&key).await?.pop() {
            return Err(in_use(Some(&holder)));
        }
        for _ in 0..pool.limit(&key) {
            match pool.try_acquire(&key, HOLDER).await? {
                Some(slot) => slots.push(slot),
                None => return Err(in_use(None)),
            }
        }
    }
    Ok(slots)
}

fn in_use(holder: Option<&SlotHolder>) -> CliError {
    let who = holder.map(|holder| format!(": {} ({})", holder.holder, worker(holder)));
    let message = format!("an agent works{}", who.unwrap_or_default());
    CliError::new(Kind::InUse, message).hint("wait for it, or stop it; `kugetsu slots` shows who")
}

/// Puts a store aside that is in the new one's place, if nothing of it is lost.
async fn clear(
    to: StoreKind,
    contents: &Contents,
    suffix: &str,
    paths: &Paths,
    setup: &Setup,
) -> Result<(), CliError> {
    let path = file(to, paths);
    let shown = setup.screen().path(&path);
    if !path.try_exists().map_err(|e| CliError::io(format_args!("look for {shown}"), &e))? {
        return Ok(());
    }
    let there = Opened::open(to, paths).await?;
    let held = there.contents().await?;
    // The same is what a conversion has left that was killed before the settings were changed. What
    // everything here has begun with is the one before, if it was killed after that.
    if held.is_empty() || held == *contents || held.is_before(contents) {
        there.hand_over(suffix, |_| Ok(())).await?;
        return Ok(());
    }
    Err(CliError::failed(format!("{shown} is there already, and holds something else"))
        .hint("move it away, with the files beside it that start with its name, and convert again"))
}

fn file(kind: StoreKind, paths: &Paths) -> PathBuf {
    match kind {
        StoreKind::Sqlite => paths.database(),
        StoreKind::Json => paths.journal(),
    }
}

fn make(to: StoreKind, contents: &Contents, paths: &Paths) -> Result<(), CliError> {
    let is_made = match to {
        StoreKind::Sqlite => SqliteStore::make(&paths.database(), contents)?,
        StoreKind::Json => JsonStore::make(paths.root(), contents)?,
    };
    if is_made {
        return Ok(());
    }
    let message = format!("somebody else has made {} just now", file(to, paths).display());
    Err(CliError::new(Kind::Temporary, message).hint("convert again"))
}

/// Has `config.toml` name this store, for good: what comes next must not be on the disk before.
fn switch(config: &Path, to: StoreKind) -> Result<(), CliError> {
    let Some(store) = settings::by_key("store") else {
        return Err(CliError::failed("there is no setting `store`"));
    };
    settings::write(config, &[(store, word(to).to_owned())])
}

/// A store of one of our kinds.
enum Opened {
    Sqlite(SqliteStore),
    Json(JsonStore),
}

impl Opened {
    async fn open(kind: StoreKind, paths: &Paths) -> Result<Self, StoreError> {
        Ok(match kind {
            StoreKind::Sqlite => Self::Sqlite(SqliteStore::open(paths.database()).await?),
            StoreKind::Json => Self::Json(JsonStore::open(paths.root()).await?),
        })
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        match self {
            Self::Sqlite(store) => store.contents().await,
            Self::Json(store) => store.contents().await,
        }
    }

    /// What `work` says, and where the store is afterwards.
    async fn hand_over<T: Send + 'static>(
        self,
        suffix: &str,
        work: impl FnOnce(&Contents) -> Result<T, CliError> + Send + 'static,
    ) -> Result<(T, PathBuf), CliError> {
        match self {
            Self::Sqlite(store) => store.hand_over(suffix, work).await?,
            Self::Json(store) => store.hand_over(suffix, work).await?,
        }
    }
}

/// How much was taken along.
struct Moved {
    tasks: usize,
    events: usize,
    sessions: usize,
    notices: usize,
    memos: usize,
}

impl Moved {
    fn of(contents: &Contents) -> Self {
        Self {
            tasks: contents.tasks.len(),
            events: contents.events.len(),
            sessions: contents.sessions.len(),
            notices: contents.notices.len(),
            memos: contents.memos.len(),
        }
    }

    fn tell(&self, to: StoreKind, kept: &Path, setup: &Setup) -> Result<(), CliError> {
        let (screen, word) = (setup.screen(), word(to));
        let Self { tasks, events, sessions, notices, memos } = self;
        if screen.json {
            return screen.answer(&json!({
                "store": word,
                "converted": true,
                "tasks": tasks,
                "events": events,
                "sessions": sessions,
                "notices": notices,
                "memos": memos,
                "kept": kept,
            }));
        }
        screen.say(format!(
            "The store is {word} from now on. Taken along: tasks {tasks}, events {events}, \
             sessions {sessions}, notices {notices}, memos {memos}."
        ))?;
        screen.remark(format!("The one before is kept as {}.", screen.path(kept)));
        Ok(())
    }
}
