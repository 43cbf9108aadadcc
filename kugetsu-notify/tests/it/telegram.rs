use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Notifier, NotifyError, Retry};
use kugetsu_notify::{Asked, BadAddress, Bot, ChatId, Command, Secret, TelegramNotifier};
use kugetsu_testkit::fake::FakeBotApi;
use serde_json::{Value, json};

use crate::notice;
use crate::server::{Server, dead, reply};

const TOKEN: &str = "123456:AAhunter2-secret";
const FRIEND: i64 = 42;

fn bot(url: &str) -> Bot {
    Bot::at(url, Secret::new(TOKEN)).unwrap()
}

fn allowed() -> BTreeSet<ChatId> {
    [ChatId(FRIEND), ChatId(-100)].into()
}

/// What is asked by all that has come.
async fn asked(api: &FakeBotApi) -> Vec<Option<Asked>> {
    let updates = bot(api.url()).updates(None, Duration::ZERO).await.unwrap();
    updates.iter().map(|update| update.asked(&allowed())).collect()
}

#[tokio::test]
async fn a_notice_is_a_plain_message_in_each_chat() {
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    let sink = TelegramNotifier::new("tg", bot(api.url()), [ChatId(FRIEND), ChatId(-100)]);
    sink.notify(&notice(1, "*bold* <b>x</b>\u{1b}[31m")).await.unwrap();
    let sent = api.sent();
    assert_eq!(sent.iter().map(|sent| sent.chat).collect::<Vec<_>>(), [-100, FRIEND]);
    assert_eq!(sent[0].text, "github.com/acme/widgets#1 failed: *bold* <b>x</b>[31m");
    assert!(sent[0].request.get("parse_mode").is_none());
    sink.notify(&notice(2, &"long ".repeat(2_000))).await.unwrap();
    let text = &api.sent()[2].text;
    assert!(text.ends_with("(cut)") && text.chars().count() <= 4096, "{}", text.len());
}

