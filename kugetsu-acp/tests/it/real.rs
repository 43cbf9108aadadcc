//! The real `opencode acp` against the scripted model. It takes seconds and hundreds of megabytes
//! to start, so that it keeps those promises that are about the agent and not about us.

use kugetsu_acp::Environment;
use kugetsu_core::agent::{AgentEvent, Conversation, RunRequest};
use kugetsu_core::{AgentRunner as _, Retry};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use kugetsu_testkit::suite::agents;

use crate::fixture::Fixture;
use crate::promises::Acp;

/// As the guide has it, but for the sandbox.
async fn opencode() -> Fixture {
    let model = ScriptedModel::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let sandbox = OpencodeSandbox::write_to(&directory.path().join("home"), &model.base_url());
    let permission =
        r#"{"question":"deny","plan_enter":"deny","plan_exit":"deny","doom_loop":"deny"}"#;
    let environment = sandbox
        .unwrap()
        .env()
        .into_iter()
        .collect::<Environment>()
        .with("OPENCODE_DB", directory.path().join("opencode.db"))
        .with("OPENCODE_DISABLE_PROJECT_CONFIG", "1")
        .with("OPENCODE_PERMISSION", permission);
    let command = [opencode_program().into_os_string(), "acp".into()];
    Fixture::of(model, directory, command, environment)
        .configured(|config| config.with_forks(false))
}

macro_rules! promises {
    ($($promise:ident,)*) => {$(
        #[test]
        fn $promise() {
            let fixture = async { Box::new(Acp(opencode().await)) as _ };
            kugetsu_testkit::suite::hold(agents::PROMISES, stringify!($promise), fixture);
        }
    )*};
}

promises! {
    the_agent_could_run_now,
    what_the_agent_says_arrives,
    the_agent_works_in_the_directory_it_was_given,
    a_message_of_a_megabyte_reaches_the_agent,
    a_failure_for_good_is_told_as_such,
    an_empty_turn_is_a_failure,
    an_agent_that_is_stopped_politely_can_be_resumed,
    an_agent_that_is_stopped_by_force_can_be_resumed,
    the_end_of_one_run_is_not_the_end_of_another,
    a_session_is_resumed_in_its_own_directory_only,
    a_session_that_is_not_there_is_refused,
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_works_and_commits_and_goes_on_and_is_refused_what_lies_elsewhere() {
    let fixture = opencode().await;
    let repository = SampleRepository::new(&fixture.worktree()).unwrap();
    let worktree = repository.path();
    let script = "MODEL: write a.txt hello\nMODEL: commit add a\nMODEL: bash exit 3\n\
                  MODEL: say one\\ntwo";
    let first = fixture.run(RunRequest::new(worktree, script)).await;
    first.assert_done();
    assert_eq!(first.text(), "one\ntwo");
    assert_eq!(repository.subjects("HEAD").unwrap()[0], "add a");
    let ended: Vec<(&str, bool)> = first
        .events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::ToolEnded { tool, ok, .. } => Some((tool.as_str(), *ok)),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [("write", true), ("bash", true), ("bash", false)], "{first:?}");
    let mut started = first.events.iter().filter_map(|event| match event {
        AgentEvent::ToolStarted { title, .. } => Some(title.as_str()),
        _ => None,
    });
    assert_eq!(started.next(), Some("a.txt"), "{first:?}");
    assert_eq!(started.next_back(), Some("exit 3"), "{first:?}");
    let used = first.events.iter().any(|event| match event {
        AgentEvent::Usage(usage) => usage.input > 0,
        _ => false,
    });
    assert!(used, "{first:?}");

    // In another process, and asking for what nobody grants, after which opencode does nothing.
    let again = RunRequest::new(worktree, "MODEL: bash cat /etc/hostname\nMODEL: say x")
        .with_conversation(Conversation::Resume(first.session()));
    let again = fixture.run(again).await;
    let failure = again.failure();
    assert_eq!(failure.retry, Retry::Never);
    assert!(failure.reason.contains("cat /etc/hostname"), "{failure}");
    assert_eq!(again.refused().len(), 1, "{again:?}");
}

/// Why forks are off: opencode 1.18.33 forks into its origin's directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_opencode_is_found_out_before_anything_is_said_in_it() {
    let fixture = opencode().await.configured(|config| config.with_forks(true));
    let (here, there) = (fixture.worktree(), fixture.worktree());
    let origin = fixture.run(RunRequest::new(&here, "MODEL: say x")).await;
    let heard = fixture.model.requests().len();
    let fork = RunRequest::new(&there, "MODEL: write astray.txt x")
        .with_conversation(Conversation::Fork(origin.session()));
    let refused = fixture.runner().start(fork).await.unwrap_err();
    let found = Some(here);
    match refused {
        kugetsu_core::AgentError::WrongDirectory { wanted, found: told } => {
            assert_eq!((wanted, told), (there, found));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.model.requests().len(), heard);
}
