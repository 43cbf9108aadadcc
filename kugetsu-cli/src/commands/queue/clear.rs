//! `kugetsu queue clear`: settled tasks are forgotten.

use std::time::Duration;

use serde_json::json;

use crate::errors::CliError;
use crate::screen::time;
use crate::setup::Setup;

pub(super) async fn clear(
    older_than: Option<Duration>,
    all: bool,
    setup: &Setup,
) -> Result<(), CliError> {
    let age = match older_than {
        _ if all => Duration::ZERO,
        Some(age) => age,
        None => setup.settings()?.cleanup_age(),
    };
    let cleared = setup.queue().await?.clear(age).await?;
    let screen = setup.screen();
    if screen.json {
        return screen.answer(&json!({ "cleared": cleared }));
    }
    let cleared = time::counted(u64::try_from(cleared).unwrap_or(u64::MAX), "settled task");
    screen.say(format!("Forgot {cleared}."))
}
