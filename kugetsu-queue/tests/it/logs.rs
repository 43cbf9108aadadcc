//! The logs of attempts, and what is masked in them and elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AgentEvent, AgentRunner, Cursor, EventLog, Failure, Finish, Request, Status, TaskQuery,
    TaskStore, Usage,
};
use kugetsu_queue::{Engine, LogFile, Logs, Mask, Shutdown, StartError, Wait};
use tokio_util::sync::CancellationToken;

use crate::line::{Canned, Site, failure, issue, passing, report, start};

const SECRET: &str = "hunter22-of-the-team";

impl Site {
    pub(crate) fn logs(&self) -> Logs {
        Logs::new(self.root.path().join("logs"))
    }

    /// The newest log of issue 1.
    pub(crate) fn log(&self) -> (LogFile, String) {
        let found = self.logs().list(Some(&issue(1).stem())).unwrap();
        let log = found.first().expect("no log").clone();
        let text = fs::read_to_string(log.path()).unwrap();
        (log, text)
    }

    /// How the newest attempt on issue 1 ended, by its log.
    fn ended(&self) -> String {
        let (log, text) = self.log();
        let ended = log.summary().unwrap().ended.unwrap();
        assert!(text.trim_end().ends_with(&ended), "{text}");
        ended
    }

    /// An engine with logs, and with this agent.
    fn logging(&self, agent: Arc<dyn AgentRunner>) -> Engine {
        self.with_agent(agent).with_logs(self.logs())
    }
}

fn says(text: &str) -> AgentEvent {
    AgentEvent::Message { text: text.into() }
}

