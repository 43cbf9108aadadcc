//! Many tasks, several workers in several processes that die or freeze wherever they just are, and an
//! auditor that believes nobody.

mod agent;
mod audit;
mod poison;
pub(crate) mod roles;
mod site;
mod teeth;

use std::thread;
use std::time::Duration;

use crate::process::Other;
use audit::Audit;
use site::{LEASE, Site};

const TASKS: u64 = 1000;
/// So many tasks for each issue, one after the other.
const MESSAGES: u64 = 4;
/// How many engines each process has.
const ENGINES: [&str; 3] = ["2", "2", "1"];
const KILLS: u64 = 30;
const LIMIT: u32 = 3;

/// Numbers that are the same whenever the seed is (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn seed() -> u64 {
    let given = std::env::var("KUGETSU_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    });
    println!("the seed is {seed}; KUGETSU_TEST_SEED={seed} rolls the same dice again");
    seed
}

/// A process that serves the queue.
fn process(site: &Site, engines: &str, seed: u64) -> Other {
    let mut process = Other::start("chaos", site.home());
    process.tell(&format!("{engines} {seed}"));
    process
}

/// One after the other of a process's lives, each of which ends wherever it is after some turns.
fn lives(site: &Site, engines: &str, seed: u64) {
    let mut dice = Dice::new(seed);
    for life in 0..KILLS {
        let mut process = process(site, engines, dice.roll(u64::MAX));
        for _ in 0..dice.roll(14) {
            // When all is done there is nothing more to hear.
            if process.hear().as_deref() == Some("done") {
                break;
            }
        }
        // Killing alone is kind: who is dead writes nothing any more. Who has slept longer than its
        // lease wakes up and believes that it still holds it.
        if life % 10 == 5 {
            process.stop();
            thread::sleep(LEASE + Duration::from_millis(300));
            process.go_on();
            process.hear();
        }
        process.kill();
    }
}

#[test]
fn a_thousand_tasks_end_once_each_whoever_dies_on_the_way() {
    let site = Site::new(LIMIT);
    let mut dice = Dice::new(seed());
    let queued = site.enqueue((0..TASKS).map(|n| (n / MESSAGES, format!("task {n}"))));
    thread::scope(|scope| {
        for engines in ENGINES {
            let (seed, site) = (dice.roll(u64::MAX), &site);
            scope.spawn(move || lives(site, engines, seed));
        }
    });
    // Whoever comes last carries out the rest.
    let mut last: Vec<Other> =
        ENGINES.iter().map(|engines| process(&site, engines, dice.roll(u64::MAX))).collect();
    for process in &mut last {
        while process.hear().unwrap() != "done" {}
    }
    for process in last {
        process.end();
    }
    let audit = Audit::of(&site);
    audit.assert_clean(&queued);
    assert!(audit.lost >= 20, "hardly anybody died at work: {}", audit.lost);
    assert_eq!(site.processes(), [0; 0]);
    println!("{} attempts, of which {} were lost", audit.attempts, audit.lost);
}
