//! Which servers there are, what they speak, and which are not spoken to.

use std::time::Duration;

use kugetsu_core::{Forge as _, ForgeError, IssueTracker as _, Proposal};
use kugetsu_forge::{BadServer, ForgeClient, ForgeKind, Token};
use kugetsu_testkit::fake::{FakeForge, ForgeApi, ForgeFault};

use crate::promises::TOKEN;

#[test]
fn bug_11_each_kind_has_its_own_api_root() {
    for (kind, server, root) in [
        (ForgeKind::GitHub, "https://github.com", "https://api.github.com"),
        (ForgeKind::GitHub, "https://github.com/", "https://api.github.com"),
        (ForgeKind::GitHub, "https://git.example.com", "https://git.example.com/api/v3"),
        (ForgeKind::Gitea, "https://git.example.com:8443/", "https://git.example.com:8443/api/v1"),
        (ForgeKind::Gitea, "https://example.com/git", "https://example.com/git/api/v1"),
        (ForgeKind::GitLab, "https://gitlab.com", "https://gitlab.com/api/v4"),
    ] {
        assert_eq!(kind.api_root(server), root);
    }
    for (host, kind) in [
        ("github.com", Some(ForgeKind::GitHub)),
        ("GitHub.com", Some(ForgeKind::GitHub)),
        ("gitlab.example.org:8443", Some(ForgeKind::GitLab)),
        ("codeberg.org", Some(ForgeKind::Gitea)),
        ("forgejo.example.org", Some(ForgeKind::Gitea)),
        ("git.example.org", None),
        ("notgithub.com", None),
    ] {
        assert_eq!(ForgeKind::of_host(host), kind, "{host}");
    }
    assert_eq!("forgejo".parse(), Ok(ForgeKind::Gitea));
    assert!("svn".parse::<ForgeKind>().is_err());
}

#[tokio::test]
async fn a_server_tells_what_it_speaks() {
    for (api, kind) in [
        (ForgeApi::GitHub, ForgeKind::GitHub),
        (ForgeApi::Gitea, ForgeKind::Gitea),
        (ForgeApi::GitLab, ForgeKind::GitLab),
    ] {
        let server = FakeForge::start(api, TOKEN).await.unwrap();
        assert_eq!(ForgeKind::detect(server.url()).await, Ok(Some(kind)));
        assert!(server.requests().iter().all(|request| request.token.is_none()));
    }
    assert_eq!(ForgeKind::detect("https://github.com").await, Ok(Some(ForgeKind::GitHub)));
    // One lets nobody look; another answers everybody in the same way, and could be anything.
    let closed = FakeForge::start(ForgeApi::Gitea, TOKEN).await.unwrap();
    let words = r#"{"message":"Only signed in user is allowed to call APIs."}"#;
    closed.fail_next(ForgeFault::Answer(403, Vec::new(), words.to_owned()));
    assert_eq!(ForgeKind::detect(closed.url()).await, Ok(Some(ForgeKind::Gitea)));
    let gate = FakeForge::start(ForgeApi::GitLab, TOKEN).await.unwrap();
    for _ in 0..3 {
        let words = r#"{"message":"Unauthorized"}"#.to_owned();
        gate.fail_next(ForgeFault::Answer(401, Vec::new(), words));
    }
    assert_eq!(ForgeKind::detect(gate.url()).await, Ok(None));
    // Nobody listens there.
    assert_eq!(ForgeKind::detect("http://localhost:9").await, Ok(None));
}