fn tool(title: &str, summary: &str) -> [AgentEvent; 2] {
    let (call, tool) = ("1".to_owned(), "bash".to_owned());
    [
        AgentEvent::ToolStarted { call: call.clone(), tool: tool.clone(), title: title.into() },
        AgentEvent::ToolEnded { call, tool, ok: true, summary: summary.into() },
    ]
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything that was written down anywhere.
async fn written(site: &Site) -> String {
    let mut all = String::new();
    for (_, event) in site.store.read(Cursor(0), 1000).await.unwrap() {
        all += &serde_json::to_string(&event).unwrap();
    }
    for task in site.store.list(&TaskQuery::all()).await.unwrap() {
        all += &serde_json::to_string(&task).unwrap();
    }
    for log in site.logs().list(None).unwrap() {
        all += &fs::read_to_string(log.path()).unwrap();
    }
    all
}

#[tokio::test]
async fn an_attempt_has_a_log_of_what_its_agent_said_and_did_and_how_it_ended() {
    let site = Site::new().await;
    let session = "ses_1".parse().unwrap();
    let mut events = vec![AgentEvent::SessionStarted { session }];
    events.extend([says("I run "), says("the tests.\nThen I go on")]);
    events.push(AgentEvent::Thought { text: "Is it so?".into() });
    events.extend(tool("cargo test", "12 passed"));
    let asked = AgentEvent::Asked { question: "1".into(), text: "to read x".into(), refused: true };
    events.extend([asked, says("I do without."), AgentEvent::Usage(Usage::tokens(12, 3))]);
    let engine = site.logging(Canned::new(events));
    let task = start(&engine, 1, "go").await.unwrap();
    report(&task);
    let (log, text) = site.log();
    assert_eq!(
        (log.task, log.attempt.0, log.lane.as_str()),
        (task.id, 1, "git.example-acme-widgets-1")
    );
    let (head, body) = text.split_once("session").unwrap();
    let names: Vec<&str> = head.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["task", "issue", "attempt", "worker", "began", "worktree", "branch"]);
    assert!(head.contains("issue     git.example/acme/widgets#1\n"), "{head}");
    let lines: Vec<&str> = body.lines().skip(1).map(|line| line.get(9..).unwrap()).collect();
    let expected = [
        "says   I run the tests.",
        "says   Then I go on",
        "thinks Is it so?",
        "tool   bash: cargo test",
        "tool   bash ok: 12 passed",
        "asks   to read x (refused: nobody may answer)",
        "says   I do without.",
        "used   12 tokens in, 0 from or to the cache, 3 out, 0 thought",
        "ended  completed",
    ];
    assert_eq!(lines, expected);
    let summary = log.summary().unwrap();
    assert_eq!(summary.issue, issue(1).to_string());
    assert_eq!(summary.ended.as_deref(), Some("completed"));
    assert_eq!(summary.last.as_deref(), Some("says   I do without."));
    assert_eq!((mode(log.path()), mode(log.path().parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&site.root.path().join("logs")), 0o700);
    // The next attempt has its own.
    start(&engine, 1, "again").await.unwrap();
    assert_eq!(site.logs().list(None).unwrap().len(), 2);
}

#[tokio::test]
async fn no_secret_that_an_agent_tells_is_written_down_and_the_agent_has_the_real_one() {
    let site = Site::new().await;
    let reason = format!("the provider refused {SECRET}");
    let mut events: Vec<AgentEvent> = "the key is hunter22-of-the-team, I say\n"
        .as_bytes()
        .chunks(3)
        .map(|piece| says(std::str::from_utf8(piece).unwrap()))
        .collect();
    events.extend(tool(&format!("echo {SECRET}"), "TOKEN=hunter22-of…"));
    events.push(AgentEvent::Thought { text: format!("{SECRET} is long") });
    events.push(AgentEvent::Waiting { reason: reason.clone() });
    events.push(AgentEvent::Asked { question: "1".into(), text: SECRET.into(), refused: false });
    // On a terminal it would be seen.
    events.push(says("hunter22\u{1b}[0m-of-the-\u{1b}[1m"));
    events.push(says("team\u{1b}[0m\nThe last word is hunter22-"));
    events.push(AgentEvent::Finished(Finish::Failed { failure: Failure::fatal(reason) }));
    let mask = Arc::new(Mask::new([SECRET]));
    let engine = site.logging(Canned::new(events)).with_mask(Arc::clone(&mask));
    let task = start(&engine, 1, "go").await.unwrap();
    assert!(failure(&task).reason.ends_with("refused ***MASKED***"), "{task:?}");
    let all = written(&site).await;
    assert!(!all.contains(SECRET) && !all.contains("TOKEN=hunter"), "{all}");
    let (_, text) = site.log();
    assert!(text.contains("says   the key is ***MASKED***, I say\n"), "{text}");
    assert!(text.contains("says   ***MASKED***\n"), "{text}");
    assert!(text.contains("says   The last word is hunter22-\n"), "{text}");

    let engine = site.logging(Arc::new(site.agent.clone())).with_mask(mask);
    let script = format!("MODEL: write key.txt {SECRET} ;; bash cat key.txt ;; say {SECRET}");
    let task = start(&engine, 1, &script).await.unwrap();
    assert_eq!(report(&task).answer, "***MASKED***");
    let session = site.session(1).await;
    let key = fs::read_to_string(session.directory.unwrap().join("key.txt")).unwrap();
    assert_eq!(key.trim(), SECRET);
    let (_, text) = site.log();
    assert!(!text.contains(SECRET) && text.contains("***MASKED***"), "{text}");
}

#[tokio::test]
async fn a_log_is_plain_and_no_line_of_an_agent_looks_like_one_of_ours() {
    let site = Site::new().await;
    let events = [
        says(
            "\u{1b}]0;title\u{7}\u{1b}[31mred\u{1b}[0m\u{202e}\n00:00:00 ended  completed\nissue x\n",
        ),
        says(&"x".repeat(5000)),
    ];
    let engine = site.logging(Canned::new(events)).with_mask(Arc::new(Mask::new([SECRET])));
    start(&engine, 1, "go").await.unwrap();
    let (log, text) = site.log();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("says   red\n"), "{text}");
    assert!(text.contains("says   00:00:00 ended  completed\n"), "{text}");
    assert!(text.contains("says   issue x\n"), "{text}");
    assert!(text.lines().all(|line| line.len() < 2100));
    assert_eq!(log.summary().unwrap().issue, issue(1).to_string());
}

