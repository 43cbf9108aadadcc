//! What an [`IssueTracker`] and a [`Forge`] promise, shown on the forges of [`fake`](crate::fake).

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    Association, Forge, ForgeError, IssueRef, IssueTracker, Proposal, PullRef, PullState, RepoRef,
};

use super::promise::{at_once, promises};
use super::sample::HOSTILE;
use crate::fake::{FakeForge, ForgeApi, ForgeFault};

/// A forge, and clients of it.
#[async_trait]
pub trait ForgeFixture: Send + Sync + 'static {
    /// The forge, with nothing in it but its repository.
    fn forge(&self) -> &FakeForge;

    /// A client that shows this token, waits no longer than some milliseconds between its tries, and
    /// does not wait itself when the forge asks for it.
    async fn client(&self, token: &str) -> (Arc<dyn IssueTracker>, Arc<dyn Forge>);

    /// The forge's own token.
    fn token(&self) -> String;
}

promises! {
    /// Makes a test of each promise of [`IssueTracker`](kugetsu_core::IssueTracker) and
    /// [`Forge`](kugetsu_core::Forge). The argument is a
    /// [`ForgeFixture`](crate::suite::ForgeFixture).
    macro forge_conformance of forges for dyn ForgeFixture ($);

    from self {
        an_issue_comes_with_all_that_was_said_about_it,
        texts_come_as_they_were_written,
        it_is_told_who_wrote_something,
        what_is_not_there_is_told_by_its_name,
        a_wrong_token_is_told_and_not_shown,
        a_comment_is_written_once,
        a_comment_whose_answer_was_lost_is_written_once,
        a_mark_of_somebody_else_holds_no_comment_back,
        of_many_who_comment_under_one_key_one_does,
        a_pull_request_is_open_merged_or_closed,
        a_pull_request_is_opened_once,
        a_pull_request_whose_answer_was_lost_is_opened_once,
        the_pull_request_of_a_copy_is_another_one,
        what_passes_is_waited_out,
        nothing_is_asked_while_it_is_forbidden,
        no_token_goes_to_another_server,
        rubbish_is_told_as_a_fault,
    }
}

type Clients = (Arc<dyn IssueTracker>, Arc<dyn Forge>);

async fn clients(f: &dyn ForgeFixture) -> Clients {
    f.client(&f.token()).await
}