#[test]
fn a_token_is_not_sent_in_the_clear() {
    for (server, refusal) in [
        ("http://git.example.com", BadServer::Insecure),
        ("ftp://git.example.com", BadServer::Unreadable),
        ("git.example.com", BadServer::Unreadable),
        ("https://me:secret@git.example.com", BadServer::UserInfo),
        ("https://git.example.com?a=b", BadServer::Unreadable),
        ("", BadServer::Unreadable),
    ] {
        let refused = ForgeClient::new(ForgeKind::Gitea, server, None).err();
        assert_eq!(refused, Some(refusal), "{server}");
    }
    let shown = format!(
        "{:?}",
        ForgeClient::new(ForgeKind::GitHub, "https://github.com", Some(Token::new(TOKEN))).unwrap()
    );
    assert!(!shown.contains(TOKEN), "{shown}");
}

fn client(server: &FakeForge, kind: ForgeKind) -> ForgeClient {
    let client = ForgeClient::new(kind, server.url(), Some(Token::new(TOKEN))).unwrap();
    client.with_pause(Duration::from_millis(1))
}

#[tokio::test]
async fn a_short_wait_is_waited_for() {
    let server = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
    server.open_issue(1, "ada", "title", "text");
    let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
    server.fail_next(ForgeFault::limit(0));
    let client = client(&server, ForgeKind::GitHub);
    assert_eq!(client.fetch(&issue).await.unwrap().title, "title");
}

#[tokio::test]
async fn a_redirection_is_told_and_not_followed() {
    let server = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
    server.open_issue(1, "ada", "title", "text");
    let client = client(&server, ForgeKind::GitHub);
    let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
    let own = format!("{}/api/v3/repos/acme/widgets/issues/1", server.url());
    for to in [own.as_str(), "/api/v3/repos/acme/widgets/issues/1", "https://other.example/x"] {
        let before = server.requests().len();
        server.fail_next(ForgeFault::redirect(to));
        let error = client.fetch(&issue).await.unwrap_err();
        assert!(error.to_string().contains("not followed"), "{error}");
        assert!(!error.retry().is_possible());
        assert_eq!(server.requests().len() - before, 1);
    }
}

/// Whoever puts a forge below a path has that path in the addresses of its issues.
#[tokio::test]
async fn a_forge_may_be_below_a_path_of_its_host() {
    for (api, kind) in [
        (ForgeApi::GitHub, ForgeKind::GitHub),
        (ForgeApi::Gitea, ForgeKind::Gitea),
        (ForgeApi::GitLab, ForgeKind::GitLab),
    ] {
        let server = FakeForge::start(api, TOKEN).await.unwrap();
        server.open_issue(1, "ada", "title", "text");
        let address = format!("{}/git/", server.url());
        let client = ForgeClient::new(kind, &address, Some(Token::new(TOKEN))).unwrap();
        for owner in ["acme", "git/acme"] {
            let issue = format!("{}/{owner}/widgets#1", server.host()).parse().unwrap();
            assert_eq!(client.fetch(&issue).await.unwrap().title, "title");
            let repository = format!("{}/{owner}/widgets", server.host()).parse().unwrap();
            client.propose(&Proposal::new(repository, "fix/1", "Mend it")).await.unwrap();
        }
        assert_eq!(server.pulls().0, 1);
        assert!(server.requests().iter().all(|asked| asked.path.starts_with("/git/api/v")));
    }
}

#[tokio::test]
async fn whoever_never_answers_is_given_up() {
    let server = FakeForge::start(ForgeApi::Gitea, TOKEN).await.unwrap();
    server.open_issue(1, "ada", "title", "text");
    let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
    let (soon, late) = (Duration::from_millis(50), Duration::from_mins(1));
    for _ in 0..3 {
        server.fail_next(ForgeFault::Silence);
    }
    let hasty = client(&server, ForgeKind::Gitea).with_limits(soon, late);
    let error = hasty.fetch(&issue).await.unwrap_err();
    assert!(error.to_string().contains("no answer") && error.retry().is_possible(), "{error}");
    assert_eq!(server.requests().len(), 3);
    // The call as a whole has its end, too.
    server.fail_next(ForgeFault::Silence);
    let short = client(&server, ForgeKind::Gitea).with_limits(late, soon);
    let error = short.fetch(&issue).await.unwrap_err();
    assert!(error.to_string().contains("longer") && error.retry().is_possible(), "{error}");
    // What was written before the silence is found, and not written again.
    server.fail_next_write(ForgeFault::Silence);
    let patient = client(&server, ForgeKind::Gitea).with_limits(Duration::from_secs(2), late);
    let address = patient.comment(&issue, "key", "words").await.unwrap();
    assert_eq!(patient.comment(&issue, "key", "words").await.unwrap(), address);
    assert_eq!(server.said(1).len(), 1);
}