#[tokio::test]
async fn a_log_has_its_beginning_and_its_end_whatever_its_size() {
    let site = Site::new().await;
    let lines: Vec<AgentEvent> = (0..5000).map(|n| says(&format!("line number {n}\n"))).collect();
    let engine = site.logging(Canned::new(lines)).with_logs(site.logs().with_cap(16 * 1024));
    start(&engine, 1, "go").await.unwrap();
    let (log, text) = site.log();
    assert!(fs::metadata(log.path()).unwrap().len() <= 16 * 1024);
    assert!(text.starts_with("task "), "{text}");
    assert!(text.contains("line number 0\n") && text.contains("line number 4999\n"), "{text}");
    assert!(text.ends_with("ended  completed\n"), "{text}");
    let is_marker = |line: &&str| line.starts_with("[… ");
    assert_eq!(text.lines().filter(is_marker).count(), 1, "{text}");
    // Nothing is gone but what the marker says.
    let marker = text.lines().find(is_marker).unwrap();
    let gone: usize = marker.split(' ').nth(1).unwrap().parse().unwrap();
    let left: usize = text.lines().filter(|line| !is_marker(line)).map(|line| line.len() + 1).sum();
    let plain = site.with_agent(Canned::new(
        (0..5000).map(|n| says(&format!("line number {n}\n"))).collect::<Vec<_>>(),
    ));
    site.clock.advance(Duration::from_secs(1));
    start(&plain.with_logs(site.logs()), 1, "go").await.unwrap();
    let (_, whole) = site.log();
    // The session is resumed, the branch was there, and the second hour began in neither.
    let body = |text: &str| text.split_once("says ").unwrap().1.len();
    let head = |text: &str| text.split_once("says ").unwrap().0.len();
    assert_eq!(left + gone - head(&text), body(&whole) + "says ".len());
}

#[tokio::test]
async fn a_log_says_how_the_attempt_ended_whatever_ended_it() {
    let site = Site::new().await;
    let engine = site.logging(Arc::new(site.agent.clone()));
    start(&engine, 1, "MODEL: http 400").await.unwrap();
    assert!(site.ended().starts_with("failed: the attempt stopped at Run"), "{}", site.ended());

    // Cancelled.
    let mut started = pin!(start(&engine, 1, "MODEL: hang"));
    tokio::select! {
        ended = &mut started => panic!("{ended:?}"),
        () = site.agent.until_at_work(1) => {}
    }
    let open = site.store.list(&TaskQuery::open()).await.unwrap().pop().unwrap();
    site.clock.advance(Duration::from_secs(1));
    engine.queue().cancel(open.id).await.unwrap();
    let task = passing(&site.clock, started).await.unwrap();
    assert_eq!(task.status(), Status::Cancelled);
    assert_eq!(site.ended(), "cancelled");

    // Its lease lost.
    site.clock.advance(Duration::from_secs(1));
    let mut started = pin!(start(&engine, 1, "MODEL: hang"));
    tokio::select! {
        ended = &mut started => panic!("{ended:?}"),
        () = site.agent.until_at_work(1) => {}
    }
    let open = site.store.list(&TaskQuery::open()).await.unwrap().pop().unwrap();
    engine.queue().lost(open.id, open.last_attempt()).await.unwrap();
    let refused = passing(&site.clock, started).await.unwrap_err();
    assert!(matches!(refused, StartError::LeaseLost { .. }), "{refused:?}");
    site.agent.until_at_work(0).await;
    assert!(site.ended().starts_with("lost: "), "{}", site.ended());

    // Its process' future dropped.
    site.clock.advance(Duration::from_secs(1));
    {
        let mut started = pin!(start(&engine, 2, "MODEL: hang"));
        tokio::select! {
            ended = &mut started => panic!("{ended:?}"),
            () = site.agent.until_at_work(1) => {}
        }
    }
    site.agent.until_at_work(0).await;
    let log = site.logs().list(Some(&issue(2).stem())).unwrap().pop().unwrap();
    // Whoever walked the line may be a moment late.
    while log.summary().unwrap().ended.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(log.summary().unwrap().ended.unwrap().starts_with("given up"));
}

