//! An agent as its user would write it, which does what the testkit's scripts say. It is the guard
//! of its own runs, too.
//!
//! | variable | is |
//! |---|---|
//! | `FAKE_WORLD` | a socket: a turn is worked on as long as its connection is open |
//! | `FAKE_MEMORY` | a directory with a file for each session, each line a message as JSON |
//! | `FAKE_OUTPUT` | `text`, or `json` |
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::env::var;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _, stdin, stdout};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::exit;
use std::time::Duration;

use kugetsu_core::{AgentEvent, AgentSessionId, Failure, Finish};

struct Agent {
    is_json: bool,
    world: BufReader<UnixStream>,
    earlier: Vec<String>,
    calls: u32,
}

fn main() {
    kugetsu_guard::main_if_asked();
    let mut message = String::new();
    stdin().read_to_string(&mut message).unwrap();
    let is_json = var("FAKE_OUTPUT").unwrap() == "json";
    let (session, earlier) = remember(is_json, &message);
    let world = UnixStream::connect(var("FAKE_WORLD").unwrap()).unwrap();
    let mut agent = Agent { is_json, world: BufReader::new(world), earlier, calls: 0 };
    agent.ask_world(&serde_json::json!({ "heard": message }));
    if is_json {
        agent.tell(&AgentEvent::SessionStarted { session: AgentSessionId::new(session).unwrap() });
    }
    match message.strip_prefix("MODEL: ") {
        Some(script) => script.split(" ;; ").for_each(|step| agent.carry_out(step)),
        None => agent.say("ok"),
    }
    if is_json {
        agent.tell(&AgentEvent::Finished(Finish::Done));
    }
}

/// The session of this turn, and what was said in it before. One that writes events has ids of its
/// own; another takes what it is given.
fn remember(is_json: bool, message: &str) -> (String, Vec<String>) {
    let memory = PathBuf::from(var("FAKE_MEMORY").unwrap());
    let given = var("KUGETSU_AGENT_SESSION").unwrap();
    let conversation = var("KUGETSU_CONVERSATION").unwrap();
    let own = if is_json { format!("own/{given}") } else { given.clone() };
    let file = |session: &str| memory.join(session.replace('/', "_"));
    let (session, from) = match conversation.as_str() {
        "resume" => (given.clone(), Some(given)),
        "fork" => (own, Some(var("KUGETSU_AGENT_ORIGIN").unwrap())),
        _ => (own, None),
    };
    let earlier = from.map(|from| match fs::read_to_string(file(&from)) {
        Ok(lines) => lines,
        Err(_) => exit(66),
    });
    let earlier = earlier.unwrap_or_default();
    let line = serde_json::to_string(message).unwrap();
    fs::write(file(&session), format!("{earlier}{line}\n")).unwrap();
    (session, earlier.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

impl Agent {
    fn carry_out(&mut self, step: &str) {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "say" => self.say(rest),
            "history" => self.say(&format!("I recall: {}", self.earlier.join("\n"))),
            "write" => {
                let (file, text) = rest.split_once(' ').unwrap();
                fs::write(file, format!("{text}\n")).unwrap();
                self.tool(file);
            }
            "ask" => self.tell(&AgentEvent::Asked {
                question: "q1".into(),
                text: format!("May I read {rest}?"),
                refused: false,
            }),
            "gate" => self.ask_world(&serde_json::json!({ "gate": rest })),
            "hang" => loop {
                std::thread::park();
            },
            "http" => self.fail(rest),
            _ => panic!("what is {step:?}?"),
        }
    }

    fn fail(&mut self, how: &str) {
        let mut words = how.split(' ');
        let status = words.next().unwrap();
        eprintln!("the model answers {status}");
        if !self.is_json {
            exit(if status == "401" { 78 } else { 75 });
        }
        let seconds = words.nth(1).map_or(60, |seconds| seconds.parse().unwrap());
        let failure = match status {
            "401" => Failure::fatal("the model refuses the key"),
            _ => Failure::limit("a model", "too much was asked", Duration::from_secs(seconds)),
        };
        self.tell(&AgentEvent::Finished(Finish::Failed { failure }));
        exit(0)
    }

    fn say(&mut self, text: &str) {
        if self.is_json {
            self.tell(&AgentEvent::Message { text: text.into() });
        } else {
            println!("{text}");
        }
    }

    fn tool(&mut self, file: &str) {
        self.calls += 1;
        let (call, tool) = (format!("call-{}", self.calls), "write".to_owned());
        let title = file.to_owned();
        self.tell(&AgentEvent::ToolStarted { call: call.clone(), tool: tool.clone(), title });
        let summary = "written".to_owned();
        self.tell(&AgentEvent::ToolEnded { call, tool, ok: true, summary });
    }

    /// Plain text has no words for most events.
    fn tell(&mut self, event: &AgentEvent) {
        if self.is_json {
            println!("{}", serde_json::to_string(event).unwrap());
            stdout().flush().unwrap();
        }
    }

    /// Tells the world something, and goes on when it says so.
    fn ask_world(&mut self, what: &serde_json::Value) {
        writeln!(self.world.get_mut(), "{what}").unwrap();
        self.world.read_line(&mut String::new()).unwrap();
    }
}
