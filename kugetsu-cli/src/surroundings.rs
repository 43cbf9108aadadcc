//! What the command is surrounded by: variables, streams and terminals. An argument, so that a test
//! brings its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Which of the streams are terminals.
///
/// Exhaustive: a program has these three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Questions can be asked.
    pub input: bool,
    /// The answer is read by a person.
    pub output: bool,
    /// The commentary is read by a person.
    pub error: bool,
}

/// What the command is surrounded by.
pub struct Surroundings {
    pub(crate) variables: BTreeMap<OsString, OsString>,
    pub(crate) directory: PathBuf,
    pub(crate) input: Box<dyn BufRead + Send>,
    pub(crate) output: Box<dyn Write + Send>,
    pub(crate) error: Box<dyn Write + Send>,
    pub(crate) terminals: Terminals,
    /// Whether they are this process's own: then signals mean this command, and the programs that it
    /// starts inherit the variables.
    pub(crate) is_of_process: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            directory: std::env::current_dir().unwrap_or_default(),
            input: Box::new(io::BufReader::new(io::stdin())),
            output: Box::new(io::stdout()),
            error: Box::new(io::stderr()),
            terminals: Terminals {
                input: io::stdin().is_terminal(),
                output: io::stdout().is_terminal(),
                error: io::stderr().is_terminal(),
            },
            is_of_process: true,
        }
    }

    /// Surroundings with no variables, nothing to read and these streams to write to. No terminal is
    /// anywhere, and signals are left alone.
    pub fn new(
        directory: impl Into<PathBuf>,
        output: impl Write + Send + 'static,
        error: impl Write + Send + 'static,
    ) -> Self {
        Self {
            variables: BTreeMap::new(),
            directory: directory.into(),
            input: Box::new(io::empty()),
            output: Box::new(output),
            error: Box::new(error),
            terminals: Terminals::default(),
            is_of_process: false,
        }
    }

    /// Sets a variable.
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// What there is to read.
    pub fn with_input(mut self, input: impl BufRead + Send + 'static) -> Self {
        self.input = Box::new(input);
        self
    }

    /// Which of the streams count as terminals.
    pub fn with_terminals(mut self, terminals: Terminals) -> Self {
        self.terminals = terminals;
        self
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables hold secrets.
        f.debug_struct("Surroundings")
            .field("directory", &self.directory)
            .field("terminals", &self.terminals)
            .finish_non_exhaustive()
    }
}
