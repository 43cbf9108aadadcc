//! What happened, told once, in order.

use std::collections::HashMap;
use std::sync::Arc;

use kugetsu_core::event::{Json, Unknown};
use kugetsu_core::{
    AgentEvent, AgentSessionId, Cursor, Event, Failure, Finish, Happening, Retry, Task, TaskStore,
    Usage,
};

use super::{TaskStoreFixture, enqueued, fine};
use crate::suite::promise::{at_once, beside};
use crate::suite::sample::{HOSTILE, at, named, short, task};

/// So many messages of the task's agent.
pub(super) fn chatter(task: &Task, count: usize) -> Vec<Event> {
    let message = |number| AgentEvent::Message { text: format!("message {number}") };
    (0..count).map(|number| about(task, Happening::Agent(message(number)))).collect()
}

fn about(task: &Task, what: Happening) -> Event {
    Event::new(at(1).at, task.id, task.request.issue().cloned(), what)
}

async fn all(store: &dyn TaskStore) -> Vec<(Cursor, Event)> {
    fine(store.read(Cursor(0), u32::MAX).await)
}

fn assert_told(read: &[(Cursor, Event)], told: &[Event]) {
    let events: Vec<&Event> = read.iter().map(|(_, event)| event).collect();
    assert_eq!(events, told.iter().collect::<Vec<_>>());
    assert!(
        read.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "the cursors do not grow: {:?}",
        read.iter().map(|(cursor, _)| cursor).collect::<Vec<_>>()
    );
    assert!(read.first().is_none_or(|(cursor, _)| *cursor > Cursor(0)), "an event at cursor 0");
}

pub(super) async fn an_empty_log_has_nothing_to_read(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    assert_eq!(all(&*store).await, []);
    assert_eq!(fine(store.read(Cursor(u64::MAX), 10).await), []);
    assert_eq!(fine(store.append(&[]).await), Cursor(0));
}

pub(super) async fn events_come_back_in_the_order_in_which_they_were_appended(
    f: &dyn TaskStoreFixture,
) {
    let (here, there) = (f.open().await, f.open().await);
    let new = enqueued(&*here, task(0)).await;
    let other = enqueued(&*there, task(1)).await;
    let mut told = vec![new.enqueued(at(0)), other.enqueued(at(0))];
    for round in 1..10 {
        let events = chatter(if round % 2 == 0 { &new } else { &other }, round);
        let store = if round % 3 == 0 { &here } else { &there };
        let end = fine(store.append(&events).await);
        told.extend(events);
        let read = all(&*here).await;
        assert_eq!(read.last().map(|(cursor, _)| *cursor), Some(end), "the cursor of the last");
        assert_told(&read, &told);
    }
    assert_told(&all(&*f.open().await).await, &told);
}

pub(super) async fn an_event_comes_back_as_it_was(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let session: AgentSessionId = named("ses_1".parse());
    let mut told = vec![];
    let long = "long ".repeat(200_000);
    for text in HOSTILE.into_iter().chain([long.as_str()]) {
        let text = || text.to_owned();
        let agent = [
            AgentEvent::SessionStarted { session: session.clone() },
            AgentEvent::Message { text: text() },
            AgentEvent::Thought { text: text() },
            AgentEvent::ToolStarted { call: text(), tool: text(), title: text() },
            AgentEvent::ToolEnded { call: text(), tool: text(), ok: false, summary: text() },
            AgentEvent::Asked { question: text(), text: text(), refused: true },
            AgentEvent::Usage(Usage::tokens(u64::MAX, 0)),
            AgentEvent::Finished(Finish::Done),
            AgentEvent::Finished(Finish::Stopped),
            AgentEvent::Finished(Finish::Failed {
                failure: Failure::new(text(), Retry::After { millis: u64::MAX }),
            }),
        ];
        told.extend(agent.into_iter().map(Happening::Agent));
        told.extend([
            Happening::SlotTaken { class: text(), index: u32::MAX },
            Happening::WorktreeReady { branch: text(), path: text(), created: true },
            Happening::SessionReady { session: session.clone(), how: text() },
        ]);
    }
    let told: Vec<Event> = told.into_iter().map(|what| about(&new, what)).collect();
    fine(store.append(&told).await);
    drop(store);
    let read = all(&*f.open().await).await;
    for ((_, read), told) in read[1..].iter().zip(&told) {
        assert!(read == told, "{} came back as {}", short(told), short(read));
    }
    assert_eq!(read.len(), told.len() + 1);
}

