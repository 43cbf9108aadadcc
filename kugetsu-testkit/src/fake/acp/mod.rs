//! An agent that speaks the Agent Client Protocol, and whose model is the scripted one.

mod client;
mod model;
mod session;
mod tools;
mod turn;

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

use client::Client;
use model::Model;
use session::{Session, Sessions};

/// A stand-in for a coding agent that speaks the Agent Client Protocol, version 1, over two
/// streams: it asks the [scripted model](crate::model), carries out its tools in the session's
/// directory, asks for a permission before it touches what lies elsewhere, and keeps its sessions
/// in files, so that another process can take them up.
///
/// It is written with nothing but JSON, so that it shares no mistake with a client that is written
/// with the protocol's own crate.
///
/// # Tools beyond those of the scripted model
///
/// | tool | what it does |
/// |---|---|
/// | `crash {}` | the process exits at once with status 9 |
/// | `garbage {}` | writes a line that is no message |
/// | `long {"bytes": N}` | writes a line of N bytes and never ends it |
/// | `strange {}` | tells an update of a kind that nobody knows, a plan, and one of another session |
/// | `pester {"times": N}` | asks the client N things without waiting for an answer |
/// | `client {"method": M, "params": P}` | asks the client, and reports what it answered |
///
/// # Manners
///
/// It is well behaved unless [manners](Self::with_manners) say otherwise:
///
/// | manner | what it does |
/// |---|---|
/// | `silent` | never answers `initialize`, and says something on its standard error |
/// | `exits` | exits with status 3 before it has answered anything |
/// | `log` | writes lines of a log to its standard output at first |
/// | `babbles` | writes such lines without end |
/// | `version-2` | speaks another version of the protocol |
/// | `no-login` | makes no session, since nobody has logged in |
/// | `no-resume`, `no-load`, `no-fork`, `no-list` | cannot do that |
/// | `astray` | forks, and takes up, sessions in their own directory, whatever it is asked for |
/// | `deaf` | does not hear that a turn is cancelled |
/// | `asks` | asks for a permission before each tool, naming the call alone |
/// | `no-no` | offers no way to refuse what it asks for |
/// | `gives-up` | ends its turn when it is refused something |
#[derive(Debug)]
pub struct FakeAcp {
    model: String,
    home: PathBuf,
    manners: BTreeSet<String>,
}

/// Names of environment variables; see [`FakeAcp::variables`].
const MODEL: &str = "FAKE_ACP_MODEL";
const HOME: &str = "FAKE_ACP_HOME";
const MANNERS: &str = "FAKE_ACP_MANNERS";

impl FakeAcp {
    /// An agent whose model is at this address, and whose sessions are kept in this directory.
    pub fn new(base_url: impl Into<String>, home: impl Into<PathBuf>) -> Self {
        Self { model: base_url.into(), home: home.into(), manners: BTreeSet::new() }
    }

    /// The same with these manners.
    pub fn with_manners(mut self, manners: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.manners.extend(manners.into_iter().map(Into::into));
        self
    }

    /// What has to stand in the environment of a process that is to be this agent.
    pub fn variables(&self) -> Vec<(String, String)> {
        let manners: Vec<&str> = self.manners.iter().map(String::as_str).collect();
        vec![
            (MODEL.to_owned(), self.model.clone()),
            (HOME.to_owned(), self.home.to_string_lossy().into_owned()),
            (MANNERS.to_owned(), manners.join(",")),
        ]
    }

    /// The agent that this process is to be; `None` if it is to be none.
    pub fn from_env() -> Option<Self> {
        let manners = env::var(MANNERS).unwrap_or_default();
        let manners = manners.split(',').filter(|manner| !manner.is_empty());
        Some(Self::new(env::var(MODEL).ok()?, env::var_os(HOME)?).with_manners(manners))
    }

    /// Is the agent until the input ends. Some manners end the process before.
    pub fn run(self, input: impl Read, output: impl Write + Send + 'static) -> io::Result<()> {
        let agent = Arc::new(Agent {
            client: Client::new(output),
            model: Model::at(&self.model)?,
            sessions: Sessions::in_directory(self.home)?,
            manners: self.manners,
            turns: Mutex::default(),
        });
        if agent.has("exits") {
            eprintln!("fake-acp: no credentials were found\nfake-acp: giving up");
            std::process::exit(3);
        }
        if agent.has("log") {
            agent.client.write("starting up\n\n[info] ready\n{\"level\": 30\n")?;
        }
        while agent.has("babbles") {
            agent.client.write("bla bla\n")?;
        }
        for line in BufReader::new(input).lines() {
            let line = line?;
            if let Ok(message) = serde_json::from_str::<Value>(&line) {
                agent.hear(message);
            }
        }
        Ok(())
    }
}

