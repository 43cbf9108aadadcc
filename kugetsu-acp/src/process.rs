//! One process of an agent, under its guard, and the conversation with it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use kugetsu_core::slot::Slot;
use kugetsu_guard::{Environment, Input, Plan, StartError, Started, Tree, Trees};
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

use crate::config::{AcpConfig, Limits};
use crate::fault::Who;
use crate::program;
use crate::talk::{Abilities, Fault, Judge, Talk};
use crate::text::cut;

/// How much of the end of what a program says to people is kept, in bytes.
const LAST_WORDS: usize = 2048;

/// How long a tree may take to end after SIGKILL. Only what the kernel itself holds takes so long.
const SURELY: Duration = Duration::from_secs(10);

/// By these a service manager hears of us, for whom no agent speaks.
const SCRUBBED: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// A living agent. Dropping it ends its whole tree, though nobody waits for it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) talk: Talk,
    pub(crate) can: Abilities,
    end: End,
}

/// The way to end it.
#[derive(Debug)]
struct End {
    tree: Tree,
    who: Who,
    program: String,
    limits: Limits,
    said: LastWords,
}

/// What an agent's process is started for.
pub(crate) struct Purpose<'a> {
    /// In a word, for people.
    pub(crate) what: &'static str,
    /// Where the agent works, by its real name.
    pub(crate) directory: &'a Path,
    pub(crate) slots: &'a [Slot],
    /// The lock of the session that it is to work in.
    pub(crate) lock: Option<&'a File>,
}

impl Process {
    /// Starts the agent's program, and returns once it has said what it can.
    pub(crate) async fn start(
        config: &AcpConfig,
        trees: &Trees,
        who: &Who,
        purpose: Purpose<'_>,
    ) -> Result<Self, AgentError> {
        let found = program::find(config)?;
        let program = found.display().to_string();
        let operation = format!("start {program}");
        let io = |error| who.io(&*operation, error);
        let (input, stdin) = Input::pipe().map_err(io)?;
        let environment = SCRUBBED.iter().fold(Environment::new(), |env, name| env.without(*name));
        let mut plan = Plan::new(purpose.what, found, purpose.directory)
            .with_args(config.command.iter().skip(1))
            .with_environment(environment.then(&config.environment))
            .with_input(input)
            .with_grace(config.limits.grace)
            .with_guard(config.guard.clone());
        plan.label.clone_from(&config.label);
        for file in purpose.slots.iter().filter_map(Slot::file) {
            plan = plan.inheriting(file).map_err(io)?;
        }
        if let Some(lock) = purpose.lock {
            plan = plan.inheriting(lock).map_err(io)?;
        }
        let Started { tree, stdout, stderr, .. } =
            trees.start(plan).await.map_err(|error| match error {
                StartError::Guard(error) => AgentError::Missing {
                    program: "the guard of its processes".into(),
                    why: error.to_string(),
                },
                StartError::Io(error) => io(error),
                error => who.backend(&*operation, Retry::Later, error),
            })?;
        let said = LastWords::of(stderr);
        let end = End { tree, who: who.clone(), program, limits: config.limits.clone(), said };
        let judge =
            Judge { permissions: config.permissions, directory: purpose.directory.to_owned() };
        let Ok(mut talk) = Talk::begin(stdin, stdout, judge, &config.limits).await else {
            return Err(end.died("").await);
        };
        match talk.initialize(config.limits.boot).await {
            Ok(can) => Ok(Self { talk, can, end }),
            Err(Fault::Refused(complaint)) => {
                let program = end.program.clone();
                let _ = end.all(talk).await;
                if complaint.failure().retry.is_possible() {
                    return Err(complaint.error(who, &operation));
                }
                let words = complaint.words();
                let why =
                    format!("it does not speak version 1 of the Agent Client Protocol: {words}");
                Err(AgentError::Missing { program, why })
            }
            Err(Fault::Late) => {
                let seconds = config.limits.boot.as_secs();
                let mut why = format!("it did not say within {seconds} s what it can do");
                let trouble = [talk.stray(), end.said.told()];
                for more in trouble.iter().filter(|more| !more.is_empty()) {
                    why = format!("{why}; it said: {more}");
                }
                let _ = end.all(talk).await;
                Err(who.backend(operation, Retry::Later, why))
            }
            Err(Fault::Gone) => Err(Self::gone(talk, end).await),
        }
    }

