//! How a plugin is started.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_guard::{Environment, GuardProgram, NotFound, find_program};

/// How a plugin is started, and how long it is waited for.
///
/// It inherits the environment of this process, which may be changed here. Its variables are not
/// shown by `Debug`: they may hold secrets.
#[derive(Clone)]
pub struct PluginConfig {
    pub(crate) name: String,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) guard: GuardProgram,
    pub(crate) limit: Duration,
    pub(crate) starts: usize,
    pub(crate) within: Duration,
}

impl PluginConfig {
    /// The plugin of this name, which is the program of that path, or of that name on `PATH`.
    ///
    /// `directory`, an absolute path, is made when it is first needed, and is for this plugin alone:
    /// in `own/` it keeps what it keeps, and beside that stands which of its processes live. Several
    /// processes of ours may use it at once.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<OsString>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            directory: directory.into(),
            environment: Environment::new(),
            guard: GuardProgram::find(),
            limit: Duration::from_mins(5),
            starts: 5,
            within: Duration::from_mins(1),
        }
    }

    /// Runs it with these arguments, through no shell.
    pub fn with_arguments(
        mut self,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a variable of its environment.
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    /// Keeps a variable of ours from it.
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.environment = self.environment.without(name);
        self
    }

    /// Has it guarded by another program than the one that is found: see [`kugetsu_guard`].
    pub fn with_guard(mut self, guard: GuardProgram) -> Self {
        self.guard = guard;
        self
    }

    /// How long it may take for one request; 5 min unless set. A request that has to wait for others
    /// has as much more for each of them.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How often it may be started within some time; 5 times a minute unless set.
    pub fn with_starts(mut self, times: usize, within: Duration) -> Self {
        (self.starts, self.within) = (times, within);
        self
    }

    /// Where the plugin keeps what it keeps.
    pub(crate) fn own_directory(&self) -> PathBuf {
        self.directory.join("own")
    }

    /// The path of the program, or why it cannot be found.
    pub fn found(&self) -> Result<PathBuf, String> {
        let program = Path::new(&self.program);
        find_program(program, self.environment.value_of("PATH").as_deref()).map_err(|why| {
            let shown = program.display();
            match why {
                NotFound::NoFile => format!("there is no file {shown}"),
                NotFound::NotOnPath => format!("there is no program {shown} on PATH"),
                why => format!("{shown}: {why}"),
            }
        })
    }
}

impl fmt::Debug for PluginConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginConfig")
            .field("name", &self.name)
            .field("program", &self.program)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}
