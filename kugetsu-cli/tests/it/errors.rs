//! Errors: what they say, in words and in JSON.

use crate::desk::{ISSUE, desk, initialised};

#[test]
fn an_error_in_json_is_one_object_on_the_error_stream() {
    let error = desk().run(&["list", "--json"]).error();
    assert_eq!(error["kind"], "config");
    assert_eq!(error["hint"], "run `kugetsu init`");
}

#[test]
fn an_agent_that_is_missing_is_told_with_exit_69() {
    let mut desk = initialised();
    desk.agent = desk.agent.clone().with_trouble("fake is not installed");
    let ran = desk.run(&["start", ISSUE, "MODEL: say hello"]);
    assert_eq!(ran.code, 69, "{}", ran.shown());
    assert!(ran.err.contains("fake is not installed"), "{}", ran.shown());
}

#[test]
fn a_mistyped_option_is_never_taken_for_the_message() {
    let desk = initialised();
    for line in [
        &["start", ISSUE, "--looks"][..],
        &["continue", ISSUE, "--detatch"],
        &["delegate", "--wiat=5m"],
        &["queue", "enqueue", ISSUE, "--prio"],
    ] {
        let ran = desk.run(line);
        assert_eq!(ran.code, 64, "{}", ran.shown());
        assert!(ran.err.contains("unexpected argument '--"), "{}", ran.shown());
    }
    // Who means it says so, and no option has spaces in it.
    desk.run(&["queue", "enqueue", ISSUE, "--", "--prio"]).done();
    desk.run(&["queue", "enqueue", ISSUE, "--prio is what I mean"]).done();
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    let messages = told["tasks"].as_array().unwrap().iter().map(|task| &task["request"]["message"]);
    assert_eq!(messages.collect::<Vec<_>>(), ["--prio", "--prio is what I mean"]);
}

#[test]
fn the_daemon_is_looked_after_whatever_is_wrong_with_the_settings() {
    let desk = initialised();
    std::fs::write(desk.kugetsu("config.toml"), "foo bar").unwrap();
    let stopped = desk.run(&["queue-daemon", "stop"]).done();
    assert_eq!(stopped.out, "The daemon does not run.\n");
    assert_eq!(desk.run(&["queue-daemon", "logs"]).code, 0);
    assert_eq!(desk.run(&["queue-daemon", "start"]).code, 78);
}

#[test]
fn debug_shows_what_lies_below_an_error() {
    let desk = initialised();
    std::fs::write(desk.kugetsu("kugetsu.db"), "this is no database, but some text").unwrap();
    let plain = desk.run(&["list"]);
    let more = desk.run(&["list", "--debug"]);
    assert_ne!(plain.code, 0);
    assert!(more.err.lines().count() >= plain.err.lines().count(), "{}", more.shown());
    assert!(plain.err.contains("kugetsu.db"), "{}", plain.shown());
}

#[test]
fn a_repository_that_cannot_be_had_is_told_with_how_to_mend_it() {
    let desk = initialised();
    std::fs::write(
        desk.kugetsu("repos.json"),
        r#"{"example.com/acme/widgets": "/nowhere/at/all"}"#,
    )
    .unwrap();
    let ran = desk.run(&["start", ISSUE, "go"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    assert!(ran.err.contains("/nowhere/at/all"), "{}", ran.shown());
}

#[test]
fn a_broken_list_of_repositories_is_a_mistake_in_the_settings() {
    let desk = initialised();
    std::fs::write(desk.kugetsu("repos.json"), "{").unwrap();
    let ran = desk.run(&["start", ISSUE, "go"]);
    assert_eq!(ran.code, 78, "{}", ran.shown());
    assert!(ran.err.contains("repos.json"), "{}", ran.shown());
}

#[test]
fn without_home_and_directory_it_says_which_to_set() {
    let (out, err) = (Vec::new(), Vec::new());
    let around = kugetsu_cli::Surroundings::new("/", out, err);
    let code = kugetsu_cli::CliRunner::default().run_in(around, ["kugetsu", "status"]);
    assert_eq!(code, 78);
}
