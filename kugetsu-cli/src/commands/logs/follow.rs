//! A log and what is added to it, attempt by attempt, until there is nothing more to come.

use std::time::Duration;

use kugetsu_queue::{LogFile, WatchedStore};

use super::Whose;
use super::show::{self, Page};
use crate::errors::CliError;
use crate::setup::Setup;

/// How often to look whether another process has told something.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// How many lines of what is there already are shown, unless said.
const BEFORE: usize = 50;

pub(super) async fn follow(
    whose: &Whose,
    lines: Option<usize>,
    setup: &Setup,
) -> Result<(), CliError> {
    let (screen, logs, queue) = (setup.screen(), setup.logs()?, setup.queue().await?);
    let events = WatchedStore::new(queue.store().clone());
    let mut follower = events.follow(events.end().await?).with_look(LOOK);
    let mut shown: Option<(LogFile, u64)> = None;
    loop {
        // Asked before the logs are read: what has ended by now is written down by now.
        let goes_on = whose.is_open(&queue).await?;
        let mut found = whose.logs(&logs)?;
        if shown.is_none() {
            // Of what was before only the newest.
            found.truncate(1);
        }
        for log in found.iter().rev() {
            let mut page = Page::open(log)?;
            match &shown {
                None => page.last(Some(lines.unwrap_or(BEFORE)), screen)?,
                Some((last, _)) if log < last => continue,
                Some((last, read)) if log == last => page.rest(*read, screen)?,
                Some(_) => page.last(None, screen)?,
            }
            shown = Some((log.clone(), page.read));
        }
        if !goes_on && shown.is_none() {
            return Err(show::none(whose));
        }
        if !goes_on {
            return Ok(());
        }
        follower.next().await?;
    }
}
