//! Worktrees of one's own: [`PlainGit`], with nothing but the command `git`.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin custom-worktrees -- /tmp/trees ~/src/widgets
//! ```

use std::error::Error;
use std::path::Path;

use kugetsu::core::WorktreeProvider as _;
use kugetsu::{IssueRef, Kugetsu, Request};
use kugetsu_examples::worktrees::PlainGit;
use kugetsu_testkit::fake::FakeAgent;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, repository] = words.as_slice() else {
        return Err("usage: custom-worktrees DIRECTORY REPOSITORY".into());
    };
    std::fs::create_dir_all(root)?;
    let issue: IssueRef = "example.com/acme/widgets#7".parse()?;
    let worktrees = PlainGit::new(Path::new(root).canonicalize()?)
        .with_source(issue.repository().clone(), repository);
    let kugetsu =
        Kugetsu::builder().agent(FakeAgent::new()).worktrees(worktrees.clone()).build().await?;
    let message = "MODEL: write moon.txt full\nMODEL: commit add the moon\nMODEL: say Done.";
    let task = kugetsu.start(Request::dev(issue.clone(), message)).await?;
    println!("{}", task.status());
    for worktree in worktrees.list().await? {
        let status = worktrees.inspect(&worktree.issue).await?.ok_or("it is gone")?;
        println!("{} on {}: {} commits", worktree.issue, worktree.branch, status.ahead);
    }
    Ok(())
}