    /// Ends all of it and tells the fault of something that is no turn.
    pub(crate) async fn failed(self, operation: &str, fault: Fault) -> AgentError {
        let Self { talk, end, .. } = self;
        let who = end.who.clone();
        match fault {
            Fault::Refused(complaint) => {
                let _ = end.all(talk).await;
                complaint.error(&who, operation)
            }
            Fault::Late => {
                let _ = end.all(talk).await;
                who.backend(operation, Retry::Later, "it took too long")
            }
            Fault::Gone => Self::gone(talk, end).await,
        }
    }

    /// Ends all of it because there is nothing more to do.
    pub(crate) async fn dismiss(self) {
        let _ = self.end.all(self.talk).await;
    }

    /// Ends all of it by force.
    pub(crate) async fn kill(self) -> io::Result<ExitStatus> {
        let Self { talk, mut end, .. } = self;
        end.tree.end();
        let status = end.wait().await;
        talk.close().await;
        status
    }

    /// Ends all of it, the agent by itself if it does so soon, and tells how that went; and, as the
    /// second, what the error of a turn is that it did not live to end.
    pub(crate) async fn end(self) -> (io::Result<()>, AgentError) {
        let Self { talk, end, .. } = self;
        let (who, program) = (end.who.clone(), end.program.clone());
        let (trouble, said) = (talk.trouble(), end.said.clone());
        let status = end.all(talk).await;
        let died = died(&who, &program, &trouble, &status, &said.at_last().await);
        (status.map(|_| ()), died)
    }

    async fn gone(talk: Talk, end: End) -> AgentError {
        let trouble = talk.trouble();
        talk.close().await;
        end.died(&trouble).await
    }
}

impl End {
    /// Closes the agent's input and waits a little, since one that ends by itself has put away
    /// what it has to; then ends whatever is left.
    async fn all(mut self, talk: Talk) -> io::Result<ExitStatus> {
        talk.close().await;
        if let Ok(status) = tokio::time::timeout(self.limits.grace, self.tree.wait()).await {
            return status;
        }
        self.tree.end();
        self.wait().await
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        match tokio::time::timeout(self.limits.grace + SURELY, self.tree.wait()).await {
            Ok(status) => status,
            Err(_) => Err(io::Error::other("its process tree does not end")),
        }
    }

    /// The error of a program that is gone, or no longer understood.
    async fn died(mut self, trouble: &str) -> AgentError {
        // It may be about to exit by itself, and then says with what.
        if tokio::time::timeout(self.limits.grace, self.tree.wait()).await.is_err() {
            self.tree.end();
        }
        let status = self.wait().await;
        died(&self.who, &self.program, trouble, &status, &self.said.at_last().await)
    }
}

fn died(
    who: &Who,
    program: &str,
    trouble: &str,
    status: &io::Result<ExitStatus>,
    said: &str,
) -> AgentError {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    // Whoever is no longer understood is ended by us, and its status says nothing.
    let mut detail = if trouble.is_empty() {
        format!("{program}: {how}")
    } else {
        format!("{program}: {trouble}")
    };
    if !said.is_empty() {
        detail = format!("{detail}; it said: {said}");
    }
    who.died(detail)
}

/// The end of what a program says to people.
#[derive(Debug, Clone)]
struct LastWords {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl LastWords {
    fn of(mut stderr: ChildStderr) -> Self {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let reader = tokio::spawn(async move {
            let mut read = vec![0; LAST_WORDS];
            while let Ok(count @ 1..) = stderr.read(&mut read).await {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&read[..count]);
                let excess = kept.len().saturating_sub(LAST_WORDS);
                kept.drain(..excess);
            }
        });
        Self { kept, reader: Arc::new(Mutex::new(Some(reader))) }
    }

    /// What it has said so far, on one line: the end of it.
    fn told(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.join(" · ");
        let excess = last.chars().count().saturating_sub(400);
        let end: String = last.chars().skip(excess).collect();
        cut(&end, 400)
    }

    /// The same when the program has ended: waits for the rest of it.
    async fn at_last(&self) -> String {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            // Everybody who could write to it is gone, so that this is for whoever escaped.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        self.told()
    }
}
