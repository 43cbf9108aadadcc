//! Notices: read on the command line, and brought to the sinks that the settings describe.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use kugetsu_testkit::fake::FakeBotApi;
use tokio::runtime::Runtime;

use crate::desk::{Desk, ISSUE, initialised};

const TOKEN: &str = "123456:AAhunter2-secret";

/// A desk with these sinks, and a program that keeps what it reads.
fn with_sinks(sinks: &str) -> Desk {
    let desk = initialised();
    std::fs::write(desk.kugetsu("config.toml"), sinks).unwrap();
    let program = desk.path("tell");
    let script =
        "#!/bin/sh\n[ \"$1\" = refuse ] && { echo not for me >&2; exit 65; }\ncat >>\"$1\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    desk
}

fn variable(desk: &Desk, name: &str, value: &str) {
    let line = format!("export {name}=\"{value}\"\n");
    std::fs::write(desk.kugetsu("env/default.env"), line).unwrap();
}

#[test]
fn notices_are_listed_without_a_daemon_until_they_are_marked_as_read() {
    let desk = initialised();
    let mut seen = desk.transcript(&[&["notify", "list"], &["notify", "clear"]]);
    seen.push('\n');
    desk.run(&["start", ISSUE, "MODEL: say hello\u{1b}[2J there"]).done();
    seen.push_str(&desk.transcript(&[
        &["notify"],
        &["notify", "clear"],
        &["notify", "list"],
        &["notify", "list", "--all"],
    ]));
    desk.assert("notify", &seen);
    assert!(!seen.contains('\u{1b}'));
}

#[test]
fn what_came_after_the_list_stays_unread() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say one"]).done();
    let listed = desk.run(&["notify", "list", "--json"]).done().json();
    let listed = listed["notices"].as_array().unwrap().len();
    desk.run(&["continue", ISSUE, "MODEL: say two"]).done();
    // Somebody else's look brings the inbox up to date.
    let cleared = desk.run(&["notify", "clear", "--json"]).done().json();
    assert_eq!(cleared["cleared"], listed);
    let left = desk.run(&["notify", "list", "--json"]).done().json();
    let left = left["notices"].as_array().unwrap().clone();
    let kinds: Vec<_> = left.iter().map(|notice| notice["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["task_queued", "task_dequeued", "task_started", "task_completed"]);
    assert!(left[3]["text"].as_str().unwrap().contains("two"), "{left:?}");
    desk.run(&["notify", "clear"]).done();
    let left = desk.run(&["notify", "list", "--json"]).done().json();
    assert_eq!(left["notices"], serde_json::json!([]));
}

#[test]
fn whoever_never_looked_clears_everything() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say one"]).done();
    let cleared = desk.run(&["notify", "clear", "--json"]).done().json();
    assert_eq!(cleared, serde_json::json!({ "cleared": 4, "unread": 0 }));
}

#[test]
fn a_sink_is_tested_and_says_what_comes_of_it() {
    let desk = with_sinks("");
    let (tell, kept) = (desk.path("tell"), desk.path("kept"));
    let program = |words: &str| format!("kind = \"command\"\nprogram = [{words}]\n");
    let mut sinks = format!("[notify.desk]\n{}", program(&format!("{tell:?}, {kept:?}")));
    sinks.push_str("types = [\"task_error\"]\nseverity = \"warning\"\n");
    let _ = write!(sinks, "[notify.picky]\n{}", program(&format!("{tell:?}, \"refuse\"")));
    let _ = write!(sinks, "[notify.gone]\n{}", program("\"/nowhere/at/all\""));
    sinks.push_str("[notify.team]\nkind = \"webhook\"\nsecret_env = \"TEAM_SECRET\"\n");
    sinks.push_str("url = \"https://example.com/hidden?token=hidden\"\n");
    std::fs::write(desk.kugetsu("config.toml"), sinks).unwrap();
    let seen = desk.transcript(&[
        &["notify", "sinks"],
        &["notify", "test", "desk"],
        &["notify", "test", "picky"],
        &["notify", "test", "gone"],
        &["notify", "test", "team"],
        &["notify", "test", "nobody"],
    ]);
    desk.assert("notify-sinks", &seen);
    assert!(!seen.contains("hidden"), "{seen}");
    let kept = std::fs::read_to_string(kept).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert!(kept["text"].as_str().unwrap().contains("test of the sink desk"), "{kept}");
    let sinks = desk.run(&["notify", "sinks", "--json"]).done().json();
    assert_eq!(sinks["sinks"][0]["types"], serde_json::json!(["task_error"]));
}