/// What the whole process shares.
struct Agent {
    client: Client,
    model: Model,
    sessions: Sessions,
    manners: BTreeSet<String>,
    /// The turns that go on, by session.
    turns: Mutex<HashMap<String, turn::Stop>>,
}

/// An error as the protocol has it.
struct Refusal(i64, String, Value);

impl Refusal {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self(code, message.into(), Value::Null)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::new(-32603, format!("Internal error: {error}"))
    }
}

impl Agent {
    fn has(&self, manner: &str) -> bool {
        self.manners.contains(manner)
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, turn::Stop>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(self: &Arc<Self>, message: Value) {
        let Some(method) = message["method"].as_str() else { return self.client.hear(message) };
        let params = &message["params"];
        if method == "session/cancel" {
            if !self.has("deaf")
                && let Some(turn) = self.turns().get(params["sessionId"].as_str().unwrap_or(""))
            {
                turn.stop();
            }
            return;
        }
        let id = message["id"].clone();
        if method == "session/prompt" {
            let (agent, params) = (Arc::clone(self), params.clone());
            thread::spawn(move || {
                let answer = turn::take(&agent, &params);
                agent.client.answer(&id, answer);
            });
        } else if method != "initialize" || !self.has("silent") {
            self.client.answer(&id, self.answer(method, params));
        } else {
            eprintln!("fake-acp: waiting for nobody");
        }
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, Refusal> {
        let named = || params["sessionId"].as_str().unwrap_or_default();
        let directory = || params["cwd"].as_str().map(PathBuf::from).unwrap_or_default();
        let can = |ability: &str| !self.has(&format!("no-{ability}"));
        match method {
            "initialize" => Ok(self.abilities()),
            "session/new" if self.has("no-login") => {
                Err(Refusal::new(-32000, "Authentication required"))
            }
            "session/new" => {
                let session = self.sessions.make(directory(), Vec::new())?;
                Ok(json!({ "sessionId": session.id }))
            }
            "session/resume" if can("resume") => self.take_up(named(), directory(), false),
            "session/load" if can("load") => self.take_up(named(), directory(), true),
            "session/fork" if can("fork") => {
                let from = self.known(named())?;
                let directory =
                    if self.has("astray") { from.directory.clone() } else { directory() };
                let session = self.sessions.make(directory, from.messages)?;
                Ok(json!({ "sessionId": session.id }))
            }
            "session/list" if can("list") => {
                let page: usize = params["cursor"].as_str().map_or(Ok(0), str::parse).unwrap_or(0);
                let all = self.sessions.all()?;
                let told: Vec<Value> = all
                    .iter()
                    .skip(page)
                    .take(2)
                    .map(|one| json!({ "sessionId": one.id, "cwd": one.directory }))
                    .collect();
                let next = (all.len() > page + 2).then(|| (page + 2).to_string());
                Ok(json!({ "sessions": told, "nextCursor": next }))
            }
            "session/delete" => {
                self.sessions.delete(named())?;
                Ok(json!({}))
            }
            _ => Err(Refusal::new(-32601, format!("Method not found: {method}"))),
        }
    }

    fn abilities(&self) -> Value {
        let mut sessions = json!({ "delete": {} });
        for ability in ["resume", "fork", "list"] {
            if !self.has(&format!("no-{ability}")) {
                sessions[ability] = json!({});
            }
        }
        json!({
            "protocolVersion": if self.has("version-2") { 2 } else { 1 },
            "agentCapabilities": {
                "loadSession": !self.has("no-load"),
                "sessionCapabilities": sessions,
            },
            "agentInfo": { "name": "fake-acp", "version": env!("CARGO_PKG_VERSION") },
        })
    }

    fn known(&self, id: &str) -> Result<Session, Refusal> {
        let found = self.sessions.find(id)?;
        found.ok_or_else(|| Refusal::new(-32002, format!("Resource not found: {id}")))
    }

    fn take_up(&self, id: &str, directory: PathBuf, tell: bool) -> Result<Value, Refusal> {
        let mut session = self.known(id)?;
        if !self.has("astray") {
            session.directory = directory;
            self.sessions.put(&session)?;
        }
        if tell {
            for message in &session.messages {
                let kind = match message["role"].as_str() {
                    Some("user") => "user_message_chunk",
                    Some("assistant") => "agent_message_chunk",
                    _ => continue,
                };
                let content = json!({ "type": "text", "text": message["content"] });
                self.client.tell(id, &json!({ "sessionUpdate": kind, "content": content }));
            }
        }
        Ok(json!({}))
    }
}
