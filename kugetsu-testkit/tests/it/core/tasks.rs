use std::time::Duration;

use kugetsu_core::{
    Attempt, AttemptEnd, Change, Clock, Failure, Happening, IllegalChange, IssueRef, Moment,
    Outcome, Priority, Report, Request, Retry, Revision, Status, Task, TaskId, TaskState, Tick,
    Usage, WorkerId,
};
use kugetsu_testkit::fake::{FixedChance, ManualClock};
use proptest::prelude::*;
use uuid::Uuid;

const TTL: Duration = Duration::from_mins(1);

fn now() -> Moment {
    ManualClock::new().moment()
}

fn later(time: Duration) -> Moment {
    Moment { at: now().at.plus(time), tick: now().tick.plus(time) }
}

fn task() -> Task {
    let issue: IssueRef = "github.com/acme/widgets#42".parse().unwrap();
    Task::new(TaskId::new(now().at, &FixedChance::LOW), Request::dev(issue, "Fix it."), now())
}

fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

fn claim() -> Change {
    Change::Claim { worker: worker("a"), ttl: TTL }
}

/// The changes that only the holder of the attempt may make.
fn of_attempt(attempt: u32) -> [Change; 4] {
    let attempt = Attempt(attempt);
    let failure = Failure::passing("busy");
    let usage = Usage::tokens(1, 2);
    [
        Change::Renew { attempt, ttl: TTL },
        Change::Retry { attempt, failure, wait: TTL, usage },
        Change::Release { attempt, reason: "it drains".into(), usage },
        Change::Settle {
            attempt,
            outcome: Outcome::Completed { report: Report::default() },
            usage,
        },
    ]
}

fn apply(task: &Task, change: Change, now: Moment) -> Task {
    task.apply(change, now).unwrap().0
}

#[test]
fn a_pending_task_is_claimed_or_cancelled_and_nothing_else() {
    let new = task();
    assert_eq!(new.status(), Status::Pending);
    for change in of_attempt(1) {
        let refused = new.apply(change, now()).unwrap_err();
        assert!(
            matches!(refused, IllegalChange::State { status: Status::Pending, .. }),
            "{refused:?}"
        );
    }
    let (claimed, told) = new.apply(claim(), now()).unwrap();
    assert_eq!(claimed.status(), Status::Notified);
    assert_eq!(claimed.revision, Revision(2));
    assert_eq!(claimed.last_attempt(), Attempt(1));
    let told = told.unwrap();
    assert_eq!(told.what, Happening::Claimed { worker: worker("a"), attempt: Attempt(1) });
    assert_eq!((told.task, told.issue.as_ref()), (new.id, new.request.issue()));
    assert_eq!(apply(&new, Change::Cancel, now()).status(), Status::Cancelled);
}

#[test]
fn a_lease_is_renewed_until_it_lapses() {
    let claimed = apply(&task(), claim(), now());
    let almost = later(Duration::from_millis(59_999));
    let renew = || Change::Renew { attempt: Attempt(1), ttl: TTL };
    let (renewed, told) = claimed.apply(renew(), almost).unwrap();
    assert_eq!(told, None);
    assert!(renewed.apply(renew(), later(TTL)).is_ok());
    let lapsed = IllegalChange::Lapsed { attempt: Attempt(1) };
    assert_eq!(claimed.apply(renew(), later(TTL)), Err(lapsed));
    // After a reboot, too.
    let rebooted = Moment { at: now().at, tick: Tick { boot: Uuid::nil(), millis: 0 } };
    assert_eq!(claimed.apply(renew(), rebooted), Err(lapsed));
}

#[test]
fn a_lapsed_lease_can_be_settled_until_somebody_else_has_claimed_the_task() {
    let claimed = apply(&task(), claim(), now());
    let late = later(TTL * 10);
    for change in of_attempt(1).into_iter().skip(1) {
        assert!(claimed.apply(change, late).is_ok());
    }
    let again = apply(&claimed, Change::Claim { worker: worker("b"), ttl: TTL }, late);
    assert_eq!(again.last_attempt(), Attempt(2));
    assert_eq!(again.attempts[0].end, AttemptEnd::Lost);
    for change in of_attempt(1) {
        let stale = IllegalChange::Stale { stale: Attempt(1), current: Attempt(2) };
        assert_eq!(again.apply(change, late), Err(stale));
    }
}

