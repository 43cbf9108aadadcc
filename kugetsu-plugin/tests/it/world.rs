//! The world of the scripted agent: what has reached it, who is at work, and which gates are open.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kugetsu_core::{AgentCapabilities, AgentId};
use kugetsu_guard::{Environment, GuardProgram};
use kugetsu_plugin::{CommandAgent, CommandConfig, Output};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_plugin-test-agent");

pub(crate) struct World {
    seen: Arc<Seen>,
    output: Output,
    directory: TempDir,
}

#[derive(Default)]
struct Seen {
    heard: Mutex<Vec<String>>,
    at_work: watch::Sender<usize>,
    gates: watch::Sender<BTreeSet<String>>,
}

impl World {
    pub(crate) fn new(output: Output) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("memory")).unwrap();
        let seen = Arc::new(Seen::default());
        let listener = UnixListener::bind(directory.path().join("world")).unwrap();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&all).attend(agent));
            }
        });
        Self { seen, output, directory }
    }

    pub(crate) fn config(&self) -> CommandConfig {
        let place = self.directory.path();
        let environment = Environment::new()
            .with("FAKE_WORLD", place.join("world"))
            .with("FAKE_MEMORY", place.join("memory"))
            .with("FAKE_OUTPUT", if self.output == Output::Json { "json" } else { "text" });
        CommandConfig::new(AgentId::new("command:fake").unwrap(), AGENT, place.join("state"))
            .with_output(self.output)
            .with_capabilities(AgentCapabilities::default().with_resume().with_fork())
            .with_environment(environment)
            .with_guard(GuardProgram::at(AGENT))
    }

    pub(crate) fn agent(&self) -> CommandAgent {
        CommandAgent::new(self.config())
    }

    pub(crate) fn work(&self) -> PathBuf {
        let path = tempfile::tempdir_in(self.directory.path()).unwrap().keep();
        path.canonicalize().unwrap()
    }

    pub(crate) fn open(&self, gate: &str) {
        self.seen.gates.send_modify(|gates| {
            gates.insert(gate.to_owned());
        });
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.seen.heard.lock().unwrap().clone()
    }

    pub(crate) async fn until_at_work(&self, turns: usize) {
        let mut at_work = self.seen.at_work.subscribe();
        at_work.wait_for(|now| *now == turns).await.unwrap();
    }
}

impl Seen {
    async fn attend(self: Arc<Self>, agent: UnixStream) {
        let (read, mut write) = agent.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut is_at_work = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let told: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(heard) = told["heard"].as_str() {
                self.heard.lock().unwrap().push(heard.to_owned());
                if !std::mem::replace(&mut is_at_work, true) {
                    self.at_work.send_modify(|now| *now += 1);
                }
            }
            let opened = async {
                let mut gates = self.gates.subscribe();
                let is_open = |gates: &BTreeSet<String>| match told["gate"].as_str() {
                    Some(gate) => gates.contains(gate),
                    None => true,
                };
                gates.wait_for(is_open).await.map(|_| ()).unwrap();
            };
            let is_gone = tokio::select! {
                () = opened => write.write_all(b"\n").await.is_err(),
                // Whoever waits says nothing meanwhile, unless it is gone.
                _ = lines.next_line() => true,
            };
            if is_gone {
                break;
            }
        }
        if is_at_work {
            self.at_work.send_modify(|now| *now -= 1);
        }
    }
}
