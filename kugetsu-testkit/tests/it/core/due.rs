use std::time::Duration;

use kugetsu_core::{Backoff, Chance, Due, Moment, Tick, Timestamp};
use kugetsu_testkit::fake::{FixedChance, SeededChance};
use proptest::prelude::*;
use uuid::Uuid;

fn moment(boot: u128, tick: u64, at: u64) -> Moment {
    Moment {
        at: Timestamp::from_millis(at),
        tick: Tick { boot: Uuid::from_u128(boot), millis: tick },
    }
}

const WAIT: Duration = Duration::from_millis(500);

#[test]
fn a_delay_ends_by_the_monotonic_clock_whatever_the_wall_clock_does() {
    let due = Due::after(moment(1, 1000, 5000), WAIT);
    for (now, reached, wait) in [
        (moment(1, 1000, 5000), false, 500),
        (moment(1, 1499, 0), false, 1),
        (moment(1, 1499, u64::MAX), false, 1),
        (moment(1, 1500, 0), true, 0),
        (moment(1, u64::MAX, 0), true, 0),
        // Another boot has another monotonic clock, which says nothing.
        (moment(2, u64::MAX, 5499), false, 1),
        (moment(2, 0, 5500), true, 0),
        (moment(2, 0, 0), false, 5500),
    ] {
        assert_eq!(due.reached(now), reached, "{now:?}");
        assert_eq!(due.wait(now), Duration::from_millis(wait), "{now:?}");
    }
}

#[test]
fn a_lease_ends_with_its_boot() {
    let due = Due::after_or_reboot(moment(1, 1000, 5000), WAIT);
    assert!(!due.reached(moment(1, 1499, u64::MAX)));
    assert!(due.reached(moment(1, 1500, 0)));
    assert!(due.reached(moment(2, 0, 0)));
}

#[test]
fn at_once_is_now_and_ever_after() {
    let due = Due::at_once(moment(1, 1000, 5000));
    assert!(due.reached(moment(1, 1000, 0)));
    assert!(due.reached(moment(2, 0, 5000)));
}

proptest! {
    #[test]
    fn a_time_is_reached_exactly_when_nothing_is_left_to_wait(
        then in (1u128..3, any::<u64>(), any::<u64>()),
        now in (1u128..3, any::<u64>(), any::<u64>()),
        wait in any::<u32>(),
        lease in any::<bool>(),
    ) {
        let then = moment(then.0, then.1, then.2);
        let now = moment(now.0, now.1, now.2);
        let wait = Duration::from_millis(wait.into());
        let due = if lease { Due::after_or_reboot(then, wait) } else { Due::after(then, wait) };
        prop_assert_eq!(due.reached(now), due.wait(now).is_zero());
        let json = serde_json::to_string(&due).unwrap();
        prop_assert_eq!(serde_json::from_str::<Due>(&json).unwrap(), due);
    }

    #[test]
    fn a_backoff_lies_between_half_of_its_delay_and_all_of_it(
        base in 1u64..100_000,
        cap in 1u64..1_000_000,
        failures in prop_oneof![0u32..12, any::<u32>()],
        seed in any::<u64>(),
    ) {
        let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
        let backoff = Backoff::new(base, cap);
        let doubled = base.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
        let full = doubled.min(cap);
        let delay = backoff.delay(failures, SeededChance::new(seed).bytes());
        prop_assert!(delay >= full / 2 && delay <= full, "{:?} of {:?}", delay, full);
        let low = backoff.delay(failures, FixedChance::LOW.bytes());
        let high = backoff.delay(failures, FixedChance::HIGH.bytes());
        prop_assert_eq!(low, full / 2);
        prop_assert!(full.saturating_sub(high) <= Duration::from_nanos(2));
    }
}

#[test]
fn the_default_backoff_doubles_from_ten_seconds_up_to_five_minutes() {
    let least = |failures| Backoff::default().delay(failures, FixedChance::LOW.bytes()).as_secs();
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 100].map(least), [5, 10, 20, 40, 80, 150, 150, 150]);
}
