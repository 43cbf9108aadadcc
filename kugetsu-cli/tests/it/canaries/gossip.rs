//! An agent that tells all that it knows, by every way there is.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::event::{Json, Unknown};
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, Failure, Finish, Retry, RunRequest, Stop,
};

use super::secrets::Secret;

/// How its turn ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Done,
    Failed,
    Died,
    NeverBegun,
    Asked,
    Panic,
}

#[derive(Debug)]
pub(super) struct Gossip {
    pub(super) id: AgentId,
    pub(super) secrets: Arc<Vec<Secret>>,
    pub(super) end: End,
}

impl Gossip {
    /// All of them in one text.
    fn all(&self) -> String {
        self.secrets.iter().flat_map(|secret| ["<", secret.value.as_str(), "> "]).collect()
    }

    fn events(&self) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        let is_short = !matches!(self.end, End::Done);
        let told = if is_short { &self.secrets[..4] } else { &self.secrets[..] };
        for (number, secret) in told.iter().enumerate() {
            let value = secret.value.as_str();
            let mut says = format!("{number}: {value} is {value}{value}, ");
            for (form, text) in secret.said() {
                write!(says, "as {form} {text}, ").unwrap();
            }
            says += &secret.encoded().join(" ");
            says.push('\n');
            let letters: Vec<char> = says.chars().collect();
            let piece = |text: String, number: usize| match number % 2 {
                0 => AgentEvent::Message { text },
                _ => AgentEvent::Thought { text },
            };
            let pieces = letters.chunks(23).map(|piece| piece.iter().collect::<String>());
            events.extend(pieces.map(|text| piece(text, number)));
            let call = format!("call-{value}");
            let tool = format!("tool {value}");
            events.push(AgentEvent::ToolStarted {
                call: call.clone(),
                tool: tool.clone(),
                title: format!("curl -H 'Authorization: {value}' <{value}.txt"),
            });
            for text in secret.said().into_iter().map(|(_, text)| text).chain(secret.encoded()) {
                events.push(AgentEvent::ToolEnded {
                    call: call.clone(),
                    tool: tool.clone(),
                    ok: number % 3 != 0,
                    summary: format!("{}={text}", secret.name),
                });
            }
            events.push(AgentEvent::Asked {
                question: format!("question {value}"),
                text: format!("May I send {value}?"),
                refused: false,
            });
            events.push(AgentEvent::Waiting { reason: format!("401 for {value}") });
            events.push(AgentEvent::Unknown(Unknown {
                kind: "session_titled".into(),
                data: Json::List(vec![Json::Text(format!("Work with {value}"))]),
            }));
        }
        events.push(AgentEvent::Message { text: format!("In the end: {}", self.all()) });
        if let End::Asked = self.end {
            let text = format!("to use {}", self.all());
            events.push(AgentEvent::Asked { question: "1".into(), text, refused: true });
        }
        events
    }

    /// Names of files, of a branch and of commits that hold secrets.
    fn work(&self, directory: &Path) {
        let word = |secret: &&Secret| secret.value.bytes().all(|b| b.is_ascii_alphanumeric());
        let words: Vec<_> = self.secrets.iter().filter(word).collect();
        // Each worktree is on a branch of its own.
        let issue = directory.file_name().unwrap().to_str().unwrap();
        let branch = format!("{issue}/{}", words[0].value);
        git(directory, &["checkout", "-q", "-B", &branch]);
        for secret in &words {
            let name = format!("{}.txt", secret.value);
            std::fs::write(directory.join(&name), &secret.value).unwrap();
        }
        git(directory, &["add", &format!("{}.txt", words[0].value)]);
        git(directory, &["commit", "-q", "--allow-empty", "-m", &self.all()]);
    }
}

fn git(directory: &Path, words: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=Gossip", "-c", "user.email=gossip@example.invalid"])
        .args(words)
        .current_dir(directory)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[async_trait]
impl AgentRunner for Gossip {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("gossip", "1"))
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        let all = self.all();
        match self.end {
            End::NeverBegun => {
                return Err(AgentError::Backend {
                    who: "gossip".into(),
                    operation: format!("begin with {all}"),
                    retry: Retry::Never,
                    source: all.into(),
                });
            }
            End::Panic => panic!("{all}"),
            _ => self.work(&request.directory),
        }
        let mut events: Vec<Result<AgentEvent, AgentError>> =
            self.events().into_iter().map(Ok).collect();
        events.push(match self.end {
            End::Failed => {
                let failure = Failure::fatal(format!("the provider refused {all}"));
                Ok(AgentEvent::Finished(Finish::Failed { failure }))
            }
            End::Died => Err(AgentError::Died { who: "gossip".into(), detail: all }),
            _ => Ok(AgentEvent::Finished(Finish::Done)),
        });
        Ok(AgentRun::new(Box::pin(tokio_stream::iter(events)), Arc::new(Unstoppable)))
    }
}

#[derive(Debug)]
struct Unstoppable;

#[async_trait]
impl AgentControl for Unstoppable {
    async fn stop(&self, _: Stop) -> Result<(), AgentError> {
        Ok(())
    }
}
