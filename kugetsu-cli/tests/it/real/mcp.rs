//! `kugetsu mcp`, as an agent speaks to it.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::house::{House, issue};

/// A conversation with the server.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    last: u64,
}

impl Talk {
    async fn begin(house: &House, arguments: &[&str]) -> (Self, Value) {
        let mut child = house.kugetsu(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut talk = Self { child, input, output, last: 0 };
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let told = talk.ask("initialize", &hello).await;
        talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        (talk, told)
    }

    async fn say(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.last, "method": method, "params": params });
        self.say(&request).await;
        // Whatever is on the output is the protocol's.
        let line = self.output.next_line().await.unwrap().expect("the server has ended");
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["id"], self.last, "{told}");
        told["result"].clone()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", &json!({ "name": tool, "arguments": arguments })).await
    }

    async fn tools(&mut self) -> Vec<(String, bool)> {
        let told = self.ask("tools/list", &json!({})).await;
        let tools = told["tools"].as_array().unwrap().iter();
        let mut tools: Vec<(String, bool)> = tools
            .map(|tool| {
                let reads = tool["annotations"]["readOnlyHint"].as_bool().unwrap();
                assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
                (tool["name"].as_str().unwrap().to_owned(), reads)
            })
            .collect();
        tools.sort();
        tools
    }

    async fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().await.unwrap().success());
    }
}

const READING: [&str; 7] = ["list", "logs", "notices", "queue", "status", "task", "why"];
const ACTING: [&str; 4] = ["continue", "retry", "start", "stop"];

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_the_commands_as_tools() {
    let house = House::new().await;
    let (mut talk, hello) = Talk::begin(&house, &["mcp"]).await;
    assert_eq!(hello["serverInfo"]["name"], "kugetsu");
    assert_eq!(hello["serverInfo"]["version"], env!("CARGO_PKG_VERSION"));
    let tools = talk.tools().await;
    let named = |reads: bool| {
        let tools = tools.iter().filter(|(_, read)| *read == reads);
        tools.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((named(true), named(false)), (READING.to_vec(), ACTING.to_vec()));

    let status = talk.call("status", json!({})).await;
    assert_eq!(status["structuredContent"], json!({ "status": "ok", "holds": [] }));
    let queued = json!({ "issue": issue(1), "message": "do it", "after": "1h", "key": "once" });
    let queued = talk.call("start", queued).await;
    let id = queued["structuredContent"]["task"].as_str().unwrap().to_owned();
    let shown = talk.call("task", json!({ "task": &id[..13] })).await;
    assert_eq!(shown["structuredContent"]["request"]["message"], "do it", "{shown}");
    assert_eq!(shown["structuredContent"]["asked_by"], Value::Null, "{shown}");
    let queue = talk.call("queue", json!({})).await;
    assert_eq!(queue["structuredContent"]["tasks"][0]["id"], *id, "{queue}");
    let why = talk.call("why", json!({ "what": issue(1) })).await;
    assert_eq!(why["structuredContent"]["task"], *id, "{why}");
    let list = talk.call("list", json!({ "all": true })).await;
    assert_eq!(list["structuredContent"]["sessions"][0]["kind"], "base", "{list}");
    let notices = talk.call("notices", json!({})).await;
    assert!(notices["structuredContent"]["notices"].is_array(), "{notices}");
    let logs = talk.call("logs", json!({})).await;
    assert!(logs["structuredContent"]["text"].as_str().unwrap().contains("BEGAN"), "{logs}");
    let stop = talk.call("stop", json!({ "issue": issue(1) })).await;
    assert_eq!(stop["structuredContent"]["stop"], "not in use", "{stop}");

    for (tool, arguments, said) in [
        ("start", json!({ "issue": "rubbish", "message": "x" }), "is no issue reference"),
        ("start", json!({ "issue": issue(1), "message": " " }), "the message is empty"),
        ("retry", json!({ "task": id }), "and not over"),
        ("continue", json!({ "issue": issue(9) }), "there is nothing to continue"),
        ("task", json!({ "task": "x" }), "is no task id"),
    ] {
        let refused = talk.call(tool, arguments).await;
        assert_eq!(refused["isError"], true, "{refused}");
        let error = &refused["structuredContent"]["error"];
        assert!(error["message"].as_str().unwrap().contains(said), "{refused}");
        assert!(error["hint"].is_string() || tool == "start", "{refused}");
    }
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_has_only_what_reads() {
    let house = House::new().await;
    let (mut talk, _) = Talk::begin(&house, &["mcp", "--read-only"]).await;
    let names: Vec<String> = talk.tools().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, READING);
    let refused = talk.call("start", json!({ "issue": issue(1), "message": "x" })).await;
    assert_eq!(refused, Value::Null);
    talk.end().await;
    let queue = house.run(&["queue", "list", "--json"]).await;
    assert!(queue.stdout.contains("\"tasks\":[]"), "{queue:?}");
}
