//! What is stored and sent looks as it has always looked. A file here is never changed, only added:
//! whoever changes one breaks what others have stored.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use kugetsu_core::Clock;
use kugetsu_core::event::{Json, Unknown};
use kugetsu_core::{
    AgentEvent, AgentId, AgentSessionId, Attempt, Change, Cursor, Event, Failure, Finish,
    Happening, IssueRef, Moment, Notice, Outcome, Priority, Report, Request, Retry, Session,
    SessionId, SessionKind, SessionState, SlotHolder, SlotKey, Task, TaskId, Usage, WorkerId,
};
use kugetsu_testkit::fake::{FixedChance, ManualClock};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn stored(name: &str) -> String {
    let path = directory().join(format!("{name}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value is written as the file says, and the file is read as the value. With
/// `KUGETSU_NEW_GOLDEN` set, files that are missing are made.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let written = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
    let path = directory().join(format!("{name}.json"));
    if !path.exists() && std::env::var_os("KUGETSU_NEW_GOLDEN").is_some() {
        fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, stored(name), "{name}");
    let read: T = serde_json::from_str(&stored(name)).unwrap();
    assert_eq!(read, *value, "{name}");
}

fn now() -> Moment {
    ManualClock::new().moment()
}

fn issue() -> IssueRef {
    "github.com/acme/widgets#42".parse().unwrap()
}

fn task() -> Task {
    let id = TaskId::new(now().at, &FixedChance([7; 16]));
    Task::new(id, Request::dev(issue(), "Fix it.\nIt's \"broken\"."), now())
}

fn worker() -> WorkerId {
    WorkerId::new("host-4711-0").unwrap()
}

fn session_id() -> AgentSessionId {
    AgentSessionId::new("ses_dfaf31b81ffewTxKyuNiz7ZdpW").unwrap()
}

fn usage() -> Usage {
    let mut usage = Usage::tokens(1200, 340);
    usage.reasoning = 50;
    usage.cache_read = 9000;
    usage.cache_write = 100;
    usage.cost_micros = 12_345;
    usage
}

fn report() -> Report {
    let mut report = Report::default();
    report.answer = "Done.".into();
    report.branch = "fix/issue-42".into();
    report.head = Some("0123456789abcdef0123456789abcdef01234567".into());
    report.commits = 2;
    report.uncommitted = 1;
    report
}

fn unknown() -> Unknown {
    let members = vec![
        ("phase".to_owned(), Json::Text("waxing".into())),
        ("bright".to_owned(), Json::List(vec![Json::Bool(true), Json::Null, Json::Integer(-3)])),
        ("share".to_owned(), Json::Float(0.25f64.to_bits())),
        ("large".to_owned(), Json::Integer(u64::MAX.into())),
    ];
    Unknown { kind: "moon_changed".into(), data: Json::Object(members) }
}

pub(super) fn agent_events() -> Vec<(&'static str, AgentEvent)> {
    let call = || "call_1".to_owned();
    let failure =
        Failure::new("the provider is over its limit", Retry::after(Duration::from_secs(7)));
    vec![
        ("session_started", AgentEvent::SessionStarted { session: session_id() }),
        ("message", AgentEvent::Message { text: "Two\nlines, 日本語 and \"quotes\".".into() }),
        ("thought", AgentEvent::Thought { text: "Hm.".into() }),
        (
            "tool_started",
            AgentEvent::ToolStarted { call: call(), tool: "bash".into(), title: "ls -l".into() },
        ),
        (
            "tool_ended",
            AgentEvent::ToolEnded {
                call: call(),
                tool: "bash".into(),
                ok: true,
                summary: "total 0".into(),
            },
        ),
        ("waiting", AgentEvent::Waiting { reason: "the model's provider is asked again".into() }),
        (
            "asked",
            AgentEvent::Asked {
                question: "per_1".into(),
                text: "May I read /etc/hostname?".into(),
                refused: true,
            },
        ),
        ("usage", AgentEvent::Usage(usage())),
        ("finished", AgentEvent::Finished(Finish::Done)),
        ("finished-stopped", AgentEvent::Finished(Finish::Stopped)),
        ("finished-failed", AgentEvent::Finished(Finish::Failed { failure })),
    ]
}

pub(super) fn happenings() -> Vec<(&'static str, Happening)> {
    let failure = Failure::passing("the database is locked");
    vec![
        ("enqueued", Happening::Enqueued { priority: Priority(-5) }),
        ("claimed", Happening::Claimed { worker: worker(), attempt: Attempt(1) }),
        ("slot_taken", Happening::SlotTaken { class: "dev".into(), index: 2 }),
        (
            "worktree_ready",
            Happening::WorktreeReady {
                branch: "fix/issue-42".into(),
                path: "/home/anna/.kugetsu/worktrees/github.com-acme-widgets-42".into(),
                created: true,
            },
        ),
        (
            "session_ready",
            Happening::SessionReady { session: session_id(), how: "fork+move".into() },
        ),
        ("cancel_requested", Happening::CancelRequested),
        (
            "retry_scheduled",
            Happening::RetryScheduled {
                attempt: Attempt(1),
                due: now().at.plus(Duration::from_secs(10)),
                failure: failure.clone(),
            },
        ),
        ("released", Happening::Released { attempt: Attempt(2), reason: "it drains".into() }),
        ("settled", Happening::Settled { outcome: Outcome::Completed { report: report() } }),
        ("settled-error", Happening::Settled { outcome: Outcome::Error { failure } }),
        ("settled-cancelled", Happening::Settled { outcome: Outcome::Cancelled }),
        (
            "queue_held",
            Happening::QueueHeld {
                reason: "5 attempts in a row failed".into(),
                until: now().at.plus(Duration::from_secs(30)),
            },
        ),
    ]
}

/// All golden events, by the names of their files.
pub(super) fn events() -> Vec<(String, Event)> {
    let about = |what| Event::new(now().at, task().id, Some(issue()), what);
    let mut events: Vec<(String, Event)> = happenings()
        .into_iter()
        .map(|(name, what)| (format!("event-{name}"), about(what)))
        .collect();
    events.extend(
        agent_events()
            .into_iter()
            .map(|(name, what)| (format!("event-agent-{name}"), about(Happening::Agent(what)))),
    );
    events.push(("event-unknown".into(), about(Happening::Unknown(unknown()))));
    let agent = Happening::Agent(AgentEvent::Unknown(unknown()));
    events.push(("event-agent-unknown".into(), about(agent)));
    let bare = Happening::Enqueued { priority: Priority(0) };
    events.push(("event-of-the-pm".into(), Event::new(now().at, task().id, None, bare)));
    events
}

fn tasks() -> Vec<(&'static str, Task)> {
    let change = |task: &Task, change| task.apply(change, now()).unwrap().0;
    let ttl = Duration::from_mins(1);
    let claim = |task: &Task| change(task, Change::Claim { worker: worker(), ttl });
    let settle = |task: &Task, outcome| {
        let attempt = task.last_attempt();
        change(task, Change::Settle { attempt, outcome, usage: usage() })
    };
    let pending = task().with_priority(Priority(3)).with_max_attempts(5);
    let leased = claim(&pending);
    let wanted = change(&leased, Change::Cancel);
    let failure = Failure::new("over the limit", Retry::after(Duration::from_secs(7)));
    let retry = Change::Retry { attempt: Attempt(1), failure, wait: ttl, usage: usage() };
    let release =
        Change::Release { attempt: Attempt(1), reason: "it drains".into(), usage: usage() };
    let pm = Task::new(task().id, Request::pm("Plan it."), now());
    let error = Outcome::Error { failure: Failure::fatal("no such repository") };
    vec![
        ("pending", pending.clone()),
        ("pending-pm", pm.clone()),
        ("pending-retry", change(&leased, retry)),
        ("pending-released", change(&leased, release)),
        ("leased", leased.clone()),
        ("leased-cancel-requested", wanted.clone()),
        ("settled-completed", settle(&leased, Outcome::Completed { report: report() })),
        ("settled-error", settle(&leased, error)),
        ("settled-cancelled", settle(&wanted, Outcome::Cancelled)),
    ]
}

fn sessions() -> Vec<(&'static str, Session)> {
    let id = SessionId::new(now().at, &FixedChance([9; 16]));
    let session = |kind| Session::new(id, kind, AgentId::new("opencode").unwrap(), now().at);
    let mut dev = session(SessionKind::Dev(issue()));
    dev.agent_session = Some(session_id());
    dev.forked_from = Some(AgentSessionId::new("ses_base").unwrap());
    dev.how = "fork+move".into();
    dev.directory = Some("/home/anna/.kugetsu/worktrees/github.com-acme-widgets-42".into());
    dev.state = SessionState::Active;
    dev.pr = Some("https://github.com/acme/widgets/pull/43".into());
    dev.updated = now().at.plus(Duration::from_secs(1));
    dev.revision = kugetsu_core::Revision(4);
    vec![
        ("base", session(SessionKind::Base)),
        ("repo", session(SessionKind::Repo(issue().repository().clone()))),
        ("pm", session(SessionKind::Pm)),
        ("dev", dev),
    ]
}

#[test]
fn events_are_written_as_ever() {
    for (name, event) in events() {
        check(&name, &event);
    }
}

#[test]
fn tasks_are_written_as_ever() {
    for (name, task) in tasks() {
        check(&format!("task-{name}"), &task);
    }
}

#[test]
fn sessions_are_written_as_ever() {
    for (name, session) in sessions() {
        check(&format!("session-{name}"), &session);
    }
}

#[test]
fn notices_and_holders_are_written_as_ever() {
    let settled = Happening::Settled { outcome: Outcome::Completed { report: report() } };
    let event = Event::new(now().at, task().id, Some(issue()), settled);
    check("notice", &Notice::of(&event, Cursor(7)).unwrap());
    let holder = SlotHolder::new(SlotKey::Issue(issue()), 0, "kugetsu start")
        .with_pid(4711)
        .with_since(now().at);
    check("holder-issue", &holder);
    check("holder-dev", &SlotHolder::new(SlotKey::Dev, 2, "the daemon"));
}

#[test]
fn every_file_has_its_test() {
    let mut tested: BTreeSet<String> = events().into_iter().map(|(name, _)| name).collect();
    tested.extend(tasks().into_iter().map(|(name, _)| format!("task-{name}")));
    tested.extend(sessions().into_iter().map(|(name, _)| format!("session-{name}")));
    tested.extend(["notice", "holder-issue", "holder-dev"].map(str::to_owned));
    let files: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, tested);
}
