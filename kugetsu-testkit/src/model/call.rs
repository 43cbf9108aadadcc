use super::script::{Wrong, unescaped};
use serde_json::json;

/// A tool call that the model answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) tool: String,
    /// The arguments as they go over the wire: JSON, unless the script breaks them on purpose.
    pub(super) arguments: String,
}

impl Call {
    /// Reads one of the convenience directives. `None` if `name` is not one.
    ///
    /// The arguments are those of opencode 1.18, whose tools take paths relative to the session's
    /// directory. Their members stand in the order of the alphabet, in which they come out whether
    /// or not some other crate of the build has `serde_json` keep their order.
    pub(super) fn convenience(name: &str, rest: &str) -> Option<Result<Self, Wrong>> {
        let arguments = match name {
            "write" => two_words(name, rest, "PATH TEXT").map(|(path, text)| {
                json!({"content": format!("{}\n", unescaped(text)), "filePath": path})
            }),
            "edit" => two_words(name, rest, "PATH OLD => NEW").and_then(|(path, change)| {
                let (old, new) = change
                    .split_once(" => ")
                    .or_else(|| change.strip_suffix(" =>").map(|old| (old, "")))
                    .ok_or_else(|| Wrong::form(name, "PATH OLD => NEW"))?;
                Ok(json!({
                    "filePath": path,
                    "newString": unescaped(new),
                    "oldString": unescaped(old),
                }))
            }),
            "bash" => filled(name, rest, "COMMAND").map(bash),
            "commit" => filled(name, rest, "MESSAGE")
                .map(|message| bash(&format!("git add -A && git commit -m {}", quoted(message)))),
            "ask" => filled(name, rest, "PATH").map(|path| json!({"filePath": path})),
            "question" => filled(name, rest, "TEXT").map(|text| {
                json!({"questions": [{
                    "header": "Question",
                    "options": [
                        {"description": "Go on", "label": "Yes"},
                        {"description": "Stop here", "label": "No"},
                    ],
                    "question": text,
                }]})
            }),
            _ => return None,
        };
        let tool = match name {
            "commit" => "bash",
            "ask" => "read",
            same => same,
        };
        Some(arguments.map(|json| Self { tool: tool.to_owned(), arguments: json.to_string() }))
    }

    /// Reads `NAME JSON`.
    pub(super) fn raw(spec: &str) -> Result<Self, Wrong> {
        let (tool, arguments) = spec.split_once(char::is_whitespace).unwrap_or((spec, "{}"));
        if tool.is_empty() {
            return Err(Wrong::form("tool", "NAME JSON"));
        }
        Ok(Self { tool: tool.to_owned(), arguments: arguments.trim().to_owned() })
    }
}

fn bash(command: &str) -> serde_json::Value {
    json!({"command": command, "description": "Runs a scripted command"})
}

fn two_words<'a>(name: &str, rest: &'a str, form: &str) -> Result<(&'a str, &'a str), Wrong> {
    rest.split_once(' ').ok_or_else(|| Wrong::form(name, form))
}

fn filled<'a>(name: &str, rest: &'a str, form: &str) -> Result<&'a str, Wrong> {
    if rest.is_empty() { Err(Wrong::form(name, form)) } else { Ok(rest) }
}

/// The text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
