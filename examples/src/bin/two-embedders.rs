//! Two programs share one directory and one limit: this one starts itself twice, each has three
//! issues worked on, and of the six agents never more than two are at work.
//!
//! ```sh
//! cargo run -p kugetsu-examples --bin two-embedders
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use kugetsu::{Cursor, Event, Happening, IssueRef, Kugetsu, Request, TaskId};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};
use tokio::process::Command;
use tokio::task::JoinSet;

/// How many agents may be at work.
const LIMIT: u32 = 2;
/// How many issues each of the two has worked on.
const EACH: u64 = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [] => both().await,
        [directory, first] => one(directory.as_ref(), first.parse()?).await,
        _ => Err("usage: two-embedders".into()),
    }
}

/// Starts the two, and counts in what they have told.
async fn both() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    tokio::try_join!(embedder(place.path(), 1), embedder(place.path(), 1 + EACH))?;
    let kugetsu = kugetsu(place.path(), FakeAgent::new(), 0).await?;
    let (mut house, mut largest) = (House::default(), 0);
    for (_, event) in kugetsu.follow_from(Cursor(0)).ready().await? {
        house.hear(&event);
        largest = largest.max(house.at_work.len());
    }
    println!("agents at work at once: at most {largest} of {}", house.came);
    Ok(())
}

/// Starts this program as one of the two. If the other one fails, it is not waited for.
async fn embedder(directory: &Path, first: u64) -> Result<(), Box<dyn Error>> {
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(directory).arg(first.to_string()).kill_on_drop(true);
    if program.status().await?.success() { Ok(()) } else { Err("an embedder failed".into()) }
}

/// One of the two: asks for agents for its issues, and waits for their slots.
async fn one(directory: &Path, first: u64) -> Result<(), Box<dyn Error>> {
    let agent = FakeAgent::new();
    let kugetsu = kugetsu(directory, agent.clone(), first).await?;
    let mut starts = JoinSet::new();
    for number in first..first + EACH {
        let issue = format!("example.com/acme/widgets#{number}").parse()?;
        // The agent waits at a gate of its own, so that nobody is done before others come.
        let request = Request::dev(issue, format!("MODEL: gate {number} ;; say Done."));
        let kugetsu = kugetsu.clone();
        starts.spawn(async move { kugetsu.start(request).await });
    }
    // Both see the same events, so both open the same gates.
    let opening = async {
        let mut house = House::default();
        let mut events = kugetsu.follow_from(Cursor(0)).with_look(Duration::from_millis(20));
        loop {
            for (_, event) in events.next().await? {
                house.hear(&event);
                let is_full = house.at_work.len() >= LIMIT as usize;
                let is_last = house.came == 2 * EACH;
                if is_full || is_last {
                    for issue in house.at_work.values() {
                        agent.open(&issue.number().to_string());
                    }
                }
            }
        }
    };
    let starting = async {
        while let Some(started) = starts.join_next().await {
            started??;
        }
        Ok(())
    };
    tokio::select! {
        done = starting => done,
        failed = opening => failed,
    }
}

/// The same directory and the same limit for everybody.
async fn kugetsu(
    directory: &Path,
    agent: FakeAgent,
    first: u64,
) -> Result<Kugetsu, Box<dyn Error>> {
    let worktrees = directory.canonicalize()?.join(format!("worktrees-{first}"));
    let builder = Kugetsu::builder().directory(directory.join("kugetsu")).at_once(LIMIT);
    let worktrees = FakeWorktrees::new(worktrees).with_samples();
    Ok(builder.agent(agent).worktrees(worktrees).build().await?)
}

/// Who is at work, as the events tell it: an agent's slot is taken before its task is claimed, and let
/// go after it is settled.
#[derive(Debug, Default)]
struct House {
    at_work: BTreeMap<TaskId, IssueRef>,
    came: u64,
}

impl House {
    fn hear(&mut self, event: &Event) {
        match (&event.what, &event.issue) {
            (Happening::Claimed { .. }, Some(issue)) => {
                self.at_work.insert(event.task, issue.clone());
                self.came += 1;
            }
            (Happening::Settled { .. }, _) => {
                self.at_work.remove(&event.task);
            }
            _ => {}
        }
    }
}