fn repository(f: &dyn ForgeFixture) -> RepoRef {
    let text = format!("{}/acme/widgets", f.forge().host());
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn issue(f: &dyn ForgeFixture, number: u64) -> IssueRef {
    IssueRef::new(repository(f), number).unwrap_or_else(|| panic!("no issue has the number 0"))
}

fn pull(f: &dyn ForgeFixture, number: u64) -> PullRef {
    PullRef::new(repository(f), number).unwrap_or_else(|| panic!("no pull has the number 0"))
}

fn fine<T>(done: Result<T, ForgeError>) -> T {
    done.unwrap_or_else(|error| panic!("the forge failed: {error}"))
}

async fn an_issue_comes_with_all_that_was_said_about_it(f: &dyn ForgeFixture) {
    let forge = f.forge();
    forge.set_page(7);
    forge.open_issue(42, "ada", "It crashes", "On empty input.");
    forge.label(42, "bug");
    forge.label(42, "needs care: é");
    for number in 0..45 {
        forge.say(42, "ada", &format!("comment {number}"));
        if number % 10 == 0 {
            forge.note(42, "changed the description");
        }
    }
    forge.open_issue(43, "ada", "Another one", "");
    forge.close_issue(43);
    let (tracker, _) = clients(f).await;
    let found = fine(tracker.fetch(&issue(f, 42)).await);
    assert_eq!((found.title.as_str(), found.text.as_str()), ("It crashes", "On empty input."));
    assert!(found.open && found.issue == issue(f, 42));
    assert_eq!(found.labels, ["bug", "needs care: é"]);
    assert!(found.address.starts_with(forge.url()), "{}", found.address);
    let said: Vec<&str> = found.comments.iter().map(|comment| comment.text.as_str()).collect();
    let all: Vec<String> = (0..45).map(|number| format!("comment {number}")).collect();
    assert_eq!(said, all, "all of it, in order, and nothing that the forge itself notes");
    // 2026-01-02T03:04:05Z
    assert_eq!(found.comments[0].at.as_millis() / 1000, 1_767_323_045);
    let other = fine(tracker.fetch(&issue(f, 43)).await);
    assert!(!other.open && other.text.is_empty() && other.comments.is_empty());
}

async fn texts_come_as_they_were_written(f: &dyn ForgeFixture) {
    let forge = f.forge();
    let (tracker, _) = clients(f).await;
    for (number, text) in HOSTILE.iter().enumerate() {
        let number = number as u64 + 1;
        forge.open_issue(number, "ada", text, text);
        forge.say(number, "ada", text);
        let found = fine(tracker.fetch(&issue(f, number)).await);
        assert_eq!(found.title, *text);
        assert_eq!(found.text, *text);
        assert_eq!(found.comments[0].text, *text);
    }
}

async fn it_is_told_who_wrote_something(f: &dyn ForgeFixture) {
    let forge = f.forge();
    forge.associate("mel", Association::Member);
    forge.associate("cal", Association::Collaborator);
    let owner = if forge.api() == ForgeApi::Gitea { "acme" } else { "oli" };
    forge.associate(owner, Association::Owner);
    forge.open_issue(1, "mel", "title", "text");
    for name in ["cal", owner, "eve", "eve", "name with / and ?"] {
        forge.say(1, name, "words");
    }
    // Our own account may be a member itself, or not.
    for own in [Association::Stranger, Association::Member] {
        forge.associate(FakeForge::ACCOUNT, own);
        let before = forge.requests().len();
        let (tracker, _) = clients(f).await;
        let found = fine(tracker.fetch(&issue(f, 1)).await);
        assert_eq!(
            (found.author.name.as_str(), found.author.association),
            ("mel", Association::Member)
        );
        let authors: Vec<_> = found.comments.iter().map(|comment| &comment.author).collect();
        // At GitLab both are developers of the project.
        assert!(matches!(authors[0].association, Association::Member | Association::Collaborator));
        assert_eq!(authors[1].association, Association::Owner);
        for stranger in &authors[2..] {
            assert_eq!(stranger.association, Association::Stranger, "{}", stranger.name);
        }
        let mut paths: Vec<_> = forge.requests()[before..].iter().map(|r| r.path.clone()).collect();
        paths.sort_unstable();
        assert!(
            paths.windows(2).all(|pair| pair[0] != pair[1]),
            "nothing is asked twice: {paths:?}"
        );
    }
}

async fn what_is_not_there_is_told_by_its_name(f: &dyn ForgeFixture) {
    let (tracker, forge) = clients(f).await;
    let missing = issue(f, 99);
    for error in [
        tracker.fetch(&missing).await.err(),
        tracker.comment(&missing, "key", "words").await.err(),
        forge.pull_request(&pull(f, 99)).await.err(),
    ] {
        let error = error.unwrap_or_else(|| panic!("it is not there"));
        assert!(matches!(error, ForgeError::NotFound { .. }), "{error}");
        assert!(error.to_string().contains("99"), "{error}");
    }
    if f.forge().api() != ForgeApi::GitLab {
        f.forge().open_pull(8, "fix", false);
        let error = tracker.fetch(&issue(f, 8)).await.err();
        let told = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("pull request"), "of a pull request's number it is told {told:?}");
    }
}

