use std::collections::BTreeSet;

use kugetsu_core::event::{FORMAT, Json, Unknown};
use kugetsu_core::{AgentEvent, Event, Happening};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::golden;

fn event(what: &Value) -> Value {
    json!({
        "format": FORMAT,
        "at": 1_767_225_600_000_u64,
        "task": "019b76da-a800-7707-8707-070707070707",
        "what": what,
    })
}

fn read(what: &Value) -> Result<Happening, String> {
    // By way of text, as it comes from a file.
    let text = event(what).to_string();
    serde_json::from_str::<Event>(&text).map(|event| event.what).map_err(|error| error.to_string())
}

/// The names of all known types in `what`, as they are written.
fn types(of: impl Iterator<Item = Value>) -> BTreeSet<String> {
    of.map(|what| what["type"].as_str().unwrap().to_owned()).collect()
}

fn known() -> BTreeSet<String> {
    types(golden::happenings().iter().map(|(_, what)| serde_json::to_value(what).unwrap()))
}

fn known_of_agents() -> BTreeSet<String> {
    types(golden::agent_events().iter().map(|(_, what)| serde_json::to_value(what).unwrap()))
}

/// Fails to compile when a kind is added, so that nobody forgets the golden file of a new one.
#[test]
fn there_is_a_golden_event_of_every_kind() {
    let kind = |what: &Happening| match what {
        Happening::Enqueued { .. } => 0,
        Happening::Claimed { .. } => 1,
        Happening::SlotTaken { .. } => 2,
        Happening::WorktreeReady { .. } => 3,
        Happening::SessionReady { .. } => 4,
        Happening::Agent(_) => 5,
        Happening::CancelRequested => 6,
        Happening::RetryScheduled { .. } => 7,
        Happening::Released { .. } => 8,
        Happening::Settled { .. } => 9,
        Happening::Unknown(_) => 10,
        Happening::QueueHeld { .. } => 11,
        _ => panic!("there is no golden file of {what:?}"),
    };
    let kinds: BTreeSet<i32> =
        golden::events().iter().map(|(_, event)| kind(&event.what)).collect();
    assert_eq!(kinds, (0..=11).collect());
    assert_eq!(known_of_agents().len(), 9);
}

#[test]
fn an_unknown_kind_is_kept_value_for_value() {
    let data = json!({
        "z": [1, -1, 18_446_744_073_709_551_615_u64, 0.5, 1e300, "é\u{202e}\n", null, true],
        "a": {"b": {}, "c": []},
    });
    for what in [
        json!({"type": "moon_changed", "data": data}),
        json!({"type": "moon_changed"}),
        json!({"type": "", "data": 7}),
        json!({"type": "agent", "data": {"type": "moon_changed", "data": data}}),
        json!({"type": "agent", "data": {"type": "moon_changed"}}),
        // Known to events, but not to agents, and the other way round.
        json!({"type": "agent", "data": {"type": "claimed", "data": data}}),
        json!({"type": "message", "data": data}),
    ] {
        let kept = read(&what).unwrap();
        let unknown =
            matches!(&kept, Happening::Unknown(_) | Happening::Agent(AgentEvent::Unknown(_)));
        assert!(unknown, "{kept:?}");
        assert_eq!(serde_json::to_value(&kept).unwrap(), what);
    }
    // Members keep their order, too.
    let text = r#"{"z":1,"a":{"y":2,"b":3}}"#;
    let json: Json = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&json).unwrap(), text);
}

#[test]
fn a_known_kind_with_malformed_data_is_refused() {
    for name in known() {
        if name == "cancel_requested" {
            continue;
        }
        for data in [json!(7), json!("text"), json!(null), json!([]), json!({"odd": true})] {
            let what = json!({"type": name, "data": data});
            assert!(read(&what).is_err(), "{what} was read as {:?}", read(&what));
        }
        assert!(read(&json!({"type": name})).is_err(), "{name} without data");
    }
    for name in known_of_agents() {
        for data in [json!(7), json!("text"), json!(["x"]), json!(null)] {
            let what = json!({"type": "agent", "data": {"type": name, "data": data}});
            assert!(read(&what).is_err(), "{what} was read as {:?}", read(&what));
        }
    }
    for what in [json!({}), json!({"data": 1}), json!({"type": 7}), json!(null), json!("claimed")] {
        assert!(read(&what).is_err(), "{what}");
    }
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    for (name, event) in golden::events() {
        let mut text = serde_json::to_string(&event).unwrap();
        let mut places = vec!["{", "\"what\":{"];
        if !name.contains("unknown") {
            places.push("\"data\":{");
        }
        for place in places {
            text = text.replacen(place, &format!("{place}\"colour\":\"blue\","), 1);
        }
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }
}

#[test]
fn another_format_is_refused() {
    for format in [json!("kugetsu.event/2"), json!("kugetsu.event"), json!(1), json!(null)] {
        let mut other = event(&json!({"type": "cancel_requested"}));
        other["format"] = format.clone();
        assert!(serde_json::from_value::<Event>(other).is_err(), "{format}");
    }
    let mut none = event(&json!({"type": "cancel_requested"}));
    none.as_object_mut().unwrap().remove("format");
    assert!(serde_json::from_value::<Event>(none).is_err());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Others lose their last bit in the JSON parser, which is not ours.
        any::<i16>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_data_of_an_unknown_kind_survives(kind in "moon_[a-z_]{0,12}", data in value()) {
        let what = match data {
            Value::Null => json!({"type": kind}),
            ref data => json!({"type": kind, "data": data}),
        };
        let kept = read(&what).unwrap();
        let is_kept = matches!(&kept, Happening::Unknown(Unknown { kind: k, .. }) if *k == kind);
        prop_assert!(is_kept, "{:?}", kept);
        let again = serde_json::to_string(&kept).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), what);
    }

    #[test]
    fn no_text_is_taken_for_an_event_by_chance(text in any::<String>(), data in value()) {
        prop_assert!(serde_json::from_str::<Event>(&text).is_err());
        // Whatever is in a known kind is either right or refused, and never taken for an unknown.
        for name in known() {
            if let Ok(read) = read(&json!({"type": name, "data": data})) {
                prop_assert!(!matches!(read, Happening::Unknown(_)), "{:?}", read);
            }
        }
    }
}
