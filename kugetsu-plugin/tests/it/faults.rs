//! Whatever a plugin does wrong is an error value.

use std::time::Duration;

use kugetsu_core::{Retry, WorktreeProvider as _};
use kugetsu_plugin::{Plugin, PluginConfig, PluginError, PluginWorktrees};
use tempfile::TempDir;

use crate::fake::{below, fake, fake_with, gone, guard, until};

#[tokio::test]
async fn whatever_a_plugin_writes_is_told_and_ends_it() {
    for (deed, told) in [
        ("says hello", "it wrote a line that is no JSON"),
        ("nests", "it wrote a line that is no JSON"),
        ("is no text", "it wrote a line that is no JSON"),
        ("answers with a list", "it wrote a line that is no JSON object: []"),
        ("forgets the version", "it wrote a message without `\"jsonrpc\": \"2.0\"`"),
        ("answers with neither", "it wrote an answer without either a result or an error"),
        ("answers with both", "it wrote an answer without either a result or an error"),
        ("writes without an end", "it wrote a line of more than 16 MiB"),
        (
            "answers another",
            "it answered the request 102, which was not made or was answered before",
        ),
        ("answers a text", "it wrote an answer without the id of a request"),
        ("answers nobody", "it wrote an answer without the id of a request"),
        ("is no good", "it wrote an error that is none"),
    ] {
        let fake = fake(deed);
        let error = fake.list().await.unwrap_err();
        assert!(matches!(error, PluginError::Garbled { .. }), "{deed}: {error:?}");
        let text = error.to_string();
        let begin = "the plugin fake does not keep to the protocol: ";
        assert!(text.strip_prefix(begin).is_some_and(|why| why.starts_with(told)), "{text}");
        assert!(text.len() < 1200 && !text.contains(char::is_control), "{text:?}");
        assert_eq!(error.retry(), Retry::Never);
        assert!(error.is_no_plugin());
        gone(&fake.noted("pid")).await;
    }
    let error = fake("says hello").list().await.unwrap_err().to_string();
    assert!(error.ends_with("; it said: I am so sorry"), "{error}");
}

#[tokio::test]
async fn an_end_is_told_with_how_and_with_its_last_words() {
    for (deed, how) in [
        ("crashes", "it exited with 3; it said: one | [31mtwo | boom"),
        ("is killed", "signal 9 ended it"),
        ("closes its output", "it exited with 4"),
        ("dies at the beginning", "it exited with 1; it said: no libfoo"),
    ] {
        let error = fake(deed).list().await.unwrap_err();
        let told = format!("the plugin fake ended before it answered: {how}");
        assert_eq!(error.to_string(), told);
        assert_eq!(error.retry(), Retry::Later);
    }
    // All who wait for it hear of it.
    let fake = fake("closes its output");
    let lists = tokio::join!(fake.list(), fake.list(), fake.list());
    for ended in [lists.0, lists.1, lists.2] {
        assert!(matches!(ended, Err(PluginError::Ended { .. })), "{ended:?}");
    }
}

#[tokio::test]
async fn who_speaks_another_version_or_is_something_else_is_told_so() {
    for (deed, told) in [
        (
            "another version",
            "the plugin fake speaks kugetsu.plugin/2, and this kugetsu kugetsu.plugin/1",
        ),
        (
            "another protocol",
            "the plugin fake speaks kugetsu.plugout/1, and this kugetsu kugetsu.plugin/1",
        ),
        (
            "another kind",
            "the plugin fake is no worktree provider: it says that it is nothing that is known here",
        ),
        (
            "no version",
            "the plugin fake does not keep to the protocol: its answer to `initialize` is malformed: \
             missing field `protocol`",
        ),
        (
            "refuses to begin",
            "the plugin fake does not keep to the protocol: it refused `initialize`: I would rather not",
        ),
        (
            "answers rubbish",
            "the plugin fake does not keep to the protocol: its answer to `worktrees/list` is \
             malformed: invalid type: integer `7`, expected a sequence",
        ),
    ] {
        let error = fake(deed).list().await.unwrap_err();
        assert_eq!(error.to_string(), told);
        assert_eq!(error.retry(), Retry::Never);
    }
}