#[tokio::test]
async fn a_list_goes_on_where_only_a_number_says_so() {
    let server = FakeForge::start(ForgeApi::GitLab, TOKEN).await.unwrap();
    server.open_issue(1, "ada", "title", "text");
    server.set_page(2);
    for number in 0..3 {
        server.say(1, "ada", &number.to_string());
    }
    let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
    let document = r#"{"title":"t","state":"opened","author":null}"#;
    let note = r#"[{"id":1,"body":"first page","author":null}]"#;
    let next = vec![("x-next-page".to_owned(), "2".to_owned())];
    server.fail_next(ForgeFault::Answer(200, Vec::new(), document.to_owned()));
    server.fail_next(ForgeFault::Answer(200, next, note.to_owned()));
    let found = client(&server, ForgeKind::GitLab).fetch(&issue).await.unwrap();
    let said: Vec<&str> = found.comments.iter().map(|comment| comment.text.as_str()).collect();
    assert_eq!(said, ["first page", "2"]);
}

#[tokio::test]
async fn each_way_in_which_a_forge_says_that_it_is_too_much_is_understood() {
    let now = jiff::Timestamp::now();
    let date =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
    let reset = (now.as_second() + 120).to_string();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let later = now + jiff::SignedDuration::from_secs(90);
    let later =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&later).unwrap();
    for (status, headers, seconds) in [
        (429, vec![header("retry-after", &later), header("date", &date)], 90),
        (429, vec![header("retry-after", "30")], 30),
        (403, vec![header("retry-after", "60")], 60),
        (
            403,
            vec![
                header("x-ratelimit-remaining", "0"),
                header("x-ratelimit-reset", &reset),
                header("date", &date),
            ],
            120,
        ),
        (429, vec![header("ratelimit-reset", &reset), header("date", &date)], 120),
        (429, vec![], 60),
        (429, vec![header("retry-after", "999999999")], 3600),
        (503, vec![header("retry-after", "7")], 7),
    ] {
        let server = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
        let client = ForgeClient::new(ForgeKind::GitHub, server.url(), None).unwrap();
        server.fail_next(ForgeFault::Answer(status, headers.clone(), "{}".to_owned()));
        let pull = format!("{}/acme/widgets/pull/1", server.url()).parse().unwrap();
        match client.with_patience(Duration::ZERO).pull_request(&pull).await {
            Err(ForgeError::Limited { wait_millis, .. }) => {
                assert_eq!(wait_millis.div_ceil(1000), seconds, "{status} {headers:?}");
            }
            other => panic!("{status} {headers:?}: {other:?}"),
        }
    }
    // GitHub may say it with words alone; other words are a refusal.
    for (words, is_limit) in [
        ("You have exceeded a secondary rate limit. Please wait a few minutes.", true),
        ("API rate limit exceeded for user ID 7.", true),
        ("Resource not accessible by personal access token", false),
    ] {
        let server = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
        let body = format!(r#"{{"message":"{words}"}}"#);
        server.fail_next(ForgeFault::Answer(403, Vec::new(), body));
        let pull = format!("{}/acme/widgets/pull/1", server.url()).parse().unwrap();
        let client = client(&server, ForgeKind::GitHub);
        let error = client.pull_request(&pull).await.unwrap_err();
        assert_eq!(matches!(error, ForgeError::Limited { .. }), is_limit, "{error}");
    }
}
