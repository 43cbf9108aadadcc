//! Bringing notices to sinks: each sink reads the event log for itself, from its own cursor.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    Clock, Cursor, Event, MemoStore, Notice, Notifier, NotifyError, Retry, StoreError,
};
use tokio_util::sync::CancellationToken;

use crate::watch::WatchedStore;

/// The names of the memos that hold the sinks' cursors begin so.
const PREFIX: &str = "notices/";

/// How often a notice is brought in vain before its sink counts as down.
const PATIENCE: u32 = 5;

/// A sink that wants to be left alone for longer than this is told as down at once.
const LONG: Duration = Duration::from_mins(1);

/// The first pause after a failure, which doubles up to the longest one: while the sink counts as up,
/// and while it counts as down.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const PROBE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(10));

/// How many events that are no notices are passed before the cursor is stored again.
const PASSED: u64 = 1000;

/// How long what is left may take when it is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Brings what the event log holds to one sink.
///
/// # Promises
///
/// * The sink is brought each notice at least once, in the order of the log. How far it has come is
///   stored after a notice was brought, so that the last one comes again after a crash; its key is
///   the same.
/// * A notice that fails is brought again, after a pause that doubles, and the following ones wait in
///   the log. After five times in a row the sink counts as down, and is probed with the same notice
///   every 30 seconds to 10 minutes until it is up again. Only what a sink refuses is passed over.
/// * It holds back nobody: the log is read a batch at a time, and no other sink waits for this one.
/// * A sink that is new begins with what happens from now on, unless it is to have everything.
#[derive(Debug, Clone)]
pub struct Delivery {
    store: WatchedStore,
    memos: Arc<dyn MemoStore>,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Notifier>,
    has_all: bool,
    look: Duration,
}

/// How a sink fares.
#[derive(Debug)]
#[non_exhaustive]
pub enum SinkNews {
    /// It has refused a notice, which is passed over.
    Refused {
        /// The notice.
        key: String,
        /// What it said.
        error: NotifyError,
    },
    /// It takes nothing. What it is to be brought waits in the log.
    Down {
        /// What happened last.
        error: NotifyError,
    },
    /// It was down, and takes notices again.
    Up {
        /// Which sink.
        sink: String,
    },
    /// The log could not be read, or the cursor could not be stored. It is tried again.
    Store {
        /// Which sink.
        sink: String,
        /// What happened.
        error: StoreError,
    },
}

impl fmt::Display for SinkNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { key, error } => write!(f, "notice {key} is passed over: {error}"),
            Self::Down { error } => write!(f, "a sink is down, its notices wait: {error}"),
            Self::Up { sink } => write!(f, "the sink {sink} takes notices again"),
            Self::Store { sink, error } => write!(f, "notices for {sink}: {error}"),
        }
    }
}

