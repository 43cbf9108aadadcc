use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use kugetsu_core::AgentEvent;
use serde_json::Value;
use tokio::process::Command;

use super::Control;
use super::turn::Turn;

/// Carries out one call of a tool, tells of it, and reports to the model.
pub(super) async fn call(turn: &Turn, control: &Control, tool: &str, arguments: &str) {
    let call = turn.world.call();
    let title = arguments.chars().take(80).collect();
    turn.tell(AgentEvent::ToolStarted { call: call.clone(), tool: tool.to_owned(), title });
    let done = match serde_json::from_str(arguments) {
        Ok(arguments) => carry_out(turn, control, &call, tool, &arguments).await,
        Err(error) => Err(format!("the arguments of {tool} are no JSON: {error}")),
    };
    let (ok, result) = match done {
        Ok(result) => (true, result),
        Err(why) => (false, why),
    };
    let summary = result.chars().take(200).collect();
    turn.tell(AgentEvent::ToolEnded { call, tool: tool.to_owned(), ok, summary });
    turn.report(&result);
}

async fn carry_out(
    turn: &Turn,
    control: &Control,
    call: &str,
    tool: &str,
    arguments: &Value,
) -> Result<String, String> {
    let text = |name: &str| {
        let text = arguments[name].as_str();
        text.ok_or_else(|| format!("{tool} has no argument {name}"))
    };
    match tool {
        "write" => {
            let path = inside(turn, call, text("filePath")?)?;
            put(&path, text("content")?).map_err(|error| error.to_string())?;
            Ok("Wrote the file.".to_owned())
        }
        "edit" => {
            let path = inside(turn, call, text("filePath")?)?;
            let before = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let old = text("oldString")?;
            if !before.contains(old) {
                return Err(format!("{} does not hold {old:?}", path.display()));
            }
            let after = before.replacen(old, text("newString")?, 1);
            put(&path, &after).map_err(|error| error.to_string())?;
            Ok("Edited the file.".to_owned())
        }
        "read" => {
            let path = inside(turn, call, text("filePath")?)?;
            fs::read_to_string(path).map_err(|error| error.to_string())
        }
        "bash" => bash(&turn.request.directory, text("command")?).await,
        "question" => {
            let question = arguments["questions"][0]["question"].as_str().unwrap_or("What now?");
            ask(turn, control, call, question).await
        }
        other => Err(format!("there is no tool {other}")),
    }
}

/// The path, if it is inside of the turn's directory. Elsewhere the agent may do nothing.
fn inside(turn: &Turn, call: &str, path: &str) -> Result<PathBuf, String> {
    let full = turn.request.directory.join(path);
    let climbs = full.components().any(|part| part == Component::ParentDir);
    if full.starts_with(&turn.request.directory) && !climbs {
        return Ok(full);
    }
    let wish = format!("it wants to use {}, which is not in its directory", full.display());
    refused(turn, call, &wish);
    Err(format!("refused: {wish}"))
}

fn refused(turn: &Turn, call: &str, wish: &str) {
    turn.tell(AgentEvent::Asked {
        question: call.to_owned(),
        text: wish.to_owned(),
        refused: true,
    });
}

async fn ask(turn: &Turn, control: &Control, call: &str, text: &str) -> Result<String, String> {
    let nobody_answers = || "nobody answers".to_owned();
    let Some(answered) = control.asked(call) else {
        refused(turn, call, text);
        return Err(nobody_answers());
    };
    turn.tell(AgentEvent::Asked {
        question: call.to_owned(),
        text: text.to_owned(),
        refused: false,
    });
    answered.await.map_err(|_| nobody_answers())
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)
}

/// Runs the command. It is killed when this is dropped.
async fn bash(directory: &Path, command: &str) -> Result<String, String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(directory)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs([
            ("LC_ALL", "C"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "Fake Agent"),
            ("GIT_AUTHOR_EMAIL", "fake@example.invalid"),
            ("GIT_COMMITTER_NAME", "Fake Agent"),
            ("GIT_COMMITTER_EMAIL", "fake@example.invalid"),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("sh does not start: {error}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{}: {said}", output.status)) }
}
