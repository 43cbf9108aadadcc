use serde_json::{Value, json};
use std::process::{ExitStatus, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kugetsu-model");

#[tokio::test]
async fn it_tells_where_it_listens_and_logs_each_request() {
    let dir = TempDir::new().unwrap();
    let (port_file, log) = (dir.path().join("port"), dir.path().join("log"));
    let mut command = Command::new(PROGRAM);
    command.arg("--port-file").arg(&port_file).arg(format!("--log={}", log.display()));
    let (mut child, url) = start(&mut command).await;
    let port = std::fs::read_to_string(&port_file).unwrap();
    assert_eq!(url, format!("http://127.0.0.1:{}/v1", port.trim()));

    let messages = json!([{"role": "user", "content": "MODEL: say hello"}]);
    let request = reqwest::Client::new().post(format!("{url}/chat/completions"));
    let answer: Value =
        request.json(&json!({"messages": messages})).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hello");

    assert!(end(&mut child, "TERM").await.success());
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["directive"], &lines[0]["ended"]),
        (&"say hello".into(), &"answered".into())
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn an_interrupt_ends_it_too() {
    let (mut child, _) = start(&mut Command::new(PROGRAM)).await;
    assert!(end(&mut child, "INT").await.success());
}

#[tokio::test]
async fn a_request_that_the_end_interrupts_is_logged_as_stopped() {
    let dir = TempDir::new().unwrap();
    let log = dir.path().join("log");
    let (mut child, url) = start(Command::new(PROGRAM).arg("--log").arg(&log)).await;
    let messages = json!([{"role": "user", "content": "MODEL: hangmid"}]);
    let request = reqwest::Client::new().post(format!("{url}/chat/completions"));
    let mut response =
        request.json(&json!({"stream": true, "messages": messages})).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert!(end(&mut child, "TERM").await.success());
    let line: Value = serde_json::from_str(&std::fs::read_to_string(log).unwrap()).unwrap();
    assert_eq!(line["ended"], "model_stopped");
}

#[tokio::test]
async fn with_a_parent_it_ends_when_its_input_does() {
    let (mut child, _) =
        start(Command::new(PROGRAM).arg("--with-parent").stdin(Stdio::piped())).await;
    drop(child.stdin.take());
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn it_says_what_is_wrong_with_the_command_line() {
    for (arguments, complaint) in [
        (&["--prot", "1"][..], "kugetsu-model: there is no option --prot\n"),
        (&["--port"], "kugetsu-model: --port needs a value\n"),
        (&["--port", "x"], "kugetsu-model: --port takes a number from 0 to 65535, not `x`\n"),
        (&["--with-parent=no"], "kugetsu-model: --with-parent takes no value\n"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(complaint), "{stderr}");
    }
    let output = Command::new(PROGRAM).arg("--help").output().await.unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--port-file FILE"));
}

/// Starts the program and waits until it says where it listens.
async fn start(command: &mut Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    (child, line.strip_prefix("listening on ").unwrap().to_owned())
}

async fn end(child: &mut Child, signal: &str) -> ExitStatus {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-s", signal, &id]).status().await.unwrap();
    assert!(sent.success());
    child.wait().await.unwrap()
}
