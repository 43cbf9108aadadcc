//! The PM with the real opencode: it answers, it delegates, it changes nothing, and it creates no
//! more than it may.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use kugetsu_testkit::model::Role;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::daemon::{Daemon, outcome, task};
use super::house::{House, contents, finish, issue};

/// Far more than anything here takes; nothing waits for it but a failing test.
const BOUND: Duration = Duration::from_mins(2);

async fn queue(house: &House) -> Vec<Value> {
    let ran = house.run(&["queue", "list", "--json"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    told["tasks"].as_array().unwrap().clone()
}

fn tool(name: &str, input: &Value) -> String {
    format!("MODEL: tool {name} {input}")
}

fn bash(command: &str) -> String {
    tool("bash", &json!({ "command": command, "description": "Tries something" }))
}

/// What the model was told of its tools in the end, in order.
fn heard(house: &House) -> Vec<String> {
    let asked = house.model.requests();
    let told = asked.last().unwrap().messages.iter().filter(|m| m.role == Role::Tool);
    told.map(|message| message.text.clone()).collect()
}

async fn until_there(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < BOUND, "{} does not come", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn end(daemon: Daemon) {
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_the_pm_reaches_whoever_has_asked() {
    let house = House::new().await;
    let daemon = Daemon::start(&house).await;
    let ran = house.run(&["delegate", "--wait", "What is open?\nMODEL: say Nothing is."]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Nothing is.\n"), "{ran:?}");
    let failed = house.run(&["delegate", "--wait", "Oh.\nMODEL: http 401"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    // It goes on when nobody waits any more.
    let late = ["delegate", "--wait=100ms", "--json", "Later?\nMODEL: gate go\nMODEL: say later"];
    let late = house.run(&late).await;
    assert_eq!(late.code, Some(75), "{late:?}");
    house.model.open("go");
    let asked = house.run(&["delegate", "--wait", "--json", "Is it #14?\nMODEL: say Which?"]).await;
    let told: Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!(told["answer"], "Which?", "{told}");
    let prompt = house.model.requests().last().unwrap().prompt().to_owned();
    assert!(prompt.contains("names #14 without saying in full"), "{prompt}");
    let tasks = queue(&house).await;
    let lanes: Vec<&str> = tasks.iter().map(outcome).collect();
    assert_eq!(lanes, ["completed", "error", "completed", "completed"], "{tasks:?}");
    let notices = house.run(&["notify", "list", "--json"]).await;
    assert!(notices.stdout.contains("Nothing is."), "{notices:?}");
    // One that names an issue goes to that issue's agent.
    let direct = format!("Please look at {}: MODEL: say looked\nMODEL: say looked", issue(3));
    let ran = house.run(&["delegate", "--wait", &direct]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "looked\n"), "{ran:?}");
    assert_eq!(queue(&house).await[4]["request"]["issue"], issue(3));
    end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pm_delegates_by_its_tools_and_by_commands() {
    let house = House::new().await;
    let daemon = Daemon::start(&house).await;
    let script = [
        tool("kugetsu_start", &json!({ "issue": issue(1), "message": "MODEL: say one" })),
        tool("kugetsu_why", &json!({ "what": issue(1) })),
        tool("kugetsu_start", &json!({ "issue": "rubbish", "message": "x" })),
        bash(&format!("kugetsu start --detach --after 1h {} 'MODEL: say two'", issue(2))),
        bash("kugetsu queue list"),
        bash("kugetsu delegate more"),
        bash("kugetsu init --force"),
        bash(&format!("kugetsu start {} now", issue(4))),
        "MODEL: say Created tasks.".to_owned(),
    ];
    let ran = house.run(&["delegate", "--wait", &script.join("\n")]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Created tasks.\n"), "{ran:?}");
    let asked = house.model.requests();
    let pm = asked.iter().rev().find(|asked| asked.directive.contains("Created tasks.")).unwrap();
    let heard: Vec<&str> =
        pm.messages.iter().filter(|m| m.role == Role::Tool).map(|m| m.text.as_str()).collect();
    assert!(heard[0].contains("\"task\":"), "{heard:#?}");
    assert!(heard[1].contains("\"gates\":"), "{heard:#?}");
    assert!(heard[2].contains("is no issue reference"), "{heard:#?}");
    assert!(heard[4].contains(&issue(1)) && heard[4].contains(&issue(2)), "{heard:#?}");
    for refused in &heard[5..8] {
        assert!(refused.contains("error: the PM's agent may not run `kugetsu"), "{refused}");
    }
    let tasks = queue(&house).await;
    assert_eq!(tasks.len(), 3, "{tasks:#?}");
    for (number, asked) in tasks[1..].iter().enumerate() {
        assert_eq!(asked["request"]["issue"], issue(number as u64 + 1));
        assert_eq!(asked["asked_by"], tasks[0]["id"], "{asked}");
    }
    end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pm_that_writes_code_changes_no_file() {
    let house = House::new().await;
    // A worktree to be tempted by.
    let ran = house.run(&["start", "--json", &issue(1), "MODEL: write a.txt old"]).await;
    let worktree = ran.worktree();
    let home = house.directory().join("home");
    let theirs = |name: &str| worktree.join(name).to_str().unwrap().to_owned();
    let attempts = [
        tool("write", &json!({ "filePath": home.join("canary"), "content": "x" })),
        tool("write", &json!({ "filePath": theirs("canary"), "content": "x" })),
        tool(
            "edit",
            &json!({ "filePath": theirs("a.txt"), "oldString": "old", "newString": "new" }),
        ),
        tool(
            "patch",
            &json!({ "patchText": "*** Begin Patch\n*** Add File: canary\n+x\n*** End Patch" }),
        ),
        tool(
            "task",
            &json!({
                "description": "write", "subagent_type": "general", "prompt": "MODEL: write canary x",
            }),
        ),
        bash("touch canary"),
        bash("> canary"),
        bash("kugetsu list > canary"),
        bash("{ kugetsu list; } > canary"),
        bash("kugetsu list | tee canary"),
        bash("kugetsu status \"$(touch canary)\""),
        bash(&format!("git -C {} commit --allow-empty -m canary", worktree.display())),
        bash(&format!("git diff --no-index --output={} /dev/null /etc/hostname", theirs("canary"))),
    ];
    let seen =
        || (contents(&home), contents(&worktree), contents(&house.directory().join("repos")));
    let before = seen();
    let daemon = Daemon::start(&house).await;
    let script = format!("{}\nMODEL: say I tried.", attempts.join("\n"));
    let ran = house.run(&["delegate", "--wait", &script]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "I tried.\n"), "{ran:?}");
    let heard = heard(&house);
    assert_eq!(heard.len(), attempts.len(), "{heard:#?}");
    for (attempt, heard) in attempts.iter().zip(&heard) {
        let is_refused = ["refused", "prevents", "unavailable", "invalid", "denied"]
            .iter()
            .any(|word| heard.contains(word));
        assert!(is_refused, "{attempt}: {heard}");
    }
    assert_eq!(seen(), before);
    end(daemon).await;
    for place in [house.directory(), house.place("")] {
        let canary = |path: &&std::path::PathBuf| path.to_string_lossy().contains("canary");
        assert_eq!(contents(&place).keys().find(canary), None);
    }
}

/// A program that opencode starts with the PM, as any tool server of the user's. What it leaves
/// behind has nothing of its environment, is nobody's child and is nowhere near the PM. It asks for
/// 30 tasks at once, and for one more when the turn is over.
const SWARM: &str = r#"#!/bin/sh
if [ "$1" != away ]; then
    case "$KUGETSU_TREE" in pm:*) ;; *) exit 0 ;; esac
    cd /
    exec setsid -f env -i PATH="$PATH" HOME="$HOME" KUGETSU_DIR="$KUGETSU_DIR" OUT="$OUT" \
        PROGRAM="$PROGRAM" "$0" away
fi
ask() {
    "$PROGRAM" start --detach --after 1h "git.example/acme/widgets#$1" more >"$OUT/$1" 2>&1
    echo $? >"$OUT/$1.code"
}
asked=
for number in $(seq 30); do ask $number & asked="$asked $!"; done
wait $asked
touch "$OUT/asked"
while ! [ -e "$OUT/over" ]; do sleep 0.05; done
ask 31
touch "$OUT/asked-again"
exec sleep 1000
"#;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_pm_starts_creates_no_more_than_the_pm_may() {
    let house = House::new().await;
    let (out, bin) = (house.place("out"), house.place("bin"));
    let swarm = bin.join("swarm");
    fs::write(&swarm, SWARM).unwrap();
    fs::set_permissions(&swarm, fs::Permissions::from_mode(0o700)).unwrap();
    let settings = json!({ "mcp": { "swarm": {
        "type": "local",
        "command": [swarm],
        "environment": { "OUT": out, "PROGRAM": env!("CARGO_BIN_EXE_kugetsu") },
    }}});
    let mut command = house.kugetsu(&["queue-daemon", "run"]);
    command.env("OPENCODE_CONFIG_CONTENT", settings.to_string());
    let daemon = Daemon::spawn(command).await;
    let asked = house.run(&["delegate", "MODEL: gate go\nMODEL: say done"]).await;
    let pm = asked.stdout.trim().to_owned();
    until_there(&out.join("asked")).await;
    let codes = |code: &str| {
        let told = (1..=30).map(|number| fs::read_to_string(out.join(format!("{number}.code"))));
        told.filter(|told| told.as_ref().unwrap().trim() == code).count()
    };
    let said: Vec<String> =
        (1..=30).map(|number| fs::read_to_string(out.join(number.to_string())).unwrap()).collect();
    assert_eq!((codes("0"), codes("1")), (20, 10), "{said:#?}");
    let refused = said.iter().filter(|said| said.contains("has asked for 20 tasks already"));
    assert_eq!(refused.count(), 10, "{said:#?}");
    house.model.open("go");
    while outcome(&task(&house, &pm).await) != "completed" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fs::write(out.join("over"), "").unwrap();
    until_there(&out.join("asked-again")).await;
    let late = fs::read_to_string(out.join("31")).unwrap();
    assert!(late.contains("turn in which this was started is over"), "{late}");
    let tasks = queue(&house).await;
    assert_eq!(tasks.iter().filter(|task| task["asked_by"] == *pm).count(), 20);
    assert_eq!(tasks.len(), 21);
    end(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_an_issue_creates_no_tasks() {
    let house = House::new().await;
    let program = env!("CARGO_BIN_EXE_kugetsu");
    let directory = house.directory();
    let script = [
        format!("{program} list"),
        format!("{program} start --detach {} more", issue(2)),
        format!(
            "env -i HOME=\"$HOME\" KUGETSU_DIR={} {program} delegate more",
            directory.display()
        ),
        format!(
            "KUGETSU_TREE=pm:{} {program} queue enqueue {} more",
            directory.display(),
            issue(2)
        ),
    ];
    let script: Vec<String> = script.iter().map(|command| bash(command)).collect();
    let ran = house.run(&["start", "--json", &issue(1), &script.join("\n")]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let heard = heard(&house);
    assert!(heard[0].contains("SESSION_ID"), "{heard:#?}");
    for refused in &heard[1..] {
        assert!(refused.contains("an agent that works on an issue may not run"), "{refused}");
    }
    assert_eq!(queue(&house).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pm_at_work_is_stopped() {
    let house = House::new().await;
    let daemon = Daemon::start(&house).await;
    let waiting = house.kugetsu(&["delegate", "--wait", "MODEL: hang"]).spawn().unwrap();
    house.model.wait_for_in_flight(1).await;
    let stopped = house.run(&["stop", "pm"]).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let waited = finish(waiting).await;
    assert_eq!(waited.code, Some(1), "{waited:?}");
    assert!(waited.stderr.contains("was cancelled"), "{waited:?}");
    let again = house.run(&["delegate", "--wait", "MODEL: say still here"]).await;
    assert_eq!(again.stdout, "still here\n", "{again:?}");

    // Whoever stops waiting stops nothing else.
    let waiting = house.kugetsu(&["delegate", "--wait", "MODEL: gate go\nMODEL: say at last"]);
    let waiting = { waiting }.spawn().unwrap();
    house.model.wait_for_in_flight(1).await;
    let pid = i32::try_from(waiting.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    let waited = finish(waiting).await;
    assert_eq!(waited.code, Some(130), "{waited:?}");
    let goes_on = queue(&house).await.pop().unwrap();
    assert_eq!(outcome(&goes_on), "none", "{goes_on}");
    house.model.open("go");

    // Its session is replaced beside a daemon that goes on.
    while house.run(&["destroy", "--pm-agent", "-y"]).await.code != Some(0) {}
    let made = house.run(&["init"]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let anew = house.run(&["delegate", "--wait", "MODEL: say anew"]).await;
    assert_eq!(anew.stdout, "anew\n", "{anew:?}");
    let tasks = queue(&house).await;
    assert!(tasks.iter().any(|task| task["state"].to_string().contains("at last")), "{tasks:?}");
    end(daemon).await;
}