#[test]
fn a_telegram_chat_is_tested_and_the_token_is_shown_nowhere() {
    let runtime = Runtime::new().unwrap();
    let api = runtime.block_on(FakeBotApi::start(TOKEN)).unwrap();
    let desk = with_sinks(&format!(
        "[notify.phone]\nkind = \"telegram\"\ntoken_env = \"PHONE_TOKEN\"\nchats = [42]\n\
         server = \"{}\"\n",
        api.url()
    ));
    let missing = desk.run(&["notify", "test", "phone"]);
    assert_eq!(missing.code, 78, "{}", missing.shown());
    assert!(missing.err.contains("PHONE_TOKEN is not set"), "{}", missing.shown());
    variable(&desk, "PHONE_TOKEN", TOKEN);
    desk.run(&["notify", "test", "phone"]).done();
    assert_eq!(api.sent().iter().map(|sent| sent.chat).collect::<Vec<_>>(), [42]);
    // The environment comes before the file; this bot nobody knows.
    let desk = desk.with("PHONE_TOKEN", "777:AAanother-secret");
    let refused = desk.run(&["notify", "test", "phone", "--debug"]);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    for secret in ["hunter2", "another-secret", "777"] {
        assert!(!refused.shown().contains(secret), "{}", refused.shown());
    }
}

#[test]
fn a_mistake_in_a_sink_names_file_line_and_key() {
    let desk = initialised();
    let telegram = "[notify.tg]\nkind = \"telegram\"\n";
    let webhook = "[notify.w]\nkind = \"webhook\"\nsecret_env = \"S\"\n";
    let mut seen = String::new();
    for text in [
        "notify = 1\n".to_owned(),
        "notify.x = 1\n".to_owned(),
        "[notify.x]\nprogram = [\"a\"]\n".to_owned(),
        "[notify.x]\nkind = \"pigeon\"\n".to_owned(),
        "[notify.inbox]\nkind = \"command\"\nprogram = [\"a\"]\n".to_owned(),
        "[notify.\"a b\"]\nkind = \"command\"\nprogram = [\"a\"]\n".to_owned(),
        "[notify.x]\nkind = \"command\"\nprogram = \"a b\"\n".to_owned(),
        "[notify.x]\nkind = \"command\"\nprogram = []\n".to_owned(),
        "[notify.x]\nkind = \"command\"\nprogram = [\"a\"]\nshell = true\n".to_owned(),
        format!("{telegram}token_env = \"T\"\nchats = [\"@boss\"]\n"),
        format!("{telegram}token_env = \"123456:AAhunter2\"\nchats = [1]\n"),
        format!("{telegram}token = \"123456:AAhunter2\"\nchats = [1]\n"),
        format!("{webhook}url = \"https://me:hunter2@example.com/\"\ntypes = [\"task_done\"]\n"),
        format!("{webhook}url = \"https://example.com/\"\nseverity = \"bad\"\n"),
    ] {
        std::fs::write(desk.kugetsu("config.toml"), &text).unwrap();
        let ran = desk.run(&["notify", "sinks"]);
        assert_eq!(ran.code, 78, "{text}\n{}", ran.shown());
        let _ = writeln!(seen, "{}\n{}", text.trim_end(), ran.err);
    }
    // These are found when the sink is put together.
    for (url, secret) in [
        ("http://example.com/", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="),
        ("https://me:hunter2@example.com/", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="),
        ("https://example.com/", "hunter2"),
    ] {
        let text = format!("{webhook}url = \"{url}\"\n");
        std::fs::write(desk.kugetsu("config.toml"), text).unwrap();
        variable(&desk, "S", secret);
        let ran = desk.run(&["notify", "test", "w"]);
        assert_eq!(ran.code, 78, "{}", ran.shown());
        assert!(!ran.err.contains("hunter2"), "{}", ran.shown());
        let _ = writeln!(seen, "{}", ran.err);
    }
    desk.assert("notify-mistakes", &seen);
}
