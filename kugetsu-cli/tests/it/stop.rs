//! `stop`.

use std::thread;

use crate::desk::{ISSUE, initialised};

#[test]
fn stopping_what_does_not_run_says_so() {
    let desk = initialised();
    let ran = desk.run(&["stop", ISSUE]).done();
    assert_eq!(ran.out, "not in use\n");
    assert_eq!(desk.run(&["stop", ISSUE, "--json"]).done().json()["stop"], "not in use");
}

#[test]
fn a_stopped_agent_leaves_a_session_that_goes_on() {
    let desk = initialised();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| desk.run(&["start", ISSUE, "MODEL: hang"]));
        runtime.block_on(desk.agent.until_at_work(1));
        let stopped = desk.run(&["stop", ISSUE]).done();
        let run = run.join().unwrap();
        let seen = [stopped.shown(), run.shown(), desk.run(&["list"]).shown()].join("\n");
        desk.assert("stop", &seen);
    });
    desk.run(&["continue", ISSUE, "MODEL: say on"]).done();
}
