//! Events, one a line, for programs.

use std::collections::VecDeque;

use kugetsu_core::{Cursor, Event};
use kugetsu_queue::WatchedStore;

use super::Whose;
use super::follow::LOOK;
use crate::errors::CliError;
use crate::setup::Setup;

/// Tells the events of these, or of everybody: all so far, or the last so many of them.
pub(super) async fn show(
    whose: Option<&Whose>,
    last: Option<usize>,
    follow: bool,
    setup: &Setup,
) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let store = WatchedStore::new(queue.store().clone());
    let mut follower = store.follow(Cursor(0)).with_look(LOOK);
    let means = |event: &Event| whose.is_none_or(|whose| whose.means(event));
    let mut kept = VecDeque::new();
    loop {
        // Asked before the events are read: what has ended by now is told by now.
        let goes_on = match whose {
            Some(whose) if follow => whose.is_open(&queue).await?,
            _ => false,
        };
        let mut events = follower.ready().await?;
        let is_news = !events.is_empty();
        while !events.is_empty() {
            for event in events.into_iter().map(|(_, event)| event).filter(means) {
                match last {
                    None => screen.answer(&event)?,
                    Some(last) => {
                        kept.push_back(event);
                        if kept.len() > last {
                            kept.pop_front();
                        }
                    }
                }
            }
            events = follower.ready().await?;
        }
        kept.drain(..).try_for_each(|event| screen.answer(&event))?;
        if !goes_on {
            return Ok(());
        }
        // What is news may have been the end.
        if is_news {
            continue;
        }
        for event in follower.next().await?.into_iter().map(|(_, event)| event).filter(means) {
            screen.answer(&event)?;
        }
    }
}
