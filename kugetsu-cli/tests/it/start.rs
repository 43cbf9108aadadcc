//! `start` and `continue`.

use kugetsu_cli::Terminals;

use crate::desk::{ISSUE, desk, initialised};

#[test]
fn start_makes_all_that_is_missing_and_says_what_came_of_it() {
    let desk = initialised();
    let message = "MODEL: say On it. ;; write a.txt one ;; commit add a ;; say All done.";
    let seen = desk.transcript(&[&["start", ISSUE, message], &["list"]]);
    desk.assert("start", &seen);
}

#[test]
fn a_second_start_and_continue_reuse_the_worktree_and_the_session() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt one ;; say first"]).done();
    let seen = desk.transcript(&[
        &["start", ISSUE, "MODEL: bash cat a.txt ;; say second"],
        &["continue", ISSUE, "MODEL: history"],
        &["continue", ISSUE],
    ]);
    desk.assert("continue", &seen);
}

#[test]
fn a_limit_of_the_models_provider_is_said_with_its_end_and_who_waits_for_that() {
    let desk = initialised();
    let limited = "MODEL: write a.txt one ;; http 429 1 3600 ;; say done";
    desk.assert("limit", &desk.transcript(&[&["start", ISSUE, limited]]));
}

#[test]
fn nothing_is_continued_that_was_not_started() {
    let desk = initialised();
    desk.assert("continue-nothing", &desk.transcript(&[&["continue", ISSUE]]));
    assert!(desk.agent.runs().is_empty());
}

#[test]
fn nothing_starts_before_init() {
    let desk = desk();
    let seen = desk.transcript(&[
        &["start", ISSUE, "go"],
        &["continue", ISSUE],
        &["list"],
        &["slots"],
        &["stop", ISSUE],
        &["destroy", ISSUE, "-y"],
        &["prune", "--force"],
    ]);
    desk.assert("before-init", &seen);
    assert!(!desk.path("kugetsu").exists());
}

#[test]
fn in_json_the_output_is_the_events_and_nothing_else() {
    let desk = initialised();
    let ran = desk.run(&["start", ISSUE, "MODEL: say hello", "--json"]).done();
    assert_eq!(ran.err, "");
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["format"] == "kugetsu.event/1"));
    assert!(events.iter().all(|event| event["issue"] == ISSUE));
    assert_eq!(events.first().unwrap()["what"]["type"], "enqueued");
    let last = &events.last().unwrap()["what"];
    assert_eq!(last["type"], "settled");
    assert_eq!(last["data"]["outcome"]["outcome"], "completed");
}

#[test]
fn a_failed_run_is_an_error_that_says_where_and_how_to_go_on() {
    let desk = initialised();
    let seen = desk.transcript(&[&["start", ISSUE, "MODEL: http 400"], &["list"]]);
    desk.assert("start-fails", &seen);
    let error = desk.run(&["start", ISSUE, "MODEL: http 400", "--json"]);
    assert_eq!(error.code, 1);
    let told: serde_json::Value = serde_json::from_str(&error.err).unwrap();
    assert_eq!(told["error"]["kind"], "failed");
}

/// What the agent was told at last, after kugetsu's own rules.
fn told(desk: &crate::desk::Desk) -> String {
    let runs = desk.agent.runs();
    let message = &runs.last().unwrap().message;
    message.split_once("Delegator's message:\n").unwrap().1.to_owned()
}

#[test]
fn a_message_reaches_the_agent_unchanged_wherever_it_comes_from() {
    let desk = initialised();
    let megabyte = "x".repeat(1 << 20);
    let table = [
        "-rf is broken",
        "--force does not work",
        "--json output is wrong",
        "-y",
        "$(touch pwned) `touch pwned`",
        "it's \"quoted\" \\ and\nhas\tlines\r\n",
        "🎉 ümläut \u{202e}turned",
        "  spaces around  ",
        &megabyte,
    ];
    for text in table {
        desk.run(&["start", ISSUE, "--", text]).done();
        assert_eq!(told(&desk), text);
        desk.run_with(&["start", ISSUE, "-"], text.as_bytes(), Terminals::default()).done();
        assert_eq!(told(&desk), text);
        let file = desk.path("message.txt");
        std::fs::write(&file, text).unwrap();
        desk.run(&["start", ISSUE, "--message-file", file.to_str().unwrap()]).done();
        assert_eq!(told(&desk), text);
    }
    assert!(!desk.worktree().join("pwned").exists());
}

#[test]
fn a_message_with_a_leading_dash_is_no_option() {
    let desk = initialised();
    for text in ["-rf is broken", "--force does not work", "--json output is wrong", "-y"] {
        desk.run(&["start", ISSUE, text]).done();
        assert_eq!(told(&desk), text);
    }
}

#[test]
fn a_reference_that_could_leave_a_directory_is_refused() {
    let desk = initialised();
    let long = format!("example.com/{}/b#1", "a".repeat(300));
    let hostile = ["../../etc#1", "a/..#1", "example.com/../b#1", "a/b#-1", "a b/c#1", &long];
    for issue in hostile {
        let ran = desk.run(&["start", issue, "go"]);
        assert_eq!(ran.code, 64, "{}", ran.shown());
    }
    let ran = desk.run(&["start", "-x/y#1", "go"]);
    assert_eq!(ran.code, 64, "{}", ran.shown());
}

