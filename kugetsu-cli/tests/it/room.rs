//! Room on the machine, and a queue that rests after failures, as people are told of them.

use kugetsu_core::Failure;
use kugetsu_queue::Look;

use crate::desk::{ISSUE, initialised};

const MIB: u64 = 1 << 20;

#[test]
fn a_start_without_room_is_refused_queues_nothing_and_says_what_lacks() {
    let desk = initialised();
    desk.machine.has(Look::default().with_memory(1229 * MIB, 24 << 30));
    let desk = desk.with("KUGETSU_MEMORY_RESERVE_MB", "1536");
    let ran = desk.run(&["start", ISSUE, "MODEL: say done"]);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    let lack = "memory 1.2 GiB free, 1.5 GiB wanted";
    assert!(ran.err.contains(&format!("has no room for another agent: {lack}")), "{}", ran.shown());
    assert!(ran.err.contains("memory_reserve_mb"), "{}", ran.shown());
    let error = desk.run(&["start", ISSUE, "MODEL: say done", "--json"]).error();
    assert_eq!(error["kind"], "no_room");
    let waited = desk.run(&["start", ISSUE, "MODEL: say done", "--wait=1s"]);
    assert_eq!(waited.code, 2, "{}", waited.shown());
    assert!(waited.err.contains(&format!("waiting: {lack}")), "{}", waited.shown());
    assert_eq!(desk.run(&["queue", "list", "--json"]).json()["tasks"].as_array().unwrap().len(), 0);
    assert!(desk.agent.runs().is_empty());

    let told = desk.run(&["doctor", "--json"]).json();
    let found = told["findings"].as_array().unwrap().iter();
    let found: Vec<_> = found.filter(|found| found["check"] == "machine.no-room").collect();
    assert_eq!(found[0]["found"], format!("waiting: {lack}"), "{told}");

    desk.machine.has(Look::default().with_memory(1536 * MIB, 24 << 30));
    desk.run(&["start", ISSUE, "MODEL: say done"]).done();
}

#[test]
fn a_queue_that_rests_after_failures_is_told_wherever_it_is_looked_at() {
    let desk = initialised().with("KUGETSU_CIRCUIT_FAILURES", "2");
    let other = "example.com/acme/widgets#8";
    for issue in [ISSUE, other] {
        desk.agent.fail_next(Failure::passing("the provider is down"));
        let ran = desk.run(&["start", issue, "MODEL: say done"]);
        assert_ne!(ran.code, 0, "{}", ran.shown());
    }
    desk.run(&["queue", "enqueue", ISSUE, "go"]).done();
    let status = desk.run(&["status"]).done();
    assert_eq!(status.out, "ok\n");
    for ran in [status, desk.run(&["queue", "list"]).done(), desk.run(&["queue", "stats"]).done()] {
        assert!(ran.err.contains("the queue rests after failures"), "{}", ran.shown());
        assert!(ran.err.contains("2 attempts in a row failed"), "{}", ran.shown());
    }
    let why = desk.run(&["why", ISSUE, "--json"]).done().json();
    let gates = why["gates"].as_array().unwrap().iter();
    let closed: Vec<_> = gates.filter(|gate| gate["state"]["state"] == "closed").collect();
    assert_eq!(closed[0]["name"], "circuit", "{why}");
    let told = desk.run(&["doctor", "--json"]).json();
    assert!(told.to_string().contains("queue.circuit-open"), "{told}");
    let board = desk.run(&["watch", "--once"]).done();
    assert!(board.out.contains("the queue rests after failures"), "{}", board.shown());
    let holds = desk.run(&["status", "--json"]).done().json();
    assert_eq!(holds["holds"][0]["hold"], "circuit", "{holds}");

    let resumed = desk.run(&["queue", "resume"]).done();
    assert!(resumed.out.contains("The queue goes on."), "{}", resumed.shown());
    assert_eq!(desk.run(&["status", "--json"]).done().json()["holds"], serde_json::json!([]));
}
