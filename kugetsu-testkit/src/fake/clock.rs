use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{Clock, Moment, Tick, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

/// A clock that stands still until a test moves it. Clones are the same clock.
///
/// It begins at 2026-01-01 00:00 UTC, an hour after the machine's first boot.
///
/// ```
/// # use std::time::Duration;
/// # use kugetsu_core::Clock;
/// # use kugetsu_testkit::fake::ManualClock;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = ManualClock::new();
/// let sleeper = tokio::spawn({
///     let clock = clock.clone();
///     async move { clock.sleep_until(clock.tick().plus(Duration::from_secs(10))).await }
/// });
/// clock.until_asleep(1).await;
/// clock.advance(Duration::from_secs(10));
/// sleeper.await.unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    hands: Arc<watch::Sender<Hands>>,
}

#[derive(Debug)]
struct Hands {
    now: Moment,
    boots: u128,
    /// What the sleepers wait for. Those who are to wake up are not counted any more.
    asleep: Vec<(u64, Tick)>,
    sleeps: u64,
}

impl Hands {
    fn wake(&mut self) {
        let now = self.now.tick;
        self.asleep.retain(|(_, until)| until.boot == now.boot && until.millis > now.millis);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands still.
    pub fn new() -> Self {
        let now = Moment {
            at: Timestamp::from_millis(1_767_225_600_000),
            tick: Tick { boot: Uuid::from_u128(1), millis: 3_600_000 },
        };
        let hands = Hands { now, boots: 1, asleep: vec![], sleeps: 0 };
        Self { hands: Arc::new(watch::Sender::new(hands)) }
    }

    /// Moves both clocks on, and wakes everybody whose time has come.
    pub fn advance(&self, time: Duration) {
        self.hands.send_modify(|hands| {
            hands.now = Moment { at: hands.now.at.plus(time), tick: hands.now.tick.plus(time) };
            hands.wake();
        });
    }

    /// Moves the clocks on to when the next sleeper is to wake up, wakes those whose time it is,
    /// and tells how long that was; `None` if nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let next = self.asleep().into_iter().min_by_key(|until| until.millis)?;
        let wait = next.since(self.tick())?;
        self.advance(wait);
        Some(wait)
    }

    /// Sets the wall clock alone, forwards or backwards. Wakes nobody.
    pub fn set(&self, at: Timestamp) {
        self.hands.send_modify(|hands| hands.now.at = at);
    }

    /// Reboots the machine, which takes so long: ticks begin anew, and whoever sleeps wakes up.
    pub fn reboot(&self, time: Duration) {
        self.hands.send_modify(|hands| {
            hands.boots += 1;
            let tick = Tick { boot: Uuid::from_u128(hands.boots), millis: 0 };
            hands.now = Moment { at: hands.now.at.plus(time), tick };
            hands.wake();
        });
    }

    /// What the sleepers wait for, in the order in which they went to sleep.
    pub fn asleep(&self) -> Vec<Tick> {
        self.hands.borrow().asleep.iter().map(|(_, until)| *until).collect()
    }

    /// Waits, without a limit, until at least so many sleep.
    pub async fn until_asleep(&self, sleepers: usize) {
        let mut hands = self.hands.subscribe();
        // This clock holds the sender, so that waiting cannot fail.
        let _ = hands.wait_for(|hands| hands.asleep.len() >= sleepers).await;
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands.borrow().now.at
    }

    fn tick(&self) -> Tick {
        self.hands.borrow().now.tick
    }

    fn moment(&self) -> Moment {
        self.hands.borrow().now
    }

    async fn sleep_until(&self, tick: Tick) {
        let mut number = 0;
        self.hands.send_modify(|hands| {
            hands.sleeps += 1;
            number = hands.sleeps;
            hands.asleep.push((number, tick));
            hands.wake();
        });
        let _asleep = Asleep { clock: self, number };
        let mut hands = self.hands.subscribe();
        let woken = |hands: &Hands| hands.asleep.iter().all(|(other, _)| *other != number);
        let _ = hands.wait_for(woken).await;
    }
}

/// Somebody who sleeps, and does so no more when this is dropped.
struct Asleep<'a> {
    clock: &'a ManualClock,
    number: u64,
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.clock.hands.send_if_modified(|hands| {
            let before = hands.asleep.len();
            hands.asleep.retain(|(number, _)| *number != self.number);
            hands.asleep.len() != before
        });
    }
}
