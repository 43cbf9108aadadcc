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
