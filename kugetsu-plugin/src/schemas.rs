//! JSON Schemas of what kugetsu says to programs and hears from them.

use kugetsu_core::{AgentEvent, Event, Notice, event};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::protocol;

/// A format that programs read or write, as a JSON Schema.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Schema {
    /// Its name, such as `notice`.
    pub name: &'static str,
    /// What it is of, in a line.
    pub about: &'static str,
    make: fn() -> Value,
}

/// All of them, by name.
pub const SCHEMAS: &[Schema] = &[
    Schema {
        name: "agent-event",
        about: "a line that a command agent writes, if it writes JSON",
        make: || described::<AgentEvent>("kugetsu.agent-event/1", Whose::Theirs),
    },
    Schema {
        name: "event",
        about: "what happened, as `kugetsu logs --json` tells it",
        make: || described::<Event>(event::FORMAT, Whose::Ours),
    },
    Schema {
        name: "notice",
        about: "what a notifier reads from its standard input, and what a webhook gets",
        make: || described::<Notice>("kugetsu.notice/1", Whose::Ours),
    },
    Schema {
        name: "plugin",
        about: "what is said between kugetsu and a plugin, method by method",
        make: protocol::schema,
    },
];

impl Schema {
    /// The schema of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }

    /// The schema itself (draft 2020-12), made from the types with which kugetsu writes and reads.
    pub fn json(&self) -> Value {
        let mut schema = (self.make)();
        for_readers(&mut schema);
        schema
    }
}

/// Who writes it.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Theirs,
}

fn described<T: schemars::JsonSchema>(id: &str, whose: Whose) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = match whose {
        Whose::Ours => settings.for_serialize(),
        Whose::Theirs => settings.for_deserialize(),
    };
    let mut schema: Value = settings.into_generator().into_root_schema_for::<T>().into();
    schema["$id"] = Value::String(format!("urn:{}", id.replace('/', ":")));
    schema
}

/// Makes sentences of the descriptions, which are written for readers of Rust: without links and
/// without line breaks inside of a paragraph.
fn for_readers(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = plain(text),
                    other => for_readers(other),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(for_readers),
        _ => {}
    }
}

fn plain(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|one| one.replace('\n', " "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        plain += before;
        let Some((name, behind)) = after.split_once(']') else {
            plain += "[";
            rest = after;
            continue;
        };
        let target = behind.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        match target {
            Some((_, behind)) => (plain, rest) = (plain + name, behind),
            None if name.starts_with('`') => (plain, rest) = (plain + name, behind),
            None => {
                plain += "[";
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn descriptions_have_no_links_and_no_broken_lines() {
        for (text, wanted) in [
            ("a\nb\n\nc\nd", "a b\n\nc d"),
            ("the [first](crate::X) and [`Y::z`] and [`q`](Q)", "the first and `Y::z` and `q`"),
            ("a list [1, 2] and [", "a list [1, 2] and ["),
        ] {
            assert_eq!(plain(text), wanted);
        }
    }
}