pub(super) async fn an_event_of_an_unknown_kind_comes_back_as_it_was(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let data = Json::Object(vec![
        ("z".into(), Json::Integer(i128::from(u64::MAX))),
        ("a".into(), Json::List(vec![Json::Null, Json::Bool(true), Json::Integer(-1)])),
        ("half".into(), Json::Float(0.5f64.to_bits())),
        ("text".into(), Json::Text(HOSTILE[7].into())),
    ]);
    let unknown = |data| Unknown { kind: "moon_phase".into(), data };
    let told = [
        about(&new, Happening::Unknown(unknown(data.clone()))),
        about(&new, Happening::Unknown(unknown(Json::Null))),
        about(&new, Happening::Agent(AgentEvent::Unknown(unknown(data)))),
    ];
    fine(store.append(&told).await);
    drop(store);
    assert_told(&all(&*f.open().await).await[1..], &told);
}

pub(super) async fn a_cursor_stays_valid_after_reopening(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let first = fine(store.append(&chatter(&new, 2)).await);
    drop(store);
    let store = f.open().await;
    assert_eq!(fine(store.read(first, 10).await), []);
    let later = chatter(&new, 3);
    let last = fine(store.append(&later).await);
    assert!(last > first, "{last} is not behind {first}");
    drop(store);
    let store = f.open().await;
    let read = fine(store.read(first, 10).await);
    assert_told(&read, &later);
    assert_eq!(read.last().map(|(cursor, _)| *cursor), Some(last));
    assert_eq!(fine(store.read(last, 10).await), []);
}

pub(super) async fn appending_nothing_tells_where_the_log_ends(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let end = fine(store.append(&chatter(&new, 2)).await);
    assert_eq!(fine(f.open().await.append(&[]).await), end);
    assert_eq!(all(&*store).await.len(), 3);
}

pub(super) async fn reading_goes_on_behind_any_cursor(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    fine(store.append(&chatter(&new, 24)).await);
    let whole = all(&*store).await;
    assert_eq!(whole.len(), 25);
    for (index, (cursor, _)) in whole.iter().enumerate() {
        for limit in [1, 7, 100] {
            let read = fine(store.read(*cursor, limit).await);
            let wanted: Vec<_> =
                whole.iter().skip(index + 1).take(limit as usize).cloned().collect();
            assert_eq!(read, wanted, "behind {cursor}, at most {limit}");
        }
    }
    assert_eq!(fine(store.read(Cursor(0), 0).await), []);
    assert_eq!(fine(store.read(Cursor(u64::MAX), 10).await), []);
}

pub(super) async fn a_reader_who_follows_misses_nothing(f: &dyn TaskStoreFixture) {
    const WRITERS: usize = 8;
    const EACH: usize = 24;
    let stores = [f.open().await, f.open().await];
    let mut tasks = vec![];
    for number in 0..WRITERS {
        tasks.push(enqueued(&*stores[0], task(number as u64)).await);
    }
    let writing =
        beside(at_once(tasks.clone().into_iter().enumerate().map(move |(number, task)| {
            let store = Arc::clone(&stores[number % 2]);
            async move {
                for two in chatter(&task, EACH).chunks(2) {
                    fine(store.append(two).await);
                }
            }
        })));
    let reader = f.open().await;
    let mut seen: HashMap<_, Vec<Event>> = HashMap::new();
    let mut last = Cursor(0);
    let mut count = 0;
    while count < WRITERS * (EACH + 1) {
        let read = fine(reader.read(last, 5).await);
        if read.is_empty() {
            assert!(
                !writing.is_finished() || !fine(reader.read(last, 1).await).is_empty(),
                "only {count} of {} events were seen, up to cursor {last}",
                WRITERS * (EACH + 1)
            );
            tokio::task::yield_now().await;
        }
        for (cursor, event) in read {
            assert!(cursor > last, "{cursor} came after {last}");
            last = cursor;
            count += 1;
            seen.entry(event.task).or_default().push(event);
        }
    }
    for task in tasks {
        let mut told = vec![task.enqueued(at(0))];
        told.extend(chatter(&task, EACH));
        assert_eq!(seen.remove(&task.id), Some(told), "one writer's events, in its order");
    }
    assert_eq!(fine(reader.read(last, 5).await), []);
}
