//! The schemas are published, and what kugetsu writes is as they say.

mod validate;

use std::path::Path;

use kugetsu_plugin::{SCHEMAS, Schema};
use serde_json::{Value, json};

use validate::faults;

fn schema(name: &str) -> Value {
    Schema::of(name).unwrap().json()
}

#[test]
fn a_schema_changes_only_when_somebody_means_it() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("schemas/snapshots");
    settings.set_omit_expression(true);
    settings.bind(|| {
        for schema in SCHEMAS {
            // Whether objects keep their order depends on who else is built along.
            let text = serde_json::to_string_pretty(&sorted(schema.json())).unwrap();
            insta::assert_snapshot!(schema.name, text);
        }
    });
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<_, _> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            sorted.into_iter().collect()
        }
        Value::Array(all) => all.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[test]
fn names_and_ids_are_each_ones_own() {
    let mut ids: Vec<String> = SCHEMAS.iter().map(|one| one.json()["$id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), SCHEMAS.len());
    assert!(SCHEMAS.is_sorted_by_key(|schema| schema.name));
    assert!(Schema::of("nothing").is_none());
}

/// The golden files of this kind, which kugetsu itself has written.
fn golden(begin: &str) -> Vec<(String, Value)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kugetsu-testkit/tests/golden");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    files.map(read).filter(|(name, _)| name.starts_with(begin)).collect()
}

#[test]
fn what_was_ever_written_is_as_its_schema_says() {
    let (events, notices) = (golden("event-"), golden("notice"));
    assert!(events.len() > 15 && !notices.is_empty(), "{} {}", events.len(), notices.len());
    let (event, agent, notice) = (schema("event"), schema("agent-event"), schema("notice"));
    let mut agents = 0;
    for (name, value) in &events {
        let is_foreign = name.contains("unknown") || name.contains("newer");
        assert_eq!(
            faults(&event, value).is_empty(),
            !is_foreign,
            "{name}: {:?}",
            faults(&event, value)
        );
        if value["what"]["type"] == "agent" && !is_foreign {
            agents += 1;
            assert_eq!(faults(&agent, &value["what"]["data"]), [""; 0], "{name}");
        }
    }
    assert!(agents > 5, "{agents}");
    for (name, value) in &notices {
        assert_eq!(faults(&notice, value), [""; 0], "{name}");
    }
}

#[test]
fn what_is_otherwise_is_not_as_its_schema_says() {
    let (event, notice) = (schema("event"), schema("notice"));
    let (_, good) = golden("event-claimed").remove(0);
    assert_eq!(faults(&event, &good), [""; 0]);
    for (path, value) in [
        ("/format", json!("kugetsu.event/2")),
        ("/at", json!("now")),
        ("/at", json!(-1)),
        ("/what/type", json!("claimd")),
        ("/what/data/attempt", json!("1")),
        ("/what/data", json!({})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert_ne!(faults(&event, &bad), [""; 0], "{path}");
    }
    let agent = schema("agent-event");
    assert_eq!(
        faults(&agent, &json!({ "type": "message", "data": { "text": "x", "more": 1 } })),
        [""; 0]
    );
    for bad in [
        json!({ "type": "message", "data": { "txt": "x" } }),
        json!({ "type": "message" }),
        json!("message"),
        json!({ "type": "finished", "data": { "how": "somehow" } }),
    ] {
        assert_ne!(faults(&agent, &bad), [""; 0], "{bad}");
    }
    let (_, good) = golden("notice").remove(0);
    let mut bad = good.clone();
    bad["kind"] = json!("task_lost");
    assert_ne!(faults(&notice, &bad), [""; 0]);
    bad = good;
    bad.as_object_mut().unwrap().remove("key");
    assert_ne!(faults(&notice, &bad), [""; 0]);
}

/// The lines of the blocks of JSON in the guide that are about the protocol.
fn lines_of_the_guide() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plugins.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = vec![];
    let mut within = false;
    for line in text.lines() {
        match line.trim() {
            "```jsonl" => within = true,
            "```" => within = false,
            line if within => lines.push(serde_json::from_str(line).unwrap()),
            _ => {}
        }
    }
    lines
}

/// Whether a message is as the protocol's schema says, down to its parameters or its result.
fn message_faults(plugin: &Value, message: &Value, method: Option<&str>) -> Vec<String> {
    let mut all = faults(plugin, message);
    let (part, method) = match (message["method"].as_str(), method) {
        (Some(method), _) => ("params", method),
        (None, Some(method)) => ("result", method),
        (None, None) => return all,
    };
    if message.get(part).is_some() && method != "cancel" {
        let mut inner = plugin["methods"][method][part].clone();
        assert!(inner.is_object(), "there is no schema of {method}");
        inner["$defs"] = plugin["$defs"].clone();
        all.extend(faults(&inner, &message[part]));
    }
    all
}

#[test]
fn what_the_guide_shows_is_as_the_schema_says() {
    let plugin = schema("plugin");
    let lines = lines_of_the_guide();
    let mut methods = std::collections::BTreeMap::new();
    for line in &lines {
        let id = line["id"].as_u64();
        if let (Some(id), Some(method)) = (id, line["method"].as_str()) {
            methods.insert(id, method.to_owned());
        }
        let method = id.and_then(|id| methods.get(&id)).map(String::as_str);
        assert_eq!(message_faults(&plugin, line, method), [""; 0], "{line}");
    }
    for method in plugin["methods"].as_object().unwrap().keys() {
        let shown = |line: &Value| line["method"] == method.as_str();
        assert!(lines.iter().any(shown), "docs/plugins.md has no example of {method}");
    }
}
