//! The variables that agents get.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kugetsu_cli::Terminals;

use crate::desk::{desk, initialised, is_private};

#[test]
fn variables_are_set_shown_and_removed_and_secrets_are_masked() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["env", "list"],
        &["env", "set", "GITHUB_TOKEN", "hunter22-secret"],
        &["env", "set", "COLOUR", "a \"deep\" blue, $5\n& more"],
        &["env", "set", "COLOUR", "red", "pm-agent"],
        &["env", "set", "SHORT_TOKEN", "abc"],
        &["env", "set", "-x", "1"],
        &["env", "list"],
        &["env", "show"],
        &["env", "show", "pm-agent"],
        &["env", "get", "COLOUR"],
        &["env", "get", "COLOUR", "pm-agent"],
        &["env", "get", "GITHUB_TOKEN"],
        &["env", "get", "GITHUB_TOKEN", "--reveal"],
        &["env", "rm", "COLOUR", "pm-agent"],
        &["env", "rm", "COLOUR", "pm-agent"],
        &["env", "get", "NOTHING"],
        &["env", "show", "nobody"],
        &["env", "show", "--json"],
        &["env", "list", "--json"],
        &["env", "get", "GITHUB_TOKEN", "--json"],
    ]);
    desk.assert("env", &seen);
    let file = desk.kugetsu("env/default.env");
    assert!(is_private(&file));
    assert!(fs::read_to_string(file).unwrap().contains("export GITHUB_TOKEN=\"hunter22-secret\""));
}

#[test]
fn what_is_no_variable_or_no_file_is_told() {
    let desk = initialised();
    let mut seen = desk.transcript(&[
        &["env", "set", "LD_PRELOAD", "/tmp/x.so"],
        &["env", "set", "KUGETSU_DIR", "/tmp"],
        &["env", "set", "GIT_SSH_COMMAND", "ssh"],
        &["env", "set", "1A", "x"],
        &["env", "set", "A", "x", "../config"],
        &["env", "set", "A", "x", "/tmp/x"],
        &["env", "set", "A", "x", "pm"],
        &["env", "set", "A=hunter22", "x"],
        &["env", "show", "../../etc"],
    ]);
    let file = desk.kugetsu("env/default.env");
    fs::write(&file, "export A=\"1\"\nhunter2 is no variable\n").unwrap();
    seen += &desk.transcript(&[&["env", "show"], &["env", "set", "B", "2"]]);
    fs::write(&file, "export A=\"1\"\nexport LD_PRELOAD=x\n").unwrap();
    seen += &desk.transcript(&[&["env", "show"]]);
    fs::write(&file, "export A=\"1\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    seen += &desk.transcript(&[&["env", "show"], &["env", "set", "B", "2"], &["env", "list"]]);
    desk.assert("env-mistakes", &seen);
    assert_eq!(fs::read_to_string(&file).unwrap(), "export A=\"1\"\n");
}

#[test]
fn a_value_may_come_by_the_input_and_be_anything() {
    let desk = initialised();
    for value in ["a\nb", "'\"`$(x)\\", " ", "🌙", "-", "--help"] {
        let ran = desk
            .run_with(
                &["env", "set", "A", "-"],
                format!("{value}\n").as_bytes(),
                Terminals::default(),
            )
            .done();
        assert!(ran.err.is_empty(), "{}", ran.err);
        let got = desk.run(&["env", "get", "A", "--json"]).done().json();
        assert_eq!(got["value"], value);
    }
    desk.run(&["env", "set", "A", "--", "-x"]).done();
    assert_eq!(desk.run(&["env", "get", "A"]).done().out, "-x\n");
    assert_eq!(desk.run(&["env", "set", "A", "a\0b"]).code, 64);
}

#[test]
fn before_init_there_are_no_variables() {
    let desk = desk();
    assert_eq!(desk.run(&["env", "list"]).code, 78);
}

#[test]
fn a_file_of_no_agent_is_not_made_and_where_there_is_one_it_is_told() {
    let desk = initialised();
    assert_eq!(desk.run(&["env", "set", "A", "x", "pm"]).code, 64);
    assert!(!desk.kugetsu("env/pm.env").exists());
    fs::write(desk.kugetsu("env/old.env"), "A=1\n").unwrap();
    fs::set_permissions(desk.kugetsu("env/old.env"), fs::Permissions::from_mode(0o600)).unwrap();
    let ran = desk.run(&["env", "set", "A", "x", "old"]).done();
    assert!(ran.err.contains("no agent reads that file"), "{}", ran.err);
}

#[test]
fn a_secret_is_typed_where_nobody_sees_it_and_is_never_nothing_by_mistake() {
    let desk = initialised();
    desk.run(&["env", "set", "A_TOKEN", "hunter22"]).done();
    let person = Terminals { input: true, output: true, error: true };
    let typed = desk.run_with(&["env", "set", "A_TOKEN", "-"], b"hunter23\n", person);
    let empty = [&b""[..], b"\n", b"\r\n"]
        .map(|input| desk.run_with(&["env", "set", "A_TOKEN", "-"], input, Terminals::default()));
    assert!(empty.iter().all(|ran| ran.code == 64), "{}", empty[0].shown());
    desk.assert("env-typed", &format!("{}\n{}", typed.shown(), empty[0].shown()));
    assert_eq!(desk.run(&["env", "get", "A_TOKEN", "--reveal"]).done().out, "hunter22\n");
    desk.run_with(&["env", "set", "COLOUR", "-"], b"red\n", person).done();
}

#[test]
fn a_mistaken_line_repeats_no_value_that_was_typed_and_no_secret_that_is_known() {
    let desk = initialised();
    desk.run(&["env", "set", "A_TOKEN", "hunter22"]).done();
    for words in [
        &["env", "set", "B_TOKEN", "ghp_typed", "default", "ghp_more"][..],
        &["env", "set", "B_TOKEN", "ghp_typed", "ghp_more"],
        &["env", "set", "B_TOKEN", "ghp_typed", "--ghp_more"],
        &["env", "set", "B_TOKEN", "a", "default", "ghp"],
        &["env", "set", "B_TOKEN=ghp_typed"],
        &["env", "set", "B_TOKEN=ghp_typed", "x"],
        &["--json", "env", "set", "B_TOKEN", "ghp_typed", "default", "ghp_more"],
        &["list", "hunter22"],
        &["start", "--hunter22"],
    ] {
        for terminals in
            [Terminals::default(), Terminals { input: true, output: true, error: true }]
        {
            let ran = desk.run_with(words, b"", terminals);
            assert_eq!(ran.code, 64, "{}", ran.shown());
            let told = format!("{}{}", ran.out, ran.err);
            assert!(!told.contains("ghp") && !told.contains("hunter22"), "{words:?}: {told}");
        }
    }
}
