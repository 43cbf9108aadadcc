use kugetsu_core::{
    AgentEvent, AgentSessionId, Attempt, Cursor, Event, Failure, Finish, Happening, Notice,
    NoticeKind, Outcome, Priority, Report, Severity, TaskId, Timestamp, WorkerId,
};
use kugetsu_testkit::fake::FixedChance;

fn notice(what: Happening, issue: Option<&str>) -> Option<Notice> {
    let at = Timestamp::from_millis(1_767_225_600_000);
    let task = TaskId::new(at, &FixedChance::LOW);
    let issue = issue.map(|text| text.parse().unwrap());
    Notice::of(&Event::new(at, task, issue, what), Cursor(7))
}

fn claimed(attempt: u32) -> Happening {
    Happening::Claimed { worker: WorkerId::new("w").unwrap(), attempt: Attempt(attempt) }
}

fn completed(answer: &str) -> Happening {
    let mut report = Report::default();
    answer.clone_into(&mut report.answer);
    Happening::Settled { outcome: Outcome::Completed { report } }
}

#[test]
fn what_a_person_should_hear_of_is_told_in_a_sentence() {
    let enqueued = || Happening::Enqueued { priority: Priority(0) };
    let session = AgentSessionId::new("ses_1").unwrap();
    let asked = AgentEvent::Asked { question: "q".into(), text: "May I?".into(), refused: true };
    let failed = Outcome::Error { failure: Failure::fatal("no such repository") };
    for (what, kind, severity, text) in [
        (enqueued(), NoticeKind::TaskQueued, Severity::Info, "was queued."),
        (claimed(1), NoticeKind::TaskDequeued, Severity::Info, "was taken up."),
        (claimed(2), NoticeKind::TaskDequeued, Severity::Info, "was taken up again, attempt 2."),
        (
            Happening::SessionReady { session, how: String::new() },
            NoticeKind::TaskStarted,
            Severity::Info,
            ": an agent started.",
        ),
        (
            Happening::Agent(asked),
            NoticeKind::TaskBlocked,
            Severity::Warning,
            ": the agent asks what nobody may answer: May I?",
        ),
        (completed(" \n"), NoticeKind::TaskCompleted, Severity::Info, "complete."),
        (completed(" Done.\n"), NoticeKind::TaskCompleted, Severity::Info, "complete. Done."),
        (
            Happening::Settled { outcome: failed },
            NoticeKind::TaskError,
            Severity::Error,
            "failed: no such repository",
        ),
        (
            Happening::Settled { outcome: Outcome::Cancelled },
            NoticeKind::TaskError,
            Severity::Warning,
            "was cancelled.",
        ),
    ] {
        let issue = notice(what.clone(), Some("github.com/acme/widgets#42")).unwrap();
        let space = if text.starts_with(':') { "" } else { " " };
        assert_eq!(issue.text, format!("github.com/acme/widgets#42{space}{text}"));
        assert_eq!((issue.kind, issue.severity), (kind, severity));
        assert_eq!(issue.key, "event-7");
        let pm = notice(what, None).unwrap();
        assert_eq!(pm.text, format!("A request to the PM{space}{text}"));
        assert_eq!(pm.issue, None);
    }
}

#[test]
fn what_nobody_needs_to_hear_of_is_no_notice() {
    let silent = [
        Happening::SlotTaken { class: "dev".into(), index: 0 },
        Happening::WorktreeReady { branch: "b".into(), path: "/p".into(), created: true },
        Happening::CancelRequested,
        Happening::Released { attempt: Attempt(1), reason: "it drains".into() },
        Happening::RetryScheduled {
            attempt: Attempt(1),
            due: Timestamp::from_millis(0),
            failure: Failure::passing("busy"),
        },
        Happening::Agent(AgentEvent::Message { text: "hello".into() }),
        Happening::Agent(AgentEvent::Finished(Finish::Done)),
    ];
    for what in silent {
        assert_eq!(notice(what.clone(), None), None, "{what:?}");
    }
}

#[test]
fn that_the_queue_rests_is_told_of_no_task_in_particular() {
    let until = Timestamp::from_millis(9);
    let held = Happening::QueueHeld { reason: "all is down".into(), until };
    let notice = notice(held, Some("github.com/acme/widgets#42")).unwrap();
    assert_eq!((notice.kind, notice.severity), (NoticeKind::QueueHeld, Severity::Warning));
    assert_eq!(notice.text, "The queue rests for a while: all is down");
}

#[test]
fn the_kinds_are_called_as_ever() {
    let kinds = [
        NoticeKind::TaskQueued,
        NoticeKind::TaskDequeued,
        NoticeKind::TaskStarted,
        NoticeKind::TaskCompleted,
        NoticeKind::TaskError,
        NoticeKind::TaskBlocked,
        NoticeKind::QueueHeld,
    ];
    let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    let wanted = [
        "task_queued",
        "task_dequeued",
        "task_started",
        "task_completed",
        "task_error",
        "task_blocked",
        "queue_held",
    ];
    assert_eq!(names, wanted);
    for (kind, name) in kinds.iter().zip(wanted) {
        assert_eq!(serde_json::to_value(kind).unwrap(), name);
    }
}
