//! A session is never attributed wrongly.

use std::time::Duration;

use kugetsu_acp::AcpRunner;
use kugetsu_core::agent::{
    AgentCapabilities, AgentError, AgentEvent, Conversation, Role, RunRequest, Usage,
};
use kugetsu_core::{AgentRunner as _, Retry};

use crate::fixture::{Fixture, Told, read};

impl Fixture {
    /// A turn, and then one that asks what is remembered of it.
    async fn resumed(&self) -> (Told, Told) {
        let worktree = self.worktree();
        let first = self.run(RunRequest::new(&worktree, "MODEL: say marmalade")).await;
        let again = RunRequest::new(&worktree, "MODEL: history")
            .with_conversation(Conversation::Resume(first.session()));
        let again = self.run(again).await;
        (first, again)
    }

    fn sessions(&self) -> usize {
        std::fs::read_dir(self.path().join("fake")).unwrap().count()
    }
}

#[tokio::test]
async fn an_agent_that_tells_again_what_was_said_is_not_heard_twice() {
    for manners in [&["no-resume"][..], &["no-resume", "no-list"]] {
        let fixture = Fixture::with(manners).await;
        let (first, again) = fixture.resumed().await;
        first.assert_done();
        again.assert_done();
        assert_eq!(again.session(), first.session());
        let said = "users=2 assistants=1 tools=0 first=MODEL: say marmalade";
        assert!(again.text().starts_with(said), "{again:?}");
    }
}

