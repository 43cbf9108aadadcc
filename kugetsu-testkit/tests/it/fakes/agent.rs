use std::fs;

use kugetsu_core::{
    AgentCapabilities, AgentError, AgentEvent, AgentRun, AgentRunner, Failure, Finish, Retry,
    RunRequest, Stop,
};
use kugetsu_testkit::fake::FakeAgent;
use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;
use tokio_stream::StreamExt;

async fn events(run: AgentRun) -> Vec<AgentEvent> {
    run.events.map(Result::unwrap).collect().await
}

/// What a turn with this script tells, but for its session and what it has used up.
async fn told(agent: &FakeAgent, directory: &TempDir, script: &str) -> Vec<AgentEvent> {
    let run = agent.start(RunRequest::new(directory.path(), script)).await.unwrap();
    let told = events(run).await.into_iter();
    told.filter(|event| !matches!(event, AgentEvent::SessionStarted { .. } | AgentEvent::Usage(_)))
        .collect()
}

fn finish(told: &[AgentEvent]) -> &Finish {
    match told.last() {
        Some(AgentEvent::Finished(finish)) => finish,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_does_what_the_script_says() {
    let directory = TempDir::new().unwrap();
    let repository = SampleRepository::new(directory.path()).unwrap();
    let agent = FakeAgent::new();
    let script = "Please fix it.\nMODEL: say I'll try. ;; write a.txt one ;; edit a.txt one => two\n\
                  MODEL: bash ls ;; commit it's done ;; bash exit 3 ;; say Done.";
    let told = told(&agent, &directory, script).await;
    assert_eq!(*finish(&told), Finish::Done);
    assert_eq!(fs::read_to_string(directory.path().join("a.txt")).unwrap(), "two\n");
    assert_eq!(repository.subjects("HEAD").unwrap(), ["it's done", "start"]);
    let oks: Vec<bool> = told
        .iter()
        .filter_map(|event| match event {
            AgentEvent::ToolEnded { ok, .. } => Some(*ok),
            _ => None,
        })
        .collect();
    assert_eq!(oks, [true, true, true, true, false]);
    let says = |text: &str| AgentEvent::Message { text: text.to_owned() };
    assert_eq!(told[0], says("I'll try."));
    assert!(told.contains(&says("Done.")), "{told:?}");
}

#[tokio::test]
async fn it_asks_its_model_again_when_that_fails_for_a_while() {
    let directory = TempDir::new().unwrap();
    let agent = FakeAgent::new();
    for script in ["http 500 2", "reset 1 ;; cut 1", "garbage 3", "http 429 2 7"] {
        let told = told(&agent, &directory, &format!("MODEL: {script} ;; say fine")).await;
        assert_eq!(*finish(&told), Finish::Done, "{script}");
    }
    let retry_of = async |script: &str| match finish(&told(&agent, &directory, script).await) {
        Finish::Failed { failure } => failure.retry,
        other => panic!("{script}: {other:?}"),
    };
    assert_eq!(retry_of("MODEL: http 401").await, Retry::Never);
    assert_eq!(retry_of("MODEL: http 500").await, Retry::Later);
    assert_eq!(retry_of("MODEL: http 429").await, Retry::After { millis: 30000 });
    assert_eq!(retry_of("MODEL: http 429 1 3600").await, Retry::After { millis: 3_600_000 });
    assert_eq!(retry_of("MODEL: http 429 99 7").await, Retry::After { millis: 7000 });
    assert_eq!(retry_of("MODEL: cut").await, Retry::Later);
    assert_eq!(retry_of("MODEL: finish length ;; say half").await, Retry::Later);
    // A script that cannot be read is a mistake in the test.
    assert_eq!(retry_of("MODEL: frobnicate").await, Retry::Never);
}

#[tokio::test]
async fn it_does_nothing_outside_of_its_directory() {
    let (directory, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let outside = other.path().join("a.txt");
    let paths = [outside.to_str().unwrap(), "../a.txt", "x/../../a.txt"];
    for path in paths {
        let script = format!("MODEL: write {path} gone ;; say done");
        let told = told(&FakeAgent::new(), &directory, &script).await;
        let refused = |event: &AgentEvent| matches!(event, AgentEvent::Asked { refused: true, .. });
        assert!(told.iter().any(refused), "{told:?}");
    }
    assert!(!outside.exists());
}

#[tokio::test]
async fn it_takes_an_answer_if_it_can() {
    let directory = TempDir::new().unwrap();
    let able = AgentCapabilities::default().with_answer();
    let agent = FakeAgent::new().with_capabilities(able);
    let request = RunRequest::new(directory.path(), "MODEL: question Shall I? ;; say fine");
    let mut run = agent.start(request).await.unwrap();
    let question = loop {
        match run.events.next().await.unwrap().unwrap() {
            AgentEvent::Asked { question, text, refused: false } => {
                assert_eq!(text, "Shall I?");
                break question;
            }
            AgentEvent::Finished(_) => panic!("it has not asked"),
            _ => {}
        }
    };
    run.control.answer(&question, "Yes").await.unwrap();
    assert!(run.control.answer(&question, "No").await.is_err());
    let told = events(run).await;
    let answered = told.iter().any(
        |event| matches!(event, AgentEvent::ToolEnded { ok: true, summary, .. } if summary == "Yes"),
    );
    assert!(answered, "{told:?}");
}

#[tokio::test]
async fn it_fails_when_a_test_wants_it_to() {
    let directory = TempDir::new().unwrap();
    let agent = FakeAgent::new();
    agent.fail_next(Failure::passing("the first"));
    agent.fail_next(Failure::fatal("the second"));
    for failure in [Failure::passing("the first"), Failure::fatal("the second")] {
        let told = told(&agent, &directory, "MODEL: say fine").await;
        assert_eq!(told, [AgentEvent::Finished(Finish::Failed { failure })]);
    }
    assert_eq!(*finish(&told(&agent, &directory, "MODEL: say fine").await), Finish::Done);
    let broken = FakeAgent::new().with_trouble("no licence");
    assert_eq!(broken.probe().await.unwrap().trouble.as_deref(), Some("no licence"));
    let refused = broken.start(RunRequest::new(directory.path(), "hello")).await;
    assert!(matches!(refused, Err(AgentError::Missing { .. })), "{refused:?}");
}

#[tokio::test]
async fn it_counts_who_is_at_work() {
    let directory = TempDir::new().unwrap();
    let agent = FakeAgent::new();
    let mut runs = vec![];
    for _ in 0..3 {
        runs.push(agent.start(RunRequest::new(directory.path(), "MODEL: hang")).await.unwrap());
    }
    let started = agent.until_started(3).await;
    assert!(started.iter().all(|run| run.end.is_none()), "{started:?}");
    runs.pop().unwrap().control.stop(Stop::Now).await.unwrap();
    assert_eq!((agent.at_work(), agent.most_at_work()), (2, 3));
    drop(runs);
    agent.until_at_work(0).await;
    assert!(agent.runs().iter().all(|run| run.end == Some(Finish::Stopped)));
}

#[tokio::test]
async fn nobody_works_in_a_session_that_is_busy() {
    let directory = TempDir::new().unwrap();
    let agent = FakeAgent::new();
    let run = agent.start(RunRequest::new(directory.path(), "MODEL: hang")).await.unwrap();
    let session = agent.runs()[0].session.clone();
    let resume = RunRequest::new(directory.path(), "hello")
        .with_conversation(kugetsu_core::Conversation::Resume(session));
    let refused = agent.start(resume.clone()).await;
    assert!(matches!(refused, Err(AgentError::Backend { .. })), "{refused:?}");
    run.control.stop(Stop::Politely).await.unwrap();
    let told = events(agent.start(resume).await.unwrap()).await;
    assert_eq!(*finish(&told), Finish::Done);
}
