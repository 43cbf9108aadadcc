use std::future::ready;

use kugetsu::core::{AgentId, NoticeKind, QueueError};
use kugetsu::{Cursor, EmbedError, Happening, Outcome, Request, Status};
use kugetsu_testkit::fake::{FakeAgent, RecordingNotifier};

use crate::house::{House, issue, report, request};

#[tokio::test]
async fn what_is_asked_twice_under_one_key_is_asked_once() {
    let house = House::new();
    let kugetsu = house.in_memory().build().await.unwrap();
    let first = kugetsu.enqueue_once("monday", request(1, "say one")).await.unwrap();
    let again = kugetsu.enqueue_once("monday", request(1, "say one")).await.unwrap();
    let other = kugetsu.enqueue_once("tuesday", request(1, "say one")).await.unwrap();
    assert_eq!(again, first);
    assert_ne!(other.id, first.id);
    // Also when it is done.
    kugetsu.run_until(kugetsu.settled(other.id)).await.unwrap().unwrap();
    let again = kugetsu.enqueue_once("monday", request(1, "say one")).await.unwrap();
    assert_eq!((again.id, report(&again).answer.as_str()), (first.id, "one"));
    assert_eq!(house.agent.runs().len(), 2);
    let another = kugetsu.enqueue_once("monday", request(1, "say two")).await;
    assert!(matches!(another, Err(EmbedError::Queue(QueueError::KeyTaken { .. }))), "{another:?}");
}

#[tokio::test]
async fn what_one_program_asks_for_another_carries_out_and_the_first_hears_of_it() {
    let house = House::new();
    let asks = house.in_directory().build().await.unwrap();
    let works = house.in_directory().build().await.unwrap();
    let task = asks.enqueue(request(1, "say Done.")).await.unwrap();
    let told = works.run_until(asks.settled(task.id)).await.unwrap();
    assert_eq!(report(&told.unwrap()).answer, "Done.");
}

#[tokio::test]
async fn whoever_follows_hears_everything_in_order_from_wherever_they_like() {
    let house = House::new();
    let kugetsu = house.in_memory().build().await.unwrap();
    kugetsu.start(request(1, "say Done.")).await.unwrap();
    let mut from_now = kugetsu.follow().await.unwrap();
    let second = kugetsu.start(request(2, "say Done.")).await.unwrap();

    let all = kugetsu.follow_from(Cursor(0)).ready().await.unwrap();
    let settled = |happening: &Happening| matches!(happening, Happening::Settled { .. });
    assert!(matches!(all[0].1.what, Happening::Enqueued { .. }), "{all:?}");
    assert_eq!(all.iter().filter(|(_, event)| settled(&event.what)).count(), 2);

    let later = from_now.next().await.unwrap();
    assert!(later.iter().all(|(_, event)| event.task == second.id), "{later:?}");
    assert_eq!(later[..], all[all.len() - later.len()..]);
    // And a cursor that was kept is where to go on.
    let rest = kugetsu.follow_from(later[0].0).ready().await.unwrap();
    assert_eq!(rest, later[1..]);
}

#[tokio::test]
async fn a_task_is_cancelled_whether_it_waits_or_its_agent_works() {
    let house = House::new();
    let kugetsu = house.in_memory().at_once(1).build().await.unwrap();
    let runs = kugetsu.enqueue(request(1, "hang")).await.unwrap();
    let waits = kugetsu.enqueue(request(2, "say Done.")).await.unwrap();
    let ending = async {
        house.agent.until_at_work(1).await;
        let waits = kugetsu.cancel(waits.id).await.unwrap();
        assert_eq!(waits.outcome(), Some(&Outcome::Cancelled));
        kugetsu.cancel(runs.id).await.unwrap();
        drop(kugetsu.settled(runs.id).await);
    };
    kugetsu.run_until(ending).await.unwrap();
    assert_eq!(kugetsu.task(runs.id).await.unwrap().status(), Status::Cancelled);
    assert_eq!((house.agent.at_work(), house.agent.runs().len()), (0, 1));
}

#[tokio::test]
async fn whoever_is_to_be_told_is_told_before_it_ends() {
    let house = House::new();
    let (one, two) = (RecordingNotifier::new("one"), RecordingNotifier::new("two"));
    one.fail(1);
    let kugetsu =
        house.in_memory().notifier(one.clone()).notifier(two.clone()).build().await.unwrap();
    let task = kugetsu.enqueue(request(1, "say Done.")).await.unwrap();
    kugetsu.run_until(kugetsu.settled(task.id)).await.unwrap().unwrap();
    let kinds: Vec<NoticeKind> = two.kept().into_iter().map(|notice| notice.kind).collect();
    let wanted = [
        NoticeKind::TaskQueued,
        NoticeKind::TaskDequeued,
        NoticeKind::TaskStarted,
        NoticeKind::TaskCompleted,
    ];
    assert_eq!(kinds, wanted);
    // The one that was down for a moment goes on where it was.
    kugetsu.run_until(ready(())).await.unwrap();
    assert_eq!(one.kept(), two.kept());
}

#[tokio::test]
async fn each_task_has_the_agent_that_it_was_given() {
    let house = House::new();
    let named = |name: &str| FakeAgent::new().with_id(AgentId::new(name).unwrap());
    let (default, other, pm) = (named("default"), named("other"), named("pm"));
    let gadgets = "example.com/acme/gadgets#1".parse().unwrap();
    let id = |name: &str| AgentId::new(name).unwrap();
    let kugetsu = house
        .in_memory()
        .agent(default.clone())
        .other_agent(other.clone())
        .pm_agent(pm.clone())
        .agent_for("example.com/acme/gadgets".parse().unwrap(), id("other"))
        .build()
        .await
        .unwrap();
    for request in [
        request(1, "say default"),
        request(2, "say asked for").with_agent(Some(id("other"))),
        Request::dev(gadgets, "MODEL: say of the repository"),
        Request::pm("MODEL: say of the PM"),
    ] {
        report(&kugetsu.start(request).await.unwrap());
    }
    let runs = |agent: &FakeAgent| agent.runs().len();
    assert_eq!((runs(&default), runs(&other), runs(&pm)), (1, 2, 1));
    let unknown = request(3, "say nothing").with_agent(Some(id("nobody")));
    let failed = kugetsu.start(unknown).await.unwrap();
    assert_eq!(failed.status(), Status::Error);
    assert_eq!(failed.request.issue(), Some(&issue(3)));
}
