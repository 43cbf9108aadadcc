//! A task that takes its process with it.

use kugetsu_core::{AttemptEnd, Outcome, Status, TaskState};

use super::audit::Audit;
use super::process;
use super::site::Site;

#[test]
fn a_task_that_kills_its_process_each_time_is_an_error_after_three_and_the_others_are_not() {
    let site = Site::new(3);
    // Two that are there whenever they may be when it dies, and some that come after.
    let slow = [(1, "slow 1".to_owned()), (2, "slow 2".to_owned())];
    let others = (3..9).map(|number| (number, format!("task {number}")));
    let poison = site.enqueue([(0, "poison".to_owned())])[0];
    let mut queued = site.enqueue(slow.into_iter().chain(others));
    queued.push(poison);
    let mut deaths = 0;
    loop {
        let mut process = process(&site, "1", 9);
        let last = loop {
            match process.hear() {
                Some(said) if said == "done" => break true,
                Some(_) => {}
                None => break false,
            }
        };
        if last {
            process.end();
            break;
        }
        process.kill();
        deaths += 1;
        assert!(deaths <= 3, "it kills for ever");
    }
    assert_eq!(deaths, 3);
    let audit = Audit::of(&site);
    assert!(audit.wrong.is_empty(), "{:#?}", audit.wrong);
    for (id, task) in &audit.tasks {
        if *id != poison {
            assert_eq!(task.status(), Status::Completed, "{task:?}");
            continue;
        }
        let TaskState::Settled { outcome: Outcome::Error { failure }, .. } = &task.state else {
            panic!("{task:?}")
        };
        assert!(failure.reason.contains("the process that ran it died"), "{failure}");
        assert!(failure.reason.contains("three attempts in a row"), "{failure}");
        assert!(task.attempts.len() == 3, "{task:?}");
    }
    let slow = audit.tasks.values().filter(|task| task.request.message().starts_with("slow"));
    let lost = |task: &kugetsu_core::Task| {
        task.attempts.iter().filter(|attempt| attempt.end == AttemptEnd::Lost).count()
    };
    let lost: Vec<usize> = slow.map(lost).collect();
    assert_eq!(lost, [2, 2], "they were not there when it died");
}
