//! `set-pr`.

use crate::desk::{ISSUE, initialised};

const PR: &str = "https://example.com/acme/widgets/pulls/3";

#[test]
fn a_pull_request_is_kept_with_the_session_and_listed() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    let seen = desk.transcript(&[
        &["set-pr", ISSUE, PR],
        &["set-pr", ISSUE, &format!("{PR}?tab=files#note-7")],
        &["list"],
        &["set-pr", ISSUE, "https://gitlab.com/a/b/c/-/merge_requests/12/diffs", "--json"],
        &["set-pr", "example.com/acme/widgets#8", PR],
        &["set-pr", ISSUE, "https://example.com/acme/widgets/issues/3"],
        &["set-pr", ISSUE, "https://me:hunter2@example.com/acme/widgets/pulls/3"],
        &["set-pr", ISSUE, "ftp://example.com/acme/widgets/pulls/3"],
        &["set-pr", ISSUE, "a message"],
    ]);
    desk.assert("set-pr", &seen);
    let list = desk.run(&["list", "--json"]).json();
    let rows = list["sessions"].as_array().unwrap();
    assert_eq!(rows.last().unwrap()["pr"], "https://gitlab.com/a/b/c/-/merge_requests/12/diffs");
}
