//! What a plugin's answers mean for worktrees.

use kugetsu_core::{Retry, Unsaved, WorktreeError, WorktreeProvider as _, WorktreeSpec};
use kugetsu_plugin::PluginError;

use crate::fake::{below, fake};

fn spec() -> WorktreeSpec {
    let issue = "git.example/acme/widgets#7".parse().unwrap();
    WorktreeSpec::new(issue).with_base(Some("develop".into()))
}

async fn prepared(data: &str) -> WorktreeError {
    let error = format!(r#"{{"code": -32000, "message": "it's so", "data": {data}, "more": 1}}"#);
    fake(&format!("refuses {error}")).worktrees.prepare(&spec()).await.unwrap_err()
}

#[tokio::test]
async fn the_kind_of_an_error_says_which_error_it_is() {
    for (data, told, retry) in [
        (
            r#"{"kind": "unsaved_work", "path": "/w", "dirty": 2, "unpushed": 1}"#,
            "the worktree at /w has unsaved work: 2 uncommitted files, 1 unpushed commit",
            Retry::Never,
        ),
        (
            r#"{"kind": "no_repository"}"#,
            "the repository git.example/acme/widgets cannot be had: it's so",
            Retry::Never,
        ),
        (
            r#"{"kind": "no_base_branch"}"#,
            "git.example/acme/widgets has no branch develop to start from",
            Retry::Never,
        ),
        (r#"{"kind": "in_the_way", "path": "/w"}"#, "/w is in the way: it's so", Retry::Never),
        (
            r#"{"kind": "unsupported"}"#,
            "the plugin fake cannot prepare the worktree of git.example/acme/widgets#7",
            Retry::Never,
        ),
    ] {
        let error = prepared(data).await;
        assert_eq!((error.to_string().as_str(), error.retry()), (told, retry));
    }
    // What is known nowhere, or lacks what it needs, is the plugin's own fault.
    let own =
        "the plugin fake could not prepare the worktree of git.example/acme/widgets#7: it's so";
    for (data, retry) in [
        ("null", Retry::Later),
        ("7", Retry::Later),
        (r#"{"kind": "headache"}"#, Retry::Later),
        (r#"{"kind": "headache", "retry": "never"}"#, Retry::Never),
        (r#"{"retry": 2}"#, Retry::After { millis: 2000 }),
        (r#"{"kind": "unsaved_work", "retry": "never"}"#, Retry::Never),
        (r#"{"kind": "in_the_way", "path": "relative"}"#, Retry::Later),
    ] {
        let error = prepared(data).await;
        assert_eq!((error.to_string().as_str(), error.retry()), (own, retry), "{data}");
        assert!(matches!(below(error), PluginError::Refused { .. }));
    }
}

#[tokio::test]
async fn a_method_that_a_plugin_does_not_have_is_unsupported() {
    let fake = fake("is well");
    let issue = spec().issue;
    let error = fake.worktrees.remove(&issue, Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error:?}");
    let error = fake.worktrees.recover().await.unwrap_err();
    assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_worktree_is_not_taken_for_one() {
    for (told, why) in [
        (r#"{"issue": "a.b/c/d#2"}"#, "missing field `path`"),
        (
            r#"{"issue": "nonsense", "path": "/w", "branch": "b", "repository": "/r"}"#,
            "no issue reference",
        ),
        (
            r#"{"issue": "a.b/c/d#2", "path": "w", "branch": "b", "repository": "/r"}"#,
            "is not absolute",
        ),
        (
            r#"{"issue": "a.b/c/d#2", "path": "/w\n", "branch": "b", "repository": "/r"}"#,
            "the path is",
        ),
        (
            r#"{"issue": "a.b/c/d#2", "path": "/w", "branch": "", "repository": "/r"}"#,
            "the branch is",
        ),
    ] {
        let error = fake(&format!("lists [{told}]")).list().await.unwrap_err();
        assert!(matches!(error, PluginError::Garbled { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
    // It has to be the issue's own.
    let other =
        r#"{"worktree": {"issue": "a.b/c/d#2", "path": "/w", "branch": "b", "repository": "/r"}}"#;
    let other = fake(&format!("answers to all {other}"));
    let error = below(other.worktrees.prepare(&spec()).await.unwrap_err()).to_string();
    assert!(error.ends_with("`worktrees/prepare` is malformed: it is about a.b/c/d#2"), "{error}");
    let well = r#"{"worktree": {"issue": "git.example/acme/widgets#7", "path": "/w", "branch": "b",
        "repository": "/r", "created": true}}"#;
    let prepared =
        fake(&format!("answers to all {well}")).worktrees.prepare(&spec()).await.unwrap();
    assert!(prepared.created);
    assert_eq!(prepared.path.to_str(), Some("/w"));
}

#[tokio::test]
async fn where_a_repository_comes_from_may_be_unknown() {
    let worktrees = fake("is well").worktrees.with_sources(|_| Err("write it down".into()));
    let error = worktrees.prepare(&spec()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the repository git.example/acme/widgets cannot be had: write it down"
    );
}
