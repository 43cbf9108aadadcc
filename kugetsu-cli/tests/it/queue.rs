//! The queue as a person sees and changes it. No daemon runs here.

use crate::desk::{Desk, ISSUE, desk, initialised};

const OTHER: &str = "example.com/acme/widgets#8";

fn enqueue(desk: &Desk, words: &[&str]) -> String {
    let ran = desk.run(&[&["queue", "enqueue"], words].concat()).done();
    ran.out.trim().to_owned()
}

fn states(desk: &Desk) -> Vec<String> {
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    let tasks = told["tasks"].as_array().unwrap();
    tasks.iter().map(|task| task["state"]["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_pause_is_told_wherever_the_queue_is_looked_at() {
    let desk = initialised();
    enqueue(&desk, &[ISSUE, "go"]);
    desk.run(&["queue", "pause", "--reason", "the \u{1b}[31mplant\u{1b}[0m is down"]).done();
    let seen = desk.transcript(&[
        &["queue", "pause"],
        &["queue", "list"],
        &["queue", "stats"],
        &["queue", "enqueue", OTHER, "go"],
        &["queue-daemon", "status"],
        &["queue", "resume"],
        &["queue", "resume"],
        &["queue", "stats"],
    ]);
    assert!(!seen.contains('\u{1b}'), "{seen}");
    desk.assert("queue-paused", &seen);
}

#[test]
fn a_pause_is_told_to_programs() {
    let desk = initialised();
    let told = desk.run(&["queue", "pause", "--json", "--reason", "lunch"]).done().json();
    assert_eq!(told, serde_json::json!({ "queue": "paused", "already": false }));
    for words in [&["queue", "list", "--json"][..], &["queue", "stats", "--json"]] {
        let told = desk.run(words).done().json();
        assert_eq!(told["holds"][0]["hold"], "pause", "{told}");
        assert_eq!(told["holds"][0]["reason"], "lunch", "{told}");
    }
    let told = desk.run(&["queue", "resume", "--json"]).done().json();
    assert_eq!(told, serde_json::json!({ "queue": "resumed", "already": false }));
}

#[test]
fn asking_twice_under_one_key_is_asking_once() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["queue", "enqueue", ISSUE, "go", "--key", "nightly"],
        &["queue", "enqueue", ISSUE, "go", "--key", "nightly"],
        &["start", "--detach", ISSUE, "go", "--key", "nightly"],
        &["queue", "enqueue", ISSUE, "something else", "--key", "nightly"],
        &["start", ISSUE, "go", "--key", "nightly"],
        &["queue", "enqueue", ISSUE, "go", "--key", ""],
    ]);
    desk.assert("queue-key", &seen);
    assert_eq!(states(&desk), ["pending"]);
    let told = desk.run(&["queue", "enqueue", ISSUE, "go", "--key", "nightly", "--json"]).json();
    assert_eq!(told["already"], "pending");
}

#[test]
fn a_task_is_named_by_the_beginning_of_its_id_if_no_other_begins_so() {
    let desk = initialised();
    let (one, two) = (enqueue(&desk, &[ISSUE, "go"]), enqueue(&desk, &[OTHER, "go"]));
    let same = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count();
    let shown = desk.run(&["queue", "show", &one[..=same.max(8)]]).done();
    assert!(shown.out.contains(&one), "{}", shown.shown());
    // Made within the same minute, they begin in the same way.
    if same >= 8 {
        let seen = desk.run(&["queue", "cancel", &one[..8]]);
        assert_eq!(seen.code, 64);
        for named in [&one, &two] {
            assert!(seen.err.contains(named.as_str()), "{}", seen.shown());
        }
    }
    let seen = desk.transcript(&[
        &["queue", "show", "0123456"],
        &["queue", "show", "ffffffff"],
        &["queue", "show", "not-a-task"],
        &["queue", "retry", &one],
    ]);
    desk.assert("queue-names", &seen);
    assert_eq!(states(&desk), ["pending", "pending"]);
}