#[test]
fn a_task_that_is_not_due_is_not_claimed() {
    let claimed = apply(&task(), claim(), now());
    let wait = Duration::from_secs(59);
    let early = claimed.apply(claim(), later(Duration::from_secs(1)));
    assert_eq!(early, Err(IllegalChange::NotDue { wait }));
    let [_, retry, release, _] = of_attempt(1);
    let waiting = apply(&claimed, retry, now());
    assert_eq!(waiting.apply(claim(), now()), Err(IllegalChange::NotDue { wait: TTL }));
    assert_eq!(apply(&waiting, claim(), later(TTL)).last_attempt(), Attempt(2));
    // What was given back is due at once, and has cost nothing.
    let released = apply(&claimed, release, now());
    assert_eq!(released.attempts_spent(), 0);
    assert_eq!(apply(&released, claim(), now()).last_attempt(), Attempt(2));
}

#[test]
fn a_leased_task_that_is_to_be_cancelled_ends_with_its_attempt() {
    let claimed = apply(&task(), claim(), now());
    let (wanted, told) = claimed.apply(Change::Cancel, now()).unwrap();
    assert_eq!(told.unwrap().what, Happening::CancelRequested);
    assert_eq!(wanted.status(), Status::Notified);
    assert_eq!(wanted.apply(Change::Cancel, now()), Err(IllegalChange::Cancelling));
    let [renew, _, release, _] = of_attempt(1);
    let renewed = apply(&wanted, renew, now());
    assert!(matches!(renewed.state, TaskState::Leased { cancel_requested: true, .. }));
    let released = apply(&wanted, release, now());
    assert_eq!(released.status(), Status::Cancelled);
    // Whoever takes it over is told as well.
    let again = apply(&wanted, claim(), later(TTL));
    assert!(matches!(again.state, TaskState::Leased { cancel_requested: true, .. }));
}

#[test]
fn a_refusal_names_the_state_that_refused() {
    let claimed = apply(&task(), claim(), now());
    let [.., settle] = of_attempt(1);
    let settled = apply(&claimed, settle, now());
    let mut changes = Vec::from(of_attempt(1));
    changes.extend([claim(), Change::Cancel]);
    let verbs = ["renew", "retry", "release", "settle", "claim", "cancel"];
    for (change, verb) in changes.into_iter().zip(verbs) {
        let refused = settled.apply(change, later(TTL * 100)).unwrap_err();
        let text = format!("a task that is completed cannot be changed by `{verb}`");
        assert_eq!(refused.to_string(), text);
    }
}

/// A task whose attempts have ended like this, one after the other.
fn ended(ends: impl IntoIterator<Item = AttemptEnd>) -> Task {
    let mut task = task();
    for (number, end) in (1..).zip(ends) {
        let at = later(TTL * 10 * number);
        task = apply(&task, claim(), at);
        let attempt = Attempt(number);
        let usage = Usage::tokens(1, 2);
        let change = match end {
            AttemptEnd::Failed { failure } => Change::Retry { attempt, failure, wait: TTL, usage },
            AttemptEnd::Released { reason } => Change::Release { attempt, reason, usage },
            AttemptEnd::Lost => Change::Lose { attempt },
            other => panic!("{other:?} ends no attempt but the last"),
        };
        task = apply(&task, change, at);
    }
    task
}

fn failed(failure: Failure) -> AttemptEnd {
    AttemptEnd::Failed { failure }
}

#[test]
fn five_interruptions_cost_nothing_and_each_one_beyond_does() {
    let interruptions = || {
        let busy = failed(Failure::interruption("the store is busy"));
        [busy, AttemptEnd::Released { reason: "it drains".into() }, AttemptEnd::Lost].into_iter()
    };
    assert_eq!(ended(interruptions()).attempts_spent(), 0);
    assert_eq!(ended(interruptions().cycle().take(5)).attempts_spent(), 0);
    assert_eq!(ended(interruptions().cycle().take(7)).attempts_spent(), 2);
    let own = failed(Failure::passing("it cannot"));
    assert_eq!(ended([own.clone()].into_iter().chain(interruptions())).attempts_spent(), 1);
    let limit = failed(Failure::limit("mock", "429", TTL));
    let task = ended(std::iter::repeat_n(limit, 20).chain([own]));
    assert_eq!(task.attempts_spent(), 1, "a provider's limit costs nothing however often");
    assert_eq!(task.usage(), Usage::tokens(21, 42));
    assert_eq!(task.last_attempt(), Attempt(21));
}

