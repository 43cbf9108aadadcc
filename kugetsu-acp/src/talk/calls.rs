//! What is known of the tools that an agent uses: an agent that asks for a permission may say no
//! more than for which call.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use agent_client_protocol::v1::schema::{
    SessionUpdate, ToolCall, ToolCallContent, ToolCallLocation, ToolCallStatus,
    ToolCallUpdateFields, ToolKind,
};
use serde_json::Value;

/// How many calls may be going on at once; who has more is asked to say what each of them is.
const MOST: usize = 256;

/// What is known of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    pub(super) kind: ToolKind,
    pub(super) title: String,
    /// Every path that was told of it.
    pub(super) paths: Vec<PathBuf>,
}

/// The calls that have not ended, by session and id.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<(String, String), Call>);

impl Calls {
    /// Takes notice of what happens in the session.
    pub(super) fn note(&mut self, session: &str, update: &SessionUpdate) {
        match update {
            SessionUpdate::ToolCall(call) => {
                self.change(session, &call.tool_call_id.0, &fields_of(call));
            }
            SessionUpdate::ToolCallUpdate(update) => {
                self.change(session, &update.tool_call_id.0, &update.fields);
            }
            _ => {}
        }
    }

    /// The call with all that is known of it, and with what these fields say.
    pub(super) fn with(&self, session: &str, id: &str, fields: &ToolCallUpdateFields) -> Call {
        let key = (session.to_owned(), id.to_owned());
        let mut call = self.0.get(&key).cloned().unwrap_or_default();
        call.change(fields);
        call
    }

    fn change(&mut self, session: &str, id: &str, fields: &ToolCallUpdateFields) {
        let key = (session.to_owned(), id.to_owned());
        if matches!(fields.status, Some(ToolCallStatus::Completed | ToolCallStatus::Failed)) {
            self.0.remove(&key);
        } else if self.0.len() < MOST || self.0.contains_key(&key) {
            self.0.entry(key).or_default().change(fields);
        }
    }
}

impl Call {
    fn change(&mut self, fields: &ToolCallUpdateFields) {
        if let Some(kind) = fields.kind {
            self.kind = kind;
        }
        if let Some(title) = &fields.title {
            self.title.clone_from(title);
        }
        let diffs = fields.content.iter().flatten().filter_map(|content| match content {
            ToolCallContent::Diff(diff) => Some(diff.path.as_path()),
            _ => None,
        });
        let locations = fields.locations.iter().flatten();
        let told = locations.map(|ToolCallLocation { path, .. }| path.as_path()).chain(diffs);
        let told = told.chain(fields.raw_input.iter().flat_map(paths_in));
        for path in told {
            if !self.paths.iter().any(|known| known == path) {
                self.paths.push(path.to_owned());
            }
        }
    }
}

/// What a tool was given that is a path by its name.
fn paths_in(input: &Value) -> Vec<&Path> {
    const NAMES: [&str; 14] = [
        "path",
        "paths",
        "file_path",
        "filePath",
        "filepath",
        "abs_path",
        "absolute_path",
        "notebook_path",
        "cwd",
        "workdir",
        "directory",
        "directories",
        "dir_path",
        "parentDir",
    ];
    let given = NAMES.iter().filter_map(|name| input.get(*name));
    let texts = given.flat_map(|given| match given {
        Value::Array(several) => several.iter().collect(),
        one => vec![one],
    });
    texts.filter_map(|text| text.as_str().filter(|text| !text.is_empty()).map(Path::new)).collect()
}

/// What a new call says, as a change of nothing.
pub(super) fn fields_of(call: &ToolCall) -> ToolCallUpdateFields {
    ToolCallUpdateFields::new()
        .kind(call.kind)
        .status(call.status)
        .title(call.title.clone())
        .name(call.name.clone())
        .content(call.content.clone())
        .locations(call.locations.clone())
        .raw_input(call.raw_input.clone())
        .raw_output(call.raw_output.clone())
}
