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
        &["set-pr", ISSUE, "https://gitlab.com/a/b/c/-/merge_requests/12/diffs"],
        &["set-pr", ISSUE, "https://example.com/acme/other/pulls/3"],
        &["start", ISSUE, "MODEL: say hello", "https://example.com/acme/other/pulls/3"],
        &["set-pr", ISSUE, "https://example.com/acme/widgets/pulls/4", "--json"],
        &["set-pr", ISSUE],
        &["set-pr", ISSUE, PR, "--clear"],
        &["set-pr", "example.com/acme/widgets#8", PR],
        &["set-pr", ISSUE, "https://example.com/acme/widgets/issues/3"],
        &["set-pr", ISSUE, "https://me:hunter2@example.com/acme/widgets/pulls/3"],
        &["set-pr", ISSUE, "ftp://example.com/acme/widgets/pulls/3"],
        &["set-pr", ISSUE, "a message"],
    ]);
    desk.assert("set-pr", &seen);
    let pr = || {
        let list = desk.run(&["list", "--json"]).json();
        list["sessions"].as_array().unwrap().last().unwrap()["pr"].clone()
    };
    assert_eq!(pr(), "https://example.com/acme/widgets/pulls/4");
    desk.assert(
        "set-pr-cleared",
        &desk.transcript(&[
            &["set-pr", ISSUE, "--clear"],
            &["set-pr", ISSUE, "--clear", "--json"],
            &["set-pr", "example.com/acme/widgets#8", "--clear"],
        ]),
    );
    assert_eq!(pr(), serde_json::Value::Null);
}
