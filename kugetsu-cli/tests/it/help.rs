//! What the command says about itself.

use crate::desk::desk;

#[test]
fn help_names_every_command_and_exit_code() {
    let desk = desk();
    desk.assert("help", &desk.transcript(&[&["help"]]));
}

#[test]
fn each_command_has_help() {
    let desk = desk();
    let commands = ["init", "start", "continue", "stop", "list", "status", "slots", "destroy"];
    let others = [
        "prune",
        "config",
        "demo",
        "capacity",
        "completions",
        "queue",
        "queue-daemon",
        "why",
        "logs",
        "delegate",
        "mcp",
        "set-pr",
        "context",
        "doctor",
        "env",
        "server",
        "store",
        "import",
        "man",
        "schema",
        "backend",
    ];
    let lines: Vec<[&str; 2]> =
        commands.iter().chain(&others).map(|command| [*command, "-h"]).collect();
    let lines: Vec<&[&str]> = lines.iter().map(<[&str; 2]>::as_slice).collect();
    desk.assert("help-of-commands", &desk.transcript(&lines));
}

#[test]
fn help_is_given_for_commands_within_commands_and_for_subjects() {
    let desk = desk();
    let seen = desk.transcript(&[
        &["help", "queue", "enqueue"],
        &["help", "exit-codes"],
        &["help", "refs"],
        &["help", "config"],
        &["help", "strat"],
        &["help", "queue", "nothing-like-it"],
    ]);
    desk.assert("help-subjects", &seen);
    let long = desk.run(&["start", "--help"]).done().out;
    assert_eq!(desk.run(&["help", "start"]).done().out, long);
    assert_eq!(desk.run(&["help", "exit-codes", "--json"]).json()["exit_codes"][0]["code"], 0);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let desk = desk();
    let told = desk.run(&["man", "../pages", "--json"]).done().json();
    let pages: Vec<_> =
        told["pages"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
    for name in ["kugetsu.1", "kugetsu-start.1", "kugetsu-queue-enqueue.1", "kugetsu-import.1"] {
        assert!(pages.contains(&name), "{pages:?}");
    }
    for page in &pages {
        let text = std::fs::read_to_string(desk.path("pages").join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let again = desk.run(&["man", "../pages"]).done().out;
    assert!(again.starts_with(&format!("{} manual pages are in ", pages.len())), "{again}");
}

#[test]
fn the_version_is_one_line() {
    let ran = desk().run(&["--version"]).done();
    assert_eq!(ran.out, format!("kugetsu {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_is_told_with_exit_64() {
    let desk = desk();
    let seen = desk.transcript(&[
        &[],
        &["strat", "a/b#1"],
        &["start"],
        &["start", "a/b#1"],
        &["start", "a/b#1", "go", "--wait=soon"],
        &["destroy"],
        &["destroy", "a/b#1", "--base"],
        &["list", "--colour"],
    ]);
    desk.assert("usage", &seen);
}

#[test]
fn a_wrong_command_line_is_told_in_json_if_that_is_wanted() {
    let error = desk().run(&["strat", "--json"]).error();
    assert_eq!(error["kind"], "usage");
    assert!(error["message"].as_str().unwrap().contains("strat"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = desk().run(&["completions", shell]).done();
        assert!(ran.out.contains("continue"), "{shell}");
        assert_eq!(ran.err, "");
    }
}

#[test]
fn what_was_typed_wrongly_does_not_act_on_a_terminal() {
    let desk = desk();
    for line in [&["\u{1b}]0;title\u{7}"][..], &["start", "a/b#1", "go", "--wa\u{1b}[2Jit"]] {
        let ran = desk.run(line);
        assert!(ran.code == 64 && !ran.err.contains(['\u{1b}', '\u{7}']), "{:?}", ran.err);
    }
}
