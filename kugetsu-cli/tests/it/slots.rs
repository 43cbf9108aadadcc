//! The limit: who is let in, who waits, and what `slots` shows.

use std::thread;

use crate::desk::{Desk, ISSUE, initialised};

const SECOND: &str = "example.com/acme/widgets#8";

/// Runs `during` while an agent works on `ISSUE`, and then lets it end.
fn while_at_work(desk: &Desk, during: impl FnOnce()) {
    thread::scope(|scope| {
        let run = scope.spawn(|| desk.run(&["start", ISSUE, "MODEL: gate end ;; say done"]));
        let opened = Opened(desk);
        wait_until_at_work(desk);
        during();
        drop(opened);
        run.join().unwrap().done();
    });
}

/// Lets the agent end, also if the test fails before.
struct Opened<'a>(&'a Desk);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.agent.open("end");
    }
}

fn wait_until_at_work(desk: &Desk) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(desk.agent.until_at_work(1));
}

#[test]
fn at_the_limit_a_start_ends_at_once_and_says_who_is_at_work() {
    let desk = initialised().with("MAX_CONCURRENT_AGENTS", "1");
    while_at_work(&desk, || {
        let seen = desk.transcript(&[&["start", SECOND, "go"], &["slots"], &["list"]]);
        desk.assert("at-the-limit", &seen);
        let error = desk.run(&["start", SECOND, "go", "--json"]).error();
        assert_eq!((error["kind"].as_str(), error["exit"].as_u64()), (Some("no_slot"), Some(2)));
    });
    assert_eq!(desk.agent.most_at_work(), 1);
}

#[test]
fn an_issue_in_use_is_told_with_who_uses_it() {
    let desk = initialised().with("MAX_CONCURRENT_AGENTS", "1");
    while_at_work(&desk, || {
        let seen = desk.transcript(&[
            &["start", ISSUE, "go"],
            &["continue", ISSUE],
            &["destroy", ISSUE, "-y"],
            &["slots"],
        ]);
        desk.assert("in-use", &seen);
        let error = desk.run(&["start", ISSUE, "go", "--json"]).error();
        assert_eq!((error["kind"].as_str(), error["exit"].as_u64()), (Some("in_use"), Some(2)));
    });
}

#[test]
fn a_start_that_waits_gets_its_turn() {
    let desk = initialised().with("MAX_CONCURRENT_AGENTS", "1");
    thread::scope(|scope| {
        let first = scope.spawn(|| desk.run(&["start", ISSUE, "MODEL: gate end ;; say done"]));
        let opened = Opened(&desk);
        wait_until_at_work(&desk);
        let waiting =
            scope.spawn(|| desk.run(&["start", SECOND, "MODEL: say my turn", "--wait=10m"]));
        // Nobody can tell from outside when it waits; whenever it comes, the first is at work.
        let refused = desk.run(&["start", SECOND, "go", "--wait=50ms"]);
        assert_eq!(refused.code, 2, "{}", refused.shown());
        drop(opened);
        first.join().unwrap().done();
        waiting.join().unwrap().done();
    });
    assert_eq!(desk.agent.most_at_work(), 1);
}

#[test]
fn a_slot_is_run_in_by_a_process_of_its_own_only() {
    let told = initialised().run(&["slots", "run", "--", "true"]);
    assert_eq!(told.code, 1, "{}", told.shown());
}

#[test]
fn slots_answers_in_json() {
    let desk = initialised();
    while_at_work(&desk, || {
        let told = desk.run(&["slots", "--json"]).done().json();
        let dev = &told["slots"][0];
        assert_eq!((dev["class"].as_str(), dev["limit"].as_u64()), (Some("dev"), Some(3)));
        assert_eq!(dev["held"][0]["holder"], ISSUE);
        assert_eq!(dev["held"][0]["pid"], std::process::id());
    });
}