async fn a_wrong_token_is_told_and_not_shown(f: &dyn ForgeFixture) {
    f.forge().open_issue(1, "ada", "title", "text");
    let (tracker, _) = f.client("a-wrong-token").await;
    let error = tracker.fetch(&issue(f, 1)).await.err();
    let error = error.unwrap_or_else(|| panic!("nobody is let in with a wrong token"));
    assert!(matches!(error, ForgeError::Denied { .. }), "{error}");
    // A server may repeat what it was shown.
    let said = r#"{"message":"a-wrong-token is no token"}"#.to_owned();
    f.forge().fail_next(ForgeFault::Answer(401, Vec::new(), said));
    for error in [Some(error), tracker.fetch(&issue(f, 1)).await.err()].into_iter().flatten() {
        let told = format!("{error} {error:?} {tracker:?}");
        assert!(!told.contains("a-wrong-token"), "{told}");
    }
}

async fn a_comment_is_written_once(f: &dyn ForgeFixture) {
    f.forge().set_page(2);
    f.forge().open_issue(1, "ada", "title", "text");
    let (tracker, _) = clients(f).await;
    let text = "Done.\n\n`<b>` & \u{1f319} <!-- kugetsu:0 -->";
    let first = fine(tracker.comment(&issue(f, 1), "task-1", text).await);
    for number in 0..5 {
        f.forge().say(1, "ada", &format!("thanks {number}"));
    }
    let again = fine(tracker.comment(&issue(f, 1), "task-1", text).await);
    assert_eq!(first, again);
    assert!(first.starts_with(f.forge().url()), "{first}");
    let (other, _) = clients(f).await;
    assert_eq!(fine(other.comment(&issue(f, 1), "task-1", "other words").await), first);
    assert_eq!(f.forge().said(1).len(), 6);
    let second = fine(tracker.comment(&issue(f, 1), "task-2", text).await);
    assert_ne!(first, second);
    let said = f.forge().said(1);
    assert_eq!(said.len(), 7);
    assert!(said[0].1.starts_with("Done.\n\n`<b>` & \u{1f319}"), "{:?}", said[0].1);
    assert!(!said[0].1.contains("task-1"), "the key is nobody's business: {:?}", said[0].1);
}

async fn a_comment_whose_answer_was_lost_is_written_once(f: &dyn ForgeFixture) {
    let cuts = (0..300).map(ForgeFault::Cut);
    let (tracker, _) = clients(f).await;
    for (number, fault) in (1000..).zip(cuts.chain([ForgeFault::LoseAnswer])) {
        f.forge().open_issue(number, "ada", "title", "text");
        f.forge().fail_next_write(fault.clone());
        let address = fine(tracker.comment(&issue(f, number), "key", "words").await);
        let again = fine(tracker.comment(&issue(f, number), "key", "words").await);
        assert_eq!(address, again, "{fault:?}");
        assert_eq!(f.forge().said(number).len(), 1, "{fault:?}");
    }
    // What was not done is not taken for done.
    f.forge().open_issue(50, "ada", "title", "text");
    f.forge().fail_next_write(ForgeFault::status(500));
    let failed = tracker.comment(&issue(f, 50), "key", "words").await;
    assert!(failed.is_err_and(|error| error.retry().is_possible()));
    fine(tracker.comment(&issue(f, 50), "key", "words").await);
    assert_eq!(f.forge().said(50).len(), 1);
}

async fn a_mark_of_somebody_else_holds_no_comment_back(f: &dyn ForgeFixture) {
    let (tracker, _) = clients(f).await;
    f.forge().open_issue(1, "ada", "title", "text");
    fine(tracker.comment(&issue(f, 1), "key", "words").await);
    let ours = f.forge().said(1)[0].1.clone();
    f.forge().open_issue(2, "eve", "title", "text");
    f.forge().say(2, "eve", &ours);
    fine(tracker.comment(&issue(f, 2), "key", "words").await);
    assert_eq!(f.forge().said(2).len(), 2);
}

