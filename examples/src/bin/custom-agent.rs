//! An agent of one's own works on an issue: [`ModelAgent`], whose model is a few lines of Rust.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin custom-agent -- "count these four words"
//! ```

use std::error::Error;

use kugetsu::core::AgentId;
use kugetsu::{Kugetsu, Outcome, Request};
use kugetsu_examples::agent::{Counter, ModelAgent};
use kugetsu_testkit::fake::FakeWorktrees;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let message = std::env::args().nth(1).ok_or("usage: custom-agent MESSAGE")?;
    let place = tempfile::tempdir()?;
    let kugetsu = Kugetsu::builder()
        .agent(ModelAgent::new(AgentId::new("counter")?, Counter))
        .worktrees(FakeWorktrees::new(place.path().canonicalize()?).with_samples())
        .build()
        .await?;
    let task = kugetsu.start(Request::dev("example.com/acme/widgets#7".parse()?, message)).await?;
    match task.outcome() {
        Some(Outcome::Completed { report }) => {
            println!("{} Files not committed: {}.", report.answer, report.uncommitted);
            Ok(())
        }
        other => Err(format!("it was not done: {other:?}").into()),
    }
}
