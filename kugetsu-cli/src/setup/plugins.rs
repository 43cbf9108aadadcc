//! Backends that are programs of the user's own.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use kugetsu_core::WorktreeProvider;
use kugetsu_git::Sources as _;
use kugetsu_plugin::{Plugin, PluginConfig, PluginWorktrees};

use super::Setup;
use crate::errors::CliError;
use crate::repositories::Repositories;

impl Setup {
    /// The worktrees of the plugin of this name.
    pub(super) fn plugin_worktrees(
        &self,
        name: &str,
    ) -> Result<Arc<dyn WorktreeProvider>, CliError> {
        let repositories = Repositories::open(self.paths()?)?;
        let plugin = self.plugin(name)?;
        Ok(Arc::new(PluginWorktrees::new(plugin).with_sources(move |repository| {
            match repositories.source(repository) {
                Ok(source) => Ok(source.as_str().to_owned()),
                Err(error) => Err(error.why),
            }
        })))
    }

    /// The plugin of this name, the same one each time.
    fn plugin(&self, name: &str) -> Result<Plugin, CliError> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = plugins.get(name) {
            return Ok(plugin.clone());
        }
        let place = self.place()?;
        let Some(table) = place.settings.plugins().iter().find(|table| table.name == name) else {
            let names = place.settings.plugins().iter().map(|table| table.name.as_str());
            let known = names.collect::<Vec<_>>().join(", ");
            let told = CliError::config(format!("there is no plugin {name:?}"));
            return Err(match known.as_str() {
                "" => told.hint("config.toml has none: add a table [plugin.NAME]"),
                known => told.hint(format!("there are: {known}")),
            });
        };
        let program = table.program.first().map(PathBuf::from).unwrap_or_default();
        let directory = place.state("plugins").join(name);
        let mut config = PluginConfig::new(name, program, directory)
            .with_arguments(table.program.iter().skip(1));
        if let Some(limit) = table.limit {
            config = config.with_limit(limit);
        }
        for (variable, value) in self.variables_of_others().into_iter().flatten() {
            config = config.with_variable(variable, value);
        }
        for secret in place.settings.sink_variables() {
            config = config.without_variable(secret);
        }
        let plugin = Plugin::new(config);
        plugins.insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }

    /// Ends the plugins that run.
    pub(super) async fn close_plugins(&self) {
        let plugins =
            std::mem::take(&mut *self.plugins.lock().unwrap_or_else(PoisonError::into_inner));
        for plugin in plugins.into_values() {
            plugin.shut_down().await;
        }
    }
}
