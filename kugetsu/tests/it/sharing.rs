use kugetsu::core::{SessionKind, SessionQuery};
use kugetsu::queue::StartError;
use kugetsu::{EmbedError, Kugetsu, Status, Wait};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::house::{House, request};

#[tokio::test]
async fn of_many_who_begin_at_once_one_makes_the_base() {
    let house = House::new();
    let mut begun = JoinSet::new();
    for _ in 0..8 {
        let kugetsu = house.in_directory().build().await.unwrap();
        begun.spawn(async move { kugetsu.init().await });
    }
    while let Some(made) = begun.join_next().await {
        made.unwrap().unwrap();
    }
    let kugetsu = house.in_directory().build().await.unwrap();
    for kind in [SessionKind::Base, SessionKind::Pm] {
        let found = kugetsu.engine().sessions().find(&SessionQuery::of(kind)).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[tokio::test]
async fn three_who_share_a_directory_keep_one_limit() {
    let house = House::new();
    let mut all: Vec<Kugetsu> = Vec::new();
    for _ in 0..3 {
        all.push(house.in_directory().at_once(2).build().await.unwrap());
    }
    let mut tasks = Vec::new();
    for number in 1..=6 {
        let kugetsu = &all[number as usize % 3];
        tasks.push(kugetsu.enqueue(request(number, "gate on ;; say Done.")).await.unwrap().id);
    }
    let done = CancellationToken::new();
    let mut running = JoinSet::new();
    for kugetsu in all.clone() {
        let done = done.clone();
        running.spawn(async move { kugetsu.run_until(done.cancelled_owned()).await });
    }
    house.agent.until_at_work(2).await;
    // Whoever does not wait hears that there is no place, whichever of them it is.
    for kugetsu in &all {
        let start = kugetsu.engine().start(
            request(9, "say Done."),
            Wait::No,
            CancellationToken::new(),
            |_| {},
        );
        match start.await {
            Err(StartError::NoSlot { holders, limit: 2 }) => assert_eq!(holders.len(), 2),
            other => panic!("instead of `NoSlot` there was {other:?}"),
        }
    }
    assert_eq!(house.agent.at_work(), 2);
    house.agent.open("on");
    for task in tasks {
        assert_eq!(all[0].settled(task).await.unwrap().status(), Status::Completed);
    }
    done.cancel();
    while let Some(ran) = running.join_next().await {
        let ran: Result<(), EmbedError> = ran.unwrap();
        ran.unwrap();
    }
    assert_eq!((house.agent.most_at_work(), house.agent.runs().len()), (2, 6));
}
