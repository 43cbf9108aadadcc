//! The limit holds over any number of processes.

use std::fs;
use std::path::Path;

use tokio::task::JoinSet;

use super::house::{House, Ran, finish, issue};

/// Takes the lowest free one of six locks for as long as it is at work, and writes down which.
pub(super) const CANARY: &str = "for k in 1 2 3 4 5 6; do exec 9>\"$CANARIES/$k\"; flock -n 9 && break; done; \
                      echo $k >> \"$CANARIES/seen\"; sleep 0.3";

fn at_once(house: &House, arguments: &[&str]) -> JoinSet<Ran> {
    let canaries = house.place("canaries");
    let script = format!("MODEL: gate go ;; bash {CANARY}\nMODEL: say done");
    let mut commands = JoinSet::new();
    for number in 1..=6 {
        let mut all = vec!["start", arguments.first().copied().unwrap_or("--json")];
        let name = issue(number);
        all.extend([name.as_str(), script.as_str()]);
        let mut command = house.kugetsu(&all);
        command.env("CANARIES", &canaries).env("KUGETSU_INHERIT_VARIABLES", "CANARIES");
        commands.spawn(finish(command.spawn().unwrap()));
    }
    commands
}

pub(super) fn seen(canaries: &Path) -> Vec<u32> {
    let seen = fs::read_to_string(canaries.join("seen")).unwrap();
    seen.lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn six_at_once_are_three_and_the_others_say_that_no_slot_is_free() {
    let house = House::new().await;
    let mut commands = at_once(&house, &[]);
    for _ in 0..3 {
        // Nobody of the first three can end before the gate is open.
        let refused = commands.join_next().await.unwrap().unwrap();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("slot"), "{refused:?}");
    }
    house.model.wait_for_in_flight(3).await;
    house.model.open("go");
    while let Some(done) = commands.join_next().await {
        let done = done.unwrap();
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    assert_eq!(house.model.most_in_flight(), 3);
    let seen = seen(&house.place("canaries"));
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|canary| *canary <= 3), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_that_wait_all_come_through_three_at_a_time() {
    let house = House::new().await;
    let mut commands = at_once(&house, &["--wait"]);
    house.model.wait_for_in_flight(3).await;
    house.model.open("go");
    while let Some(done) = commands.join_next().await {
        let done = done.unwrap();
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    let seen = seen(&house.place("canaries"));
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|canary| *canary <= 3), "{seen:?}");
}
