//! Where these tests sit: a directory of their own, a repository, and a fake agent in this process.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use kugetsu_cli::{CliRunner, Surroundings, Terminals};
use kugetsu_core::{Expected, SessionKind, SessionQuery, SessionStore};
use kugetsu_queue::{Look, Machine, SqliteStore};
use kugetsu_testkit::fake::FakeAgent;
use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;

/// The issue that most tests are about.
pub(crate) const ISSUE: &str = "example.com/acme/widgets#7";

pub(crate) struct Desk {
    directory: TempDir,
    pub(crate) agent: FakeAgent,
    variables: Vec<(String, String)>,
    /// What the commands take for the machine that they run on.
    pub(crate) machine: FakeMachine,
    /// Where the commands are run.
    place: String,
}

/// What a command did.
pub(crate) struct Ran {
    line: String,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: u8,
}

/// A desk at which nothing was done yet.
pub(crate) fn desk() -> Desk {
    let directory = TempDir::with_prefix("kugetsu-cli-").unwrap();
    std::fs::create_dir(directory.path().join("home")).unwrap();
    SampleRepository::new(&directory.path().join("origin")).unwrap();
    let (agent, machine) = (FakeAgent::new(), FakeMachine::default());
    Desk { directory, agent, machine, variables: Vec::new(), place: "home".into() }
}

/// A desk where `kugetsu init` was run, and that knows where `ISSUE`'s repository is.
pub(crate) fn initialised() -> Desk {
    initialised_at(desk())
}

/// The same with what this desk is already.
pub(crate) fn initialised_at(desk: Desk) -> Desk {
    desk.run(&["init"]).done();
    let origin = desk.path("origin");
    let list = serde_json::json!({ "example.com/acme/widgets": origin });
    std::fs::write(desk.kugetsu("repos.json"), list.to_string()).unwrap();
    desk
}

impl Desk {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The commands are run in this directory from now on.
    pub(crate) fn standing_in(mut self, place: &str) -> Self {
        self.place = place.into();
        self
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(inside)
    }

    /// A path in `KUGETSU_DIR`.
    pub(crate) fn kugetsu(&self, inside: &str) -> PathBuf {
        self.path("kugetsu").join(inside)
    }

