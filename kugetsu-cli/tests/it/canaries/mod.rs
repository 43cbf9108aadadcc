//! Forty planted secrets, an agent that tells them by every way there is, and a look into every file
//! and at everything that was shown.

mod faulty;
mod gossip;
mod receivers;
mod secrets;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kugetsu_cli::{CliRunner, Surroundings, Terminals};
use kugetsu_core::{AgentRunner as _, Cursor, EventLog as _, TaskQuery, TaskStore as _};
use kugetsu_queue::SqliteStore;
use kugetsu_queue::mask::MASKED;
use kugetsu_testkit::fake::FakeAgent;

use crate::daemon::Daemon;
use crate::desk::{Desk, Ran, initialised};

use gossip::{End, Gossip};
use receivers::{Hook, Pipe};
use secrets::{Search, Secret, planted};

/// Which of them is in kugetsu's own environment, and in no file.
const INHERITED: usize = 7;

/// One task each, and then one more in the first one's worktree.
const TASKS: usize = ENDS.len() + 1;

const ENDS: [End; 6] = [End::Done, End::Failed, End::Died, End::NeverBegun, End::Asked, End::Panic];

fn issue(number: usize) -> String {
    format!("example.com/acme/widgets#{number}")
}

/// Puts each where its user would.
fn plant(desk: &Desk, secrets: &[Secret]) {
    for (number, Secret { name, value }) in secrets.iter().enumerate() {
        if number == INHERITED {
            continue;
        }
        let file = if number % 5 == 4 { "pm-agent" } else { "default" };
        let input = format!("{value}\n");
        let words = ["env", "set", name, "-", file];
        desk.run_with(&words, input.as_bytes(), Terminals::default()).done();
    }
}

/// Everything below the directory but what holds secrets on purpose: the env files, and what agents
/// themselves have written into worktrees and the repositories behind them.
fn look(search: &mut Search, root: &Path, directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let place = path.strip_prefix(root).unwrap().display().to_string();
        if kind.is_dir() && !["worktrees", "repos"].contains(&place.as_str()) {
            look(search, root, &path);
        } else if kind.is_file() && path.extension().is_none_or(|end| end != "env") {
            search.look(&place, &fs::read(&path).unwrap());
        }
        search.look("the name of a file", place.as_bytes());
    }
}

/// What the store tells of itself: in its file a text may be broken over two pages.
fn stored(desk: &Desk) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(desk.kugetsu("kugetsu.db")).await.unwrap();
        let (mut all, mut after) = (String::new(), Cursor(0));
        loop {
            let events = store.read(after, 1000).await.unwrap();
            let Some((last, _)) = events.last() else { break };
            after = *last;
            for (_, event) in &events {
                all += &serde_json::to_string(event).unwrap();
            }
        }
        for task in store.list(&TaskQuery::all()).await.unwrap() {
            all += &serde_json::to_string(&task).unwrap();
        }
        all
    })
}

fn runner(secrets: &Arc<Vec<Secret>>, end: End) -> CliRunner {
    let (id, secrets) = (FakeAgent::new().id().clone(), Arc::clone(secrets));
    let gossip = Arc::new(Gossip { id, secrets, end });
    CliRunner::default().with_agent("fake", move |_| Ok(gossip.clone()))
}

fn tell(desk: &Desk, secrets: &Arc<Vec<Secret>>, number: usize, end: End) -> Ran {
    let runner = runner(secrets, end);
    let (issue, json) = (issue(number), number.is_multiple_of(2));
    let mut words = vec!["start", "--debug", &issue, "Tell me all."];
    words.extend(json.then_some("--json"));
    desk.run_by(runner, &words, b"", Terminals::default())
}

