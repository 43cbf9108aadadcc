//! `kugetsu status`: how things stand, in one word.

use kugetsu_core::SessionKind;
use serde_json::json;

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn status(setup: &Setup) -> Result<(), CliError> {
    setup.settings()?;
    let word = word(setup).await?;
    let screen = setup.screen();
    if screen.json {
        return screen.answer(&json!({ "status": word }));
    }
    screen.say(word)
}

async fn word(setup: &Setup) -> Result<&'static str, CliError> {
    Ok(if !setup.paths()?.are_made() {
        "kugetsu_not_initialized"
    } else if setup.session(SessionKind::Base).await?.is_none() {
        "base_session_missing"
    } else if setup.session(SessionKind::Pm).await?.is_none() {
        "pm_agent_missing"
    } else {
        "ok"
    })
}
