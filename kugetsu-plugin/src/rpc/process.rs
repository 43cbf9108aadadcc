//! The program itself, under its guard.

use std::io;
use std::process::ExitStatus;

use kugetsu_core::Retry;
use kugetsu_guard::{Input, Plan, StartError, Started, Trees};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use crate::config::PluginConfig;
use crate::error::PluginError;

/// A program and all that it has started. Dropping it ends all of it.
#[derive(Debug)]
pub(super) struct Tree(kugetsu_guard::Tree);

/// What a program says and is told.
pub(super) struct Streams {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts the plugin's program in its directory, which is made if it is not there, after what earlier
/// processes may have left of it was ended.
pub(super) async fn start(config: &PluginConfig) -> Result<(Tree, Streams), PluginError> {
    let failed = |why: String, retry| {
        let plugin = config.name.clone();
        PluginError::NotStarted { plugin, why, retry }
    };
    let program = config.found().map_err(|why| failed(why, Retry::Never))?;
    let own = config.own_directory();
    let made = {
        let (directory, own) = (config.directory.clone(), own.clone());
        move || {
            let trees = Trees::open(directory)?;
            std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
                .recursive(true)
                .create(own)?;
            trees.recover()?;
            Ok(trees)
        }
    };
    let made = tokio::task::spawn_blocking(made).await.map_err(io::Error::other);
    let trees = made.and_then(|trees| trees).map_err(|error| {
        let directory = config.directory.display();
        failed(format!("its directory {directory} cannot be used: {error}"), Retry::Later)
    })?;
    let pipe = Input::pipe().map_err(|error| failed(error.to_string(), Retry::Later));
    let (reading, input) = pipe?;
    let plan = Plan::new("plugin", program, own)
        .with_args(&config.arguments)
        .with_environment(config.environment.clone())
        .with_guard(config.guard.clone())
        .with_input(reading);
    match trees.start(plan).await {
        Ok(Started { tree, stdout, stderr, .. }) => {
            Ok((Tree(tree), Streams { input, output: stdout, errors: stderr }))
        }
        Err(StartError::Guard(error)) => Err(failed(error.to_string(), Retry::Never)),
        Err(error) => Err(failed(error.to_string(), Retry::Later)),
    }
}

impl Tree {
    /// Asks for its end, at once. [`wait`](Self::wait) tells when it is reached.
    pub(super) fn end(&mut self) {
        self.0.end_now();
    }

    /// Waits until nothing of it is left. Cancelling is safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}
