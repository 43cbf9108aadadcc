//! Time and chance, which are arguments everywhere.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since 1970-01-01 UTC. For people: it decides nothing, since a wall clock jumps.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// So many milliseconds after 1970-01-01 UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; stops at the largest timestamp.
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(millis(wait)))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A reading of the monotonic clock: which boot of the machine, and how long it has been up
/// (suspended time included: `CLOCK_BOOTTIME` on Linux). Leases and delays are decided by it.
///
/// Exhaustive: a clock writes it down as it reads it, and stores keep exactly this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tick {
    /// The boot's id. Ticks of different boots cannot be compared.
    pub boot: Uuid,
    /// Milliseconds since that boot.
    pub millis: u64,
}

impl Tick {
    /// This much later in the same boot.
    pub fn plus(self, wait: Duration) -> Self {
        Self { boot: self.boot, millis: self.millis.saturating_add(millis(wait)) }
    }

    /// How long after `earlier` this is: `None` if that was another boot, zero if it is not after.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        (self.boot == earlier.boot)
            .then(|| Duration::from_millis(self.millis.saturating_sub(earlier.millis)))
    }
}

/// One reading of both clocks.
///
/// Exhaustive: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// For people.
    pub at: Timestamp,
    /// For decisions.
    pub tick: Tick,
}

/// When something may happen: at a tick of one boot or, after a reboot, at a wall-clock time.
///
/// Exhaustive: stores sort by it, and have to know all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Reached when the same boot's clock has come to this tick.
    pub tick: Tick,
    /// Reached on any other boot when the wall clock has come to this time: the two boots share no
    /// other clock. [`Timestamp::from_millis(0)`](Timestamp::from_millis) means at once.
    pub after_reboot: Timestamp,
}

impl Due {
    /// Reached already.
    pub fn at_once(now: Moment) -> Self {
        Self { tick: now.tick, after_reboot: now.at }
    }

    /// Reached when `wait` has passed, by the wall clock if the machine reboots meanwhile.
    pub fn after(now: Moment, wait: Duration) -> Self {
        Self { tick: now.tick.plus(wait), after_reboot: now.at.plus(wait) }
    }

    /// Reached when `wait` has passed, and by any reboot: how a lease ends.
    pub fn after_or_reboot(now: Moment, wait: Duration) -> Self {
        Self { tick: now.tick.plus(wait), after_reboot: Timestamp::from_millis(0) }
    }

    /// Whether the time has come.
    pub fn reached(self, now: Moment) -> bool {
        if self.tick.boot == now.tick.boot {
            self.tick.millis <= now.tick.millis
        } else {
            self.after_reboot <= now.at
        }
    }

    /// How long until then; zero if the time has come.
    pub fn wait(self, now: Moment) -> Duration {
        if self.tick.boot == now.tick.boot {
            Duration::from_millis(self.tick.millis.saturating_sub(now.tick.millis))
        } else {
            self.after_reboot.since(now.at)
        }
    }
}

/// Tells the time. Implemented outside of core, and by a clock that tests move by hand.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock: for people, never for a decision.
    fn now(&self) -> Timestamp;

    /// The monotonic clock. Never goes back within one boot.
    fn tick(&self) -> Tick;

    /// Returns once the clock has come to `tick`; at once if it is past, or of another boot.
    async fn sleep_until(&self, tick: Tick);

    /// Both clocks.
    fn moment(&self) -> Moment {
        Moment { at: self.now(), tick: self.tick() }
    }
}

/// Chance: where random bytes come from. Tests give a source that repeats itself.
pub trait Chance: fmt::Debug + Send + Sync + 'static {
    /// Sixteen bytes. From a real source they are unpredictable and never come twice.
    fn bytes(&self) -> [u8; 16];
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