#[test]
fn a_task_is_shown_with_every_attempt() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt a ;; commit one ;; say all done"]).done();
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    let id = told["tasks"][0]["id"].as_str().unwrap().to_owned();
    let shown = desk.run(&["queue", "show", &id]).shown();
    // How long the briefing is, and when the log was begun, is of no concern here.
    let known = shown.lines().map(|line| match line.split_once("acme-widgets-7/") {
        Some((start, end)) => {
            format!("{start}acme-widgets-7/<at>{}", &end[end.find('-').unwrap()..])
        }
        None if line.starts_with("  tokens ") => "  tokens   <tokens>".to_owned(),
        None => line.to_owned(),
    });
    let known: Vec<String> = known.collect();
    assert_eq!(desk.run(&["queue", "show", &id[id.len() - 12..]]).code, 0, "by the id's end");
    desk.assert("queue-show", &(known.join("\n") + "\n").replace(&id, "<task>"));
}

#[test]
fn what_is_asked_for_once_more_comes_last_in_its_lane() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say first"]).done();
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    let first = told["tasks"][0]["id"].as_str().unwrap().to_owned();
    let second = enqueue(&desk, &[ISSUE, "second"]);
    let again = desk.run(&["queue", "retry", &first]).done();
    let why = desk.run(&["why", again.out.trim(), "--json"]).done().json();
    let lane = why["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "lane").unwrap();
    assert!(lane["state"]["waits_for"].as_str().unwrap().contains(&second), "{lane}");
}

#[test]
fn settled_tasks_are_forgotten_and_open_ones_are_not() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say done"]).done();
    enqueue(&desk, &[OTHER, "go"]);
    let seen = desk.transcript(&[
        &["queue", "clear"],
        &["queue", "clear", "--older-than", "7d"],
        &["queue", "clear", "--all", "--older-than", "7d"],
        &["queue", "clear", "--older-than", "soon"],
        &["queue", "clear", "--all"],
        &["queue", "clear", "--all"],
        &["queue", "stats"],
    ]);
    desk.assert("queue-clear", &seen);
    desk.run(&["start", ISSUE, "MODEL: say done"]).done();
    // A setting says how old they get.
    let cleared =
        desk.run(&["queue", "clear", "--json", "--config", "queue_cleanup_age_days=9e-9"]);
    assert_eq!(cleared.done().json()["cleared"], 1);
    assert_eq!(states(&desk), ["pending"]);
}

#[test]
fn why_says_gate_by_gate_what_is_waited_for() {
    let bare = desk();
    bare.assert("why-not-initialised", &bare.transcript(&[&["why", ISSUE]]));
    let desk = initialised();
    let nothing = desk.run(&["why", ISSUE]).shown();
    enqueue(&desk, &[ISSUE, "go", "--after", "2h"]);
    enqueue(&desk, &[ISSUE, "and then"]);
    desk.run(&["queue", "pause", "--reason", "lunch"]).done();
    let paused = desk.transcript(&[&["why", ISSUE], &["why", "pm"]]);
    let known = paused.replace("119 min", "2 h");
    desk.assert("why", &format!("{nothing}\n{known}"));
}

#[test]
fn why_says_how_the_last_one_ended() {
    let desk = initialised();
    let ran = desk.run(&["start", ISSUE, "MODEL: http 400"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let told = desk.run(&["why", ISSUE, "--json"]).done().json();
    let queued = &told["gates"][1];
    assert_eq!(queued["name"], "queued", "{told}");
    let waits_for = queued["state"]["waits_for"].as_str().unwrap();
    assert!(waits_for.contains("failed") && waits_for.contains("400"), "{told}");
    assert_eq!(told["running"], serde_json::Value::Null);
}

#[test]
fn why_says_that_it_runs_and_since_when() {
    let desk = initialised();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| desk.run(&["start", ISSUE, "MODEL: gate end ;; say done"]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(desk.agent.until_at_work(1));
        let told = desk.run(&["why", ISSUE, "--json"]).json();
        let shown = desk.run(&["why", ISSUE]).shown();
        let waiting = enqueue(&desk, &[ISSUE, "more"]);
        let behind = desk.run(&["why", &waiting, "--json"]).json();
        desk.agent.open("end");
        run.join().unwrap().done();
        assert_eq!(told["running"]["attempt"], 1, "{told}");
        let open = |gate: &serde_json::Value| gate["state"]["state"] == "open";
        assert!(told["gates"].as_array().unwrap().iter().all(open), "{told}");
        assert!(shown.contains("runs: attempt 1 since"), "{shown}");
        let shut: Vec<_> =
            behind["gates"].as_array().unwrap().iter().filter(|g| !open(g)).collect();
        let names: Vec<_> = shut.iter().map(|gate| gate["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["lane", "daemon", "issue"], "{behind}");
    });
}
