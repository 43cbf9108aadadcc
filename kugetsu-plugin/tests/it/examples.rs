//! The command agents among the examples.

use std::path::{Path, PathBuf};

use kugetsu_core::agent::{AgentEvent, Conversation, RunRequest, Stop};
use kugetsu_core::{AgentCapabilities, AgentId, AgentRunner as _, AgentSessionId, Retry};
use kugetsu_guard::{Environment, GuardProgram};
use kugetsu_plugin::{CommandAgent, CommandConfig, Output};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use tokio_stream::StreamExt as _;

use crate::agent::{Told, read};
use crate::world::AGENT;

fn example(name: &str, state: &Path) -> CommandConfig {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agents").join(name);
    CommandConfig::new(AgentId::new("command:example").unwrap(), program, state)
        .with_guard(GuardProgram::at(AGENT))
}

fn worktree(repository: &SampleRepository, place: &Path) -> PathBuf {
    let path = place.join("worktree");
    repository.git(&["worktree", "add", "-q", "-b", "fix/1", path.to_str().unwrap()]).unwrap();
    path.canonicalize().unwrap()
}

fn session(told: &Told) -> AgentSessionId {
    match told.events.first() {
        Some(AgentEvent::SessionStarted { session }) => session.clone(),
        _ => panic!("the session does not come first: {told:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_script_of_four_commands_is_an_agent() {
    let place = tempfile::tempdir().unwrap();
    let sandbox = OpencodeSandbox::new("http://127.0.0.1:9").unwrap();
    let repository = SampleRepository::new(&place.path().join("repository")).unwrap();
    let worktree = worktree(&repository, place.path());
    let config = example("echo.sh", &place.path().join("state"))
        .with_environment(sandbox.env().into_iter().collect::<Environment>());
    let request = RunRequest::new(&worktree, "$(it) is 'quoted'\n");
    let told = read(CommandAgent::new(config).start(request).await.unwrap()).await;
    told.assert_done();
    assert_eq!(told.said(), "I have written down 18 bytes as a dev agent.\n");
    let written = std::fs::read_to_string(worktree.join("TOLD.md")).unwrap();
    assert_eq!(written, "$(it) is 'quoted'\n");
    let told = repository.git(&["log", "-1", "--format=%s", "fix/1"]).unwrap();
    assert_eq!(told.trim(), "Write down what I was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_opencode_is_a_command_agent_through_an_adapter() {
    let place = tempfile::tempdir().unwrap();
    let model = ScriptedModel::start().await.unwrap();
    let sandbox = OpencodeSandbox::new(&model.base_url()).unwrap();
    let repository = SampleRepository::new(&place.path().join("repository")).unwrap();
    let worktree = worktree(&repository, place.path());
    let environment = sandbox.env().into_iter().collect::<Environment>();
    let config = example("opencode-run.mjs", &place.path().join("state"))
        .with_output(Output::Json)
        .with_capabilities(AgentCapabilities::default().with_resume())
        .with_environment(environment.with("KUGETSU_OPENCODE", opencode_program()));
    let agent = CommandAgent::new(config);
    let turn = async |message: &str, conversation: Conversation| {
        let request = RunRequest::new(&worktree, message).with_conversation(conversation);
        read(agent.start(request).await.unwrap()).await
    };

    // What it does is told, lands where it was sent, and what nobody may grant is refused.
    let message = "MODEL: write note.txt it's \"$(here)\" ;; ask /etc/hostname ;; say written";
    let first = turn(message, Conversation::Fresh).await;
    first.assert_done();
    assert_eq!(first.said().trim(), "written");
    let written = std::fs::read_to_string(worktree.join("note.txt")).unwrap();
    assert_eq!(written, "it's \"$(here)\"\n");
    let told = |wanted: fn(&AgentEvent) -> bool| first.events.iter().any(wanted);
    assert!(told(
        |event| matches!(event, AgentEvent::ToolEnded { tool, ok: true, .. } if tool == "write")
    ));
    assert!(told(|event| matches!(event, AgentEvent::ToolEnded { ok: false, .. })));
    assert!(told(|event| matches!(event, AgentEvent::Usage(usage) if usage.total() > 0)));
    assert!(model.requests().iter().any(|request| request.prompt() == message));

    // The session is opencode's own, and goes on.
    let resume = || Conversation::Resume(session(&first));
    assert!(session(&first).as_str().starts_with("ses_"), "{first:?}");
    let second = turn("MODEL: history", resume()).await;
    second.assert_done();
    assert!(second.said().contains("users=2"), "{second:?}");
    assert_eq!(session(&second), session(&first));

    // What goes wrong is told as what it is.
    let third = turn("MODEL: http 401", resume()).await;
    assert_eq!(third.failure().1, Retry::Never, "{third:?}");

    // And it can be stopped in the middle.
    let request = RunRequest::new(&worktree, "MODEL: bash sleep 1000").with_conversation(resume());
    let mut run = agent.start(request).await.unwrap();
    let begun = async {
        while let Some(Ok(event)) = run.events.next().await {
            if matches!(event, AgentEvent::SessionStarted { .. }) {
                break;
            }
        }
    };
    begun.await;
    model.wait_for(|requests| requests.iter().any(|one| one.prompt().contains("sleep 1000"))).await;
    run.control.stop(Stop::Politely).await.unwrap();
    let trees = std::fs::read_dir(place.path().join("state/trees")).unwrap().count();
    assert_eq!(trees, 0, "something of it is left");
}
