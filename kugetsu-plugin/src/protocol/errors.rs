//! Why something was not done.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// JSON-RPC's code for a method that there is not.
pub(crate) const METHOD_NOT_FOUND: i64 = -32601;

/// Why something was not done.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(crate) struct ErrorObject {
    /// JSON-RPC's code. -32601 is a method that the plugin does not have; all others mean the same.
    pub(crate) code: i64,
    /// What went wrong, for people, naming the thing and how to mend it. No secret.
    #[serde(default)]
    pub(crate) message: String,
    /// What kugetsu can act on.
    #[serde(default)]
    #[schemars(with = "Option<ErrorData>")]
    pub(crate) data: Value,
}

/// What kugetsu can act on. A field of another type is as good as none.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
pub(crate) struct ErrorData {
    /// What kind of error: `unsaved_work` (with `path`, `dirty` and `unpushed`), `no_repository`,
    /// `no_base_branch`, `in_the_way` (with `path`), `missing`, `denied`, `limited` (with `retry` in
    /// seconds), `unsupported`. Any other one, and none, is the plugin's own fault.
    #[schemars(default)]
    pub(crate) kind: Option<String>,
    /// Whether trying again could help: `later` unless given.
    #[schemars(default, with = "Option<RetryHint>")]
    pub(crate) retry: Option<kugetsu_core::Retry>,
    /// Of `unsaved_work` and `in_the_way`: where.
    #[schemars(default)]
    pub(crate) path: Option<String>,
    /// Of `unsaved_work`: files not committed.
    #[schemars(default)]
    pub(crate) dirty: Option<u32>,
    /// Of `unsaved_work`: commits on no branch of the remote.
    #[schemars(default)]
    pub(crate) unpushed: Option<u32>,
}

/// Whether trying again could help.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it is only described; it is read by hand, since it may be anything")]
enum RetryHint {
    /// In a word.
    Word(RetryWord),
    /// No sooner than in so many seconds.
    Seconds(f64),
}

/// Whether trying again could help.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "it is only described")]
enum RetryWord {
    /// The same would fail in the same way.
    Never,
    /// It may pass.
    Later,
}

/// The longest that a plugin may put something off, in seconds: a day.
const LONGEST: f64 = 86_400.0;

impl ErrorData {
    /// What of it can be understood.
    pub(crate) fn of(data: &Value) -> Self {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let count = |name: &str| {
            let count = data.get(name).and_then(Value::as_u64);
            count.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
        };
        Self {
            kind: text("kind"),
            retry: data.get("retry").and_then(retry),
            path: text("path"),
            dirty: count("dirty"),
            unpushed: count("unpushed"),
        }
    }
}

fn retry(hint: &Value) -> Option<kugetsu_core::Retry> {
    use kugetsu_core::Retry;
    match (hint.as_str(), hint.as_f64()) {
        (Some("never"), _) => Some(Retry::Never),
        (Some("later"), _) => Some(Retry::Later),
        (_, Some(seconds)) if seconds >= 0.0 => {
            Some(Retry::after(std::time::Duration::from_secs_f64(seconds.min(LONGEST))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kugetsu_core::Retry;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hint_is_a_word_or_seconds_and_anything_else_is_none() {
        for (hint, retry) in [
            (json!("never"), Some(Retry::Never)),
            (json!("later"), Some(Retry::Later)),
            (json!(1.5), Some(Retry::After { millis: 1500 })),
            (json!(0), Some(Retry::After { millis: 0 })),
            (json!(1e300), Some(Retry::After { millis: 86_400_000 })),
            (json!(-1), None),
            (json!("soon"), None),
            (json!(["never"]), None),
            (json!(null), None),
        ] {
            assert_eq!(ErrorData::of(&json!({ "retry": hint })).retry, retry, "{hint}");
        }
        let data = json!({ "kind": 7, "path": {}, "dirty": -1, "unpushed": 1e12, "more": [] });
        assert_eq!(ErrorData::of(&data), ErrorData::default());
        assert_eq!(ErrorData::of(&json!({ "dirty": u64::MAX })).dirty, Some(u32::MAX));
        assert_eq!(ErrorData::of(&json!("text")), ErrorData::default());
    }
}
