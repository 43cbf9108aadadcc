//! The agent with a model that the suite directs.

use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu::core::{AgentError, AgentId, AgentRunner, Failure, Role, RunRequest};
use kugetsu_examples::agent::{Counter, Deed, Model, ModelAgent};
use kugetsu_testkit::suite::{self, AgentRunnerFixture};
use tempfile::TempDir;
use tokio::sync::watch;

struct Stage {
    directory: TempDir,
    scripted: Scripted,
}

/// Does what the suite's deeds say, which it is told in words of its own.
#[derive(Debug, Clone)]
struct Scripted {
    heard: Arc<Mutex<Vec<String>>>,
    at_work: watch::Sender<usize>,
    gates: watch::Sender<Vec<String>>,
}

/// Somebody at work, until dropped.
struct AtWork<'a>(&'a watch::Sender<usize>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|at_work| *at_work -= 1);
    }
}

#[async_trait]
impl Model for Scripted {
    async fn decide(&self, message: &str) -> Result<Vec<Deed>, Failure> {
        self.heard.lock().unwrap().push(message.to_owned());
        self.at_work.send_modify(|at_work| *at_work += 1);
        let _at_work = AtWork(&self.at_work);
        let say = |text: &str| Deed::Say(text.to_owned());
        let words: Vec<&str> = message.splitn(3, '|').collect();
        Ok(match words.as_slice() {
            ["say", text] => vec![say(text)],
            ["write", file, text] => {
                vec![
                    Deed::Write { file: (*file).into(), text: format!("{text}\n") },
                    say("written"),
                ]
            }
            ["ask"] => {
                let file = "../elsewhere.txt".into();
                vec![Deed::Write { file, text: "x".into() }, say("went on")]
            }
            ["fail"] => return Err(Failure::fatal("the key was refused")),
            ["limit", seconds] => {
                let wait = Duration::from_secs(seconds.parse().unwrap());
                return Err(Failure::limit("scripted", "over the limit", wait));
            }
            ["hang"] => pending().await,
            ["gate", gate] => {
                let mut gates = self.gates.subscribe();
                gates.wait_for(|open| open.iter().any(|open| open == gate)).await.unwrap();
                vec![say(&format!("past {gate}"))]
            }
            ["nothing"] => vec![],
            _ => vec![say("heard")],
        })
    }
}

impl Stage {
    fn new() -> Self {
        let scripted = Scripted {
            heard: Arc::default(),
            at_work: watch::channel(0).0,
            gates: watch::channel(vec![]).0,
        };
        Self { directory: TempDir::with_prefix("kugetsu-example-").unwrap(), scripted }
    }

    fn agent(&self) -> ModelAgent {
        ModelAgent::new(AgentId::new("scripted").unwrap(), self.scripted.clone())
    }
}

#[async_trait]
impl AgentRunnerFixture for Stage {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(self.agent())
    }

    async fn directory(&self) -> PathBuf {
        let root = self.directory.path().canonicalize().unwrap();
        TempDir::new_in(root).unwrap().keep()
    }

    fn message(&self, deed: &suite::Deed) -> String {
        match deed {
            suite::Deed::Say(text) => format!("say|{text}"),
            suite::Deed::Write { file, text } => format!("write|{file}|{text}"),
            suite::Deed::Recall => "say|nothing".into(),
            suite::Deed::Ask => "ask".into(),
            suite::Deed::Fail => "fail".into(),
            suite::Deed::BeRateLimited { retry_after } => {
                format!("limit|{}", retry_after.map_or(30, |wait| wait.as_secs()))
            }
            suite::Deed::Hang => "hang".into(),
            suite::Deed::WaitAt(gate) => format!("gate|{gate}"),
            suite::Deed::Nothing => "nothing".into(),
            other => panic!("nobody knows how to {other:?}"),
        }
    }

    async fn open(&self, gate: &str) {
        self.scripted.gates.send_modify(|gates| gates.push(gate.to_owned()));
    }

    async fn heard(&self) -> Vec<String> {
        self.scripted.heard.lock().unwrap().clone()
    }

    async fn until_at_work(&self, turns: usize) {
        let mut at_work = self.scripted.at_work.subscribe();
        at_work.wait_for(|at_work| *at_work == turns).await.unwrap();
    }

    fn has_sessions(&self) -> bool {
        false
    }
}

kugetsu_testkit::agent_runner_conformance!(Stage::new());

#[tokio::test]
async fn nothing_is_written_outside_of_the_worktree_whatever_the_model_wants() {
    use tokio_stream::StreamExt as _;

    let stage = Stage::new();
    let directory = stage.directory().await;
    let outside = stage.directory().await;
    std::os::unix::fs::symlink(&outside, directory.join("way-out")).unwrap();
    let absolute = outside.join("x").to_str().unwrap().to_owned();
    for file in ["../x", "/x", "a/../../x", "way-out/x", "way-out", ".git/x", "", ".", &absolute] {
        let request = RunRequest::new(&directory, format!("write|{file}|x"));
        let run = stage.agent().start(request).await.unwrap();
        let told: Vec<_> = run.events.collect().await;
        let refused = told
            .iter()
            .flatten()
            .any(|event| matches!(event, kugetsu::core::AgentEvent::Asked { refused: true, .. }));
        assert!(refused, "{file:?}: {told:?}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
}

#[tokio::test]
async fn an_agent_that_cannot_keep_to_reading_is_no_pm() {
    let stage = Stage::new();
    let agent = ModelAgent::new(AgentId::new("counter").unwrap(), Counter);
    let request = RunRequest::new(stage.directory().await, "Plan it.").with_role(Role::Pm);
    let refused = agent.start(request).await;
    assert!(matches!(refused, Err(AgentError::Unsupported { .. })), "{refused:?}");
}
