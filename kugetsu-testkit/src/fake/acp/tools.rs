use std::fs;
use std::path::{Component, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Agent;
use super::session::Session;

/// What came of a tool that was refused.
pub(super) const REFUSED: &str = "The user refused it.";

/// Carries out one call that the model made, tells of it, and returns what to report.
pub(super) fn call(agent: &Agent, session: &Session, call: &Value) -> Result<String, String> {
    let name = call["function"]["name"].as_str().unwrap_or_default();
    let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
    let arguments: Result<Value, _> = serde_json::from_str(arguments);
    let id = call["id"].as_str().unwrap_or_default();
    let path = arguments.as_ref().ok().and_then(|given| given["filePath"].as_str());
    let path = path.map(|path| session.directory.join(path));
    let kind = match name {
        "write" | "edit" => "edit",
        "read" => "read",
        "bash" => "execute",
        _ => "other",
    };
    agent.client.tell(
        &session.id,
        &json!({
            "sessionUpdate": "tool_call", "toolCallId": id, "title": name, "kind": kind,
            "status": "pending", "rawInput": {},
        }),
    );
    let locations: Vec<Value> = path.iter().map(|path| json!({ "path": path })).collect();
    agent.client.tell(
        &session.id,
        &json!({
            "sessionUpdate": "tool_call_update", "toolCallId": id, "status": "in_progress",
            "locations": locations, "rawInput": arguments.as_ref().unwrap_or(&Value::Null),
        }),
    );
    let done = match &arguments {
        Ok(arguments) if may(agent, session, id, name, path.as_ref()) => {
            carry_out(agent, session, name, arguments, path)
        }
        Ok(_) => Err(REFUSED.to_owned()),
        Err(error) => Err(format!("the arguments of {name} are no JSON: {error}")),
    };
    let (Ok(said) | Err(said)) = &done;
    agent.client.tell(
        &session.id,
        &json!({
            "sessionUpdate": "tool_call_update", "toolCallId": id,
            "status": if done.is_ok() { "completed" } else { "failed" },
            "content": [{ "type": "content", "content": { "type": "text", "text": said } }],
        }),
    );
    done
}

/// Whether the tool may be used, for which a client is asked where it is not plain.
fn may(agent: &Agent, session: &Session, call: &str, tool: &str, path: Option<&PathBuf>) -> bool {
    let is_inside = path.is_none_or(|path| {
        path.starts_with(&session.directory)
            && !path.components().any(|part| part == Component::ParentDir)
    });
    let asks = agent.has("asks");
    if tool != "question" && is_inside && !asks {
        return true;
    }
    // By now the client can know the rest.
    let mut what = json!({ "toolCallId": call });
    if !asks {
        what["title"] = json!(format!("use {tool}"));
        what["locations"] = path.iter().map(|path| json!({ "path": path })).collect();
    }
    let mut options = vec![
        json!({ "optionId": "for-ever", "name": "Always", "kind": "allow_always" }),
        json!({ "optionId": "now", "name": "Once", "kind": "allow_once" }),
    ];
    if !agent.has("no-no") {
        options.push(json!({ "optionId": "no", "name": "No", "kind": "reject_once" }));
    }
    let params = json!({ "sessionId": session.id, "toolCall": what, "options": options });
    let answer = agent.client.ask("session/request_permission", &params);
    let picked = answer["outcome"]["optionId"].as_str().unwrap_or_default();
    answer["outcome"]["outcome"] == "selected" && matches!(picked, "now" | "for-ever")
}

fn carry_out(
    agent: &Agent,
    session: &Session,
    tool: &str,
    arguments: &Value,
    path: Option<PathBuf>,
) -> Result<String, String> {
    let text = |name: &str| {
        arguments[name].as_str().ok_or_else(|| format!("{tool} has no argument {name}"))
    };
    let path = path.unwrap_or_else(|| session.directory.clone());
    let fails = |error: std::io::Error| error.to_string();
    match tool {
        "write" => {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory).map_err(fails)?;
            }
            fs::write(path, text("content")?).map_err(fails)?;
            Ok("Wrote the file.".to_owned())
        }
        "edit" => {
            let before = fs::read_to_string(&path).map_err(fails)?;
            let after = before.replacen(text("oldString")?, text("newString")?, 1);
            fs::write(path, after).map_err(fails)?;
            Ok("Edited the file.".to_owned())
        }
        "read" => fs::read_to_string(path).map_err(fails),
        "bash" => bash(session, text("command")?),
        "crash" => {
            eprintln!("fake-acp: segmentation fault, as it were");
            std::process::exit(9)
        }
        "garbage" => {
            agent.client.write("{\"jsonrpc\": \"2.0\", \"method\n").map_err(fails)?;
            Ok("Wrote it.".to_owned())
        }
        "long" => {
            let bytes = arguments["bytes"].as_u64().unwrap_or_default();
            let piece = "long ".repeat(2000);
            for _ in 0..=bytes / 10_000 {
                agent.client.write(&piece).map_err(fails)?;
            }
            Ok("Wrote it.".to_owned())
        }
        "strange" => {
            let strange = json!({ "sessionUpdate": "dance", "steps": 3 });
            agent.client.tell(&session.id, &strange);
            agent.client.tell(&session.id, &json!({ "sessionUpdate": "plan", "entries": [] }));
            agent.client.tell(
                "another",
                &json!({
                    "sessionUpdate": "agent_message_chunk",
                    "content": { "type": "text", "text": "from elsewhere" },
                }),
            );
            Ok("Told it.".to_owned())
        }
        "pester" => {
            for id in 0..arguments["times"].as_u64().unwrap_or_default() {
                let question = json!({ "jsonrpc": "2.0", "id": 1_000_000 + id, "method": "x/y" });
                agent.client.write(&format!("{question}\n")).map_err(fails)?;
            }
            Ok("Asked it.".to_owned())
        }
        "client" => Ok(agent.client.ask(text("method")?, &arguments["params"]).to_string()),
        other => Err(format!("there is no tool {other}")),
    }
}

fn bash(session: &Session, command: &str) -> Result<String, String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(&session.directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("sh does not start: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{}: {said}", output.status)) }
}
