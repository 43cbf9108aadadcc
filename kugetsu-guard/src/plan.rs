//! What is to run under a guard.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Environment, GuardProgram, Input};

/// What is to run under a guard.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// What it is, in a word for people, such as `server`.
    pub what: String,
    /// The program: a path, or a name that is looked up on `PATH` by the guard.
    pub program: PathBuf,
    /// Its arguments. Everybody on the machine can read them: no secret belongs here.
    pub args: Vec<OsString>,
    /// Changes to the environment that it inherits from this process.
    pub environment: Environment,
    /// Where it works.
    pub directory: PathBuf,
    /// What it reads.
    pub input: Input,
    /// What the tree is called, if it is: see [`label`](crate::label).
    pub label: Option<String>,
    /// How long those who listen to SIGTERM have before SIGKILL, when the tree is ended.
    pub grace: Duration,
    /// Who guards it.
    pub guard: GuardProgram,
    /// Open files that the whole tree holds open, and with them their kernel locks.
    pub(crate) inherits: Vec<Arc<File>>,
}

/// The grace of a plan that says nothing else.
const GRACE: Duration = Duration::from_secs(2);

impl Plan {
    /// The program without arguments, working in the directory, with nothing to read.
    pub fn new(
        what: impl Into<String>,
        program: impl Into<PathBuf>,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            what: what.into(),
            program: program.into(),
            args: Vec::new(),
            environment: Environment::new(),
            directory: directory.into(),
            input: Input::nothing(),
            label: None,
            grace: GRACE,
            guard: GuardProgram::find(),
            inherits: Vec::new(),
        }
    }

    /// More arguments.
    pub fn with_args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Other changes to the environment. Whatever they say, `TMPDIR` is the tree's own directory,
    /// `PWD` where the program works, and `KUGETSU_TREE` the label, or nothing.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Something to read.
    pub fn with_input(mut self, input: impl Into<Input>) -> Self {
        self.input = input.into();
        self
    }

    /// Calls the tree so: see [`label`](crate::label).
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another grace than two seconds.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Another guard than the one that is found.
    pub fn with_guard(mut self, guard: GuardProgram) -> Self {
        self.guard = guard;
        self
    }

    /// Has the whole tree hold this open file, too, and with it its kernel lock, such as that of a
    /// slot: the lock is free only when nothing of the tree is alive that has kept it open.
    ///
    /// It is a copy of the descriptor; the file that is given stays as it is.
    pub fn inheriting(mut self, file: impl AsFd) -> io::Result<Self> {
        self.inherits.push(Arc::new(File::from(file.as_fd().try_clone_to_owned()?)));
        Ok(self)
    }
}