    pub(crate) fn worktree(&self) -> PathBuf {
        self.kugetsu("worktrees/example.com-acme-widgets-7")
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, b"", Terminals::default())
    }

    /// Runs the command with something to read.
    pub(crate) fn run_with(&self, words: &[&str], input: &[u8], terminals: Terminals) -> Ran {
        let agent = self.agent.clone();
        let runner = CliRunner::default().with_agent("fake", move |_| Ok(Arc::new(agent.clone())));
        self.run_by(runner, words, input, terminals)
    }

    /// Runs the command with something to read that comes when it is read.
    pub(crate) fn run_reading(
        &self,
        words: &[&str],
        input: impl io::BufRead + Send + 'static,
    ) -> Ran {
        let agent = self.agent.clone();
        let runner = CliRunner::default().with_agent("fake", move |_| Ok(Arc::new(agent.clone())));
        self.run_whole(runner, words, input, Terminals::default())
    }

    /// The same with other backends. The agent is still called `fake`.
    pub(crate) fn run_by(
        &self,
        runner: CliRunner,
        words: &[&str],
        input: &[u8],
        terminals: Terminals,
    ) -> Ran {
        self.run_whole(runner, words, io::Cursor::new(input.to_vec()), terminals)
    }

    fn run_whole(
        &self,
        runner: CliRunner,
        words: &[&str],
        input: impl io::BufRead + Send + 'static,
        terminals: Terminals,
    ) -> Ran {
        let (out, err) = (Paper::default(), Paper::default());
        let mut around = Surroundings::new(self.path(&self.place), out.clone(), err.clone())
            .with_variable("PATH", std::env::var_os("PATH").unwrap())
            .with_variable("HOME", self.path("home"))
            .with_variable("KUGETSU_DIR", self.path("kugetsu"))
            .with_variable("KUGETSU_AGENT", "fake")
            .with_variable("GIT_CONFIG_NOSYSTEM", "1")
            .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
            .with_input(input)
            .with_terminals(terminals);
        for (name, value) in &self.variables {
            around = around.with_variable(name, value);
        }
        let runner = runner.with_machine(self.machine.clone());
        let code = runner.run_in(around, std::iter::once(&"kugetsu").chain(words));
        Ran { line: words.join(" "), out: out.text(), err: err.text(), code }
    }

    /// Loses the record of the issue's session, as nothing but an accident does.
    pub(crate) fn lose_session(&self, issue: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(self.kugetsu("kugetsu.db")).await.unwrap();
            let kind = SessionKind::Dev(issue.parse().unwrap());
            let found = store.find(&SessionQuery::of(kind)).await.unwrap();
            store.remove(found[0].id).await.unwrap();
        });
    }

    /// Records a pull request in the issue's session, whatever it is of.
    pub(crate) fn record_pr(&self, issue: &str, pr: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(self.kugetsu("kugetsu.db")).await.unwrap();
            let kind = SessionKind::Dev(issue.parse().unwrap());
            let mut session = store.find(&SessionQuery::of(kind)).await.unwrap().pop().unwrap();
            session.pr = Some(pr.into());
            store.put(&session, Expected::At(session.revision)).await.unwrap();
        });
    }

    /// What several commands did, as a person at the terminal would have seen it.
    pub(crate) fn transcript(&self, commands: &[&[&str]]) -> String {
        commands.iter().map(|words| self.run(words).shown()).collect::<Vec<_>>().join("\n")
    }

    /// Compares it with the snapshot of this name, without what differs from run to run.
    pub(crate) fn assert(&self, name: &str, seen: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("snapshots");
        settings.set_omit_expression(true);
        let seen = seen.replace(&self.path("").to_string_lossy().into_owned(), "<desk>/");
        for (pattern, shown) in [
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]+", "<at>"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "<at>"),
            (r"\b[0-9]{2}:[0-9]{2}:[0-9]{2} ", "<time> "),
            (r" *\b[0-9]+:[0-9]{2}\b", " <time>"),
            (r"worker( +)\S+", "worker$1<worker>"),
            (r"process [0-9]+", "process <pid>"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
            (r"\b[A-Za-z][0-9A-Za-z._-]*-[0-9]{2,}-[0-9]{1,4}\b", "<worker>"),
            // A column is as wide as what is in it.
            (r"PID +SINCE", "PID  SINCE"),
            (r"[0-9]+ +<at>", "<pid>  <at>"),
            (r"- +-\n", "-  -\n"),
            (r"process [0-9]+", "process <pid>"),
        ] {
            settings.add_filter(pattern, shown);
        }
        settings.bind(|| insta::assert_snapshot!(name, seen));
    }
}

impl Ran {
    /// The command, if it did what was asked.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.shown());
        self
    }

    pub(crate) fn shown(&self) -> String {
        let mut shown = format!("$ kugetsu {}\n{}", self.line, self.out);
        for line in self.err.lines() {
            let _ = writeln!(shown, "stderr| {line}");
        }
        if self.code != 0 {
            let _ = writeln!(shown, "exit {}", self.code);
        }
        shown
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// The JSON object on the error stream.
    pub(crate) fn error(&self) -> serde_json::Value {
        assert_eq!(self.out, "");
        let told: serde_json::Value = serde_json::from_str(&self.err).unwrap();
        assert_eq!(told["error"]["exit"], self.code);
        told["error"].clone()
    }
}

/// A machine of which nothing is known, and so has room, until it is told what it has.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeMachine(Arc<Mutex<Look>>);

impl FakeMachine {
    pub(crate) fn has(&self, look: Look) {
        *self.0.lock().unwrap() = look;
    }
}

impl Machine for FakeMachine {
    fn look(&self) -> Look {
        self.0.lock().unwrap().clone()
    }
}

/// What was written, kept for reading.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode().trailing_zeros() >= 6
}
