use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu::core::{AgentEvent, AgentId, AgentRunner, Failure};
use kugetsu_examples::moonlight::{Mind, Moonlight};
use kugetsu_testkit::suite::{AgentRunnerFixture, Deed};
use tempfile::TempDir;
use tokio::sync::watch;

struct Stage {
    root: TempDir,
    heard: Arc<Mutex<Vec<String>>>,
    at_work: watch::Sender<usize>,
    gates: watch::Sender<Vec<String>>,
}

/// Somebody at work, until dropped.
struct AtWork(watch::Sender<usize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|at_work| *at_work -= 1);
    }
}

fn say(text: impl Into<String>) -> Vec<AgentEvent> {
    vec![AgentEvent::Message { text: text.into() }]
}

/// It has used a tool, which did what it was asked.
fn used(tool: &str, title: &str) -> Vec<AgentEvent> {
    let (call, tool, title) = ("1".to_owned(), tool.to_owned(), title.to_owned());
    let began = AgentEvent::ToolStarted { call: call.clone(), tool: tool.clone(), title };
    vec![began, AgentEvent::ToolEnded { call, tool, ok: true, summary: String::new() }]
}

impl Stage {
    fn new() -> Self {
        let (at_work, gates) = (watch::channel(0).0, watch::channel(vec![]).0);
        Self { root: TempDir::new().unwrap(), heard: Arc::default(), at_work, gates }
    }

    /// Does what the message says.
    fn mind(&self) -> Mind {
        let (heard, at_work, gates) =
            (self.heard.clone(), self.at_work.clone(), self.gates.clone());
        Arc::new(move |directory, message| {
            let (heard, at_work, mut gates) = (heard.clone(), at_work.clone(), gates.subscribe());
            Box::pin(async move {
                heard.lock().unwrap().push(message.clone());
                at_work.send_modify(|at_work| *at_work += 1);
                let _at_work = AtWork(at_work);
                let words: Vec<&str> = message.splitn(3, '|').collect();
                Ok(match words.as_slice() {
                    ["say", text] => say(*text),
                    ["write", file, text] => {
                        std::fs::write(directory.join(file), format!("{text}\n")).unwrap();
                        [used("write", file), say("written")].concat()
                    }
                    ["ask"] => {
                        let (question, text) = ("1".into(), "to read /etc".into());
                        let asked = AgentEvent::Asked { question, text, refused: true };
                        [vec![asked], say("went on")].concat()
                    }
                    ["fail"] => return Err(Failure::fatal("the key was refused")),
                    ["limit", seconds] => {
                        let wait = Duration::from_secs(seconds.parse().unwrap());
                        return Err(Failure::limit("scripted", "over the limit", wait));
                    }
                    ["hang"] => std::future::pending().await,
                    ["gate", gate] => {
                        gates.wait_for(|open| open.iter().any(|one| one == gate)).await.unwrap();
                        say(format!("past {gate}"))
                    }
                    ["nothing"] => vec![],
                    _ => say("heard"),
                })
            })
        })
    }
}

#[async_trait]
impl AgentRunnerFixture for Stage {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(Moonlight::new(AgentId::new("moonlight").unwrap(), self.mind()))
    }

    async fn directory(&self) -> PathBuf {
        TempDir::new_in(self.root.path().canonicalize().unwrap()).unwrap().keep()
    }

    fn message(&self, deed: &Deed) -> String {
        match deed {
            Deed::Say(text) => format!("say|{text}"),
            Deed::Write { file, text } => format!("write|{file}|{text}"),
            Deed::Ask => "ask".into(),
            Deed::Fail => "fail".into(),
            Deed::BeRateLimited { retry_after } => {
                format!("limit|{}", retry_after.map_or(30, |wait| wait.as_secs()))
            }
            Deed::Hang => "hang".into(),
            Deed::WaitAt(gate) => format!("gate|{gate}"),
            Deed::Nothing => "nothing".into(),
            // What an agent without memory is not asked, such as to recall.
            other => format!("say|I do not know how to {other:?}"),
        }
    }

    async fn open(&self, gate: &str) {
        self.gates.send_modify(|gates| gates.push(gate.to_owned()));
    }

    async fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    async fn until_at_work(&self, turns: usize) {
        self.at_work.subscribe().wait_for(|at_work| *at_work == turns).await.unwrap();
    }

    fn has_sessions(&self) -> bool {
        false
    }
}

kugetsu_testkit::agent_runner_conformance!(Stage::new());
