use std::collections::HashSet;
use std::time::Duration;

use kugetsu_core::{Chance, Clock, Timestamp};
use kugetsu_testkit::fake::{FixedChance, ManualClock, SeededChance};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

async fn sleeper(clock: &ManualClock, seconds: u64) -> JoinHandle<()> {
    let asleep = clock.asleep().len();
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep_until(clock.tick().plus(Duration::from_secs(seconds))).await }
    });
    clock.until_asleep(asleep + 1).await;
    sleeper
}

#[tokio::test]
async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
    let clock = ManualClock::new();
    let first = sleeper(&clock, 10).await;
    let second = sleeper(&clock, 20).await;
    clock.advance(SECOND * 9);
    assert_eq!(clock.asleep().len(), 2);
    clock.advance(SECOND);
    // Whoever is to wake up is not counted any more, so that the next can be waited for at once.
    assert_eq!(clock.asleep().len(), 1);
    first.await.unwrap();
    assert!(!second.is_finished());
    assert_eq!(clock.advance_to_next(), Some(SECOND * 10));
    second.await.unwrap();
    assert_eq!(clock.advance_to_next(), None);
}

#[tokio::test]
async fn whoever_gives_up_sleeping_is_not_counted() {
    let clock = ManualClock::new();
    let sleeper = sleeper(&clock, 10).await;
    sleeper.abort();
    assert!(sleeper.await.is_err());
    assert_eq!(clock.asleep(), []);
}

#[tokio::test]
async fn a_time_that_is_past_is_not_waited_for() {
    let clock = ManualClock::new();
    let before = clock.tick();
    clock.sleep_until(before).await;
    clock.advance(SECOND);
    clock.sleep_until(before).await;
    clock.reboot(SECOND);
    clock.sleep_until(before.plus(SECOND * 1_000_000)).await;
}

#[tokio::test]
async fn a_reboot_wakes_everybody_and_begins_ticks_anew() {
    let clock = ManualClock::new();
    let before = clock.moment();
    let sleeper = sleeper(&clock, 10).await;
    clock.reboot(SECOND * 30);
    sleeper.await.unwrap();
    let after = clock.moment();
    assert_ne!(after.tick.boot, before.tick.boot);
    assert_eq!(after.tick.millis, 0);
    assert_eq!(after.at, before.at.plus(SECOND * 30));
}

#[tokio::test]
async fn the_wall_clock_alone_wakes_nobody() {
    let clock = ManualClock::new();
    let (sleeper, tick) = (sleeper(&clock, 10).await, clock.tick());
    clock.set(Timestamp::from_millis(0));
    clock.set(Timestamp::from_millis(u64::MAX));
    assert_eq!((clock.asleep().len(), clock.tick()), (1, tick));
    assert!(!sleeper.is_finished());
    clock.advance(SECOND * 10);
    sleeper.await.unwrap();
}

#[test]
fn seeded_chance_repeats_itself_from_the_seed_only() {
    let draw = |seed| {
        let chance = SeededChance::new(seed);
        (0..1000).map(|_| chance.bytes()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_eq!(draw(1).into_iter().collect::<HashSet<_>>().len(), 1000);
    assert_eq!(FixedChance([3; 16]).bytes(), FixedChance([3; 16]).bytes());
}
