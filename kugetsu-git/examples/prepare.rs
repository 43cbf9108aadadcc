//! Prepares the worktree of one issue and says what state it is in:
//!
//! ```text
//! cargo run -p kugetsu-git --example prepare -- github.com/acme/widgets#42 <directory> [<repos.json>]
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_core::{IssueRef, WorktreeProvider, WorktreeSpec};
use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(issue), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: prepare <issue> <directory> [<repos.json>]".into());
    };
    let issue: IssueRef = issue.parse()?;
    let directory = PathBuf::from(directory);
    let list = arguments.next().map_or_else(|| directory.join("repos.json"), PathBuf::from);
    let sources = RepositoryMap::read(&list, Arc::new(HttpsSources))?;
    let worktrees =
        GitWorktrees::new(directory.join("worktrees"), directory.join("repos"), Arc::new(sources));

    let worktree = worktrees.prepare(&WorktreeSpec::new(issue.clone())).await?;
    println!("{} on {}, created: {}", worktree.path.display(), worktree.branch, worktree.created);
    if let Some(status) = worktrees.inspect(&issue).await? {
        println!(
            "{} uncommitted files, {} commits ahead, {} not pushed",
            status.dirty, status.ahead, status.unpushed
        );
    }
    Ok(())
}
