//! `list`.

use crate::desk::{ISSUE, initialised};

#[test]
fn the_header_is_there_before_any_issue_is() {
    let desk = initialised();
    desk.assert("list-empty", &desk.transcript(&[&["list"]]));
    desk.run(&["destroy", "--base", "-y"]).done();
    let ran = desk.run(&["list"]).done();
    assert!(ran.out.starts_with("SESSION_ID"), "{}", ran.shown());
    assert_eq!(ran.out.lines().count(), 1);
}

#[test]
fn all_shows_the_copies_of_the_base_and_worktrees_without_a_session() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    desk.run(&["start", "example.com/acme/widgets#8", "MODEL: say hello"]).done();
    desk.lose_session("example.com/acme/widgets#8");
    desk.assert("list-all", &desk.transcript(&[&["list"], &["list", "--all"]]));
}
