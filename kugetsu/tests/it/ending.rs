use std::future::{pending, ready};
use std::time::Duration;

use kugetsu::Status;
use tokio::sync::oneshot;

use crate::house::{House, request};

#[tokio::test]
async fn running_agents_may_end_and_nothing_more_is_begun() {
    let house = House::new();
    let kugetsu = house.in_memory().at_once(1).build().await.unwrap();
    let runs = kugetsu.enqueue(request(1, "gate later ;; say Done.")).await.unwrap();
    let waits = kugetsu.enqueue(request(2, "say Done.")).await.unwrap();
    let (ends, ended) = oneshot::channel::<()>();
    let running = kugetsu.run_until(ended);
    let steering = async {
        house.agent.until_at_work(1).await;
        ends.send(()).unwrap();
        house.agent.open("later");
    };
    let (done, ()) = tokio::join!(running, steering);
    done.unwrap().unwrap();
    assert_eq!(kugetsu.task(runs.id).await.unwrap().status(), Status::Completed);
    assert_eq!(kugetsu.task(waits.id).await.unwrap().status(), Status::Pending);
    assert_eq!(house.agent.runs().len(), 1);
}

#[tokio::test]
async fn whoever_does_not_end_in_time_is_stopped_and_its_task_goes_back_at_no_cost() {
    let house = House::new();
    let kugetsu = house.in_directory().drain(Duration::ZERO).build().await.unwrap();
    let task = kugetsu.enqueue(request(1, "gate later ;; say Done.")).await.unwrap();
    kugetsu.run_until(house.agent.until_at_work(1)).await.unwrap();
    assert_eq!(house.agent.at_work(), 0);
    let left = kugetsu.task(task.id).await.unwrap();
    assert_eq!(
        (left.status(), left.attempts.len(), left.attempts_spent()),
        (Status::Pending, 1, 0)
    );

    // The next program takes it up again.
    house.agent.open("later");
    let next = house.in_directory().build().await.unwrap();
    next.run_until(next.settled(task.id)).await.unwrap().unwrap();
    let done = next.task(task.id).await.unwrap();
    assert_eq!((done.status(), done.attempts.len()), (Status::Completed, 2), "{done:?}");
}

#[tokio::test]
async fn whoever_is_dropped_stops_its_agent() {
    let house = House::new();
    let kugetsu = house.in_memory().build().await.unwrap();
    tokio::select! {
        started = kugetsu.start(request(1, "hang")) => panic!("it ended: {started:?}"),
        () = house.agent.until_at_work(1) => {}
    }
    house.agent.until_at_work(0).await;

    kugetsu.enqueue(request(2, "hang")).await.unwrap();
    tokio::select! {
        ran = kugetsu.run_until(pending::<()>()) => panic!("it ended: {ran:?}"),
        () = house.agent.until_at_work(1) => {}
    }
    house.agent.until_at_work(0).await;
    assert_eq!(house.agent.runs().len(), 2);
}

#[tokio::test]
async fn whoever_is_shut_down_before_it_begins_begins_nothing() {
    let house = House::new();
    let kugetsu = house.in_memory().build().await.unwrap();
    let task = kugetsu.enqueue(request(1, "say Done.")).await.unwrap();
    kugetsu.run_until(ready(())).await.unwrap();
    assert_eq!(kugetsu.task(task.id).await.unwrap().status(), Status::Pending);
    // It can be run again, by this very value.
    kugetsu.run_until(kugetsu.settled(task.id)).await.unwrap().unwrap();
    assert_eq!(kugetsu.task(task.id).await.unwrap().status(), Status::Completed);
    kugetsu.shut_down().await;
}