#[test]
fn equal_failures_are_counted_from_the_newest_back() {
    let (one, two) = (failed(Failure::passing("one")), failed(Failure::passing("two")));
    let given_back = AttemptEnd::Released { reason: "it drains".into() };
    let limit = failed(Failure::limit("mock", "429", TTL));
    let full = failed(Failure::interruption("the disk is full"));
    for (ends, equal) in [
        (vec![], 0),
        (vec![one.clone()], 1),
        (vec![one.clone(), one.clone()], 2),
        (vec![one.clone(), two.clone(), one.clone()], 1),
        (vec![two.clone(), one.clone(), given_back.clone(), one.clone()], 2),
        (vec![AttemptEnd::Lost, AttemptEnd::Lost, AttemptEnd::Lost], 3),
        (vec![one.clone(), AttemptEnd::Lost], 1),
        (vec![limit.clone(), limit.clone(), limit], 0),
        (vec![full.clone(), full.clone(), full], 0),
    ] {
        assert_eq!(ended(ends.clone()).equal_failures(), equal, "{ends:?}");
    }
}

#[test]
fn an_agent_may_ask_for_so_many_tasks_and_for_none_once_it_is_over() {
    let ask = || Change::Delegate { most: 2 };
    let refused = task().apply(ask(), now()).unwrap_err();
    assert!(matches!(refused, IllegalChange::State { status: Status::Pending, .. }), "{refused:?}");
    let claimed = apply(&task(), claim(), now());
    let (once, told) = claimed.apply(ask(), now()).unwrap();
    assert_eq!((once.delegated, told), (1, None));
    let twice = apply(&once, ask(), now());
    let refused = twice.apply(ask(), now()).unwrap_err();
    assert_eq!(refused, IllegalChange::Allowance { most: 2 });
    assert!(refused.to_string().contains("2 tasks already"), "{refused}");
    let [.., settle] = of_attempt(1);
    let over = apply(&once, settle, now());
    assert!(matches!(over.apply(ask(), now()), Err(IllegalChange::State { .. })));
}

#[test]
fn a_lane_is_an_issue_or_the_pm() {
    assert_eq!(task().lane(), "github.com/acme/widgets#42");
    let pm = Task::new(task().id, Request::pm("Plan it."), now());
    assert_eq!(pm.lane(), "pm");
}

#[derive(Debug, Clone)]
enum Step {
    Change(Change),
    /// Time passes.
    Wait(Duration),
    /// The wall clock jumps.
    Jump(u64),
    Reboot,
}

fn change() -> impl Strategy<Value = Change> {
    let attempt = || (0u32..6).prop_map(Attempt);
    let millis = || (0u64..200_000).prop_map(Duration::from_millis);
    let usage = || (0u64..1000, 0u64..1000).prop_map(|(i, o)| Usage::tokens(i, o));
    let retry = || {
        prop_oneof![
            Just(Retry::Never),
            Just(Retry::Later),
            any::<u64>().prop_map(|millis| Retry::After { millis }),
        ]
    };
    let failure =
        move || ("[a-z ]{0,9}", retry()).prop_map(|(why, retry)| Failure::new(why, retry));
    let outcome = prop_oneof![
        Just(Outcome::Completed { report: Report::default() }),
        failure().prop_map(|failure| Outcome::Error { failure }),
        Just(Outcome::Cancelled),
    ];
    prop_oneof![
        4 => ("[a-c]", millis()).prop_map(|(name, ttl)| Change::Claim { worker: worker(&name), ttl }),
        3 => (attempt(), millis()).prop_map(|(attempt, ttl)| Change::Renew { attempt, ttl }),
        2 => (attempt(), failure(), millis(), usage()).prop_map(|(attempt, failure, wait, usage)| {
            Change::Retry { attempt, failure, wait, usage }
        }),
        2 => (attempt(), "[a-z ]{0,9}", usage()).prop_map(|(attempt, reason, usage)| {
            Change::Release { attempt, reason, usage }
        }),
        1 => (attempt(), outcome, usage()).prop_map(|(attempt, outcome, usage)| {
            Change::Settle { attempt, outcome, usage }
        }),
        1 => Just(Change::Cancel),
        1 => attempt().prop_map(|attempt| Change::Lose { attempt }),
        1 => (0u32..4).prop_map(|most| Change::Delegate { most }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => change().prop_map(Step::Change),
        3 => (0u64..100_000).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        1 => (0u64..4_000_000_000_000).prop_map(Step::Jump),
        1 => Just(Step::Reboot),
    ]
}

/// Which attempt a change is made for, if it is for one.
fn attempt_of(change: &Change) -> Option<Attempt> {
    match change {
        Change::Renew { attempt, .. }
        | Change::Retry { attempt, .. }
        | Change::Release { attempt, .. }
        | Change::Lose { attempt }
        | Change::Settle { attempt, .. } => Some(*attempt),
        _ => None,
    }
}

fn assert_follows(before: &Task, change: &Change, after: &Task, told: bool) {
    assert!(!before.is_settled(), "a settled task was changed by {change:?}");
    assert_eq!(after.revision, before.revision.next());
    assert!(after.last_attempt() >= before.last_attempt());
    assert!(after.attempts.len() <= before.attempts.len() + 1);
    assert!(after.attempts_spent() >= before.attempts_spent());
    assert_eq!(
        (after.id, &after.request, after.created),
        (before.id, &before.request, before.created)
    );
    if let Some(attempt) = attempt_of(change) {
        assert_eq!(Some(attempt), before.lease().map(|lease| lease.attempt), "{change:?}");
    }
    let silent = matches!(change, Change::Renew { .. } | Change::Delegate { .. });
    assert_eq!(told, !silent, "what is told of {change:?}");
    assert_eq!(
        after.delegated,
        before.delegated + u32::from(matches!(change, Change::Delegate { .. }))
    );
}

fn assert_whole(task: &Task) {
    let running: Vec<_> =
        task.attempts.iter().filter(|a| a.end == AttemptEnd::Running).map(|a| a.number).collect();
    let leased: Vec<_> = task.lease().iter().map(|lease| lease.attempt).collect();
    assert_eq!(running, leased, "the running attempt is the one under lease");
    for (number, record) in (1..).zip(&task.attempts) {
        assert_eq!(record.number, Attempt(number));
        assert_eq!(record.ended.is_none(), record.end == AttemptEnd::Running);
    }
    assert_eq!(task.due().is_none(), task.is_settled());
    let text = serde_json::to_string(task).unwrap();
    assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), *task);
}

