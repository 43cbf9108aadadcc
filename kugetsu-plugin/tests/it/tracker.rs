//! What a plugin's answers mean for issues and pull requests.

use kugetsu_core::{
    Association, Forge as _, ForgeError, IssueTracker as _, Proposal, PullRef, PullState, Retry,
};

use crate::fake::fake;

fn issue() -> kugetsu_core::IssueRef {
    "git.example/acme/widgets#7".parse().unwrap()
}

#[tokio::test]
async fn an_issue_is_read_as_it_is_told() {
    let told = r#"{"issue": {"address": "https://x/7", "title": "It\u001b crashes", "text": "On\nit.",
        "author": {"name": "ada", "association": "owner", "more": 1}, "open": false, "labels": [],
        "comments": [{"id": "c1", "author": {"name": "eve", "association": "boss"}, "text": "me too",
            "at": 1767323045000}]}}"#;
    let read = fake(&format!("answers to all {told}")).tracker.fetch(&issue()).await.unwrap();
    assert_eq!((read.issue.clone(), read.open), (issue(), false));
    assert_eq!((read.title.as_str(), read.text.as_str()), ("It\u{1b} crashes", "On\nit."));
    assert_eq!(read.author.association, Association::Owner);
    assert_eq!(read.comments[0].author.association, Association::Stranger);
    assert_eq!(read.comments[0].at.as_millis(), 1_767_323_045_000);
    let least = r#"{"issue": {"title": "t", "author": {"name": "ada"}, "open": true}}"#;
    let read = fake(&format!("answers to all {least}")).tracker.fetch(&issue()).await.unwrap();
    assert_eq!(read.author.association, Association::Stranger);
    assert!(read.comments.is_empty());
}

#[tokio::test]
async fn a_comment_and_a_pull_request_have_addresses() {
    let tracker = fake(r#"answers to all {"address": "https://x/7#1"}"#).tracker;
    assert_eq!(tracker.comment(&issue(), "key", "words").await.unwrap(), "https://x/7#1");
    let pull = r#"{"pull": {"number": 8, "address": "https://x/8", "title": "Mend it",
        "state": "merged", "head": "fix/issue-7", "base": "main"}}"#;
    let tracker = fake(&format!("answers to all {pull}")).tracker;
    let wanted = Proposal::new(issue().repository().clone(), "fix/issue-7", "Mend it");
    let made = tracker.propose(&wanted).await.unwrap();
    assert_eq!((made.state, made.pull.number()), (PullState::Merged, 8));
    let pull = |number| PullRef::new(issue().repository().clone(), number).unwrap();
    assert_eq!(tracker.pull_request(&pull(8)).await.unwrap(), made);
    let error = tracker.pull_request(&pull(9)).await.unwrap_err().to_string();
    assert!(error.contains("git.example/acme/widgets!8"), "{error}");
}

#[tokio::test]
async fn the_kind_of_an_error_says_which_error_it_is() {
    for (data, told, retry) in [
        (
            r#"{"kind": "missing"}"#,
            "git.example/acme/widgets#7 is not there, or cannot be seen with the token at hand",
            Retry::Never,
        ),
        (
            r#"{"kind": "denied"}"#,
            "read git.example/acme/widgets#7 was refused: it's so",
            Retry::Never,
        ),
        (
            r#"{"kind": "limited", "retry": 90}"#,
            "the plugin fake takes no more requests for 90 s",
            Retry::After { millis: 90_000 },
        ),
        (
            r#"{"kind": "limited"}"#,
            "the plugin fake takes no more requests for 60 s",
            Retry::After { millis: 60_000 },
        ),
        ("{}", "the plugin fake could not read git.example/acme/widgets#7: it's so", Retry::Later),
    ] {
        let error = format!(r#"{{"code": 1, "message": "it's so", "data": {data}}}"#);
        let error = fake(&format!("refuses {error}")).tracker.fetch(&issue()).await.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.retry()), (told, retry));
    }
    let error = fake("another kind").tracker.fetch(&issue()).await.unwrap_err();
    assert!(error.to_string().contains("is no tracker"), "{error}");
    let error = fake("crashes").tracker.fetch(&issue()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Backend { retry: Retry::Later, .. }), "{error:?}");
}
