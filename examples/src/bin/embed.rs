//! A program that has an issue worked on without the command: it puts backends together, starts an
//! agent on one issue, and says what came of it.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin embed -- DIRECTORY REPOSITORY ISSUE MESSAGE
//! ```
//!
//! `REPOSITORY` is where the issue's repository is cloned from; opencode has to be on `PATH`, or
//! named by `KUGETSU_OPENCODE`, with a model set up.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_core::{IssueRef, Outcome, Request, TaskState, WorkerId};
use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap, Source};
use kugetsu_opencode::{OpencodeConfig, OpencodeRunner};
use kugetsu_queue::{
    Backends, Engine, FileSlots, SlotLimits, SqliteStore, SystemChance, SystemClock, Wait,
};
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn Error>> {
    // First of all: this program is also the guard of its agents' processes.
    kugetsu_opencode::guard::main_if_asked();
    tokio::runtime::Runtime::new()?.block_on(embed())
}

async fn embed() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, repository, issue, message] = words.as_slice() else {
        return Err("usage: embed DIRECTORY REPOSITORY ISSUE MESSAGE".into());
    };
    let issue: IssueRef = issue.parse()?;
    let home = PathBuf::from(directory).join("home");
    std::fs::create_dir_all(&home)?;
    let home = home.canonicalize()?;
    let state = home.with_file_name("state");

    let store = Arc::new(SqliteStore::open(state.join("kugetsu.db")).await?);
    let slots = FileSlots::open(state.join("slots"), SlotLimits::new(3))?;
    let sources = RepositoryMap::new(Arc::new(HttpsSources))
        .with(issue.repository().clone(), Source::parse(repository)?);
    let worktrees =
        GitWorktrees::new(state.join("worktrees"), state.join("repos"), Arc::new(sources));
    let program = std::env::var_os("KUGETSU_OPENCODE").unwrap_or_else(|| "opencode".into());
    let agent =
        OpencodeRunner::new(OpencodeConfig::new(state.join("opencode")).with_program(program))?;
    let backends = Backends::new(
        (store.clone(), store),
        Arc::new(slots),
        Arc::new(worktrees),
        Arc::new(agent.clone()),
        (Arc::new(SystemClock::new()?), Arc::new(SystemChance)),
    );
    let worker = WorkerId::new(format!("embed-{}", std::process::id()))?;
    let engine = Engine::new(backends, worker, home);

    engine.init().await?;
    let request = Request::dev(issue, message.as_str());
    let task = engine.start(request, Wait::Forever, CancellationToken::new(), |_| {}).await?;
    agent.shut_down().await;
    match task.state {
        TaskState::Settled { outcome: Outcome::Completed { report }, .. } => {
            println!("{} ({} commits on {})", report.answer, report.commits, report.branch);
            Ok(())
        }
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => Err(failure.into()),
        other => Err(format!("it did not come to an end: {other:?}").into()),
    }
}
