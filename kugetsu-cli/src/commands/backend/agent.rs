//! Agents, which are plain commands.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{AgentCapabilities, AgentEvent, AgentId, AgentRunner, RunRequest};
use kugetsu_guard::Environment;
use kugetsu_plugin::{CommandAgent, CommandConfig, Output};
use kugetsu_testkit::suite::{AgentRunnerFixture, Deed, agents};
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

use super::report::{Kept, Report};
use super::{Candidate, Chosen, fresh};
use crate::args::{AgentOutput, CheckBackend};
use crate::errors::{CliError, Kind};
use crate::setup::Setup;

/// The variable that names the directory in which an agent under check meets whoever checks it.
const MEETING: &str = "KUGETSU_CHECK";

/// How long an agent has to show that it does what a message asks for.
const TO_SHOW: Duration = Duration::from_mins(1);

/// What cannot be seen of an agent, and why.
const UNSEEN: &[(&str, &[&str])] = &[
    (
        "a command has no sessions outside of its turns",
        &[
            "there_are_sessions_where_there_should_be",
            "a_session_made_is_described",
            "a_session_made_is_resumed_in_its_directory",
            "a_session_made_knows_its_briefing",
            "a_copy_of_a_session_knows_what_it_knows",
            "sixteen_copies_at_once_are_sixteen_sessions",
            "a_session_deleted_is_gone",
            "deleting_what_is_not_there_is_done_already",
        ],
    ),
    (
        "a command is not asked for copies of its conversations",
        &[
            "a_fork_knows_what_its_origin_knows",
            "a_fork_leaves_its_origin_as_it_was",
            "sixteen_forks_at_once_are_sixteen_sessions",
        ],
    ),
];

/// What cannot be seen of an agent of which it is not said that it resumes.
const UNRESUMED: &[&str] = &[
    "a_session_that_is_resumed_remembers",
    "a_session_is_resumed_after_reopening",
    "a_session_is_resumed_in_its_own_directory_only",
    "a_session_that_is_not_there_is_refused",
];

/// What plain text cannot tell of.
const BEYOND_WORDS: &[&str] = &[
    "the_agent_works_in_the_directory_it_was_given",
    "a_rate_limit_is_told_as_one_of_its_provider",
    "what_nobody_may_grant_is_refused_and_told",
];

/// What only an agent shows that writes down what it hears.
const BY_HEARING: &[&str] =
    &["a_message_reaches_the_agent_byte_for_byte", "a_message_of_a_megabyte_reaches_the_agent"];

/// Why a promise cannot be seen, if it cannot.
fn unseen(promise: &str, args: &CheckBackend, hears: bool) -> Option<&'static str> {
    let always = UNSEEN.iter().find(|(_, promises)| promises.contains(&promise));
    if let Some((why, _)) = always {
        return Some(why);
    }
    if !args.resume && UNRESUMED.contains(&promise) {
        return Some(
            "it is not said that it goes on with a conversation: give `--resume` if it does",
        );
    }
    if args.output == AgentOutput::Text && BEYOND_WORDS.contains(&promise) {
        return Some("plain text tells nothing of tools, questions and causes");
    }
    if !hears && BY_HEARING.contains(&promise) {
        return Some("it does not write down what it hears in $KUGETSU_CHECK/heard");
    }
    None
}

pub(super) async fn check(
    candidate: &Candidate,
    args: &CheckBackend,
    chosen: &Chosen,
    setup: &Setup,
) -> Result<Report, CliError> {
    candidate.found().map_err(|why| CliError::new(Kind::Missing, why))?;
    let names: Vec<&str> = agents::PROMISES.iter().map(|promise| promise.name).collect();
    let places = chosen.among(&names)?;
    let hears = shows(&Ground::new(candidate, args, setup)?).await?;
    let who = candidate.name();
    let mut report = Report::begin(setup.screen(), &who, "an agent", places.len())?;
    for place in places {
        let promise = &agents::PROMISES[place];
        let kept = if let Some(why) = unseen(promise.name, args, hears) {
            Kept::NotChecked(why)
        } else {
            let ground = Ground::new(candidate, args, setup)?;
            let kept = Kept::of(promise.check(&ground as &dyn AgentRunnerFixture).await);
            // What it has started ends before its directories do.
            let _ = tokio::time::timeout(TO_SHOW, ground.until_at_work(0)).await;
            kept
        };
        report.add(setup.screen(), promise.name, kept)?;
    }
    Ok(report)
}

