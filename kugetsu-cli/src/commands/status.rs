//! `kugetsu status`: how things stand, in one word.

use kugetsu_core::SessionKind;
use serde_json::json;

use super::queue;
use crate::errors::CliError;
use crate::setup::Setup;

/// Everything is there that agents need.
const OK: &str = "ok";

pub(super) async fn status(setup: &Setup) -> Result<(), CliError> {
    setup.settings()?;
    let word = word(setup).await?;
    let screen = setup.screen();
    let holds = match word {
        OK => setup.holds().await?.active().await?,
        _ => Vec::new(),
    };
    if screen.json {
        return screen.answer(&json!({ "status": word, "holds": queue::json_of(&holds) }));
    }
    queue::remark(setup, &holds)?;
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
        OK
    })
}
