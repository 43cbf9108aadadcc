//! Sinks and a Telegram bot beside the daemon, with the real opencode and a Bot API on loopback.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kugetsu_testkit::fake::FakeBotApi;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::daemon::{Daemon, enqueue};
use super::house::{House, finish, issue};

const TOKEN: &str = "123456:AAhunter2-secret";
const FRIEND: i64 = 42;
const STRANGER: i64 = 7;

fn configure(house: &House, sinks: &str) {
    fs::write(house.directory().join("config.toml"), sinks).unwrap();
    let path = house.directory().join("env/default.env");
    fs::write(&path, format!("export PHONE_TOKEN=\"{TOKEN}\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn phone(api: &FakeBotApi) -> String {
    // Nothing but what was asked for goes into the chat.
    format!(
        "[notify.phone]\nkind = \"telegram\"\ntoken_env = \"PHONE_TOKEN\"\nchats = [{FRIEND}]\n\
         types = []\nserver = \"{}\"\n",
        api.url()
    )
}

/// Every file below that holds the text, but for this one.
fn holding(directory: &Path, text: &[u8], but: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, text, but));
        } else if kind.is_file() && path != but {
            let bytes = fs::read(&path).unwrap_or_default();
            if bytes.windows(text.len()).any(|part| part == text) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing_and_an_allowed_chat_delegates_and_gets_the_outcome() {
    let house = House::new().await;
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    configure(&house, &phone(&api));
    let daemon = Daemon::start(&house).await;
    for text in ["/status", "/delegate MODEL: say stolen", "MODEL: say stolen", "/start"] {
        api.write(STRANGER, text);
    }
    api.push(|id| {
        json!({"message": {
            "message_id": id, "date": 1, "text": "/delegate MODEL: say stolen",
            "from": {"id": FRIEND, "is_bot": false, "first_name": "x"},
            "chat": {"id": -100, "type": "supergroup", "title": "x"},
        }})
    });
    api.write(FRIEND, "/delegate MODEL: say The plan stands.");
    api.until(|sent, _| sent.len() == 2).await;
    api.write(FRIEND, "MODEL: say Just talking.");
    api.until(|sent, _| sent.len() == 4).await;
    // Who names an issue in full has its own agent do it.
    api.write(FRIEND, &format!("/delegate {}: mend it\nMODEL: say Mended.", issue(1)));
    api.until(|sent, _| sent.len() == 6).await;
    api.write(FRIEND, "/status");
    api.write(FRIEND, "/queue");
    api.write(FRIEND, "/help");
    api.until(|sent, _| sent.len() == 9).await;
    let sent = api.sent();
    assert!(sent.iter().all(|sent| sent.chat == FRIEND), "{sent:?}");
    let begins = |index: usize, text: &str| {
        assert!(sent[index].text.starts_with(text), "{index}: {sent:?}");
    };
    begins(0, "Queued as task ");
    begins(1, "A request to the PM complete. The plan stands.");
    begins(2, "Queued as task ");
    begins(3, "A request to the PM complete. Just talking.");
    begins(4, "Queued as task ");
    begins(5, &format!("{} complete. Mended.", issue(1)));
    begins(6, "0 at work, 0 waiting.");
    begins(7, "Nothing waits.");
    begins(8, "/status");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let tasks = house.run(&["queue", "list", "--json"]).await.stdout;
    assert!(!tasks.contains("stolen"), "{tasks}");
    // A daemon that comes later does nothing of it again.
    let polls = api.polls().len();
    let daemon = Daemon::start(&house).await;
    api.until(|_, count| count > polls).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(api.sent(), sent);
    let env = house.directory().join("env/default.env");
    let leaks = holding(&house.directory(), b"hunter2", &env);
    assert_eq!(leaks, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_asks_while_the_daemon_is_killed_is_answered_once_it_is_back() {
    let house = House::new().await;
    let api = FakeBotApi::start(TOKEN).await.unwrap();
    configure(&house, &phone(&api));
    let daemon = Daemon::start(&house).await;
    api.write(FRIEND, "/delegate MODEL: gate go\nMODEL: say Done at last.");
    house.model.wait_for_in_flight(1).await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    api.write(FRIEND, "/status");
    let daemon = Daemon::start(&house).await;
    house.model.open("go");
    let is_done = |text: &str| text.contains("Done at last.");
    api.until(|sent, _| sent.iter().any(|sent| is_done(&sent.text))).await;
    api.until(|sent, _| sent.iter().any(|sent| sent.text.contains("at work"))).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let sent = api.sent();
    assert_eq!(sent.iter().filter(|sent| is_done(&sent.text)).count(), 1, "{sent:?}");
    let tasks = house.run(&["queue", "list", "--json"]).await.stdout;
    let tasks: Value = serde_json::from_str(&tasks).unwrap();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "{tasks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_tasks_are_told_in_order_and_once_while_another_sink_is_dead() {
    let house = House::new().await;
    let place = house.place("sink");
    let program = place.join("keep");
    fs::write(&program, "#!/bin/sh\ncat >>\"$1\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let kept = place.join("kept");
    configure(
        &house,
        &format!(
            "[notify.desk]\nkind = \"command\"\nprogram = [{program:?}, {kept:?}]\n\
             [notify.dead]\nkind = \"command\"\nprogram = [\"/nowhere/at/all\"]\n\
             [notify.unset]\nkind = \"telegram\"\ntoken_env = \"NOBODY\"\nchats = [1]\n"
        ),
    );
    let mut daemon = Daemon::start(&house).await;
    for number in 1..=6 {
        enqueue(&house, number, "MODEL: say done").await;
    }
    daemon.hear("completed", 6).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let lines = fs::read_to_string(kept).unwrap();
    let brought: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut keys: Vec<&str> = brought.iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 24, "{keys:?}");
    keys.dedup();
    assert_eq!(keys.len(), 24, "{keys:?}");
    for task in brought.iter().map(|one| &one["task"]) {
        let own = brought.iter().filter(|one| one["task"] == *task);
        let kinds: Vec<_> = own.map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["task_queued", "task_dequeued", "task_started", "task_completed"]);
    }
    // The inbox has the same ones in the same order.
    let listed = house.run(&["notify", "list", "--json"]).await.stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let listed: Vec<_> = listed["notices"].as_array().unwrap().iter().map(|n| &n["key"]).collect();
    assert_eq!(listed, keys);
    let log = house.run(&["queue-daemon", "logs"]).await.stdout;
    assert!(log.contains("a sink is down, its notices wait: dead could not run"), "{log}");
    assert!(log.contains("the variable NOBODY is not set"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sinks_secret_is_in_no_agents_environment_and_masked_wherever_an_agent_says_it() {
    let house = House::new().await;
    // Not by its name: nothing in it tells that it is a secret.
    let sink = "[notify.phone]\nkind = \"telegram\"\ntoken_env = \"PHONE\"\nchats = [1]\n";
    configure(&house, sink);
    fs::write(house.directory().join("env/default.env"), format!("PHONE='{TOKEN}'\n")).unwrap();
    let script = format!("MODEL: bash env > seen ;; bash echo {TOKEN} ;; say it is {TOKEN}");
    let mut start = house.kugetsu(&["start", &issue(1), &script]);
    let ran = finish(start.env("LC_PLAIN", "to be seen").spawn().unwrap()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let worktree = house.directory().join("worktrees/git.example-acme-widgets-1");
    let seen = fs::read_to_string(worktree.join("seen")).unwrap();
    assert!(seen.contains("LC_PLAIN=to be seen"), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
    assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    let listed = house.run(&["notify", "list", "--all"]).await;
    assert!(listed.stdout.contains("complete. it is "), "{listed:?}");
    assert!(!listed.stdout.contains("hunter2"), "{listed:?}");
}
