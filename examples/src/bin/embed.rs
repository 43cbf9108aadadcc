//! kugetsu in a program of one's own, in thirty lines: opencode works on one issue of a repository,
//! in a worktree of its own, and the program says what came of it.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin embed -- DIRECTORY REPOSITORY ISSUE MESSAGE
//! cargo run -p kugetsu-examples --bin embed -- /tmp/moon ~/src/widgets github.com/acme/widgets#7 "Add a test."
//! ```
//!
//! Everything is kept in `DIRECTORY`; `REPOSITORY` is any address or absolute path that git knows. It
//! needs opencode on the `PATH`, with a model set up.

use std::error::Error;

use kugetsu::git::Source;
use kugetsu::{IssueRef, Kugetsu, Outcome, Request};

fn main() -> Result<(), Box<dyn Error>> {
    // First of all: this program is also the guard of its agents' processes.
    kugetsu::guard::main_if_asked();
    tokio::runtime::Runtime::new()?.block_on(embed())
}

async fn embed() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [directory, repository, issue, message] = words.as_slice() else {
        return Err("usage: embed DIRECTORY REPOSITORY ISSUE MESSAGE".into());
    };
    let issue: IssueRef = issue.parse()?;
    let source = Source::parse(repository)?;
    let kugetsu = Kugetsu::builder()
        .directory(directory)
        .source(issue.repository().clone(), source)
        .build()
        .await?;
    let task = kugetsu.start(Request::dev(issue, message)).await?;
    kugetsu.shut_down().await;
    let Some(Outcome::Completed { report }) = task.outcome() else {
        return Err(format!("it was not done: {:?}", task.outcome()).into());
    };
    println!("{} ({} commits on {})", report.answer, report.commits, report.branch);
    Ok(())
}
