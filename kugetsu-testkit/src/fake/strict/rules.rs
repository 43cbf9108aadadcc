//! What nobody may write. Each rule tells what was wrong.

use kugetsu_core::{
    AttemptEnd, AttemptRecord, Event, Expected, Happening, Revision, Session, Task, TaskState,
    Timestamp,
};

type Rule = Result<(), String>;

fn rule(kept: bool, otherwise: impl FnOnce() -> String) -> Rule {
    if kept { Ok(()) } else { Err(otherwise()) }
}

/// Whether it tells of a change of the task's state, and so belongs into the commit that makes it.
fn tells_of_a_change(what: &Happening) -> bool {
    matches!(
        what,
        Happening::Enqueued { .. }
            | Happening::Claimed { .. }
            | Happening::CancelRequested
            | Happening::RetryScheduled { .. }
            | Happening::Released { .. }
            | Happening::Settled { .. }
    )
}

/// What may be appended without a commit.
pub(super) fn appended(event: &Event, task: Option<&Task>) -> Rule {
    rule(!tells_of_a_change(&event.what), || format!("{event:?} without the change it tells of"))?;
    let task = task.ok_or_else(|| format!("{event:?}, whose task is not there"))?;
    of_this_task(event, task)
}

fn of_this_task(event: &Event, task: &Task) -> Rule {
    let same = event.task == task.id && event.issue.as_ref() == task.request.issue();
    rule(same, || format!("{event:?} is told of task {}", task.id))
}

/// What holds of a commit whatever it is made upon.
pub(super) fn committed(task: &Task, expected: Expected, events: &[Event]) -> Rule {
    let successor = match expected {
        Expected::Absent => Revision(1),
        Expected::At(revision) => revision.next(),
    };
    rule(task.revision == successor, || {
        format!("revision {} of {}, where {successor} comes next", task.revision, task.id)
    })?;
    events.iter().try_for_each(|event| of_this_task(event, task))?;
    let running = task.attempts.iter().filter(|a| a.end == AttemptEnd::Running);
    let running: Vec<&AttemptRecord> = running.collect();
    let fits = match (&task.state, running.as_slice()) {
        (TaskState::Leased { lease, .. }, [record]) => {
            record.number == lease.attempt
                && record.worker == lease.worker
                && task.last_attempt() == lease.attempt
        }
        (TaskState::Pending { .. } | TaskState::Settled { .. }, []) => true,
        _ => false,
    };
    rule(fits, || format!("{:?} with attempts {:?}", task.state, task.attempts))?;
    let closed = task.attempts.iter().all(|a| a.ended.is_some() == (a.end != AttemptEnd::Running));
    rule(closed, || format!("an attempt that has ended at no time: {:?}", task.attempts))?;
    let numbered = task.attempts.windows(2).all(|two| two[1].number == two[0].number.next());
    rule(numbered, || format!("attempts out of order: {:?}", task.attempts))
}

