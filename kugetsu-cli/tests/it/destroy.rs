//! `destroy`.

use kugetsu_cli::Terminals;

use crate::desk::{ISSUE, initialised};

const PERSON: Terminals = Terminals { input: true, output: false, error: true };

#[test]
fn nothing_is_destroyed_without_a_yes() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    desk.assert(
        "destroy-refused",
        &desk.transcript(&[&["destroy", ISSUE], &["destroy", "--base"]]),
    );
    assert!(desk.worktree().exists());
    let no = desk.run_with(&["destroy", ISSUE], b"n\n", PERSON);
    assert_eq!(no.code, 1, "{}", no.shown());
    assert!(no.err.contains("nothing was changed"), "{}", no.shown());
    assert!(desk.worktree().exists());
    desk.run_with(&["destroy", ISSUE], b"y\n", PERSON).done();
    assert!(!desk.worktree().exists());
}

#[test]
fn destroy_keeps_unsaved_work_unless_it_is_forced() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt precious"]).done();
    let seen = desk.transcript(&[&["destroy", ISSUE, "-y"]]);
    assert!(desk.worktree().join("a.txt").exists());
    let more = desk.transcript(&[
        &["destroy", ISSUE, "-y", "--force"],
        &["list"],
        &["destroy", ISSUE, "-y"],
    ]);
    desk.assert("destroy", &format!("{seen}\n{more}"));
    assert!(!desk.worktree().exists());
}

#[test]
fn destroying_what_is_not_there_is_told() {
    let desk = initialised();
    desk.run(&["destroy", "--base", "-y"]).done();
    let seen = desk.transcript(&[
        &["destroy", "--base", "-y"],
        &["destroy", "--pm-agent", "-y"],
        &["destroy", ISSUE, "-y"],
    ]);
    desk.assert("destroy-nothing", &seen);
}