/// Why what there is could not be brought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The sink's fault.
    #[error(transparent)]
    Sink(#[from] NotifyError),
    /// The log's, or the cursor's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody who hears how a sink fares.
type News<'a> = &'a (dyn Fn(SinkNews) + Send + Sync);

impl Delivery {
    /// Brings what happens in `store` to `sink`, and remembers how far it has come in `memos` under
    /// the sink's name.
    pub fn new(
        store: WatchedStore,
        memos: Arc<dyn MemoStore>,
        clock: Arc<dyn Clock>,
        sink: Arc<dyn Notifier>,
    ) -> Self {
        Self { store, memos, clock, sink, has_all: false, look: Duration::from_secs(1) }
    }

    /// Brings everything that is in the log, also to a sink that is new.
    pub fn with_everything(mut self) -> Self {
        self.has_all = true;
        self
    }

    /// Looks this often for events of other processes of which nothing tells; every second unless
    /// set.
    pub fn with_look(mut self, look: Duration) -> Self {
        self.look = look;
        self
    }

    /// Has a sink that was not brought anything yet begin here. Whoever [`run`](Self::run)s it
    /// somewhat later misses nothing in between.
    pub async fn begin(&self) -> Result<(), StoreError> {
        self.cursor().await.map(drop)
    }

    /// Brings what is in the log now, each notice once, and stops at the first that fails. Returns how
    /// many were brought.
    pub async fn catch_up(&self) -> Result<usize, DeliveryError> {
        self.bring_all(&|_| ()).await
    }

    async fn bring_all(&self, news: News<'_>) -> Result<usize, DeliveryError> {
        let mut place = Place::at(self.cursor().await?);
        let mut brought = 0;
        let mut follower = self.store.follow(place.read);
        loop {
            let events = follower.ready().await?;
            if events.is_empty() {
                self.store_place(&mut place).await?;
                return Ok(brought);
            }
            for (cursor, event) in events {
                if let Some(notice) = Notice::of(&event, cursor) {
                    match self.sink.notify(&notice).await {
                        Ok(()) => brought += 1,
                        Err(error @ NotifyError::Refused { .. }) => {
                            news(SinkNews::Refused { key: notice.key.clone(), error });
                        }
                        Err(error) => {
                            self.store_place(&mut place).await?;
                            return Err(error.into());
                        }
                    }
                }
                place.read = cursor;
            }
        }
    }

    /// Brings what there is and what comes, until `stop`; then what is left, as far as that is done
    /// within 10 s. It tells `news` how the sink fares. Dropping it is safe at any time.
    pub async fn run(&self, stop: CancellationToken, news: impl Fn(SinkNews) + Send + Sync) {
        let mut pause = PAUSE.0;
        loop {
            match self.follow(&stop, &news).await {
                Ok(is_up) => {
                    if is_up {
                        self.finish(&news).await;
                    }
                    return;
                }
                Err(error) => {
                    let sink = self.sink.name().to_owned();
                    news(SinkNews::Store { sink, error });
                }
            }
            if self.rest(pause, &stop).await {
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Until `stop`. Says whether the sink was up.
    async fn follow(&self, stop: &CancellationToken, news: News<'_>) -> Result<bool, StoreError> {
        let mut place = Place::at(self.cursor().await?);
        let mut follower = self.store.follow(place.read).with_look(self.look);
        loop {
            let events = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(true),
                events = follower.next() => events?,
            };
            for (cursor, event) in events {
                if !self.pass(cursor, &event, &mut place, stop, news).await? {
                    return Ok(false);
                }
                if stop.is_cancelled() {
                    return Ok(true);
                }
            }
        }
    }

    /// Brings what this event is worth. `false` if it stopped before that was done.
    async fn pass(
        &self,
        cursor: Cursor,
        event: &Event,
        place: &mut Place,
        stop: &CancellationToken,
        news: News<'_>,
    ) -> Result<bool, StoreError> {
        if let Some(notice) = Notice::of(event, cursor) {
            if !self.bring(&notice, stop, news).await {
                return Ok(false);
            }
            place.read = cursor;
            self.store_place(place).await?;
        } else {
            place.read = cursor;
            if cursor.0.saturating_sub(place.stored.0) >= PASSED {
                self.store_place(place).await?;
            }
        }
        Ok(true)
    }

    /// Brings it as often as it takes. `false` if it stopped before that.
    async fn bring(&self, notice: &Notice, stop: &CancellationToken, news: News<'_>) -> bool {
        let (mut failures, mut is_down, mut pause) = (0, false, PAUSE.0);
        loop {
            let brought = tokio::select! {
                biased;
                () = self.given_up(stop, is_down) => return false,
                brought = self.sink.notify(notice) => brought,
            };
            let error = match brought {
                Ok(()) => break,
                Err(error @ NotifyError::Refused { .. }) => {
                    news(SinkNews::Refused { key: notice.key.clone(), error });
                    break;
                }
                Err(error) => error,
            };
            failures += 1;
            let retry = error.retry();
            if !is_down && (failures >= PATIENCE || retry == Retry::Never || retry.wait() > LONG) {
                (is_down, pause) = (true, PROBE.0);
                news(SinkNews::Down { error });
            }
            if self.rest(pause.max(retry.wait()), stop).await {
                return false;
            }
            pause = (pause * 2).min(if is_down { PROBE.1 } else { PAUSE.1 });
        }
        if is_down {
            news(SinkNews::Up { sink: self.sink.name().to_owned() });
        }
        true
    }

    /// Brings what is left, once and not for long.
    async fn finish(&self, news: News<'_>) {
        let until = self.clock.tick().plus(GRACE);
        let caught_up = tokio::select! {
            caught_up = self.bring_all(news) => caught_up,
            () = self.clock.sleep_until(until) => return,
        };
        match caught_up {
            Ok(_) => {}
            Err(DeliveryError::Sink(error)) => news(SinkNews::Down { error }),
            Err(DeliveryError::Store(error)) => {
                news(SinkNews::Store { sink: self.sink.name().to_owned(), error });
            }
        }
    }

    /// Returns when a notice that is under way is given up because of a stop. It would come again, so
    /// that a sink which is not down gets some time.
    async fn given_up(&self, stop: &CancellationToken, is_down: bool) {
        stop.cancelled().await;
        if !is_down {
            self.clock.sleep_until(self.clock.tick().plus(GRACE)).await;
        }
    }

    /// Waits so long; `true` if it is to stop.
    async fn rest(&self, pause: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => true,
            () = self.clock.sleep_until(self.clock.tick().plus(pause)) => false,
        }
    }

    fn memo(&self) -> String {
        format!("{PREFIX}{}", self.sink.name())
    }

    /// How far the sink has come. Of a new one it is remembered where it begins.
    async fn cursor(&self) -> Result<Cursor, StoreError> {
        let stored = self.memos.memo(&self.memo()).await?;
        if let Some(cursor) = stored.and_then(|text| text.parse().ok()).map(Cursor) {
            return Ok(cursor);
        }
        let begin = if self.has_all { Cursor(0) } else { self.store.end().await? };
        self.memos.set_memo(&self.memo(), Some(&begin.0.to_string())).await?;
        Ok(begin)
    }

    async fn store_place(&self, place: &mut Place) -> Result<(), StoreError> {
        if place.stored != place.read {
            self.memos.set_memo(&self.memo(), Some(&place.read.0.to_string())).await?;
            place.stored = place.read;
        }
        Ok(())
    }
}

/// Forgets how far all sinks but those of these names have come: one that is taken away and comes back
/// is a new one.
pub async fn forget_others(memos: &dyn MemoStore, names: &[&str]) -> Result<(), StoreError> {
    for (memo, _) in memos.memos(PREFIX).await? {
        if !names.iter().any(|name| memo.strip_prefix(PREFIX) == Some(name)) {
            memos.set_memo(&memo, None).await?;
        }
    }
    Ok(())
}

/// How far a sink has come, and how far it is remembered to have come.
struct Place {
    read: Cursor,
    stored: Cursor,
}

impl Place {
    fn at(cursor: Cursor) -> Self {
        Self { read: cursor, stored: cursor }
    }
}
