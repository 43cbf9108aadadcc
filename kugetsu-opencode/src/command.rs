//! Short commands of opencode, under a guard like everything else.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use kugetsu_guard::Started;
use tokio::io::AsyncReadExt as _;

use crate::runner::OpencodeRunner;
use crate::state::State;
use crate::{environment, fault, quirks, wire};

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    /// What went wrong, in a line.
    pub(crate) fn complaint(&self) -> String {
        let said = String::from_utf8_lossy(&self.stderr);
        let status = self.code.map_or("no status".to_owned(), |code| format!("status {code}"));
        format!("{status}: {}", wire::first_line(&said, 300))
    }
}

impl OpencodeRunner {
    /// Runs a command of opencode in the directory, with nothing to read, and waits for its end.
    pub(crate) async fn command<'a>(
        &self,
        args: impl IntoIterator<Item = &'a OsStr>,
        directory: &Path,
    ) -> Result<Output, AgentError> {
        self.command_in(&self.state().await?, args, directory).await
    }

    /// The same on a database that is not the runner's, if one is given.
    pub(crate) async fn command_on<'a>(
        &self,
        args: impl IntoIterator<Item = &'a OsStr>,
        directory: &Path,
        database: Option<&Path>,
    ) -> Result<Output, AgentError> {
        self.command_with(&self.state().await?, args, directory, database).await
    }

    /// The same with the runner's directory as it is: what is left of earlier processes stays.
    pub(crate) async fn command_in<'a>(
        &self,
        state: &State,
        args: impl IntoIterator<Item = &'a OsStr>,
        directory: &Path,
    ) -> Result<Output, AgentError> {
        self.command_with(state, args, directory, None).await
    }

    async fn command_with<'a>(
        &self,
        state: &State,
        args: impl IntoIterator<Item = &'a OsStr>,
        directory: &Path,
        database: Option<&Path>,
    ) -> Result<Output, AgentError> {
        let args: Vec<_> = args.into_iter().map(OsStr::to_owned).collect();
        let name = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
        let operation = format!("run `opencode {name}`");
        let mut env = environment::changes(self.config(), state)?;
        env.extend(database.map(|path| (quirks::DATABASE.into(), Some(path.into()))));
        self.guard()?;
        let plan = environment::plan("command", self.config(), &self.program().await?, directory)
            .with_args(args)
            .with_environment(env);
        // The time limit is for the command, not for the wait.
        let _permit = self
            .commands()
            .acquire()
            .await
            .map_err(|error| fault::backend(&*operation, Retry::Never, error))?;
        let version = self.version().await?;
        let run = async {
            let opening = match database {
                Some(_) => None,
                None => state.first_opening(&version).await?,
            };
            let Started { mut tree, mut stdout, mut stderr, .. } =
                state.trees().start(plan).await.map_err(io::Error::other)?;
            let (mut out, mut err) = (Vec::new(), Vec::new());
            tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err))?;
            let status = tree.wait().await?;
            if let Some(opening) = opening {
                opening.done();
            }
            Ok(Output { code: status.code(), stdout: out, stderr: err })
        };
        match tokio::time::timeout(self.config().limits.request, run).await {
            Ok(result) => result.map_err(|error| fault::io(operation, error)),
            // Dropped unfinished, the tree is ended by its guard.
            Err(_) => Err(fault::backend(operation, Retry::Later, "it took too long")),
        }
    }
}