#[tokio::test]
async fn a_program_that_is_no_plugin_is_told_as_such() {
    let home = TempDir::new().unwrap();
    let list = async |program: &str, words: &[&str]| {
        let config = PluginConfig::new("it", program, home.path());
        let plugin = Plugin::new(config.with_arguments(words).with_guard(guard()));
        below(PluginWorktrees::new(plugin).list().await.unwrap_err())
    };
    let error = list("no-such-program-at-all", &[]).await;
    assert_eq!(
        error.to_string(),
        "the plugin it cannot be started: there is no program no-such-program-at-all on PATH"
    );
    assert!(error.retry() == Retry::Never && error.is_no_plugin());
    let error = list("/nowhere/at/all", &[]).await.to_string();
    assert!(error.ends_with("there is no file /nowhere/at/all"), "{error}");
    for (program, words, told) in [
        ("true", &[][..], "the plugin it ended before it answered: it exited with 0"),
        (
            "yes",
            &[],
            "the plugin it does not keep to the protocol: it wrote a line that is no JSON",
        ),
        ("cat", &[], "the plugin it does not keep to the protocol: it refused `initialize`"),
    ] {
        let error = list(program, words).await.to_string();
        assert!(error.starts_with(told), "{program}: {error}");
    }
}

#[tokio::test]
async fn who_is_silent_is_ended_after_its_time() {
    let fake = fake_with("is silent", |config| config.with_limit(Duration::from_secs(2)));
    let error = fake.list().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin fake did not answer `worktrees/list` within 2 s; it said: thinking"
    );
    assert_eq!(error.retry(), Retry::Later);
    gone(&fake.noted("pid")).await;
    // One that does not even say who it is.
    let home = TempDir::new().unwrap();
    let config = PluginConfig::new("it", "sleep", home.path()).with_arguments(["1000"]);
    let config = config.with_guard(guard());
    let plugin = Plugin::new(config.with_limit(Duration::from_millis(300)));
    let error = plugin.info().await.unwrap_err();
    assert_eq!(error.to_string(), "the plugin it did not answer `initialize` within 0.3 s");
}

#[tokio::test]
async fn who_has_ended_is_started_again_and_not_too_often() {
    let fake = fake("crashes once");
    assert!(matches!(fake.list().await, Err(PluginError::Ended { .. })));
    let first = fake.noted("pid");
    assert_eq!(fake.list().await.unwrap().len(), 2);
    assert_ne!(fake.noted("pid"), first);
    assert_eq!(fake.list().await.unwrap().len(), 2);
    assert_eq!(fake.noted("starts"), "xx");

    let fake = fake_with("crashes", |config| config.with_starts(3, Duration::from_hours(1)));
    for _ in 0..3 {
        assert!(matches!(fake.list().await, Err(PluginError::Ended { .. })));
    }
    for _ in 0..3 {
        let error = fake.list().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, PluginError::TooOften { times: 3, .. }), "{text}");
        assert!(text.contains("was started 3 times") && text.contains("boom"), "{text}");
        let Retry::After { millis } = error.retry() else { panic!("{:?}", error.retry()) };
        assert!((3_500_000..=3_600_000).contains(&millis), "{millis}");
    }
    assert_eq!(fake.noted("starts"), "xxx");
    // It is counted within the time only.
    let fake = fake_with("crashes", |config| config.with_starts(1, Duration::ZERO));
    for _ in 0..2 {
        assert!(matches!(fake.list().await, Err(PluginError::Ended { .. })));
    }
}

#[tokio::test]
async fn what_is_known_nowhere_is_ignored_by_both() {
    for deed in ["is well", "chats first"] {
        let fake = fake(deed);
        let info = fake.plugin().info().await.unwrap();
        assert_eq!((info.name.as_str(), info.version.as_str()), ("fake", "1.2"));
        assert!(info.makes_worktrees() && info.recovers() && info.is_tracker() && info.is_forge());
        let listed = fake.list().await.unwrap();
        let issues: Vec<String> = listed.iter().map(|one| one.issue.to_string()).collect();
        assert_eq!(issues, ["a.b/c/d#1", "a.b/c/d#2"], "in order");
    }
    let fake = fake("asks back");
    assert_eq!(fake.list().await.unwrap()[0].issue.number(), 32601);
}

#[tokio::test]
async fn what_is_answered_twice_fails_whoever_asks_next_and_not_for_ever() {
    let fake = fake("answers twice");
    fake.list().await.unwrap();
    until(|| {
        let pid = fake.noted("pid");
        !std::path::Path::new(&format!("/proc/{pid}")).exists()
    })
    .await;
    fake.list().await.unwrap();
    assert_eq!(fake.noted("starts"), "xx");
}