#[tokio::test]
async fn a_fork_that_would_work_elsewhere_is_refused_and_nothing_of_it_stays() {
    let fixture = Fixture::with(&["astray"]).await;
    let (here, there) = (fixture.worktree(), fixture.worktree());
    let origin = fixture.run(RunRequest::new(&here, "MODEL: say x")).await;
    let fork = |directory| {
        let conversation = Conversation::Fork(origin.session());
        RunRequest::new(directory, "MODEL: write astray.txt x").with_conversation(conversation)
    };
    let told_so_far = fixture.model.requests().len();
    match fixture.runner().start(fork(&there)).await {
        Err(AgentError::WrongDirectory { wanted, found }) => {
            assert_eq!((wanted, found), (there.clone(), Some(here.clone())));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.sessions(), 1, "the fork is still there");
    assert_eq!(fixture.model.requests().len(), told_so_far);
    // In its origin's own directory it is no trouble.
    fixture.run(fork(&here)).await.assert_done();
}

#[tokio::test]
async fn forks_are_offered_only_if_somebody_asked_for_them() {
    let fixture = Fixture::new().await.configured(|config| config.with_forks(false));
    let origin = fixture.turn("MODEL: say x").await;
    let runner = fixture.runner();
    assert_eq!(runner.capabilities(), AgentCapabilities::default().with_resume());
    let fork = RunRequest::new(fixture.worktree(), "MODEL: say x")
        .with_conversation(Conversation::Fork(origin.session()));
    let refused = runner.start(fork).await.unwrap_err();
    assert!(matches!(refused, AgentError::Unsupported { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_session_of_somebody_else_is_taken_up_where_the_agent_says_it_works() {
    for manners in [&[][..], &["no-list"]] {
        let fixture = Fixture::with(manners).await;
        let (here, there) = (fixture.worktree(), fixture.worktree());
        let first = fixture.run(RunRequest::new(&here, "MODEL: say marmalade")).await;
        // A runner that remembers nothing of it.
        let fixture = fixture.configured(|mut config| {
            config.state = config.state.with_file_name("state/another");
            config
        });
        let resume = |directory| {
            let conversation = Conversation::Resume(first.session());
            RunRequest::new(directory, "MODEL: history").with_conversation(conversation)
        };
        let elsewhere = fixture.runner().start(resume(&there)).await.unwrap_err();
        if manners.is_empty() {
            assert!(matches!(elsewhere, AgentError::WrongDirectory { .. }), "{elsewhere:?}");
            assert!(fixture.run(resume(&here)).await.text().contains("marmalade"));
        } else {
            // Nobody can say where it works.
            let unknown = fixture.runner().start(resume(&here)).await.unwrap_err();
            for error in [elsewhere, unknown] {
                assert!(matches!(error, AgentError::UnknownSession { .. }), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_the_agent_has_lost_is_unknown() {
    for manners in [&[][..], &["no-list"], &["no-resume", "no-list"]] {
        let fixture = Fixture::with(manners).await;
        let worktree = fixture.worktree();
        let first = fixture.run(RunRequest::new(&worktree, "MODEL: say x")).await;
        std::fs::remove_dir_all(fixture.path().join("fake")).unwrap();
        let resume = RunRequest::new(&worktree, "MODEL: say x")
            .with_conversation(Conversation::Resume(first.session()));
        match fixture.runner().start(resume).await {
            Err(AgentError::UnknownSession { session }) => assert_eq!(session, first.session()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_session_is_in_one_run_at_a_time() {
    let fixture = Fixture::new().await.configured(|mut config| {
        config.limits.stop = Duration::from_millis(200);
        config
    });
    let worktree = fixture.worktree();
    let first = fixture.run(RunRequest::new(&worktree, "MODEL: say x")).await;
    let resume = |script: &str| {
        let conversation = Conversation::Resume(first.session());
        RunRequest::new(&worktree, script).with_conversation(conversation)
    };
    let run = fixture.runner().start(resume("MODEL: gate later ;; say first")).await.unwrap();
    fixture.until_at_work(1).await;
    let busy = fixture.runner().start(resume("MODEL: say second")).await.unwrap_err();
    assert!(busy.to_string().contains("is busy with another"), "{busy}");
    assert_eq!(busy.retry(), Retry::Later);
    fixture.model.open("later");
    assert_eq!(read(run).await.text(), "first");
    fixture.run(resume("MODEL: say second")).await.assert_done();
}

#[tokio::test]
async fn what_an_agent_can_is_learned_once_for_all_processes() {
    let fixture = Fixture::with(&["no-resume", "no-load"]).await;
    let hoped = AgentCapabilities::default().with_resume().with_fork();
    let runner = fixture.runner();
    assert_eq!(runner.capabilities(), hoped);
    let info = runner.probe().await.unwrap();
    assert_eq!(info.version, format!("fake-acp {}", env!("CARGO_PKG_VERSION")));
    let can = AgentCapabilities::default().with_fork();
    assert_eq!([runner.capabilities(), fixture.runner().capabilities()], [can; 2]);
    // What was learned of another command says nothing.
    let mut config = fixture.config.clone();
    config.command.push("--another".into());
    assert_eq!(AcpRunner::new(config).capabilities(), hoped);
}

#[tokio::test]
async fn a_run_that_hoped_for_too_much_is_refused_before_anything_is_said() {
    let fixture = Fixture::with(&["no-resume", "no-load"]).await;
    let id = "fake-1".to_owned();
    let resume = RunRequest::new(fixture.worktree(), "MODEL: say x")
        .with_conversation(Conversation::Resume(kugetsu_core::AgentSessionId::new(id).unwrap()));
    let refused = fixture.runner().start(resume).await.unwrap_err();
    assert!(matches!(refused, AgentError::Unsupported { .. }), "{refused:?}");
    assert!(fixture.model.requests().is_empty());
}

#[tokio::test]
async fn a_pm_is_refused_unless_somebody_vouches_for_it() {
    let fixture = Fixture::new().await;
    let request = || RunRequest::new(fixture.worktree(), "MODEL: say x").with_role(Role::Pm);
    let refused = fixture.runner().start(request()).await.unwrap_err();
    assert!(refused.to_string().contains("acp:fake cannot keep the PM's role"), "{refused}");
    let vouched = AcpRunner::new(fixture.config.clone().with_trust_as_pm(true));
    read(vouched.start(request()).await.unwrap()).await.assert_done();
}

#[tokio::test]
async fn use_is_told_once_over_all_turns_of_a_session() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree();
    let used = |told: &Told| -> Vec<Usage> {
        let usage = told.events.iter().filter_map(|event| match event {
            AgentEvent::Usage(usage) => Some(*usage),
            _ => None,
        });
        usage.collect()
    };
    let usage = |tokens| {
        let mut usage = Usage::tokens(tokens, 0);
        usage.cost_micros = tokens;
        usage
    };
    let first = "MODEL: usage 100 20 ;; write a.txt a\nMODEL: usage 30 5 ;; say x";
    let first = fixture.run(RunRequest::new(&worktree, first)).await;
    assert_eq!(used(&first), [usage(120), usage(35)], "{first:?}");
    let again = RunRequest::new(&worktree, "MODEL: usage 10 5 ;; say y")
        .with_conversation(Conversation::Resume(first.session()));
    assert_eq!(used(&fixture.run(again).await), [usage(15)]);
}
