//! `kugetsu schema`: what programs read and write, as JSON Schemas.

use kugetsu_plugin::{SCHEMAS, Schema};
use serde_json::json;

use crate::args;
use crate::errors::CliError;
use crate::screen::Screen;
use crate::screen::table::Rows;

pub(super) fn schema(args: &args::Schema, screen: &Screen) -> Result<(), CliError> {
    let Some(name) = &args.name else { return list(screen) };
    let Some(schema) = Schema::of(name) else {
        let names: Vec<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
        return Err(CliError::usage(format!("there is no schema {name:?}"))
            .hint(format!("there are: {}", names.join(", "))));
    };
    if screen.json {
        return screen.answer(&schema.json());
    }
    let text = serde_json::to_string_pretty(&schema.json())
        .map_err(|error| CliError::failed(format!("could not write JSON: {error}")))?;
    screen.say(text)
}

fn list(screen: &Screen) -> Result<(), CliError> {
    if screen.json {
        let told: Vec<_> = SCHEMAS
            .iter()
            .map(|schema| json!({ "name": schema.name, "about": schema.about }))
            .collect();
        return screen.answer(&json!({ "schemas": told }));
    }
    let mut rows = Rows::new(["NAME", "ABOUT"]);
    for schema in SCHEMAS {
        rows.row([schema.name.to_owned(), schema.about.to_owned()]);
    }
    rows.show(screen)
}
