//! `kugetsu queue stats`: how many tasks there are of each state.

use kugetsu_core::{Status, TaskQuery};
use serde_json::json;

use super::hold;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn stats(setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let tasks = queue.store().list(&TaskQuery::all()).await?;
    let count = |status| tasks.iter().filter(|task| task.status() == status).count();
    let counts = [
        ("total", tasks.len()),
        ("pending", count(Status::Pending)),
        ("notified", count(Status::Notified)),
        ("completed", count(Status::Completed)),
        ("error", count(Status::Error)),
        ("cancelled", count(Status::Cancelled)),
    ];
    let holds = setup.holds().await?.active().await?;
    let unreadable = super::unreadable(setup).await?;
    if screen.json {
        let mut told: serde_json::Map<_, _> =
            counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        told.insert("unreadable".to_owned(), json!(unreadable));
        told.insert("holds".to_owned(), hold::json_of(&holds));
        return screen.answer(&told);
    }
    hold::remark(setup, &holds)?;
    super::remark_unreadable(setup, unreadable);
    for (name, count) in counts {
        screen.say(format!("{name:<10} {count}"))?;
    }
    Ok(())
}
