//! Where the demo happens: a directory with a repository, a home for opencode, a model, and a
//! kugetsu of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kugetsu_core::{AgentRunner as _, Clock as _, IssueRef};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository};

use crate::commands::foreground;
use crate::errors::{CliError, Kind};
use crate::repositories;
use crate::setup::{Setup, clock};

/// How many agents may be alive at once.
pub(super) const AGENTS: usize = 2;

const REPOSITORY: &str = "example.com/demo/sample";

pub(super) struct Stage {
    directory: PathBuf,
    repository: SampleRepository,
    variables: BTreeMap<OsString, OsString>,
    setup: Setup,
    _model: ScriptedModel,
}

impl Stage {
    /// Sets it up in `directory`, which has to be empty, or in a fresh one.
    pub(super) async fn set(outer: &Setup, directory: Option<&Path>) -> Result<Self, CliError> {
        let program = program(outer).await?;
        let directory = make(outer, directory)?;
        let failed = |error| CliError::io("set up the demo", &error);
        let repository = repository(&directory).map_err(failed)?;
        let model = ScriptedModel::start().await.map_err(failed)?;
        let sandbox = OpencodeSandbox::write_to(&directory.join("opencode"), &model.base_url())
            .map_err(failed)?;
        let mut variables = BTreeMap::new();
        for name in ["PATH", "TERM", "LANG", "LC_ALL", "TZ"] {
            if let Some(value) = outer.around().variable(name) {
                variables.insert(name.into(), value.into());
            }
        }
        variables.extend(sandbox.env());
        variables.insert("KUGETSU_DIR".into(), directory.join("kugetsu").into());
        variables.insert("KUGETSU_OPENCODE".into(), program.into());
        variables.insert("MAX_CONCURRENT_AGENTS".into(), AGENTS.to_string().into());
        let setup = outer.elsewhere(variables.clone(), outer.flags().to_vec());
        Ok(Self { directory, repository, variables, setup, _model: model })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// kugetsu as it is on this stage.
    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(super) fn issue(&self, number: u64) -> Result<IssueRef, CliError> {
        self.setup.issue(&format!("{REPOSITORY}#{number}"))
    }

    /// Before anything looks for repositories.
    pub(super) fn remember_repository(&self) -> Result<(), CliError> {
        self.setup.paths()?.make()?;
        let issue = self.issue(1)?;
        let path = self.repository.path().to_string_lossy();
        repositories::remember(&self.setup, issue.repository(), &path)
    }

    pub(super) async fn most_alive(&self) -> Result<usize, CliError> {
        super::most_alive(&*self.setup.stores().await?.tasks).await
    }

    /// How many files the worktree's branch has changed.
    pub(super) fn files_changed(&self, worktree: &str) -> usize {
        let told = Command::new("git")
            .args(["-C", worktree, "diff", "--name-only", "origin/main...HEAD"])
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .output();
        told.map_or(0, |told| String::from_utf8_lossy(&told.stdout).lines().count())
    }
}

/// The opencode to run, if it could run now.
async fn program(outer: &Setup) -> Result<PathBuf, CliError> {
    let missing = |message: String| CliError::new(Kind::Missing, message).hint(foreground::INSTALL);
    match outer.opencode_alone()?.probe().await {
        Ok(info) if info.trouble.is_none() => Ok(info.program.into()),
        Ok(info) => Err(missing(info.trouble.unwrap_or_default())),
        Err(error) => Err(missing(error.to_string())),
    }
}

fn make(outer: &Setup, directory: Option<&Path>) -> Result<PathBuf, CliError> {
    let path = if let Some(directory) = directory {
        outer.around().directory.join(directory)
    } else {
        let now = clock()?.now().as_millis();
        let name = format!("kugetsu-demo-{}-{now}", std::process::id());
        let temporary = outer.around().variable("TMPDIR").filter(|dir| !dir.is_empty());
        Path::new(temporary.unwrap_or("/tmp".as_ref())).join(name)
    };
    let failed =
        |error| CliError::io(format_args!("make the directory {}", path.display()), &error);
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
    if path.read_dir().map_err(failed)?.next().is_some() {
        return Err(CliError::usage(format!("{} is not empty", path.display()))
            .hint("give another directory with `--dir`, or none"));
    }
    path.canonicalize().map_err(failed)
}

fn repository(directory: &Path) -> io::Result<SampleRepository> {
    let sample = SampleRepository::new(&directory.join("repository"))?;
    sample.commit("check.sh", "test \"$(cat data.txt)\" = 42 && echo fine\n", "add a check")?;
    Ok(sample)
}
