//! Which model a message is for, which opencode wants to have written down in each.

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use serde::Deserialize;

use crate::fault;
use crate::runner::OpencodeRunner;
use crate::state::State;

#[derive(Deserialize)]
struct Settings {
    model: Option<String>,
}

/// The model, as `provider/model`: ours, else the user's, else the first that there is.
pub(super) async fn name(runner: &OpencodeRunner, state: &State) -> Result<String, AgentError> {
    if let Some(model) = &runner.config().model {
        return Ok(model.clone());
    }
    let args = ["debug".as_ref(), "config".as_ref()];
    let settings = runner.command(args, state.root()).await?;
    let settings = serde_json::from_slice::<Settings>(&settings.stdout).ok();
    if let Some(model) = settings.and_then(|settings| settings.model) {
        return Ok(model);
    }
    let models = runner.command(["models".as_ref()], state.root()).await?;
    let models = String::from_utf8_lossy(&models.stdout);
    let first = models.lines().map(str::trim).find(|line| line.contains('/'));
    first.map(ToOwned::to_owned).ok_or_else(|| {
        let why = "it has no model; log in to a provider with `opencode auth login`";
        fault::backend("choose a model", Retry::Never, why)
    })
}
