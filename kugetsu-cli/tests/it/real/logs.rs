//! What is written down of a real agent's work.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::house::{House, contents, finish, issue};

const SECRET: &str = "hunter22/of+the team";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_tool_echoes_is_known_to_the_agent_and_written_down_nowhere() {
    let house = House::new().await;
    // As it is, cut in the middle, and in base64.
    let script = "MODEL: bash echo \"key: $TEAM_API_KEY\"\n\
                  MODEL: bash printf '%0150d %s' 7 \"$TEAM_API_KEY\"\n\
                  MODEL: bash printf %s \"me:$TEAM_API_KEY\" | base64\n\
                  MODEL: bash echo \"$TEAM_API_KEY\" && false\n\
                  MODEL: say I know it.";
    let start = |words: &[&str]| house.kugetsu(words).env("TEAM_API_KEY", SECRET).spawn().unwrap();
    let ran = finish(start(&["start", "--json", &issue(1), script])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = house.model.requests();
    let last = asked.last().unwrap();
    let knows = |text: &str| last.messages.iter().any(|message| message.text.contains(text));
    assert!(knows(&format!("key: {SECRET}")), "{last:?}");
    let again = finish(start(&["start", &issue(2), script])).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let mut seen = ran.stdout + &ran.stderr + &again.stdout + &again.stderr;
    for words in [vec!["logs".to_owned(), issue(1)], vec!["logs".into(), "--json".into()]] {
        let shown = house.run(&words).await;
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.stdout.contains("key: ***MASKED***"), "{}", shown.stdout);
        seen += &shown.stdout;
    }
    let mut written = contents(&house.directory());
    // The agent's own conversations hold what it knows.
    written.retain(|path, _| !path.starts_with(house.directory().join("state")));
    assert!(written.keys().any(|path| path.ends_with("kugetsu.db")));
    assert!(written.keys().any(|path| path.extension().is_some_and(|end| end == "log")));
    written.insert("what was seen".into(), seen.into_bytes());
    for part in [SECRET, "hunter22/", "aHVudGVyMjIvb2YrdGhlIHRlYW", "bnRlcjIyL29mK3RoZSB0ZWFt"] {
        for (path, bytes) in &written {
            let found = bytes.windows(part.len()).any(|found| found == part.as_bytes());
            assert!(!found, "{part} is in {}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_deleted_behind_our_back_is_followed_by_one_that_knows_how_it_ended() {
    let house = House::new().await;
    let script = "MODEL: write a.txt a\nMODEL: say The heron is in a.txt.";
    let first = house.run(&["start", "--json", &issue(1), script]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    // The run itself has written down what is remembered of the issue.
    let context = house.run(&["context", "--json", &issue(1)]).await;
    let context: Value = serde_json::from_str(&context.stdout).unwrap();
    let text = |index: usize| context["messages"][index]["text"].as_str().unwrap();
    assert_eq!((text(0), text(1)), (script, "The heron is in a.txt."));
    assert_eq!(context["session"], first.session());
    assert_eq!(context["worktree"].as_str().map(Path::new), Some(first.worktree().as_path()));
    assert_eq!(context["outcome"], "completed");
    house.forget(&first.session()).await;
    let words = "Go on.\nMODEL: say I go on.";
    let second = house.run(&["continue", "--json", &issue(1), words]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_ne!(second.session(), first.session());
    let asked = house.model.requests();
    let prompt = asked.last().unwrap().prompt();
    let lost = prompt.find("Your earlier session was lost.").unwrap();
    let said = prompt.find("agent  The heron is in a.txt.").unwrap();
    let message = prompt.find(&format!("Delegator's message:\n{words}")).unwrap();
    assert!(prompt.starts_with("You work on the issue") && lost < said && said < message);
    let third = house.run(&["continue", "--json", &issue(1), words]).await;
    assert_eq!(third.session(), second.session());
    let asked = house.model.requests();
    assert!(!asked.last().unwrap().prompt().contains("was lost"));
    let log = house.run(&["logs", &issue(1)]).await;
    assert!(log.stdout.contains("says   I go on.") && log.stdout.contains("ended  completed"));
    let logs = fs::read_dir(house.directory().join("logs/git.example-acme-widgets-1")).unwrap();
    assert_eq!(logs.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_from_another_process_over_several_tasks() {
    let house = House::new().await;
    for script in ["MODEL: gate go ;; say one", "MODEL: say two"] {
        let queued = house.run(&["start", "--detach", &issue(1), script]).await;
        assert_eq!(queued.code, Some(0), "{queued:?}");
    }
    let mut following = house.kugetsu(&["logs", "-f", &issue(1)]).spawn().unwrap();
    let daemon = house.run(&["queue-daemon", "start"]).await;
    assert_eq!(daemon.code, Some(0), "{daemon:?}");
    let (mut lines, mut told) =
        (BufReader::new(following.stdout.take().unwrap()).lines(), String::new());
    while let Some(line) = lines.next_line().await.unwrap() {
        told.push_str(&line);
        told.push('\n');
        // Now it is seen to follow.
        if line.starts_with("session ") {
            house.model.open("go");
        }
    }
    let followed = finish(following).await;
    let stopped = house.run(&["queue-daemon", "stop"]).await;
    assert_eq!((followed.code, stopped.code), (Some(0), Some(0)), "{followed:?} {stopped:?}");
    let (first, second) = told.split_once("ended  completed\n").unwrap();
    assert!(first.starts_with("task ") && first.contains("says   one\n"), "{first}");
    assert!(second.starts_with("task ") && second.contains("says   two\n"), "{second}");
    assert!(second.ends_with("ended  completed\n"), "{second}");
}
