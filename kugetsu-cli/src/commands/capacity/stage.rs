//! Where it is measured: a temporary place with a repository, a model, and a kugetsu of its own for
//! each row. Nothing of the user's own kugetsu is touched.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_core::{Clock as _, IssueRef};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository};

use crate::args::CapacityEngine;
use crate::commands::foreground;
use crate::errors::{CliError, Kind};
use crate::repositories;
use crate::setup::{Setup, clock};

const REPOSITORY: &str = "example.com/capacity/sample";

/// What each agent is to do, as the scripted model plays it: it looks, writes, commits and answers,
/// and the model takes its time for each step.
const SCRIPT: &str = r#"Leave a note in this repository.

MODEL: sleep 0.8
MODEL: say I look at what there is.
MODEL: tool bash {"command": "cat README.md", "description": "read the README"}
MODEL: sleep 0.8 ;; write note.txt A note.
MODEL: sleep 0.8
MODEL: tool bash {"command": "git add --all && git commit -qm 'leave a note'", "description": "commit"}
MODEL: sleep 0.8 ;; say The note is committed."#;

/// The same for a model that nobody has written a script for.
const REQUEST: &str = "Read README.md and say in one sentence what this repository is. Change no file, push \
     nothing, and write no comment: nobody but this machine knows of this repository.";

/// The settings that the stage makes itself.
const OURS: [&str; 10] = [
    "agent",
    "max_concurrent_agents",
    "opencode_program",
    "store",
    "worktrees",
    "task_timeout_hours",
    "stall_timeout_minutes",
    "memory_reserve_mb",
    "disk_reserve_mb",
    "circuit_failures",
];

/// A directory that is gone with this.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    fn make(outer: &Setup) -> Result<Self, CliError> {
        let now = clock()?.now().as_millis();
        let name = format!("kugetsu-capacity-{}-{now}", std::process::id());
        let place = outer.around().variable("TMPDIR").filter(|dir| !dir.is_empty());
        let path = Path::new(place.unwrap_or("/tmp".as_ref())).join(name);
        let failed =
            |error| CliError::io(format_args!("make the directory {}", path.display()), &error);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path.canonicalize().map_err(failed)?))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What is the same for all rows.
pub(super) struct Stage<'a> {
    outer: &'a Setup,
    repository: SampleRepository,
    variables: BTreeMap<OsString, OsString>,
    /// The agent's program and its version.
    pub(super) agent: String,
    model: Option<ScriptedModel>,
    /// Last, so that nobody works in it any more when it goes.
    directory: Temporary,
}

impl<'a> Stage<'a> {
    pub(super) async fn set(
        outer: &'a Setup,
        engine: CapacityEngine,
        own_provider: bool,
        timeout: Duration,
    ) -> Result<Self, CliError> {
        let name = match engine {
            CapacityEngine::Server => "opencode",
            CapacityEngine::Run => "opencode-run",
        };
        let (program, agent) = program(outer, name).await?;
        let directory = Temporary::make(outer)?;
        let failed = |error| CliError::io("set up the place where it is measured", &error);
        let repository = SampleRepository::new(&directory.0.join("repository")).map_err(failed)?;
        let mut variables = BTreeMap::new();
        let model = if own_provider {
            variables.clone_from(&outer.around().variables);
            let inherited = outer.settings()?.get("inherit_variables").unwrap_or_default();
            variables.insert("KUGETSU_INHERIT_VARIABLES".into(), inherited.into());
            None
        } else {
            for name in ["PATH", "TERM", "LANG", "LC_ALL", "TZ"] {
                if let Some(value) = outer.around().variable(name) {
                    variables.insert(name.into(), value.into());
                }
            }
            let model = ScriptedModel::start().await.map_err(failed)?;
            let sandbox =
                OpencodeSandbox::write_to(&directory.0.join("opencode"), &model.base_url());
            variables.extend(sandbox.map_err(failed)?.env());
            Some(model)
        };
        // No turn ends by itself before its time here is over.
        let longer = (timeout + Duration::from_mins(10)).as_secs_f64();
        for (name, value) in [
            ("KUGETSU_AGENT", name.to_owned()),
            ("KUGETSU_STORE", "sqlite".to_owned()),
            ("KUGETSU_WORKTREES", "git".to_owned()),
            ("TASK_TIMEOUT_HOURS", format!("{}", longer / 3600.0)),
            ("KUGETSU_STALL_TIMEOUT_MINUTES", format!("{}", longer / 60.0)),
            // What is measured is what happens without them; memory is watched by the test itself.
            ("KUGETSU_MEMORY_RESERVE_MB", "0".to_owned()),
            ("KUGETSU_DISK_RESERVE_MB", "0".to_owned()),
            ("KUGETSU_CIRCUIT_FAILURES", "0".to_owned()),
        ] {
            variables.insert(name.into(), value.into());
        }
        variables.insert("KUGETSU_OPENCODE".into(), program.into());
        Ok(Self { outer, repository, variables, agent, model, directory })
    }