proptest! {
    #[test]
    fn whatever_happens_a_task_stays_whole(
        steps in prop::collection::vec(step(), 0..60),
        priority in any::<i16>(),
        max_attempts in 0u32..5,
    ) {
        let clock = ManualClock::new();
        let mut task = task().with_priority(Priority(priority)).with_max_attempts(max_attempts);
        prop_assert!(task.max_attempts >= 1);
        for step in steps {
            let change = match step {
                Step::Wait(time) => { clock.advance(time); continue }
                Step::Jump(to) => {
                    clock.set(kugetsu_core::Timestamp::from_millis(to));
                    continue;
                }
                Step::Reboot => { clock.reboot(Duration::from_secs(30)); continue }
                Step::Change(change) => change,
            };
            let now = clock.moment();
            match task.apply(change.clone(), now) {
                Ok((next, told)) => {
                    assert_follows(&task, &change, &next, told.is_some());
                    if let Some(event) = told {
                        prop_assert_eq!(event.task, task.id);
                        prop_assert_eq!(event.at, now.at);
                    }
                    task = next;
                    assert_whole(&task);
                }
                Err(IllegalChange::State { status, .. }) => prop_assert_eq!(status, task.status()),
                Err(IllegalChange::NotDue { wait }) => {
                    let due = task.due().unwrap();
                    let early = matches!(change, Change::Claim { .. }) && !due.reached(now);
                    prop_assert!(early, "{:?} is refused as not due", change);
                    prop_assert_eq!(wait, due.wait(now));
                }
                Err(IllegalChange::Stale { stale, current }) => {
                    prop_assert_eq!(Some(stale), attempt_of(&change));
                    prop_assert_ne!(stale, current);
                    prop_assert_eq!(Some(current), task.lease().map(|lease| lease.attempt));
                }
                Err(IllegalChange::Lapsed { attempt }) => {
                    let renews = matches!(change, Change::Renew { .. });
                    let lease = task.lease().unwrap();
                    let lapsed = lease.attempt == attempt && lease.expires.reached(now);
                    prop_assert!(renews && lapsed, "{:?} is refused as lapsed", change);
                }
                Err(IllegalChange::Allowance { most }) => {
                    prop_assert!(task.lease().is_some() && task.delegated >= most);
                }
                Err(IllegalChange::Cancelling) => {
                    let cancels = change == Change::Cancel && task.status() == Status::Notified;
                    prop_assert!(cancels, "{:?} is refused as being cancelled", change);
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