/// Whether it writes down what it hears. An error if it does not do what a message asks for: then
/// nothing could be checked.
async fn shows(ground: &Ground) -> Result<bool, CliError> {
    let runner = ground.runner().await;
    let deed = Deed::Say("a word".into());
    let request = RunRequest::new(ground.directory().await, ground.message(&deed));
    let said = async {
        let mut run = runner.start(request).await?;
        let mut said = String::new();
        while let Some(event) = run.events.next().await {
            if let AgentEvent::Message { text } = event? {
                said += &text;
            }
        }
        Ok::<_, kugetsu_core::AgentError>(said)
    };
    let told = match tokio::time::timeout(TO_SHOW, said).await {
        Ok(Ok(said)) if said.trim() == "a word" => return Ok(!ground.heard().await.is_empty()),
        Ok(Ok(said)) => format!("it said {:?}", said.chars().take(200).collect::<String>()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("nothing came of it within {} s", TO_SHOW.as_secs()),
    };
    let message = ground.message(&deed);
    let told = format!("the agent does not do what `{message}` asks for: {told}");
    Err(CliError::new(Kind::Missing, told)
        .hint("docs/plugins.md says what an agent under check has to do"))
}

/// Where one promise is checked.
struct Ground {
    here: PathBuf,
    config: CommandConfig,
    directories: AtomicU32,
    _root: TempDir,
}

impl Ground {
    fn new(candidate: &Candidate, args: &CheckBackend, setup: &Setup) -> Result<Self, CliError> {
        let root = fresh()?;
        let failed = |error| CliError::io("make a directory to check in", &error);
        let here = root.path().canonicalize().map_err(failed)?;
        for place in ["heard", "gates"] {
            std::fs::create_dir_all(here.join("check").join(place)).map_err(failed)?;
        }
        let id = AgentId::new("command:checked");
        let id = id.map_err(|error| CliError::failed(error.to_string()))?;
        let output = match args.output {
            AgentOutput::Text => Output::Text,
            AgentOutput::Json => Output::Json,
        };
        let mut capabilities = AgentCapabilities::default();
        if args.resume {
            capabilities = capabilities.with_resume();
        }
        let others = setup.variables_of_others().into_iter().flatten();
        let environment: Environment = others.collect();
        let config = CommandConfig::new(id, &candidate.program, here.join("state"))
            .with_args(&candidate.arguments)
            .with_output(output)
            .with_capabilities(capabilities)
            .with_environment(environment.with(MEETING, here.join("check")));
        Ok(Self { here, config, directories: AtomicU32::default(), _root: root })
    }

    /// How many turns are worked on: as many as there are trees of processes whose end is not proven.
    fn at_work(&self) -> usize {
        let trees = std::fs::read_dir(self.here.join("state/trees")).into_iter().flatten();
        let paths = trees.flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "owner")).count()
    }
}

#[async_trait]
impl AgentRunnerFixture for Ground {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(CommandAgent::new(self.config.clone()))
    }

    async fn directory(&self) -> PathBuf {
        let number = self.directories.fetch_add(1, Ordering::Relaxed);
        let path = self.here.join(format!("work-{number}"));
        if let Err(error) = std::fs::create_dir(&path) {
            panic!("no directory could be made to work in: {error}");
        }
        path
    }

    async fn open(&self, gate: &str) {
        if let Err(error) = std::fs::write(self.here.join("check/gates").join(gate), "") {
            panic!("the gate {gate} could not be opened: {error}");
        }
    }

    async fn heard(&self) -> Vec<String> {
        let heard = std::fs::read_dir(self.here.join("check/heard")).into_iter().flatten();
        let mut files: Vec<PathBuf> = heard.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let read = files.into_iter().filter_map(|file| std::fs::read(file).ok());
        read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    async fn until_at_work(&self, turns: usize) {
        while self.at_work() != turns {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn has_sessions(&self) -> bool {
        false
    }
}
