//! As much of JSON Schema as our schemas use. A word that it does not know is a fault, so that nothing
//! passes because it was not understood.

use serde_json::Value;

/// What is wrong with the value by the schema.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = vec![];
    check(schema, schema, value, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Object(words) = schema else {
        assert_eq!(schema, true, "{at}");
        return;
    };
    let fault =
        |faults: &mut Vec<String>, what: String| faults.push(format!("{at}: {what}: {value}"));
    for (word, wanted) in words {
        match word.as_str() {
            "$ref" => {
                let name = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                let target = root.pointer(name).unwrap_or_else(|| panic!("there is no {name}"));
                check(root, target, value, at, faults);
            }
            "type" => {
                let one = [wanted.clone()];
                let all = wanted.as_array().map_or(&one[..], Vec::as_slice);
                if !all.iter().any(|name| is(name.as_str().unwrap(), value)) {
                    fault(faults, format!("it is no {wanted}"));
                }
            }
            "const" if value != wanted => fault(faults, format!("it is not {wanted}")),
            "enum" if !wanted.as_array().unwrap().contains(value) => {
                fault(faults, format!("it is none of {wanted}"));
            }
            "minimum" => {
                if value.as_f64().is_some_and(|value| value < wanted.as_f64().unwrap()) {
                    fault(faults, format!("it is less than {wanted}"));
                }
            }
            "maximum" => {
                if value.as_f64().is_some_and(|value| value > wanted.as_f64().unwrap()) {
                    fault(faults, format!("it is more than {wanted}"));
                }
            }
            "required" => {
                for name in wanted.as_array().unwrap() {
                    if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                        fault(faults, format!("it has no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, schema, value, &format!("{at}/{name}"), faults);
                    }
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}/{number}"), faults);
                }
            }
            "oneOf" | "anyOf" => {
                let fits = |schema: &&Value| {
                    let mut faults = vec![];
                    check(root, schema, value, at, &mut faults);
                    faults.is_empty()
                };
                let count = wanted.as_array().unwrap().iter().filter(fits).count();
                if count == 0 || (word == "oneOf" && count > 1) {
                    fault(faults, format!("it is {count} of the alternatives"));
                }
            }
            "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "format"
            | "methods" | "const" | "enum" => {}
            other => panic!("{at}: this checker does not know {other:?}"),
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("there is no type {other:?}"),
    }
}
