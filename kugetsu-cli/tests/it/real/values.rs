//! What agents get of the env files: the values themselves, and only where they look for them.

use std::fs;

use kugetsu_testkit::model::Role;
use rustix::process::Signal;

use super::daemon::Daemon;
use super::house::{House, finish, issue};

const VALUE: &str = "it's \"real\"\n$HOME `date` \\n ü🔑";
const PMS: &str = "the-pms-own-token";

/// Of whatever runs in the house, that which `/proc` shows in this file.
fn shown(house: &House, file: &str) -> Vec<Vec<u8>> {
    let read = |pid: &rustix::process::Pid| {
        fs::read(format!("/proc/{}/{file}", pid.as_raw_nonzero())).unwrap_or_default()
    };
    house.processes(None).iter().map(read).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn bug_8_masking_never_reaches_the_agents_own_value() {
    let house = House::new().await;
    // Nobody has set a token, and so there is none.
    let before = house.run(&["start", &issue(1), "MODEL: bash env > seen ;; say done"]).await;
    assert_eq!(before.code, Some(0), "{before:?}");
    let worktree = house.directory().join("worktrees/git.example-acme-widgets-1");
    let seen = fs::read_to_string(worktree.join("seen")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("_TOKEN="), "{seen}");

    for words in
        [&["env", "set", "GITEA_TOKEN", VALUE][..], &["env", "set", "GITEA_TOKEN", PMS, "pm-agent"]]
    {
        let set = house.run(words).await;
        assert_eq!(set.code, Some(0), "{set:?}");
    }
    // No new `init` is needed.
    let script = "MODEL: bash printf %s \"$GITEA_TOKEN\" > seen ;; bash printf %s \"$GITEA_TOKEN\"\n\
                  MODEL: say done";
    let ran = house.run(&["start", "--json", &issue(1), script]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fs::read_to_string(worktree.join("seen")).unwrap(), VALUE);
    let asked = house.model.requests();
    let mut heard =
        asked.last().unwrap().messages.iter().filter(|message| message.role == Role::Tool);
    assert!(heard.next_back().unwrap().text.contains(VALUE), "the agent was told something else");
    assert!(ran.stdout.contains("***MASKED***"), "{ran:?}");
    assert!(!ran.stdout.contains("`date`") && !ran.stderr.contains("`date`"), "{ran:?}");

    // The PM's own comes over that of everybody, and neither is in anybody's arguments.
    let daemon = Daemon::start(&house).await;
    let asks = ["delegate", "--wait", "What is open?\nMODEL: gate go\nMODEL: say Nothing is."];
    let asking = house.kugetsu(&asks).spawn().unwrap();
    house.model.wait_for_in_flight(1).await;
    let environments = shown(&house, "environ");
    let arguments = shown(&house, "cmdline");
    house.model.open("go");
    let asked = finish(asking).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let has =
        |value: &str| environments.iter().any(|all| holds(all, &format!("GITEA_TOKEN={value}\0")));
    assert!(has(PMS), "the PM has another value");
    assert!(!has(VALUE), "the PM has everybody's value");
    assert!(!arguments.iter().any(|all| holds(all, PMS) || holds(all, VALUE)));
}
