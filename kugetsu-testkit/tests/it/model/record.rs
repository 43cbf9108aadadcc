use super::caller::Caller;
use kugetsu_testkit::model::{Ended, ScriptedModel};
use std::io::ErrorKind;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_gate_holds_the_answer_until_the_test_opens_it() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: gate one ;; gate two ;; say through");
    let asking = tokio::spawn(async move { caller.ask().await.text });
    model.wait_for_in_flight(1).await;
    model.open("two");
    assert_eq!(model.in_flight(), 1);
    let gate = format!("http://127.0.0.1:{}/gate/one", model.port());
    let opened = reqwest::Client::new().post(gate).send().await.unwrap();
    assert_eq!(opened.status(), 200);
    assert_eq!(asking.await.unwrap(), "through");
    // An open gate stays open, also for a script that has nothing but the gate.
    let caller = Caller::new(&model, "s", "MODEL: gate one");
    assert_eq!(caller.ask().await.text, "done");
}

#[tokio::test]
async fn sixty_four_callers_are_served_at_once_and_each_gets_its_own_answer() {
    let model = ScriptedModel::start().await.unwrap();
    let askings: Vec<_> = (0..64)
        .map(|n| {
            let prompt = format!("MODEL: gate all ;; say answer {n}");
            let caller = Caller::new(&model, &format!("ses_{n}"), &prompt);
            tokio::spawn(async move { caller.ask().await.text })
        })
        .collect();
    assert_eq!(model.wait_for_in_flight(64).await.len(), 64);
    model.open("all");
    for (n, asking) in askings.into_iter().enumerate() {
        assert_eq!(asking.await.unwrap(), format!("answer {n}"));
    }
    let requests = model.wait_for_ended(64).await;
    assert!(requests.iter().all(|request| request.ended == Some(Ended::Answered)));
    assert_eq!((model.in_flight(), model.most_in_flight()), (0, 64));
}

#[tokio::test]
async fn ended_requests_can_be_taken_out_of_the_record() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: bash ls");
    caller.ask().await;
    caller.ask().await;
    assert_eq!(model.next_ended().await.number, 0);
    assert_eq!(model.next_ended().await.number, 1);
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn stopping_ends_what_is_in_flight_and_closes_the_port() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: hang");
    let asking = tokio::spawn(async move { caller.send(true).await.is_err() });
    model.wait_for_arrivals(1).await;
    let port = model.port();
    let requests = model.stop();
    assert_eq!(requests[0].ended, Some(Ended::ModelStopped));
    assert!(asking.await.unwrap());
    let refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_test_without_a_runtime_can_have_a_model() {
    let model = ScriptedModel::start_blocking().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", model.port())).is_ok());
}
