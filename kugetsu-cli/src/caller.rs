//! Who runs the command: a person, or an agent that kugetsu itself has started; and what they may.
//!
//! The process trees of agents have a [label](kugetsu_opencode::label): their role and the
//! `KUGETSU_DIR` that they belong to. It stands in their environment and with the guard from whom
//! they descend, so that a child without its environment is known all the same.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::{QueueError, Queued, Role, Task, TaskQuery, TaskQueue};
use kugetsu_opencode::label;

use crate::args::{
    Command, Config, Doctor, Env, Global, Notify, Queue, QueueDaemon, Server, Turn, Watch,
};
use crate::errors::CliError;
use crate::paths::Paths;
use crate::surroundings::Surroundings;

/// Who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// Nobody's agent.
    Person,
    /// The PM's agent, or whatever it has started.
    Pm,
    /// An agent that works on an issue, or whatever it has started.
    Dev,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person => "a person",
            Self::Pm => "the PM's agent",
            Self::Dev => "an agent that works on an issue",
        })
    }
}

/// What the trees of agents of this role are called.
pub(crate) fn label_of(role: Role, root: &Path) -> String {
    let role = if role == Role::Pm { "pm" } else { "dev" };
    format!("{role}:{}", real(root).display())
}

impl Caller {
    /// Who it is, in the kugetsu of these paths. An error if it is the PM of another one.
    pub(crate) fn find(around: &Surroundings, paths: &Paths) -> Result<Self, CliError> {
        let inherited = around.variable(label::VARIABLE).map(|text| text.to_string_lossy().into());
        let above = if around.is_of_process { label::of_ancestors() } else { Vec::new() };
        let labels: Vec<String> = inherited.into_iter().chain(above).collect();
        Self::of_labels(&labels, |of| is_one_directory(of, paths.root()))
    }

    fn of_labels(labels: &[String], is_ours: impl Fn(&Path) -> bool) -> Result<Self, CliError> {
        let read = |label: &String| {
            let (role, of) = label.split_once(':')?;
            let caller = if role == "pm" { Self::Pm } else { Self::Dev };
            Some((caller, is_ours(Path::new(of))))
        };
        let read: Vec<(Self, bool)> = labels.iter().filter_map(read).collect();
        // Of those that an agent may have made up itself none can make it less than it is.
        let ours = read.iter().filter(|(_, ours)| *ours).map(|(caller, _)| *caller).max();
        match ours {
            Some(caller) => Ok(caller),
            // Whoever works on an issue may try a kugetsu of its own; the PM has no use for one.
            None if read.iter().any(|(caller, _)| *caller == Self::Pm) => Err(CliError::failed(
                "the PM's agent may use no other kugetsu than the one that has started it",
            )
            .hint("leave KUGETSU_DIR as it is")),
            None => Ok(Self::Person),
        }
    }

    /// Refuses what this caller may not run.
    pub(crate) fn check(self, command: &Command, global: &Global) -> Result<(), CliError> {
        if self == Self::Person {
            return Ok(());
        }
        if !global.config.is_empty() {
            return Err(self.refused("set settings with `--config`", "leave it out"));
        }
        match need(command) {
            Need::Reader => Ok(()),
            Need::Pm if self == Self::Pm => Ok(()),
            Need::Pm => Err(self.refused(
                &run(command),
                "say in your answer what else should be done; whoever has asked you decides",
            )),
            Need::Detached if self == Self::Pm => Err(self
                .refused(&format!("run {} without `--detach`", name(command)), "add `--detach`")),
            Need::Person { instead } => Err(self.refused(&run(command), instead)),
            Need::Detached => Err(self.refused(&run(command), "work on your own issue only")),
        }
    }

    fn refused(self, what: &str, instead: &str) -> CliError {
        CliError::failed(format!("{self} may not {what}")).hint(instead)
    }

    /// Queues a new task in this caller's name. What the PM's agent asks for counts against what the
    /// task that it works on may ask for.
    pub(crate) async fn enqueue(
        self,
        queue: &TaskQueue,
        task: &Task,
        allowance: u32,
    ) -> Result<Queued, CliError> {
        match self {
            Self::Person => Ok(queue.enqueue(task).await?),
            Self::Dev => Err(self.refused("create tasks", "say it in your answer")),
            Self::Pm if task.request.role() == Role::Pm => {
                Err(self.refused("give the PM a task", "do it yourself, in this turn"))
            }
            Self::Pm => {
                let open = queue.store().list(&TaskQuery::open()).await?;
                let turn = open
                    .iter()
                    .find(|task| task.request.role() == Role::Pm && task.lease().is_some());
                let Some(turn) = turn else {
                    return Err(CliError::failed(
                        "the PM's turn in which this was started is over, and creates no more tasks",
                    ));
                };
                match queue.delegate(turn.id, allowance, task).await {
                    Err(error @ QueueError::Refused { .. }) => {
                        Err(CliError::from(error).hint(format!(
                            "one message to the PM may create {allowance} tasks \
                             (`pm_task_allowance`); say in your answer what is left to do"
                        )))
                    }
                    other => Ok(other?),
                }
            }
        }
    }
}