#[test]
fn forty_secrets_through_every_channel_come_to_light_nowhere() {
    let secrets = Arc::new(planted());
    let Secret { name, value } = &secrets[INHERITED];
    let desk = initialised().with(name, value);
    plant(&desk, &secrets);
    let (mut hook, mut pipe) = (Hook::listen(), Pipe::make(&desk.path("pipe")));
    let program = desk.path("tell");
    fs::write(&program, "#!/bin/sh\ncat >>\"$1\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    desk.run(&["env", "set", "TEAM_SECRET", key]).done();
    let sinks = format!(
        "[notify.desk]\nkind = \"command\"\nprogram = [{program:?}, {:?}]\n\
         [notify.team]\nkind = \"webhook\"\nsecret_env = \"TEAM_SECRET\"\n\
         insecure = true\nurl = \"{}\"\n",
        pipe.path(),
        hook.url()
    );
    fs::write(desk.kugetsu("config.toml"), sinks).unwrap();
    let daemon = Daemon::started(&desk, &[(name, value)]);

    let mut search = Search::of(&secrets);
    let mut shown = String::new();
    let mut show = |ran: Ran| {
        let place = ran.shown().lines().next().unwrap().to_owned();
        search.look(&place, format!("{}{}", ran.out, ran.err).as_bytes());
        shown += &ran.shown();
    };
    for (number, end) in (1..).zip(ENDS) {
        show(tell(&desk, &secrets, number, end));
    }
    // Now the worktree is there, on a branch that is called after a secret.
    show(tell(&desk, &secrets, 1, End::Done));
    // Each sink is brought the end of every task.
    let is_end = |notice: &serde_json::Value| {
        let kind = notice["kind"].as_str().or_else(|| notice["data"]["kind"].as_str());
        matches!(kind, Some("task_completed" | "task_error"))
    };
    let brought = [hook.until(TASKS, is_end), pipe.until(TASKS, is_end)];
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    let tasks = told["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), TASKS, "{told}");
    for task in tasks {
        show(desk.run(&["queue", "show", task["id"].as_str().unwrap()]));
        show(desk.run(&["queue", "show", "--json", task["id"].as_str().unwrap()]));
    }
    for number in 1..=ENDS.len() {
        for command in ["why", "logs", "context"] {
            show(desk.run(&[command, &issue(number)]));
            show(desk.run(&[command, &issue(number), "--json"]));
        }
    }
    for words in [
        &["status"][..],
        &["list", "--all"],
        &["slots"],
        &["config", "list"],
        &["queue", "list"],
        &["queue", "stats"],
        &["notify", "list", "--all"],
        &["notify"],
        &["logs"],
        &["watch", "--once"],
        &["queue-daemon", "status"],
        &["queue-daemon", "logs"],
        &["env", "list"],
        &["env", "show"],
        &["env", "show", "pm-agent"],
        &["env", "get", &secrets[0].name],
        &["doctor"],
        &["prune", "-y"],
        &["destroy", "example.com/acme/widgets#1", "-y"],
    ] {
        show(desk.run(words));
        show(desk.run(&[words, &["--json", "--debug"]].concat()));
    }
    daemon.terminate();
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    search.look("what the daemon said", said.as_bytes());
    for (bytes, sink) in brought.iter().zip(["the webhook", "the command"]) {
        search.look(sink, bytes);
        assert!(String::from_utf8_lossy(bytes).contains(MASKED), "{sink} was told nothing");
    }
    let stored = stored(&desk);
    search.look("the store", stored.as_bytes());
    look(&mut search, &desk.kugetsu(""), &desk.kugetsu(""));
    assert_eq!(search.found, [""; 0]);
    // All of it was told: each secret by each way, and masked.
    assert!(stored.matches(MASKED).count() > 40 * 12, "{}", stored.matches(MASKED).count());
    assert!(shown.matches(MASKED).count() > 40, "{shown}");
    // And who may see them does: the env files, and whoever asks for one.
    for number in [0, 9, 17, 24, 27] {
        let Secret { name, value } = &secrets[number];
        let file = if number % 5 == 4 { "pm-agent" } else { "default" };
        let got = desk.run(&["env", "get", name, file, "--reveal", "--json"]).done().json();
        assert_eq!(got["value"], *value);
    }
}

#[test]
fn what_a_person_writes_is_masked_where_it_is_shown_also_where_it_is_cut() {
    let desk = initialised();
    let secrets = planted();
    let Secret { name, value } = &secrets[12];
    desk.run(&["env", "set", name, value]).done();
    let issue = issue(1);
    // Wherever a column or a glimpse ends, it ends within the secret.
    for before in [0, 30, 60, 250] {
        let message = format!("{}{value}", "x ".repeat(before / 2));
        let id = desk.run(&["queue", "enqueue", &issue, &message]).done().out;
        for words in [
            &["queue", "list"][..],
            &["queue", "list", "--json"],
            &["queue", "show", id.trim()],
            &["queue", "show", id.trim(), "--json"],
            &["watch", "--once"],
            &["why", &issue],
            &["list", "--all"],
            &["notify", "list", "--all"],
        ] {
            let ran = desk.run(words).done();
            assert!(!ran.out.contains(&value[..8]), "{}", ran.shown());
        }
    }
    let shown = desk.run(&["watch", "--once"]).done().out;
    assert!(shown.contains("***MASK"), "{shown}");
}

/// It runs itself once more, as the process that panics.
#[test]
fn what_a_panic_says_is_masked_too() {
    const PANICS: &str = "KUGETSU_TEST_PANICS";
    let secrets = Arc::new(planted());
    let words = ["kugetsu", "start", "example.com/acme/widgets#1", "Tell me all."];
    if std::env::var_os(PANICS).is_some() {
        runner(&secrets, End::Panic).run_in(Surroundings::of_process(), words);
        return;
    }
    let desk = initialised();
    plant(&desk, &secrets);
    let Secret { name, value } = &secrets[INHERITED];
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "canaries::what_a_panic_says_is_masked_too", "--nocapture"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", desk.path("home"))
        .env("KUGETSU_DIR", desk.kugetsu(""))
        .env("KUGETSU_AGENT", "fake")
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), (PANICS, "1")])
        .env(name, value)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("kugetsu itself failed: panicked at "), "{said}");
    assert!(said.contains(MASKED), "{said}");
    let mut search = Search::of(&secrets);
    search.look("its output", &ran.stdout);
    search.look("its errors", &ran.stderr);
    assert_eq!(search.found, [""; 0]);
}