    /// The place that is gone at the end.
    pub(super) fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// A kugetsu of its own for so many agents at once, which nobody was at work in.
    pub(super) fn place(&self, agents: usize) -> Result<Place, CliError> {
        let directory = self.directory.0.join(format!("row-{agents}"));
        let mut variables = self.variables.clone();
        variables.insert("KUGETSU_DIR".into(), directory.clone().into());
        variables.insert("MAX_CONCURRENT_AGENTS".into(), agents.to_string().into());
        let flags = self.outer.flags().iter().filter(|flag| {
            let key = flag.split('=').next().unwrap_or_default();
            let setting = crate::settings::named(key);
            setting.is_none_or(|setting| !OURS.contains(&setting.key))
        });
        let setup = self.outer.elsewhere(variables, flags.cloned().collect());
        setup.paths()?.make()?;
        if self.model.is_none() {
            self.lend_variables(&setup)?;
        }
        let place = Place { setup, directory };
        let path = self.repository.path().to_string_lossy();
        repositories::remember(&place.setup, place.issue(1)?.repository(), &path)?;
        Ok(place)
    }

    /// What an agent is told.
    pub(super) fn message(&self) -> &'static str {
        if self.model.is_some() { SCRIPT } else { REQUEST }
    }

    /// The user's own variables for agents, among which a provider's key may be.
    fn lend_variables(&self, setup: &Setup) -> Result<(), CliError> {
        let from = self.outer.paths()?.env().join("default.env");
        let text = match crate::paths::read(&from) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(CliError::io(format_args!("read {}", from.display()), &error));
            }
        };
        crate::paths::write_new(&setup.paths()?.env().join("default.env"), &text)?;
        Ok(())
    }
}

/// Where one row is measured.
pub(super) struct Place {
    pub(super) setup: Setup,
    directory: PathBuf,
}

impl Place {
    pub(super) fn issue(&self, number: usize) -> Result<IssueRef, CliError> {
        self.setup.issue(&format!("{REPOSITORY}#{number}"))
    }

    /// Ends what was started here, and removes all of it.
    pub(super) async fn clear(self) {
        self.setup.close().await;
        let Self { setup, directory } = self;
        drop(setup);
        let _ = tokio::task::spawn_blocking(move || fs::remove_dir_all(directory)).await;
    }
}

/// The agent's program if it could run now, and what it calls itself.
async fn program(outer: &Setup, name: &str) -> Result<(PathBuf, String), CliError> {
    let missing = |message: String| CliError::new(Kind::Missing, message).hint(foreground::INSTALL);
    let agent = outer.agent_made(name)?.ok_or_else(|| missing(format!("there is no {name}")))?;
    match agent.probe().await {
        Ok(info) if info.trouble.is_none() => {
            Ok((info.program.into(), format!("opencode {}", info.version)))
        }
        Ok(info) => Err(missing(info.trouble.unwrap_or_default())),
        Err(error) => Err(missing(error.to_string())),
    }
}