async fn of_many_who_comment_under_one_key_one_does(f: &dyn ForgeFixture) {
    let (tracker, _) = clients(f).await;
    f.forge().open_issue(1, "ada", "title", "text");
    let issue = issue(f, 1);
    let work = (0..8).map(|_| {
        let (tracker, issue) = (Arc::clone(&tracker), issue.clone());
        async move { fine(tracker.comment(&issue, "key", "words").await) }
    });
    let addresses = at_once(work).await;
    assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(f.forge().said(1).len(), 1);
}

async fn a_pull_request_is_open_merged_or_closed(f: &dyn ForgeFixture) {
    let (_, forge) = clients(f).await;
    f.forge().open_pull(8, "fix/issue-7", false);
    for state in [PullState::Open, PullState::Merged, PullState::Closed] {
        f.forge().set_pull(8, state);
        let found = fine(forge.pull_request(&pull(f, 8)).await);
        assert_eq!(found.state, state);
        assert_eq!((found.head.as_str(), found.base.as_str()), ("fix/issue-7", "main"));
        assert_eq!(found.title, "Pull 8");
        assert_eq!(found.address.parse::<PullRef>().ok(), Some(pull(f, 8)), "{}", found.address);
    }
}

async fn a_pull_request_is_opened_once(f: &dyn ForgeFixture) {
    let (_, forge) = clients(f).await;
    let mut wanted = Proposal::new(repository(f), "fix/issue-7", "Mend the crash");
    wanted.text = String::from("It crashed on \"empty\" input.");
    let first = fine(forge.propose(&wanted).await);
    assert_eq!((first.state, first.base.as_str()), (PullState::Open, "main"));
    let (_, other) = clients(f).await;
    assert_eq!(fine(other.propose(&wanted).await), first);
    let (count, last) = f.forge().pulls();
    assert_eq!(count, 1);
    // Not every forge refuses a second one, so that one looks before it is asked for.
    let posts = f.forge().requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 1);
    let said = ["Mend the crash", "It crashed on \"empty\" input.", "fix/issue-7", "main"];
    assert_eq!(last.map(Vec::from), Some(said.map(str::to_owned).to_vec()));
    // One that is over is no longer the branch's.
    f.forge().set_pull(first.pull.number(), PullState::Closed);
    let second = fine(forge.propose(&wanted).await);
    assert_ne!(first.pull, second.pull);
}

async fn a_pull_request_whose_answer_was_lost_is_opened_once(f: &dyn ForgeFixture) {
    let (_, forge) = clients(f).await;
    for (number, fault) in
        (0..500).step_by(9).map(ForgeFault::Cut).chain([ForgeFault::LoseAnswer]).enumerate()
    {
        let wanted = Proposal::new(repository(f), format!("fix/{number}"), "Mend it");
        f.forge().fail_next_write(fault);
        let made = fine(forge.propose(&wanted).await);
        assert_eq!(fine(forge.propose(&wanted).await), made);
        assert_eq!(f.forge().pulls().0, number + 1);
    }
}

async fn the_pull_request_of_a_copy_is_another_one(f: &dyn ForgeFixture) {
    let (_, forge) = clients(f).await;
    f.forge().set_page(2);
    for number in 1..6 {
        f.forge().open_pull(number, "fix/issue-7", true);
    }
    let made = fine(forge.propose(&Proposal::new(repository(f), "fix/issue-7", "Mend it")).await);
    assert_eq!(made.pull.number(), 6);
    let again = Proposal::new(repository(f), "fix/issue-7", "Mend it");
    assert_eq!(fine(forge.propose(&again).await).pull.number(), 6);
}

async fn what_passes_is_waited_out(f: &dyn ForgeFixture) {
    let (tracker, _) = clients(f).await;
    f.forge().open_issue(1, "ada", "title", "text");
    for fault in [
        ForgeFault::status(502),
        ForgeFault::status(500),
        ForgeFault::LoseAnswer,
        ForgeFault::Cut(9),
    ] {
        f.forge().fail_next(fault);
        assert_eq!(fine(tracker.fetch(&issue(f, 1)).await).title, "title");
    }
    let before = f.forge().requests().len();
    for _ in 0..20 {
        f.forge().fail_next(ForgeFault::status(503));
    }
    let error = tracker.fetch(&issue(f, 1)).await.err();
    assert!(error.is_some_and(|error| error.retry().is_possible()));
    assert!(f.forge().requests().len() - before <= 5, "nobody is asked without end");
}

