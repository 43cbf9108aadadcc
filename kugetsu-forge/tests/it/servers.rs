//! Which servers there are, what they speak, and which are not spoken to.

use std::time::Duration;

use kugetsu_core::{Forge as _, ForgeError, IssueTracker as _};
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

#[tokio::test]
async fn a_short_wait_is_waited_for_and_a_renamed_repository_is_followed() {
    let server = FakeForge::start(ForgeApi::GitHub, TOKEN).await.unwrap();
    server.open_issue(1, "ada", "title", "text");
    let token = Some(Token::new(TOKEN));
    let client = ForgeClient::new(ForgeKind::GitHub, server.url(), token).unwrap();
    let client = client.with_pause(Duration::from_millis(1));
    let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
    server.fail_next(ForgeFault::limit(0));
    assert_eq!(client.fetch(&issue).await.unwrap().title, "title");
    server.fail_next(ForgeFault::redirect(format!(
        "{}/api/v3/repos/acme/widgets/issues/1",
        server.url()
    )));
    assert_eq!(client.fetch(&issue).await.unwrap().title, "title");
    // A wheel of redirections ends.
    for _ in 0..20 {
        server.fail_next(ForgeFault::redirect("/api/v3/repos/acme/widgets/issues/1"));
    }
    assert!(client.fetch(&issue).await.is_err());
}

#[tokio::test]
async fn each_way_in_which_a_forge_says_that_it_is_too_much_is_understood() {
    let now = jiff::Timestamp::now();
    let date =
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
    let reset = (now.as_second() + 120).to_string();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (status, headers, seconds) in [
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
}

/// A server whose certificate nobody has signed is not spoken to.
#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_gets_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        let mut heard = Vec::new();
        let (stream, _) = listener.accept().await.unwrap();
        // It answers in the clear, as if TLS had never been asked for.
        stream.readable().await.unwrap();
        let mut buffer = [0; 4096];
        if let Ok(read) = stream.try_read(&mut buffer) {
            heard.extend_from_slice(&buffer[..read]);
        }
        let _ = stream.try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        heard
    }));
    let server = format!("https://localhost:{port}");
    let client = ForgeClient::new(ForgeKind::Gitea, &server, Some(Token::new(TOKEN))).unwrap();
    let client = client.with_pause(Duration::from_millis(1));
    let pull = format!("localhost:{port}/acme/widgets!1").parse().unwrap();
    assert!(client.pull_request(&pull).await.is_err());
    let heard = serving.await.unwrap();
    let has_token = heard.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
    assert!(!heard.is_empty() && !has_token);
}
