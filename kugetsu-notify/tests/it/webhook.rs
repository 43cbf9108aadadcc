use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kugetsu_core::{Clock as _, Notice, Notifier, NotifyError, Retry};
use kugetsu_notify::{BadAddress, Secret, SigningKey, WebhookNotifier};
use kugetsu_testkit::fake::ManualClock;
use kugetsu_testkit::suite::NotifierFixture;
use sha2::Sha256;

use crate::notice;
use crate::server::{Reply, Seen, Server, dead, reply};

const SECRET: &str = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==";
const KEY: &[u8] = b"hunter2hunter2hunter2hunter2";

fn webhook(url: &str) -> WebhookNotifier {
    let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
    let clock = Arc::new(ManualClock::new());
    WebhookNotifier::new("hook", url, key, "inst", clock).unwrap()
}

/// A receiver that checks what it gets, and keeps one notice of each `webhook-id`.
struct Receiver(Server);

impl Receiver {
    async fn start() -> Self {
        Self(Server::start(|seen| Some(reply(if is_signed(seen) { 204 } else { 401 }, ""))).await)
    }
}

/// As a receiver does it that has only the standard and the secret.
fn is_signed(seen: &Seen) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(seen.header("webhook-id").as_bytes());
    mac.update(b".");
    mac.update(seen.header("webhook-timestamp").as_bytes());
    mac.update(b".");
    mac.update(&seen.body);
    let signature = seen.header("webhook-signature").strip_prefix("v1,").unwrap();
    mac.verify_slice(&STANDARD.decode(signature).unwrap()).is_ok()
}

#[async_trait]
impl NotifierFixture for Receiver {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(webhook(&self.0.url))
    }

    async fn kept(&self) -> Vec<Notice> {
        let mut ids = std::collections::BTreeSet::new();
        let seen = self.0.seen().into_iter();
        let first = seen.filter(|seen| ids.insert(seen.header("webhook-id").to_owned()));
        first.map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect()
    }
}

mod promises {
    kugetsu_testkit::notifier_conformance!(super::Receiver::start().await);
}

#[tokio::test]
async fn a_notice_is_posted_as_json_and_signed() {
    let receiver = Receiver::start().await;
    let clock = Arc::new(ManualClock::new());
    let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
    let url = format!("{}/a/path?token=t", receiver.0.url);
    let hook = WebhookNotifier::new("hook", &url, key, "inst", clock.clone()).unwrap();
    hook.notify(&notice(7, "It broke.")).await.unwrap();
    let seen = receiver.0.seen().remove(0);
    assert!(is_signed(&seen));
    assert_eq!(seen.path, "/a/path?token=t");
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("webhook-id"), "inst-event-7");
    let seconds = clock.now().as_millis() / 1000;
    assert_eq!(seen.header("webhook-timestamp"), seconds.to_string());
    assert_eq!(seen.json()["kind"], "task_error");
}