fn real(root: &Path) -> PathBuf {
    root.canonicalize().unwrap_or_else(|_| root.to_owned())
}

/// Whether both name one directory, by whatever path or mount.
pub(crate) fn is_one_directory(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|about| (about.dev(), about.ino()));
    real(one) == real(other) || id(one).is_some_and(|one| id(other) == Some(one))
}

/// Whom a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Anybody: it only reads.
    Reader,
    /// The PM's agent, or a person.
    Pm,
    /// The same, if only it were detached.
    Detached,
    /// A person, and for agents there is something else.
    Person { instead: &'static str },
}

const ASK: &str = "ask the user for it in your answer";

/// Which command is for whom: the one table. A command that is not told apart here does not compile.
fn need(command: &Command) -> Need {
    match command {
        Command::Status
        | Command::List(_)
        | Command::Slots { what: None }
        | Command::Why(_)
        | Command::Watch(Watch { once: true })
        | Command::Logs(_)
        | Command::Config(Config::List)
        | Command::Completions { .. }
        | Command::Help { .. }
        | Command::Context(_)
        | Command::Schema(_)
        | Command::Doctor(Doctor { fix: false, fix_permissions: false })
        | Command::Env(Env::List | Env::Show { .. } | Env::Get { reveal: false, .. })
        | Command::Server(Server::List | Server::Get { .. } | Server::Default { name: None })
        | Command::Mcp(_)
        | Command::Queue(Queue::List { .. } | Queue::Stats | Queue::Show { .. })
        | Command::Notify { what: None | Some(Notify::List { .. } | Notify::Sinks) }
        | Command::QueueDaemon(QueueDaemon::Status | QueueDaemon::Logs { .. }) => Need::Reader,
        Command::Start(args) if args.repo.is_some() => {
            Need::Person { instead: "leave `--repo` out; the user says where repositories are" }
        }
        Command::Start(args) => turn(&args.turn),
        Command::Continue(args) => turn(&args.turn),
        // Of a task that somebody else has asked for `cancel` itself says no.
        Command::Queue(Queue::Enqueue(_) | Queue::Retry { .. } | Queue::Cancel { .. })
        | Command::Stop(_)
        | Command::SetPr(_) => Need::Pm,
        Command::Delegate(_) => Need::Person {
            instead: "you are whom it would come back to: use `kugetsu start --detach <issue> <task>`",
        },
        Command::Watch(_) => Need::Person { instead: "use `kugetsu watch --once`" },
        Command::Init(_)
        | Command::Queue(Queue::Pause { .. } | Queue::Resume | Queue::Clear { .. })
        | Command::Notify { what: Some(Notify::Clear | Notify::Test { .. }) }
        | Command::QueueDaemon(
            QueueDaemon::Run { .. }
            | QueueDaemon::Start
            | QueueDaemon::Stop(_)
            | QueueDaemon::Restart(_)
            | QueueDaemon::Install(_),
        )
        | Command::Slots { what: Some(_) }
        | Command::Destroy(_)
        | Command::Prune(_)
        | Command::Doctor(_)
        | Command::Env(_)
        | Command::Server(_)
        | Command::Store(_)
        | Command::Import(_)
        | Command::Man { .. } => Need::Person { instead: ASK },
        #[cfg(feature = "testkit")]
        Command::Backend(_) => Need::Person { instead: ASK },
        #[cfg(feature = "demo")]
        Command::Capacity(_) => Need::Person { instead: ASK },
        #[cfg(feature = "demo")]
        Command::Demo(_) => Need::Person { instead: ASK },
    }
}

fn turn(turn: &Turn) -> Need {
    if turn.message_file.is_some() {
        return Need::Person { instead: "give the message itself instead of `--message-file`" };
    }
    if turn.detach { Need::Pm } else { Need::Detached }
}

fn run(command: &Command) -> String {
    format!("run {}", name(command))
}

