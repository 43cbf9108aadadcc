//! `kugetsu config list`: each setting with where its value came from.

use serde_json::json;

use crate::errors::{CliError, Kind};
use crate::screen::escape;
use crate::screen::table::Rows;
use crate::setup::Setup;

pub(super) fn list(setup: &Setup) -> Result<(), CliError> {
    // This is where people look when something is wrong: what makes sense is shown.
    let mut mistakes = setup.make_do();
    if let Some(of_line) = mistakes.iter().position(|mistake| mistake.kind == Kind::Usage) {
        return Err(mistakes.swap_remove(of_line));
    }
    let (screen, place) = (setup.screen(), setup.place()?);
    let left_out = place.settings.left_out(&screen.path(&place.paths.flat_config()));
    let values = place.settings.values().iter();
    let directory = place.directory().to_string_lossy().into_owned();
    let from = if place.paths.named { "environment (KUGETSU_DIR)" } else { "default" };
    if screen.json {
        let settings: Vec<_> = values
            .map(|value| {
                json!({
                    "key": value.setting.key,
                    "value": value.text,
                    "origin": value.origin.to_string(),
                    "variable": value.setting.variable,
                    "doc": value.setting.doc,
                })
            })
            .collect();
        return screen.answer(&json!({
            "directory": { "value": directory, "origin": from },
            "settings": settings,
            "mistakes": mistakes.iter().map(CliError::message).chain(left_out.as_deref()).collect::<Vec<_>>(),
        }));
    }
    let mut rows = Rows::new(["SETTING", "VALUE", "FROM"]);
    rows.row(["KUGETSU_DIR".into(), screen.path(place.directory()), from.into()]);
    for value in values {
        let text = value.text.as_deref().map_or("-".to_owned(), escape::line);
        rows.row([value.setting.key.into(), text, value.origin.to_string()]);
    }
    rows.show(screen)?;
    for mistake in mistakes {
        screen.remark(format!("warning: {}", escape::text(mistake.message())));
        if let Some(advice) = mistake.advice() {
            screen.remark(format!("hint: {}", escape::text(advice)));
        }
    }
    if let Some(left_out) = left_out {
        screen.remark(format!("warning: {}", escape::line(&left_out)));
    }
    Ok(())
}
