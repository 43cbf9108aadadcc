//! Pull requests are named by their addresses.

use kugetsu_core::PullRef;

#[test]
fn the_address_of_a_pull_request_names_it() {
    for (text, shown) in [
        ("https://github.com/acme/widgets/pull/7", "github.com/acme/widgets!7"),
        ("https://github.com/acme/widgets/pull/7/files#r12", "github.com/acme/widgets!7"),
        ("https://github.com/acme/widgets/pull/7?w=1", "github.com/acme/widgets!7"),
        ("https://git.example:8443/a/b/pulls/12/", "git.example:8443/a/b!12"),
        ("https://gitlab.com/group/sub/tool/-/merge_requests/3", "gitlab.com/group/sub/tool!3"),
        ("github.com/acme/widgets!7", "github.com/acme/widgets!7"),
        ("https://github.com/acme/pull/pull/7", "github.com/acme/pull!7"),
        ("https://github.com/pulls/pull/pull/7/commits", "github.com/pulls/pull!7"),
    ] {
        let pull: PullRef = text.parse().unwrap();
        assert_eq!(pull.to_string(), shown);
        assert_eq!(pull.to_string().parse::<PullRef>().unwrap(), pull);
    }
}

#[test]
fn what_names_no_pull_request_is_refused() {
    for text in [
        "",
        "7",
        "!7",
        "https://github.com/acme/widgets/issues/7",
        "https://github.com/acme/widgets/pull/0",
        "https://github.com/acme/widgets/pull/07",
        "https://github.com/acme/widgets/pull/x",
        "https://github.com/acme/widgets/pull/",
        "https://github.com/widgets/pull/7",
        "https://me:secret@github.com/acme/widgets/pull/7",
        "javascript://github.com/acme/widgets/pull/7",
        "https://github.com/../widgets/pull/7",
        "https://github.com/acme/widgets/pull/99999999999999999999",
        "acme/widgets!7",
    ] {
        let refused = text.parse::<PullRef>();
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}
