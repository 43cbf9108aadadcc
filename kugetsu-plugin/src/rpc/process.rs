//! The program itself.

use std::io;
use std::process::{ExitStatus, Stdio};

use kugetsu_core::Retry;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::config::PluginConfig;
use crate::error::PluginError;

/// A program and what it has started. Dropping it ends all of it.
#[derive(Debug)]
pub(super) struct Tree(Child);

/// What a program says and is told.
pub(super) struct Streams {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts the plugin's program in its directory, which is made if it is not there.
pub(super) async fn start(config: &PluginConfig) -> Result<(Tree, Streams), PluginError> {
    let failed = |why: String, retry| {
        let plugin = config.name.clone();
        PluginError::NotStarted { plugin, why, retry }
    };
    let program = config.found().map_err(|why| failed(why, Retry::Never))?;
    let directory = &config.directory;
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).await.map_err(
        |error| failed(format!("could not make {}: {error}", directory.display()), Retry::Later),
    )?;
    spawn(config, &program).map_err(|error| failed(error.to_string(), Retry::Later))
}

fn spawn(config: &PluginConfig, program: &std::path::Path) -> io::Result<(Tree, Streams)> {
    let mut command = Command::new(program);
    command.args(&config.arguments).current_dir(&config.directory);
    for (name, value) in &config.variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::Error::other("it has no pipes"));
    };
    Ok((Tree(child), Streams { input, output, errors }))
}

impl Tree {
    /// Asks for its end. [`wait`](Self::wait) tells when it is reached.
    pub(super) fn end(&mut self) {
        let _ = self.0.start_kill();
    }

    /// Waits until it has ended. Cancelling is safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}
