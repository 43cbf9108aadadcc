//! The real opencode against the scripted model.

use kugetsu_testkit::model::{Ended, ScriptedModel};
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use serde_json::Value;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Scene {
    model: ScriptedModel,
    sandbox: OpencodeSandbox,
    repository: SampleRepository,
    _directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let model = ScriptedModel::start().await.unwrap();
        let sandbox = OpencodeSandbox::new(&model.base_url()).unwrap();
        let directory = TempDir::new().unwrap();
        let repository = SampleRepository::new(&directory.path().join("sample")).unwrap();
        Self { model, sandbox, repository, _directory: directory }
    }

    /// Runs one turn and returns what opencode printed, line by line.
    async fn run(&self, arguments: &[&str], prompt: &str) -> Vec<Value> {
        let mut child = Command::new(opencode_program())
            .args(["run", "--format", "json", "--dir"])
            .arg(self.repository.path())
            .args(arguments)
            .current_dir(self.repository.path())
            .env("PWD", self.repository.path())
            .envs(self.sandbox.env())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", output.status);
        let stdout = String::from_utf8(output.stdout).unwrap();
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn texts(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["part"]["text"].as_str()).collect()
}

#[tokio::test]
async fn opencode_writes_edits_and_commits_as_the_script_says() {
    let scene = Scene::new().await;
    let prompt = "Implement issue 1.\n\
                  MODEL: say I write it. ;; write src/a.txt good morning\n\
                  MODEL: edit src/a.txt morning => evening\n\
                  MODEL: commit it's an evening ;; say finished";
    let lines = scene.run(&[], prompt).await;
    assert_eq!(texts(&lines), ["I write it.", "finished"]);
    let repository = &scene.repository;
    assert_eq!(repository.subjects("HEAD").unwrap(), ["it's an evening", "start"]);
    assert_eq!(repository.git(&["show", "HEAD:src/a.txt"]).unwrap(), "good evening");
    assert_eq!(repository.git(&["status", "--porcelain"]).unwrap(), "");
    let author = repository.git(&["log", "-1", "--format=%an <%ae>"]).unwrap();
    assert_eq!(author, "Scripted Agent <agent@example.invalid>");
    // Nothing was installed on the way, and nothing fell outside the sandbox's home.
    let settings = scene.sandbox.home().join(".config/opencode/node_modules");
    assert_eq!(std::fs::read_dir(settings).unwrap().count(), 0);
    assert!(scene.sandbox.home().join(".local/share/opencode/opencode.db").exists());
    // One request for each step; opencode named the session in all of them.
    let requests = scene.model.wait_for_ended(4).await;
    let session = lines[0]["sessionID"].as_str();
    assert!(session.is_some_and(|id| id.starts_with("ses_")));
    assert!(requests.iter().all(|request| request.session.as_deref() == session));
    assert_eq!(requests[0].prompt(), prompt);
}

#[tokio::test]
async fn opencode_tries_again_after_errors_and_a_broken_connection() {
    let scene = Scene::new().await;
    let lines = scene.run(&[], "MODEL: reset 1 ;; http 429 2 0 ;; say at last").await;
    assert_eq!(texts(&lines), ["at last"]);
    let endings: Vec<_> = scene.model.requests().into_iter().filter_map(|r| r.ended).collect();
    assert_eq!(endings, [Ended::Broken, Ended::Refused(429), Ended::Refused(429), Ended::Answered]);
}

#[tokio::test]
async fn opencode_remembers_the_first_turn_in_the_second() {
    let scene = Scene::new().await;
    let first = scene.run(&[], "Remember the moon.\nMODEL: bash true ;; say yes").await;
    let session = first[0]["sessionID"].as_str().unwrap();
    let second = scene.run(&["--session", session], "MODEL: history").await;
    assert_eq!(
        texts(&second),
        ["users=2 assistants=2 tools=1 first=Remember the moon. MODEL: bash true ;; say yes \
          earlier=Remember the moon. MODEL: bash true ;; say yes"]
    );
}

#[tokio::test]
async fn opencode_asks_for_what_lies_outside_its_directory() {
    let scene = Scene::new().await;
    let lines = scene.run(&[], "MODEL: ask /etc/hostname ;; say never").await;
    let tool = lines.iter().find(|line| line["type"] == "tool_use").unwrap();
    assert_eq!(tool["part"]["state"]["status"], "error");
    assert!(!texts(&lines).contains(&"never"));
}