async fn told(answer: impl Fn() -> Reply + Send + Sync + 'static) -> NotifyError {
    let server = Server::start(move |_| answer()).await;
    let hook = webhook(&format!("{}/secret-path?token=query-secret", server.url));
    let hook = hook.with_limit(Duration::from_secs(20));
    let error = hook.notify(&notice(1, "x")).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "one request for each notice");
    let shown = format!("{error} {error:?} {hook:?}");
    for secret in [SECRET, "hunter2", "query-secret", "secret-path"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

#[tokio::test]
async fn what_is_refused_is_told_apart_from_what_may_pass() {
    for status in [400, 401, 403, 404, 410, 413, 422] {
        let error = told(move || Some(reply(status, "secret words"))).await;
        assert!(matches!(error, NotifyError::Refused { .. }), "{status}: {error:?}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    for status in [408, 425, 429, 500, 502, 503] {
        let error = told(move || Some(reply(status, ""))).await;
        let passes = matches!(error, NotifyError::Backend { retry: Retry::Later, .. });
        assert!(passes, "{status}: {error:?}");
    }
}

#[tokio::test]
async fn whoever_says_how_long_to_wait_is_believed_up_to_an_hour() {
    let wait = async |value: &'static str| {
        let error = told(move || {
            let mut reply = reply(429, "");
            reply.headers_mut().insert("retry-after", value.parse().unwrap());
            Some(reply)
        });
        error.await.retry()
    };
    assert_eq!(wait("7").await, Retry::After { millis: 7000 });
    assert_eq!(wait("100000000").await, Retry::After { millis: 3_600_000 });
    assert_eq!(wait("Wed, 21 Oct 2099 07:28:00 GMT").await, Retry::Later);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start().await;
    for status in [301, 302, 307, 308] {
        let url = elsewhere.0.url.clone();
        let error = told(move || {
            let mut reply = reply(status, "");
            reply.headers_mut().insert("location", url.parse().unwrap());
            Some(reply)
        });
        let error = error.await;
        assert!(matches!(error, NotifyError::Backend { retry: Retry::Never, .. }), "{error:?}");
    }
    assert!(elsewhere.0.seen().is_empty());
}

#[tokio::test]
async fn a_dead_receiver_and_a_slow_one_fail_in_time_and_may_come_back() {
    let dead = webhook(&format!("{}/?token=query-secret", dead().await));
    let error = dead.notify(&notice(1, "x")).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
    assert!(error.to_string().contains("refused"), "{error}");
    let slow = Server::start(|_| None).await;
    let hook = webhook(&format!("{}/?token=query-secret", slow.url));
    let hook = hook.with_limit(Duration::from_secs(1));
    let late = hook.notify(&notice(1, "x")).await.unwrap_err();
    assert_eq!(late.retry(), Retry::Later);
    assert!(late.to_string().ends_with("there was no answer within 1 s"), "{late}");
    assert!(!format!("{error:?} {late:?}").contains("query-secret"));
}

#[tokio::test]
async fn what_has_said_yes_need_not_say_more() {
    let server = Server::start(|_| Some(reply(200, &"x".repeat(5_000_000)))).await;
    webhook(&server.url).notify(&notice(1, "x")).await.unwrap();
}

#[tokio::test]
async fn only_this_machine_is_talked_to_without_tls() {
    let open = |url: &str, insecure: bool| {
        let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
        let clock = Arc::new(ManualClock::new());
        let make = if insecure { WebhookNotifier::insecure } else { WebhookNotifier::new };
        make("hook".to_owned(), url, key, "i".to_owned(), clock).map(drop)
    };
    for url in ["http://localhost:1/x", "http://127.8.0.1/", "http://[::1]:80/"] {
        assert_eq!(open(url, false), Ok(()), "{url}");
    }
    for url in ["http://example.com/", "http://10.0.0.1/", "http://127.0.0.1.example.com/"] {
        assert_eq!(open(url, false), Err(BadAddress::Insecure), "{url}");
        assert_eq!(open(url, true), Ok(()), "{url}");
    }
    for url in ["https://user:hunter2@example.com/", "http://127.0.0.1@example.com/"] {
        assert_eq!(open(url, false), Err(BadAddress::UserInfo), "{url}");
    }
    for url in ["", "example.com", "/path", "ftp://example.com", "file:///etc/passwd", "https://"] {
        assert_eq!(open(url, true), Err(BadAddress::Unreadable), "{url}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_gets_nothing() {
    let server = Server::start(|_| Some(reply(204, ""))).await;
    let key = SigningKey::parse(&Secret::new(SECRET)).unwrap();
    let url = server.url.replace("http://", "https://");
    let hook = WebhookNotifier::new("hook", &url, key, "i", Arc::new(ManualClock::new()));
    // Where nobody's certificates are trusted, it is refused before there is anything to send.
    let error = match hook {
        Ok(hook) => hook.notify(&notice(1, "x")).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(server.seen().is_empty());
    assert!(!error.contains("hunter2"), "{error}");
}