#[tokio::test]
async fn a_notice_that_failed_in_one_chat_is_not_repeated_in_the_others() {
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    let sink = TelegramNotifier::new("tg", bot(api.url()), [ChatId(1), ChatId(2)]);
    api.refuse(500, json!({"ok": false, "error_code": 500, "description": "Internal"}));
    assert_eq!(sink.notify(&notice(1, "x")).await.unwrap_err().retry(), Retry::Later);
    sink.notify(&notice(1, "x")).await.unwrap();
    let chats: Vec<i64> = api.sent().iter().map(|sent| sent.chat).collect();
    assert_eq!(chats, [2, 1]);
    // A chat that refuses keeps the other one from nothing, and is told.
    api.refuse(403, json!({"ok": false, "description": "Forbidden: bot was blocked by the user"}));
    let refused = sink.notify(&notice(2, "x")).await.unwrap_err();
    assert!(matches!(refused, NotifyError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("chat 1: Forbidden: bot was blocked"), "{refused}");
    assert_eq!(api.sent().len(), 3);
}

#[tokio::test]
async fn a_limit_says_when_it_ends() {
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    let parameters = json!({"retry_after": 7});
    api.refuse(429, json!({"ok": false, "description": "Too Many", "parameters": parameters}));
    let error = bot(api.url()).send(ChatId(1), "x").await.unwrap_err();
    assert_eq!(error.retry(), Retry::After { millis: 7000 });
}

#[tokio::test]
async fn no_error_tells_the_token() {
    let api = FakeBotApi::start("another").await.unwrap();
    let echo = Server::start(|seen| {
        let words = json!({"ok": false, "description": format!("no {} here", seen.path)});
        Some(reply(400, &words.to_string()))
    });
    let echo = echo.await;
    let garbage = Server::start(|seen| Some(reply(502, &seen.path))).await;
    let moved = Server::start(|seen| {
        let mut reply = reply(302, "");
        let location = format!("http://127.0.0.1:9{}", seen.path);
        reply.headers_mut().insert("location", location.parse().unwrap());
        Some(reply)
    });
    let moved = moved.await;
    let slow = Server::start(|_| None).await;
    let dead = dead().await;
    let urls = [api.url(), &echo.url, &garbage.url, &moved.url, &slow.url, &dead];
    for url in urls {
        let bot = bot(url).with_limit(Duration::from_secs(if url == slow.url { 1 } else { 20 }));
        let sink = TelegramNotifier::new("tg", bot.clone(), [ChatId(1)]);
        let error = sink.notify(&notice(1, "x")).await.unwrap_err();
        let updates = bot.updates(None, Duration::ZERO).await.unwrap_err();
        let shown = format!("{error} {error:?} {updates} {updates:?} {bot:?} {sink:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("123456"), "{shown}");
    }
    // What is no token at all does not even make a request.
    let bot = Bot::at(&echo.url, Secret::new("a b\nhunter2")).unwrap();
    let error = bot.send(ChatId(1), "x").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let here = Bot::at("http://example.com", Secret::new(TOKEN)).map(drop);
    assert_eq!(here, Err(BadAddress::Insecure));
}

#[tokio::test]
async fn updates_come_in_order_and_once_and_are_waited_for() {
    let api = Arc::new(FakeBotApi::start(TOKEN).await.unwrap());
    let bot = bot(api.url());
    assert!(bot.updates(None, Duration::ZERO).await.unwrap().is_empty());
    let (first, second) = (api.write(FRIEND, "one"), api.write(FRIEND, "two"));
    let ids = async |after| -> Vec<i64> {
        let updates = bot.updates(after, Duration::ZERO).await.unwrap();
        updates.iter().map(|update| update.id).collect()
    };
    assert_eq!(ids(None).await, [first, second]);
    assert_eq!(ids(Some(first)).await, [second]);
    assert_eq!(ids(Some(second)).await, [0; 0]);
    let polls = api.polls().len();
    let waiting = {
        let bot = bot.clone();
        tokio::spawn(async move { bot.updates(Some(second), Duration::from_secs(50)).await })
    };
    api.until(|_, count| count > polls).await;
    let third = api.write(FRIEND, "three");
    let updates = waiting.await.unwrap().unwrap();
    assert_eq!(updates.iter().map(|update| update.id).collect::<Vec<_>>(), [third]);
}

#[tokio::test]
async fn whoever_may_ask_is_understood() {
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    let delegated = |text: &str| Command::Delegate(text.to_owned());
    let plain = |text: &str| Command::Plain(text.to_owned());
    let wanted = [
        ("/status", Command::Status),
        (" /Status@kugetsu_bot now", Command::Status),
        ("/queue", Command::Queue),
        ("/delegate Fix acme/widgets#1,\nplease.", delegated("Fix acme/widgets#1,\nplease.")),
        ("/delegate@kugetsu_bot\nFix it.", delegated("Fix it.")),
        ("/delegate", Command::Help),
        ("/start", Command::Help),
        ("/help", Command::Help),
        ("/rm -rf", Command::Help),
        ("/", Command::Help),
        ("How is it going?", plain("How is it going?")),
        ("a /status", plain("a /status")),
    ];
    for (text, _) in &wanted {
        api.write(FRIEND, text);
    }
    for (found, (text, command)) in asked(&api).await.into_iter().zip(wanted) {
        let found = found.expect(text);
        assert_eq!((found.chat, found.command), (ChatId(FRIEND), command), "{text}");
    }
}

#[tokio::test]
async fn strangers_groups_and_what_was_not_typed_here_and_now_get_nothing() {
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    let person =
        |id: i64| json!({"id": id, "is_bot": false, "first_name": "x", "username": "boss"});
    let private = |id: i64| json!({"id": id, "type": "private"});
    let message = |from: Value, chat: Value| json!({"from": from, "chat": chat, "text": "/status"});
    let with = |field: &str, value: Value| {
        let mut message = message(person(FRIEND), private(FRIEND));
        message[field] = value;
        message
    };
    let group = |kind: &str| json!({"id": -100, "type": kind});
    let mut bot = person(FRIEND);
    bot["is_bot"] = json!(true);
    let mut nobody = message(person(FRIEND), private(FRIEND));
    nobody.as_object_mut().unwrap().remove("from");
    let refused = [
        message(person(7), private(7)),
        message(person(7), private(FRIEND)),
        message(person(FRIEND), private(7)),
        message(person(FRIEND), group("group")),
        message(person(FRIEND), group("supergroup")),
        message(person(FRIEND), group("channel")),
        message(person(FRIEND), json!({"id": FRIEND, "type": "group"})),
        message(json!({"id": "42", "first_name": "x"}), private(FRIEND)),
        message(bot, private(FRIEND)),
        nobody,
        with("forward_origin", json!({"type": "user"})),
        with("forward_from", person(7)),
        with("forward_date", json!(1)),
        with("edit_date", json!(1)),
        with("sender_chat", group("channel")),
        with("via_bot", person(7)),
        with("text", json!("x".repeat(4097))),
        with("text", json!(" \n")),
        with("text", json!(7)),
        with("text", Value::Null),
    ];
    let count = refused.len();
    for message in refused {
        api.push(|_| json!({"message": message}));
    }
    let whole = message(person(FRIEND), private(FRIEND));
    let kinds = ["edited_message", "channel_post", "edited_channel_post", "callback_query"];
    let kinds = kinds.into_iter().chain(["business_message", "inline_query", "my_chat_member"]);
    for kind in kinds {
        api.push(|_| json!({kind: whole}));
    }
    api.push(|_| json!({}));
    let mut found = vec![];
    let (bot, mut after) = (self::bot(api.url()), None);
    loop {
        let updates = bot.updates(after, Duration::ZERO).await.unwrap();
        let Some(last) = updates.last() else { break };
        after = Some(last.id);
        found.extend(updates.iter().map(|update| update.asked(&allowed())));
    }
    assert_eq!(found, vec![None; count + 8]);
    assert!(api.sent().is_empty());
    // The same message, untouched, would be heard.
    api.push(|_| json!({"message": whole}));
    let updates = bot.updates(after, Duration::ZERO).await.unwrap();
    assert_eq!(updates[0].asked(&allowed()).unwrap().command, Command::Status);
}
