//! `kugetsu config list`: each setting with where its value came from.

use serde_json::json;

use crate::errors::CliError;
use crate::screen::escape;
use crate::screen::table::Rows;
use crate::setup::Setup;

pub(super) fn list(setup: &Setup) -> Result<(), CliError> {
    let (screen, place) = (setup.screen(), setup.place()?);
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
        }));
    }
    let mut rows = Rows::new(["SETTING", "VALUE", "FROM"]);
    rows.row(["KUGETSU_DIR".into(), screen.path(place.directory()), from.into()]);
    for value in values {
        let text = value.text.as_deref().map_or("-".to_owned(), escape::line);
        rows.row([value.setting.key.into(), text, value.origin.to_string()]);
    }
    rows.show(screen)
}