#[test]
fn what_an_agent_says_does_not_act_on_the_terminal() {
    let desk = initialised();
    let ran = desk.run(&["start", ISSUE, "MODEL: say red\u{1b}[31m\u{9b}2J\u{202e}dlrow"]).done();
    assert!(ran.err.contains("red<U+001B>[31m<U+009B>2J<U+202E>dlrow"), "{}", ran.shown());
}

#[test]
fn where_a_repository_comes_from_is_remembered() {
    let desk = desk();
    desk.run(&["init"]).done();
    let issue = "example.com/acme/other#1";
    desk.run(&["start", issue, "MODEL: say one", "--repo", "../origin"]).done();
    desk.run(&["start", "example.com/acme/other#2", "MODEL: say two"]).done();
    let list = std::fs::read_to_string(desk.kugetsu("repos.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["example.com/acme/other"], desk.path("origin").to_str().unwrap());
    let seen = desk.transcript(&[
        &["start", issue, "go", "--repo", "../nowhere"],
        &["start", issue, "go", "--repo", "https://me:secret@example.com/a/b.git"],
        &["start", issue, "go", "--repo", "ext::sh -c true"],
    ]);
    desk.assert("repo", &seen);
}

#[test]
fn a_pull_request_is_kept_with_the_session() {
    let desk = initialised();
    let url = "https://example.com/acme/widgets/pulls/3";
    desk.run(&["start", ISSUE, "MODEL: say hello", url]).done();
    let list = desk.run(&["list", "--json"]).json();
    let rows = list["sessions"].as_array().unwrap();
    assert_eq!(rows.last().unwrap()["pr"], url);
    let seen = desk.transcript(&[&["start", ISSUE, "fix", "it"]]);
    desk.assert("pr-is-no-url", &seen);
}

#[test]
fn detaching_queues_the_task_and_says_whether_anybody_will_carry_it_out() {
    let desk = initialised();
    let seen = desk.run(&["start", ISSUE, "go", "--detach", "--after", "2h"]).done();
    let id = seen.out.trim();
    assert!(seen.err.contains("queue-daemon start"), "{}", seen.err);
    assert!(desk.agent.runs().is_empty());
    let task = desk.run(&["queue", "show", id, "--json"]).json();
    assert_eq!(task["state"]["state"], "pending");
    let stats = desk.run(&["queue", "stats", "--json"]).json();
    assert_eq!((&stats["total"], &stats["pending"]), (&1.into(), &1.into()));
    desk.run(&["queue", "cancel", id]).done();
    let again = desk.run(&["queue", "retry", id]).done();
    assert_ne!(again.out.trim(), id);
    let open = desk.run(&["queue", "list", "--open", "--json"]).json();
    assert_eq!(open["tasks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_message_is_given_once() {
    let desk = initialised();
    std::fs::write(desk.path("home/message.txt"), "MODEL: say hello").unwrap();
    let url = "https://example.com/acme/widgets/pulls/3";
    let file = ["--message-file", "message.txt"];
    let seen = desk.transcript(&[
        &["start", ISSUE],
        &["start", ISSUE, "go", file[0], file[1]],
        &["start", ISSUE, "go", url, file[0], file[1]],
        &["start", ISSUE, url, "--message-file", "nowhere.txt"],
        &["continue", ISSUE, "go", file[0], file[1]],
    ]);
    desk.assert("message-once", &seen);
    assert!(desk.agent.runs().is_empty());
    desk.run(&["start", ISSUE, url, file[0], file[1]]).done();
    let list = desk.run(&["list", "--json"]).json();
    assert_eq!(list["sessions"].as_array().unwrap().last().unwrap()["pr"], url);
}

#[test]
fn commits_that_are_nowhere_else_can_be_fetched_as_the_hint_says() {
    let desk = initialised();
    let done = desk.run(&["start", ISSUE, "MODEL: write a.txt one ;; commit add a"]).done();
    let hint = done.err.lines().find_map(|line| line.strip_prefix("hint: fetch it with `"));
    let hint = hint.unwrap().strip_suffix('`').unwrap();
    let words: Vec<&str> = hint.split(' ').collect();
    let origin = desk.path("origin");
    let fetch =
        std::process::Command::new(words[0]).args(&words[1..]).current_dir(&origin).output();
    assert!(fetch.unwrap().status.success(), "{hint}");
    let fetched = std::fs::read_to_string(origin.join(".git/FETCH_HEAD")).unwrap();
    assert!(fetched.contains("fix/issue-7"), "{fetched}");

    let done = desk.run(&["start", "example.com/acme/widgets#8", "MODEL: say nothing to do"]);
    assert!(!done.done().err.contains("git fetch"));
}

#[test]
fn a_bar_is_drawn_so_that_what_is_echoed_is_drawn_over() {
    let desk = initialised();
    let live = Terminals { error: true, ..Terminals::default() };
    let ran = desk.run_with(&["start", ISSUE, "MODEL: say hello"], b"", live).done();
    assert!(ran.err.contains("⠋ "), "{}", ran.shown());
    for bar in ran.err.split("\r\x1b[2K").filter(|drawn| drawn.contains("⠋ ")) {
        assert!(bar.ends_with('\r'), "{bar:?}");
    }
}

#[test]
fn an_empty_message_is_refused() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["start", ISSUE, ""],
        &["start", ISSUE, " \n "],
        &["start", ISSUE, "-"],
        &["start", ISSUE, "--message-file", "nowhere.txt"],
    ]);
    desk.assert("empty-message", &seen);
}
