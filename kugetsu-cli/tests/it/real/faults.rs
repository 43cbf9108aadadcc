//! Agents that misbehave, and a model's provider that takes no more.

use std::time::{Duration, Instant};

use kugetsu_testkit::model::Ended;

use super::daemon::{Daemon, enqueue, outcome, task};
use super::house::{House, Ran, finish, issue, until_dead};

/// A tool that does not end and hears no SIGTERM, with a child that has left its group and does the
/// same.
const STUBBORN: &str = r#"MODEL: bash (setsid sh -c 'trap "" TERM; sleep 600; sleep 600' >/dev/null 2>&1 &)
MODEL: bash trap '' TERM; sleep 600; sleep 600"#;

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_hang_are_silent_or_never_end_are_stopped_and_nothing_of_them_is_left() {
    let house = House::new().await;
    let start = |number: u64, script: &str, limit: (&str, &str)| {
        let mut command = house.kugetsu(&["start", &issue(number), script]);
        tokio::spawn(finish(command.env(limit.0, limit.1).spawn().unwrap()))
    };
    let silence = ("KUGETSU_STALL_TIMEOUT_MINUTES", "0.15");
    let slow = "MODEL: stream 100000 100";
    let cases = [
        (start(1, STUBBORN, silence), "was silent for 9 s"),
        (start(2, "MODEL: hang", silence), "was silent for 9 s"),
        (start(3, slow, ("TASK_TIMEOUT_HOURS", "0.0025")), "took longer than 9 s"),
    ];
    for (ended, words) in cases {
        let ran: Ran = ended.await.unwrap();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    until_dead(&house.processes(None), 2);
    // Whatever it was doing, its worktree and its session are kept.
    let on = house.run(&["continue", "--json", &issue(1), "MODEL: history"]).await;
    assert_eq!(on.code, Some(0), "{on:?}");
    assert!(on.answer().contains("users=3"), "{}", on.answer());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_no_more_holds_the_queue_and_then_the_same_session_goes_on() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let script = "MODEL: write a.txt a\nMODEL: until paid ;; http 429 9 31\nMODEL: history";
    let id = enqueue(&house, 1, script).await;
    daemon.hear("scripted takes no more", 1).await;
    let limited = Instant::now();
    house.model.open("paid");
    let asked = house.model.requests().len();
    let other = enqueue(&house, 2, "MODEL: say done").await;
    let all = house.model.wait_for(|requests| requests.len() > asked).await;
    // opencode tells when it will ask again, and some of that has passed when it is read.
    assert!(limited.elapsed() > Duration::from_secs(25), "{:?}", limited.elapsed());
    assert_eq!(all.iter().filter(|request| request.ended == Some(Ended::Refused(429))).count(), 1);
    daemon.hear("completed", 2).await;
    let ended = task(&house, &id).await;
    assert_eq!(outcome(&ended), "completed", "{ended}");
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{ended}");
    let failure = &attempts[0]["end"]["failure"];
    assert_eq!(failure["cause"]["provider"], "scripted", "{ended}");
    let answer = ended["state"]["outcome"]["report"]["answer"].as_str().unwrap();
    // It wrote the file once in each attempt, in one conversation.
    assert!(answer.contains("tools=2"), "{answer}");
    assert_eq!(outcome(&task(&house, &other).await), "completed");
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
}