async fn nothing_is_asked_while_it_is_forbidden(f: &dyn ForgeFixture) {
    let (tracker, forge) = clients(f).await;
    f.forge().open_issue(1, "ada", "title", "text");
    f.forge().fail_next(ForgeFault::limit(600));
    let limited = |error: Option<ForgeError>| match error {
        Some(ForgeError::Limited { wait_millis, .. }) => wait_millis,
        other => panic!("it is a limit, and not {other:?}"),
    };
    let wait = limited(tracker.fetch(&issue(f, 1)).await.err());
    assert!((590_000..=600_000).contains(&wait), "{wait}");
    let before = f.forge().requests().len();
    limited(tracker.fetch(&issue(f, 1)).await.err());
    limited(tracker.comment(&issue(f, 1), "key", "words").await.err());
    limited(forge.pull_request(&pull(f, 1)).await.err());
    assert_eq!(f.forge().requests().len(), before);
}

async fn no_token_goes_to_another_server(f: &dyn ForgeFixture) {
    let elsewhere = FakeForge::start(f.forge().api(), "other").await;
    let elsewhere = elsewhere.unwrap_or_else(|error| panic!("{error}"));
    f.forge().open_issue(1, "ada", "title", "text");
    let (tracker, _) = clients(f).await;
    let root = format!("{}{}", elsewhere.url(), elsewhere.api().root());
    f.forge().fail_next(ForgeFault::redirect(format!("{root}/issues")));
    assert!(tracker.fetch(&issue(f, 1)).await.is_err());
    // The next page of a list may stand anywhere, too. What is asked for first is the account.
    let own = format!("{}{}", f.forge().url(), f.forge().api().root());
    let beside = format!("{}/another/program", f.forge().url());
    let climbing = format!("{own}/../../another/program");
    let account = format!(r#"{{"login":"{0}","username":"{0}"}}"#, FakeForge::ACCOUNT);
    for next in [format!("{root}/more"), beside, climbing] {
        let link = vec![("link".to_owned(), format!("<{next}>; rel=\"next\""))];
        let (tracker, _) = clients(f).await;
        f.forge().fail_next(ForgeFault::Answer(200, Vec::new(), account.clone()));
        f.forge().fail_next(ForgeFault::Answer(200, link, "[]".to_owned()));
        assert!(tracker.comment(&issue(f, 1), "key", "words").await.is_err(), "{next}");
    }
    let strayed = f.forge().requests().iter().any(|request| request.path.contains("another"));
    assert!(!strayed, "what is beside the API was asked");
    assert_eq!(elsewhere.requests(), [], "another server was asked");
    assert_eq!(f.forge().said(1), []);
}

async fn rubbish_is_told_as_a_fault(f: &dyn ForgeFixture) {
    let (tracker, forge) = clients(f).await;
    f.forge().open_issue(1, "ada", "title", "text");
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "<html>",
        "null",
        "[]",
        "{}",
        "7",
        "{\"title\":7}",
        "\u{0}",
        deep.as_str(),
        "{\"number\":-1}",
    ] {
        f.forge().fail_next(ForgeFault::Answer(200, Vec::new(), body.to_owned()));
        let error = tracker.fetch(&issue(f, 1)).await.err();
        assert!(matches!(error, Some(ForgeError::Backend { .. })), "{body:?}: {error:?}");
        f.forge().fail_next(ForgeFault::Answer(200, Vec::new(), body.to_owned()));
        let error = forge.pull_request(&pull(f, 1)).await.err();
        assert!(matches!(error, Some(ForgeError::Backend { .. })), "{body:?}: {error:?}");
    }
}
