//! Telling people, beside the work: a delivery for each sink, and what is asked in chats.

use std::sync::Arc;

use kugetsu_core::Notifier;
use kugetsu_queue::{Delivery, Engine, deliver};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::run::LOOK;
use crate::errors::CliError;
use crate::settings::INBOX;
use crate::setup::{self, Setup};
use crate::sinks::{self, Listener};

/// Says a line in the daemon's log.
type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What tells people, until it is ended or dropped.
pub(super) struct Notices {
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Notices {
    /// Starts telling what happens from now on; the inbox is told all that happened. A sink that
    /// cannot be put together is said, and left out.
    pub(super) async fn start(engine: &Engine, setup: &Setup, say: Say) -> Result<Self, CliError> {
        let (stores, settings) = (setup.stores().await?, setup.settings()?);
        let mut notices = Self { stop: CancellationToken::new(), running: JoinSet::new() };
        let configured = settings.sinks().iter().map(|sink| sink.name.as_str());
        let names: Vec<&str> = configured.chain([INBOX]).collect();
        deliver::forget_others(&*stores.memos, &names).await?;
        let delivery = |sink: Arc<dyn Notifier>| -> Result<Delivery, CliError> {
            let (events, memos) = (engine.events().clone(), Arc::clone(&stores.memos));
            let clock = Arc::new(setup::clock()?);
            Ok(Delivery::new(events, memos, clock, sink).with_look(LOOK))
        };
        if let Some(inbox) = &stores.inbox {
            let inbox = Arc::clone(inbox) as Arc<dyn Notifier>;
            notices.deliver(delivery(inbox)?.with_everything(), &say);
        }
        for sink in settings.sinks() {
            let opened = match sinks::open(sink, setup).await {
                Ok(opened) => opened,
                Err(error) => {
                    say(&format!("trouble: {}", error.message()));
                    continue;
                }
            };
            let delivery = delivery(opened.routed)?;
            delivery.begin().await?;
            notices.deliver(delivery, &say);
            let memos = Arc::clone(&stores.memos);
            let listener = opened.bot.and_then(|bot| {
                Listener::new(sink, bot, engine.clone(), memos, settings.default_server())
            });
            if let Some(listener) = listener {
                let (stop, say) = (notices.stop.clone(), Arc::clone(&say));
                notices.running.spawn(async move { listener.run(stop, |line| say(line)).await });
            }
        }
        Ok(notices)
    }

    fn deliver(&mut self, delivery: Delivery, say: &Say) {
        let (stop, say) = (self.stop.clone(), Arc::clone(say));
        self.running.spawn(async move {
            delivery.run(stop, move |news| say(&news.to_string())).await;
        });
    }

    /// Tells what is left, which takes some seconds at most, and ends.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
    }
}
