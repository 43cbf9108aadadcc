//! Events in a user interface of one's own: a line for each issue, written anew when it changes.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin own-ui
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IsTerminal as _, stdout};

use kugetsu::core::{AgentEvent, StoreError};
use kugetsu::{Event, Happening, Kugetsu, Outcome, Request};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};

/// What is known of each issue, in a few words.
#[derive(Debug, Default)]
struct Board(BTreeMap<String, String>);

impl Board {
    /// Takes in what happened, and says whether there is something new to see.
    fn hear(&mut self, event: &Event) -> bool {
        let Some(issue) = &event.issue else { return false };
        let words = match &event.what {
            Happening::Enqueued { .. } => "waits".into(),
            Happening::Claimed { attempt, .. } => format!("begins, attempt {attempt}"),
            Happening::WorktreeReady { branch, .. } => format!("works on {branch}"),
            Happening::Agent(AgentEvent::Message { text }) => format!("says: {text}"),
            Happening::Agent(AgentEvent::ToolStarted { title, .. }) => format!("uses: {title}"),
            Happening::Settled { outcome: Outcome::Completed { report } } => {
                format!("done, {} commits", report.commits)
            }
            Happening::Settled { outcome: Outcome::Error { failure } } => {
                format!("failed: {failure}")
            }
            Happening::Settled { .. } => "cancelled".into(),
            _ => return false,
        };
        // What an agent has written must not move a cursor or hide a line.
        let words: String = words.escape_debug().take(60).collect();
        self.0.insert(issue.to_string(), words.clone()).as_ref() != Some(&words)
    }

    fn draw(&self, event: &Event, drawn: &mut usize) {
        if !stdout().is_terminal() {
            let of = event.issue.as_ref().map(ToString::to_string).unwrap_or_default();
            println!("{of}  {}", self.0.get(&of).map_or("", String::as_str));
            return;
        }
        if *drawn > 0 {
            print!("\x1b[{drawn}A");
        }
        for (issue, words) in &self.0 {
            println!("\x1b[2K{issue}  {words}");
        }
        *drawn = self.0.len();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let kugetsu = Kugetsu::builder()
        .agent(FakeAgent::new())
        .worktrees(FakeWorktrees::new(place.path().canonicalize()?).with_samples())
        .at_once(2)
        .build()
        .await?;
    let mut events = kugetsu.follow().await?;
    let mut open = Vec::new();
    for (number, message) in [
        (1, "MODEL: write a.txt a\nMODEL: commit add a\nMODEL: say Added."),
        (2, "MODEL: say I have\u{7} looked."),
        (3, "MODEL: http 401"),
    ] {
        let issue = format!("example.com/acme/widgets#{number}").parse()?;
        open.push(kugetsu.enqueue(Request::dev(issue, message)).await?.id);
    }
    let watching = async {
        let (mut board, mut drawn) = (Board::default(), 0);
        while !open.is_empty() {
            for (_, event) in events.next().await? {
                if board.hear(&event) {
                    board.draw(&event, &mut drawn);
                }
                if matches!(event.what, Happening::Settled { .. }) {
                    open.retain(|task| *task != event.task);
                }
            }
        }
        Ok::<(), StoreError>(())
    };
    Ok(kugetsu.run_until(watching).await??)
}