/// What may become of a task, and what has to be told of it.
pub(super) fn changed(before: Option<&Task>, after: &Task, events: &[Event]) -> Rule {
    let told: Vec<&Happening> =
        events.iter().map(|event| &event.what).filter(|what| tells_of_a_change(what)).collect();
    let untold = || format!("{before:?} became {after:?}, and what is told is {told:?}");
    let Some(before) = before else {
        let enqueued = |what: &Happening| match what {
            Happening::Enqueued { priority } => *priority == after.priority,
            _ => false,
        };
        return match told.as_slice() {
            [first] => {
                let new = matches!(after.state, TaskState::Pending { .. });
                rule(enqueued(first) && new && after.attempts.is_empty(), untold)
            }
            // Whoever asks for a task may carry it out at once.
            [first, then] => {
                rule(enqueued(first) && claims(then, after) && after.attempts.len() == 1, untold)
            }
            _ => Err(untold()),
        };
    };
    rule(!before.is_settled(), || format!("{} is settled, and became {after:?}", before.id))?;
    let mut same = before.clone();
    same.revision = after.revision;
    same.state = after.state.clone();
    same.attempts.clone_from(&after.attempts);
    let asks = after.delegated.checked_sub(before.delegated);
    rule(asks == Some(0) || (asks == Some(1) && told.is_empty()), untold)?;
    same.delegated = after.delegated;
    rule(same == *after, || format!("another request: {before:?} became {after:?}"))?;
    only_the_running_attempt_ends(before, after)?;
    let fits = match (&before.state, &after.state, told.as_slice()) {
        (TaskState::Pending { .. }, TaskState::Leased { cancel_requested, .. }, [told]) => {
            claims(told, after) && !cancel_requested
        }
        (TaskState::Leased { .. }, TaskState::Leased { .. }, [Happening::CancelRequested]) => {
            !wants_cancel(before) && wants_cancel(after) && same_lease(before, after)
        }
        (TaskState::Leased { .. }, TaskState::Leased { .. }, [told]) => {
            claims(told, after)
                && after.attempts.len() == before.attempts.len() + 1
                && wants_cancel(before) == wants_cancel(after)
        }
        (TaskState::Leased { .. }, TaskState::Leased { .. }, []) => {
            wants_cancel(before) == wants_cancel(after)
                && before.attempts == after.attempts
                && before.lease().map(|l| (l.attempt, &l.worker))
                    == after.lease().map(|l| (l.attempt, &l.worker))
        }
        (
            TaskState::Leased { lease, .. },
            TaskState::Pending { .. },
            [Happening::RetryScheduled { attempt, .. } | Happening::Released { attempt, .. }],
        ) => *attempt == lease.attempt,
        (_, TaskState::Settled { outcome, .. }, [Happening::Settled { outcome: told }]) => {
            outcome == told
        }
        _ => false,
    };
    rule(fits, untold)
}

fn claims(told: &Happening, after: &Task) -> bool {
    let Happening::Claimed { worker, attempt } = told else { return false };
    after.lease().is_some_and(|lease| lease.attempt == *attempt && lease.worker == *worker)
}

fn wants_cancel(task: &Task) -> bool {
    matches!(task.state, TaskState::Leased { cancel_requested: true, .. })
}

fn same_lease(before: &Task, after: &Task) -> bool {
    before.lease() == after.lease() && before.attempts == after.attempts
}

fn only_the_running_attempt_ends(before: &Task, after: &Task) -> Rule {
    let kept = before.attempts.iter().zip(&after.attempts).all(|(old, new)| {
        let same_try =
            old.number == new.number && old.worker == new.worker && old.started == new.started;
        old == new || (old.end == AttemptEnd::Running && same_try)
    });
    let grown = after.attempts.len().wrapping_sub(before.attempts.len());
    rule(kept && grown <= 1, || {
        format!("the attempts {:?} became {:?}", before.attempts, after.attempts)
    })
}

/// Which tasks may be forgotten.
pub(super) fn removed(task: &Task) -> Rule {
    rule(task.is_settled(), || format!("task {} is removed while it is open", task.id))
}

/// When something may be told.
pub(super) fn told(event: &Event, last: Option<Timestamp>) -> Rule {
    rule(last.is_none_or(|last| last <= event.at), || {
        format!("{event:?} is before {last:?}, when the task was told of last")
    })
}

/// What may become of a session.
pub(super) fn put(before: Option<&Session>, after: &Session) -> Rule {
    let Some(before) = before else { return Ok(()) };
    let became = || format!("{before:?} became {after:?}");
    let is_itself =
        before.kind == after.kind && before.agent == after.agent && before.created == after.created;
    rule(is_itself, || format!("another session: {}", became()))?;
    rule(before.updated <= after.updated, || format!("a younger session: {}", became()))?;
    let forgotten = before.agent_session.is_some() && after.agent_session.is_none();
    rule(!forgotten, || format!("the agent session is forgotten: {}", became()))?;
    let mut same = after.clone();
    same.revision = before.revision;
    rule(same != *before, || format!("the same again: {}", became()))
}
