//! How runs end before their turn does.

use std::sync::Arc;

use kugetsu_core::{
    AgentError, AgentEvent, AgentRun, Finish, MemorySlots, SlotKey, SlotPool, Stop,
};
use tokio_stream::StreamExt;

use super::told::{Told, begun, request, start, turn};
use super::{AgentRunnerFixture, Deed};
use crate::suite::promise::at_once;

fn stop(run: &AgentRun, how: Stop) -> impl Future<Output = ()> + Send + use<> {
    let control = Arc::clone(&run.control);
    async move {
        if let Err(error) = control.stop(how).await {
            panic!("the run could not be stopped: {error}");
        }
    }
}

pub(super) async fn an_agent_that_is_stopped_politely_can_be_resumed(f: &dyn AgentRunnerFixture) {
    assert_resumed_after(f, Stop::Politely).await;
}

pub(super) async fn an_agent_that_is_stopped_by_force_can_be_resumed(f: &dyn AgentRunnerFixture) {
    assert_resumed_after(f, Stop::Now).await;
}

async fn assert_resumed_after(f: &dyn AgentRunnerFixture, how: Stop) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let first = turn(&runner, request(f, &directory, &Deed::Say("marmalade".into()))).await;
    first.assert_done();
    let can = runner.capabilities();
    let mut hang = request(f, &directory, &Deed::Hang);
    if can.resume {
        hang = hang.with_conversation(first.resumed());
    }
    let (_, events, run) = begun(&runner, hang).await;
    f.until_at_work(1).await;
    stop(&run, how).await;
    f.until_at_work(0).await;
    let told = Told::after(events, run).await;
    told.assert_stopped();
    if can.resume {
        assert_eq!(told.session, first.session);
        let recall = request(f, &directory, &Deed::Recall).with_conversation(told.resumed());
        let told = turn(&runner, recall).await;
        told.assert_done();
        assert!(told.said().contains("marmalade"), "all that it recalls is {:?}", told.said());
    }
}

pub(super) async fn stopping_needs_nobody_who_reads(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let run = start(&runner, request(f, f.directory().await, &Deed::Hang)).await;
    f.until_at_work(1).await;
    // Nobody has read a single event so far.
    stop(&run, Stop::Politely).await;
    f.until_at_work(0).await;
    Told::by(run).await.assert_stopped();
}

pub(super) async fn stopping_twice_is_stopping_once(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let run = start(&runner, request(f, f.directory().await, &Deed::Hang)).await;
    f.until_at_work(1).await;
    let stops = [Stop::Politely, Stop::Now, Stop::Politely, Stop::Now].map(|how| {
        let control = Arc::clone(&run.control);
        async move { control.stop(how).await }
    });
    for stopped in at_once(stops).await {
        assert!(stopped.is_ok(), "{stopped:?}");
    }
    stop(&run, Stop::Politely).await;
    let control = Arc::clone(&run.control);
    Told::by(run).await.assert_stopped();
    // Not even that the run is gone matters.
    assert!(control.stop(Stop::Now).await.is_ok());
}

pub(super) async fn stopping_what_has_ended_is_done_already(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let mut run = start(&runner, request(f, f.directory().await, &Deed::Say("one".into()))).await;
    let mut events = vec![];
    loop {
        match run.events.next().await {
            Some(Ok(AgentEvent::Finished(finish))) => {
                assert_eq!(finish, Finish::Done);
                break;
            }
            Some(Ok(event)) => events.push(event),
            other => panic!("after {events:?} came {other:?}"),
        }
    }
    stop(&run, Stop::Politely).await;
    stop(&run, Stop::Now).await;
    assert!(run.events.next().await.is_none(), "something came after the finish");
}

pub(super) async fn a_run_that_is_dropped_is_stopped(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let (session, _, run) = begun(&runner, request(f, &directory, &Deed::Hang)).await;
    f.until_at_work(1).await;
    drop(run);
    f.until_at_work(0).await;
    if runner.capabilities().resume {
        let again = request(f, &directory, &Deed::Say("one".into()))
            .with_conversation(kugetsu_core::Conversation::Resume(session));
        turn(&runner, again).await.assert_done();
    }
}

pub(super) async fn a_run_that_is_dropped_at_once_is_stopped(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    for _ in 0..3 {
        drop(start(&runner, request(f, f.directory().await, &Deed::Hang)).await);
    }
    // Nothing else is at work now, and soon nothing at all.
    let (_, _, run) = begun(&runner, request(f, f.directory().await, &Deed::Hang)).await;
    f.until_at_work(1).await;
    drop(run);
    f.until_at_work(0).await;
}

pub(super) async fn the_end_of_one_run_is_not_the_end_of_another(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let mut others = vec![];
    for _ in 0..2 {
        others.push(start(&runner, request(f, f.directory().await, &Deed::Hang)).await);
    }
    let waiting = request(f, f.directory().await, &Deed::WaitAt("later".into()));
    let (_, events, run) = begun(&runner, waiting).await;
    f.until_at_work(3).await;
    if let Some(other) = others.pop() {
        stop(&other, Stop::Now).await;
    }
    drop(others);
    f.until_at_work(1).await;
    f.open("later").await;
    let told = Told::after(events, run).await;
    told.assert_done();
    assert_eq!(told.said().trim(), "past later");
}

pub(super) async fn a_slot_is_held_as_long_as_its_run(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let pool = MemorySlots::new(1);
    let take = async || match pool.acquire(&SlotKey::Dev, "a run").await {
        Ok(slot) => slot,
        Err(error) => panic!("{error}"),
    };
    let is_held = async || matches!(pool.try_acquire(&SlotKey::Dev, "nobody").await, Ok(None));

    let waiting = request(f, f.directory().await, &Deed::WaitAt("later".into()));
    let run = start(&runner, waiting.with_slots(vec![take().await])).await;
    f.until_at_work(1).await;
    assert!(is_held().await, "the slot is free, and the agent is at work");
    f.open("later").await;
    Told::by(run).await.assert_done();

    // Who comes next waits for it, and gets it.
    let hanging = request(f, f.directory().await, &Deed::Hang).with_slots(vec![take().await]);
    let run = start(&runner, hanging).await;
    f.until_at_work(1).await;
    assert!(is_held().await, "the slot is free, and the agent is at work");
    drop(run);
    drop(take().await);
    f.until_at_work(0).await;
}

pub(super) async fn an_answer_that_nobody_takes_is_refused(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let run = start(&runner, request(f, f.directory().await, &Deed::Hang)).await;
    let control = Arc::clone(&run.control);
    let answered = control.answer("no such question", "yes").await;
    drop(run);
    let Err(refused) = answered else { panic!("an answer to no question was taken") };
    if !runner.capabilities().answer {
        assert!(matches!(refused, AgentError::Unsupported { .. }), "{refused:?}");
    }
}
