//! What is said between kugetsu and a plugin: `kugetsu.plugin/1`, as types.
//!
//! Within the version fields and methods are added, never changed or removed. Whoever reads ignores
//! fields that it does not know.

mod errors;
mod initialize;
mod issue;
mod tracker;
mod worktrees;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use errors::{ErrorData, ErrorObject, METHOD_NOT_FOUND};
pub(crate) use initialize::{Initialize, InitializeParams, Kinds};
pub(crate) use issue::{IssueDto, RepositoryDto};
pub(crate) use tracker::{
    AuthorDto, Comment, CommentDto, CommentParams, Fetch, IssueTextDto, ProposalDto, Propose,
    PullDto, PullParams, PullRequest, PullStateDto,
};
pub(crate) use worktrees::{
    Inspect, IssueParams, List, Prepare, PrepareParams, Recover, Remove, RemoveParams, StatusDto,
    UnsavedDto, WorktreeDto,
};

/// The name of the protocol.
pub const PROTOCOL: &str = "kugetsu.plugin";

/// The version of the protocol that this kugetsu speaks.
pub const VERSION: u32 = 1;

/// The longest line that a plugin may write, in bytes.
pub const LONGEST_LINE: usize = 16 << 20;

/// Something that a plugin can be asked.
pub(crate) trait Method {
    /// Its name.
    const NAME: &'static str;
    /// What it is asked with.
    type Params: Serialize + JsonSchema;
    /// What it answers.
    type Answer: DeserializeOwned + JsonSchema;
}

/// No parameters, or an answer in which nothing stands.
#[derive(Debug, Default, Serialize, serde::Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// Asks the plugin to end what it is doing. Its standard input is closed afterwards.
pub(crate) struct ShutDown;

impl Method for ShutDown {
    const NAME: &'static str = "shutdown";
    type Params = Nothing;
    type Answer = Nothing;
}

/// The JSON Schema of the protocol: `methods` has the parameters and the result of each method, and
/// `error` is what stands in the place of a result.
pub(crate) fn schema() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut methods = serde_json::Map::new();
    {
        let mut add = |name: &str, params: Value, result: Value| {
            methods.insert(name.to_owned(), json!({ "params": params, "result": result }));
        };
        macro_rules! add {
            ($($method:ty),+ $(,)?) => {$(
                let params = generator.subschema_for::<<$method as Method>::Params>();
                let result = generator.subschema_for::<<$method as Method>::Answer>();
                add(<$method as Method>::NAME, params.into(), result.into());
            )+};
        }
        add!(
            Initialize,
            Prepare,
            Inspect,
            Remove,
            List,
            Recover,
            Fetch,
            Comment,
            PullRequest,
            Propose,
            ShutDown,
        );
    }
    let error: Value = generator.subschema_for::<ErrorObject>().into();
    let mut names: Vec<String> = methods.keys().cloned().collect();
    // The order of a map depends on who else is built along.
    names.sort();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:{PROTOCOL}:{VERSION}"),
        "title": format!("{PROTOCOL}/{VERSION}"),
        "description": "A line that kugetsu writes to a plugin, or that it reads from one. What \
            stands in `params` and `result` is under `methods`, by the method's name.",
        "oneOf": [
            { "$ref": "#/$defs/Request" },
            { "$ref": "#/$defs/Cancel" },
            { "$ref": "#/$defs/Answer" },
            { "$ref": "#/$defs/Refusal" },
        ],
        "methods": methods,
        "$defs": with_messages(generator.take_definitions(true), &names, &error),
    })
}

fn with_messages(
    mut types: serde_json::Map<String, Value>,
    methods: &[String],
    error: &Value,
) -> Value {
    let version = json!({ "const": "2.0" });
    let id = json!({ "type": "integer", "minimum": 1 });
    let mut add = |name: &str, description: &str, required: Value, properties: Value| {
        let message = json!({
            "type": "object",
            "description": description,
            "required": required,
            "properties": properties,
        });
        types.insert(name.to_owned(), message);
    };
    add(
        "Request",
        "From kugetsu: something to do.",
        json!(["jsonrpc", "id", "method", "params"]),
        json!({
            "jsonrpc": version, "id": id,
            "method": { "enum": methods }, "params": { "type": "object" },
        }),
    );
    add(
        "Cancel",
        "From kugetsu: nobody waits for the answer to this request any more. There is no answer to \
         a notification; the request itself may still be answered.",
        json!(["jsonrpc", "method", "params"]),
        json!({
            "jsonrpc": version, "method": { "const": "cancel" },
            "params": { "type": "object", "required": ["id"], "properties": { "id": id } },
        }),
    );
    add(
        "Answer",
        "From the plugin: it is done.",
        json!(["jsonrpc", "id", "result"]),
        json!({ "jsonrpc": version, "id": id, "result": { "type": "object" } }),
    );
    add(
        "Refusal",
        "From the plugin: it is not done, and why.",
        json!(["jsonrpc", "id", "error"]),
        json!({ "jsonrpc": version, "id": id, "error": error }),
    );
    Value::Object(types)
}