/// The command as it is typed.
fn name(command: &Command) -> String {
    let name = match command {
        Command::Init(_) => "init",
        Command::Start(_) => "start",
        Command::Continue(_) => "continue",
        Command::Delegate(_) => "delegate",
        Command::Stop(_) => "stop",
        Command::Watch(_) => "watch",
        Command::Slots { .. } => "slots run",
        Command::Destroy(_) => "destroy",
        Command::Prune(_) => "prune",
        Command::SetPr(_) => "set-pr",
        Command::Doctor(_) => "doctor --fix",
        Command::Env(_) => "env",
        Command::Server(_) => "server",
        Command::Store(_) => "store",
        Command::Import(_) => "import",
        #[cfg(feature = "testkit")]
        Command::Backend(_) => "backend",
        #[cfg(feature = "demo")]
        Command::Capacity(_) => "capacity",
        Command::Man { .. } => "man",
        Command::Queue(Queue::Enqueue(_)) => "queue enqueue",
        Command::Queue(Queue::Retry { .. }) => "queue retry",
        Command::Queue(Queue::Cancel { .. }) => "queue cancel",
        Command::Queue(Queue::Clear { .. }) => "queue clear",
        Command::Queue(Queue::Pause { .. }) => "queue pause",
        Command::Queue(Queue::Resume) => "queue resume",
        Command::Queue(_) => "queue",
        Command::Notify { .. } => "notify",
        Command::QueueDaemon(_) => "queue-daemon",
        _ => "this",
    };
    format!("`kugetsu {name}`")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn may(caller: Caller, line: &str) -> bool {
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        caller.check(&cli.command, &cli.global).is_ok()
    }

    #[test]
    fn everybody_has_what_is_theirs_and_no_more() {
        let (person, pm, dev) = (Caller::Person, Caller::Pm, Caller::Dev);
        for (line, most) in [
            ("status", dev),
            ("list --all", dev),
            ("slots", dev),
            ("why a/b#1", dev),
            ("watch --once", dev),
            ("logs", dev),
            ("config list", dev),
            ("completions bash", dev),
            ("mcp", dev),
            ("queue list", dev),
            ("queue stats", dev),
            ("queue show 12345678", dev),
            ("notify", dev),
            ("notify list", dev),
            ("notify sinks", dev),
            ("queue-daemon status", dev),
            ("queue-daemon logs", dev),
            ("help config", dev),
            ("context a/b#1", dev),
            ("schema", dev),
            ("schema notice", dev),
            ("doctor", dev),
            ("env list", dev),
            ("env show", dev),
            ("env get A", dev),
            ("server list", dev),
            ("server get", dev),
            ("server default", dev),
            ("set-pr a/b#1 https://github.com/a/b/pull/2", pm),
            ("start --detach a/b#1 x", pm),
            ("continue --detach a/b#1", pm),
            ("stop a/b#1", pm),
            ("queue enqueue a/b#1 x", pm),
            ("queue retry 12345678", pm),
            ("queue cancel 12345678", pm),
            ("start a/b#1 x", person),
            ("start --detach a/b#1 x --repo y", person),
            ("start --detach a/b#1 --message-file y", person),
            ("continue a/b#1", person),
            ("continue --detach a/b#1 --message-file y", person),
            ("delegate x", person),
            ("watch", person),
            ("slots run -- true", person),
            ("init", person),
            ("init --force", person),
            ("destroy a/b#1", person),
            ("destroy --base -y", person),
            ("prune -y", person),
            ("doctor --fix", person),
            ("doctor --fix-permissions", person),
            ("env set A b", person),
            ("env rm A", person),
            ("env get A --reveal", person),
            ("server add a.b https://a.b", person),
            ("server remove a.b", person),
            ("server default a.b", person),
            ("store convert --to json", person),
            ("import", person),
            ("backend check -- ./x", person),
            ("capacity --quick", person),
            ("man x", person),
            ("queue clear --all", person),
            ("queue pause", person),
            ("queue resume", person),
            ("notify clear", person),
            ("notify test x", person),
            ("queue-daemon run", person),
            ("queue-daemon start", person),
            ("queue-daemon stop", person),
            ("queue-daemon restart", person),
            ("queue-daemon install --user", person),
            ("status --config agent=x", person),
        ] {
            let line = format!("kugetsu {line}");
            for caller in [person, pm, dev] {
                // A person may do all, the PM less, and whoever works on an issue least.
                assert_eq!(may(caller, &line), caller <= most, "{caller}: {line}");
            }
        }
    }

    #[test]
    fn a_directory_is_itself_by_whatever_name() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        assert!(is_one_directory(home.path(), &link));
        let around = Path::new("/proc/self/root").join(home.path().strip_prefix("/").unwrap());
        assert!(is_one_directory(home.path(), &around));
        assert!(!is_one_directory(home.path(), Path::new("/")));
    }

    #[test]
    fn a_caller_is_the_least_that_any_label_of_ours_says() {
        let of = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
            Caller::of_labels(&labels, |root| root == Path::new("/k")).ok()
        };
        assert_eq!(of(&[]), Some(Caller::Person));
        assert_eq!(of(&["pm:/k"]), Some(Caller::Pm));
        assert_eq!(of(&["dev:/k"]), Some(Caller::Dev));
        assert_eq!(of(&["something:/k"]), Some(Caller::Dev));
        assert_eq!(of(&["pm:/k", "dev:/k"]), Some(Caller::Dev), "made up by a dev agent");
        assert_eq!(of(&["rubbish"]), Some(Caller::Person));
        assert_eq!(of(&["dev:/other"]), Some(Caller::Person), "an agent that works on kugetsu");
        assert_eq!(of(&["pm:/k", "dev:/other"]), Some(Caller::Pm), "and its own PM");
        assert_eq!(of(&["pm:/other"]), None, "a PM that leaves its kugetsu");
        assert_eq!(of(&["pm:/other", "dev:/other"]), None);
    }
}
