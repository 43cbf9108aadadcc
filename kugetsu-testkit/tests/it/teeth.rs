//! Every promise is broken once: backends with a fault each, and the promise that has to notice it.

mod agents;
mod forges;
mod memos;
mod notices;
mod sessions;
mod slots;
mod tasks;
mod worktrees;

use std::fmt::Write as _;

use kugetsu_testkit::suite::{self, Promise, Verdict};

/// A promise, and a fault that breaks it.
pub(crate) struct Seeded {
    pub(crate) promise: &'static str,
    /// What the faulty backend does, as in "a backend that trims".
    pub(crate) fault: &'static str,
    /// A part of what is seen, so that the promise is broken for the reason that is meant.
    seen: &'static str,
}

/// Lists a suite's faults by the promise that notices them, each with a part of what is seen.
macro_rules! faults {
    ($($promise:ident { $($fault:literal => $seen:literal,)+ })+) => {
        /// The faults, in the order of the promises.
        pub(crate) const FAULTS: &[$crate::teeth::Seeded] = &[
            $($($crate::teeth::Seeded::new(stringify!($promise), $fault, $seen),)+)+
        ];
    };
}
use faults;

impl Seeded {
    const fn new(promise: &'static str, fault: &'static str, seen: &'static str) -> Self {
        Self { promise, fault, seen }
    }
}

/// A suite's promises, and the faults that break them.
pub(crate) struct Suite {
    /// The module of `suite`.
    pub(crate) name: &'static str,
    pub(crate) promises: Vec<&'static str>,
    pub(crate) faults: &'static [Seeded],
}

impl Suite {
    fn new<F: ?Sized>(
        name: &'static str,
        promises: &[Promise<F>],
        faults: &'static [Seeded],
    ) -> Self {
        Self { name, promises: promises.iter().map(|promise| promise.name).collect(), faults }
    }

    /// All that there are.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::new("tasks", suite::tasks::PROMISES, tasks::FAULTS),
            Self::new("sessions", suite::sessions::PROMISES, sessions::FAULTS),
            Self::new("agents", suite::agents::PROMISES, agents::FAULTS),
            Self::new("worktrees", suite::worktrees::PROMISES, worktrees::FAULTS),
            Self::new("slots", suite::slots::PROMISES, slots::FAULTS),
            Self::new("memos", suite::memos::PROMISES, memos::FAULTS),
            Self::new("forges", suite::forges::PROMISES, forges::FAULTS),
            Self::new("notices", suite::notices::PROMISES, notices::FAULTS),
        ]
    }
}

#[test]
fn every_promise_of_every_suite_is_broken_by_a_seeded_fault() {
    let mut wrong = String::new();
    for suite in Suite::all() {
        let mut seeded: Vec<_> = suite.faults.iter().map(|seeded| seeded.promise).collect();
        seeded.dedup();
        for promise in suite.promises.iter().filter(|promise| !seeded.contains(promise)) {
            let _ = writeln!(wrong, "nothing breaks `{}::{promise}`", suite.name);
        }
        assert!(!wrong.is_empty() || seeded == suite.promises, "{}: {seeded:?}", suite.name);
    }
    assert_eq!(wrong, "");
}

/// Checks that the backend keeps all promises as long as it has no fault.
async fn assert_sound<F: ?Sized>(
    promises: &[Promise<F>],
    faulty: impl AsyncFn(&'static str) -> Box<F>,
) {
    let report = suite::examine(promises, async || faulty("").await).await;
    assert!(report.all_kept() && report.kept() > 0, "without a fault:\n{report}");
}

/// Checks that each fault breaks the promise that it is seeded for, for the reason that is meant.
async fn assert_each_is_noticed<F: ?Sized>(
    promises: &[Promise<F>],
    seeded: &[Seeded],
    faulty: impl AsyncFn(&'static str) -> Box<F>,
) {
    let mut wrong = String::new();
    for Seeded { promise, fault, seen } in seeded {
        let broken = promises.iter().find(|known| known.name == *promise);
        let broken = broken.unwrap_or_else(|| panic!("there is no promise `{promise}`"));
        // Whoever waits for ever need not take long.
        let waits = seen.starts_with("nothing within");
        if waits {
            tokio::time::pause();
        }
        let check = broken.examine(async || faulty(fault).await).await;
        if waits {
            tokio::time::resume();
        }
        if !matches!(&check.verdict, Verdict::Broken { seen: all } if all.contains(seen)) {
            let _ = writeln!(wrong, "a backend that {fault} shows no {seen:?}:\n{check}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