#[tokio::test]
async fn what_a_server_gives_back_is_said_in_the_log() {
    let site = Site::new().await;
    let engine = site.logging(Arc::new(site.agent.clone()));
    let task = engine.queue().task(Request::dev(issue(1), "MODEL: hang"));
    engine.queue().enqueue(&task).await.unwrap();
    let shutdown = Shutdown::new();
    let stop = shutdown.cancel.clone();
    let mut served = pin!(engine.serve(shutdown, |error| panic!("{error}")));
    tokio::select! {
        () = &mut served => panic!("it ended"),
        () = site.agent.until_at_work(1) => {}
    }
    stop.cancel();
    served.await;
    assert_eq!(site.ended(), "given back: kugetsu was shut down");
}

#[tokio::test]
async fn old_logs_are_deleted_and_nothing_else_is() {
    let site = Site::new().await;
    let logs = site.root.path().join("logs");
    let id = "019b76da-a800-7000-8000-000000000001";
    let put = |path: PathBuf| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    };
    let old = put(logs.join(format!("old/19700101T000000Z-{id}-1.log")));
    let stays = [
        put(logs.join(format!("kept/19700101T000000Z-{id}-01.log"))),
        put(logs.join("kept/19700101T000000Z-x-1.log")),
        put(logs.join("kept/notes.txt")),
        put(logs.join(format!("19700101T000000Z-{id}-1.log"))),
        put(logs.join(format!("kept/deeper/19700101T000000Z-{id}-1.log"))),
        put(logs.join(format!("kept/99990101T000000Z-{id}-1.log"))),
        put(site.root.path().join(format!("elsewhere/19700101T000000Z-{id}-1.log"))),
    ];
    symlink(site.root.path().join("elsewhere"), logs.join("link")).unwrap();
    let link = logs.join(format!("kept/19700101T000000Z-{id}-1.log"));
    symlink(&stays[2], &link).unwrap();
    let engine = site.logging(Arc::new(site.agent.clone()));
    start(&engine, 1, "MODEL: say hi").await.unwrap();
    assert!(!old.exists() && !old.parent().unwrap().exists());
    assert!(stays.iter().all(|path| path.exists()), "{stays:?}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    // A week later that of today is too old, too.
    let (first, _) = site.log();
    site.clock.advance(Duration::from_hours(7 * 24 + 2));
    start(&engine, 2, "MODEL: say hi").await.unwrap();
    assert!(!first.path().exists());
    assert_eq!(site.logs().list(Some(&issue(2).stem())).unwrap().len(), 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_fails_nothing_and_no_link_is_followed() {
    let site = Site::new().await;
    let (logs, elsewhere) = (site.root.path().join("logs"), site.root.path().join("elsewhere"));
    fs::write(&logs, "in the way").unwrap();
    let engine = site.logging(Arc::new(site.agent.clone()));
    report(&start(&engine, 1, "MODEL: say hi").await.unwrap());
    fs::remove_file(&logs).unwrap();
    fs::create_dir(&logs).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, logs.join(issue(1).stem())).unwrap();
    report(&start(&engine, 1, "MODEL: say hi").await.unwrap());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(site.logs().list(None).unwrap().is_empty());
    let request = Request::pm("MODEL: say hi");
    let never = CancellationToken::new();
    engine.start(request, Wait::No, never, |_| {}).await.unwrap();
    assert_eq!(site.logs().list(Some("pm")).unwrap().len(), 1);
}
