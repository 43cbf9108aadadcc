//! Programs that embed kugetsu, and the command, on one directory at once.

use kugetsu::{Kugetsu, Request, Status};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, initialised};

/// A program on the desk's directory, with the desk's agent, and otherwise with what is there.
async fn embedder(desk: &Desk) -> Kugetsu {
    let builder = Kugetsu::builder().directory(desk.kugetsu("")).at_once(2);
    builder.agent(desk.agent.clone()).build().await.unwrap()
}

#[test]
fn two_programs_that_embed_it_and_the_command_share_one_queue_and_one_limit() {
    let desk = initialised().with("MAX_CONCURRENT_AGENTS", "2");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let issue = |number: u32| format!("example.com/acme/widgets#{number}");
    let message = "MODEL: gate on ;; say Done.";

    let (one, two) = runtime.block_on(async { (embedder(&desk).await, embedder(&desk).await) });
    runtime.block_on(async {
        for number in [1, 2] {
            let request = Request::dev(issue(number).parse().unwrap(), message);
            one.enqueue(request).await.unwrap();
        }
    });
    // What the command queues, the programs carry out, too.
    desk.run(&["queue", "enqueue", &issue(3), message]).done();
    desk.run(&["queue", "enqueue", &issue(4), message]).done();

    let done = CancellationToken::new();
    let mut running = JoinSet::new();
    for kugetsu in [one.clone(), two] {
        let until = done.clone().cancelled_owned();
        running.spawn_on(async move { kugetsu.run_until(until).await }, runtime.handle());
    }
    runtime.block_on(desk.agent.until_at_work(2));
    let refused = desk.run(&["start", &issue(5), "say Done."]);
    assert_eq!(refused.code, 2, "{}", refused.shown());
    assert!(refused.err.contains("2 of 2 agents are at work"), "{}", refused.shown());

    // Who waits gets a slot among the others; and a program waits for what the command is at.
    let waits = std::thread::scope(|scope| {
        let waits = scope.spawn(|| desk.run(&["start", "--wait", &issue(5), message]));
        desk.agent.open("on");
        waits.join().unwrap()
    });
    waits.done();
    let tasks = runtime.block_on(async {
        let list = kugetsu_core::TaskQuery::all();
        let tasks = one.engine().queue().store().list(&list).await.unwrap();
        let mut settled = Vec::new();
        for task in tasks {
            settled.push(one.settled(task.id).await.unwrap());
        }
        done.cancel();
        while let Some(ran) = running.join_next().await {
            ran.unwrap().unwrap();
        }
        settled
    });
    let completed = tasks.iter().filter(|task| task.status() == Status::Completed).count();
    assert_eq!((tasks.len(), completed), (5, 5));
    assert_eq!((desk.agent.runs().len(), desk.agent.most_at_work()), (5, 2));
}
