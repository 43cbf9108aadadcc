//! `kugetsu stop`: the agent of an issue, politely.

use kugetsu_core::{SlotKey, SlotPool, TaskQuery};
use serde_json::json;

use crate::args::Stop;
use crate::errors::{CliError, Kind, worker};
use crate::setup::Setup;

pub(super) async fn stop(args: Stop, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (issue, key) = match args.issue.as_str() {
        "pm" => (None, SlotKey::Pm),
        text => {
            let issue = setup.issue(text)?;
            (Some(issue.clone()), SlotKey::Issue(issue))
        }
    };
    let name = issue.as_ref().map_or("pm".to_owned(), ToString::to_string);
    let (screen, pool) = (setup.screen(), setup.slots()?);
    let told = |word: &str, sentence: &str| {
        if screen.json {
            return screen.answer(&json!({ "issue": name, "stop": word }));
        }
        screen.say(sentence)
    };
    let Some(holder) = pool.holders(&key).await?.pop() else {
        return told("not in use", "not in use");
    };
    let queue = setup.queue().await?;
    let open = match &issue {
        Some(issue) => TaskQuery::open().with_issue(issue.clone()),
        None => TaskQuery::open(),
    };
    for task in queue.store().list(&open).await? {
        if task.lane() == name && task.lease().is_some() {
            match queue.cancel(task.id).await {
                // It ended by itself meanwhile.
                Err(error) if error.lease_is_lost() => {}
                other => drop(other?),
            }
        }
    }
    if !screen.json {
        screen.remark(format!("Stopping the agent of {name} ({})", worker(&holder)));
    }
    let freed = tokio::time::timeout(args.within, pool.acquire(&key, "kugetsu stop")).await;
    let Ok(slot) = freed else {
        let seconds = args.within.as_secs();
        let message = format!("{name} is still in use after {seconds} s: {}", worker(&holder));
        return Err(CliError::new(Kind::Temporary, message)
            .hint("wait longer with `--within 2m`; it was told to stop"));
    };
    drop(slot?);
    told("stopped", "Stopped. Its session can be continued.")
}
