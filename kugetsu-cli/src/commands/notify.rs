//! `kugetsu notify`: what people should hear of, and the sinks to which it is brought.

use std::sync::Arc;

use kugetsu_core::{Chance as _, Cursor, Event, Happening, Notice, Notifier, Priority, TaskId};
use kugetsu_queue::inbox::{Notices, StoredNotice};
use kugetsu_queue::{Delivery, DeliveryError, Inbox, SystemChance, WatchedStore};
use serde_json::json;

use crate::args::Notify;
use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::settings::{INBOX, Sink, Target};
use crate::setup::{self, Setup};
use crate::sinks;

/// The memo that says up to which notice somebody has been shown the inbox.
const LISTED: &str = "inbox/listed";

/// How much of a notice a list shows.
const GLIMPSE: usize = 200;

pub(super) async fn notify(what: Option<Notify>, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    match what.unwrap_or(Notify::List { all: false }) {
        Notify::List { all } => list(all, setup).await,
        Notify::Clear => clear(setup).await,
        Notify::Test { sink } => test(&sink, setup).await,
        Notify::Sinks => sinks(setup),
    }
}

async fn list(all: bool, setup: &Setup) -> Result<(), CliError> {
    let (screen, inbox) = (setup.screen(), inbox(setup).await?);
    bring_up_to_date(&inbox, setup).await?;
    let notices = inbox.notices(if all { Notices::All } else { Notices::Unread }).await?;
    if screen.json {
        let told: Vec<_> = notices.iter().map(json_of).collect();
        screen.answer(&json!({ "notices": told }))?;
    } else if notices.is_empty() {
        screen.remark(if all { "There are no notices." } else { "There are no unread notices." });
    } else {
        let mut rows = Rows::new(["TIME", "TYPE", "ISSUE/KIND", "MESSAGE"]);
        for StoredNotice { notice, unread, .. } in &notices {
            let mark = if all && *unread { "* " } else { "" };
            let of = notice.issue.as_ref().map_or("pm".to_owned(), ToString::to_string);
            // The text names the issue too, since it has to stand alone elsewhere.
            let text = notice.text.strip_prefix(&of).unwrap_or(&notice.text);
            let text = escape::line(text.trim_start_matches([':', ' ']));
            rows.row([
                time::clock(notice.at),
                notice.kind.to_string(),
                of,
                format!("{mark}{}", escape::cut(&text, GLIMPSE)),
            ]);
        }
        rows.show(screen)?;
    }
    // Only when it was shown: what nobody has seen is not cleared.
    if let Some(last) = notices.last() {
        setup.stores().await?.memos.set_memo(LISTED, Some(&last.notice.key)).await?;
    }
    Ok(())
}

async fn clear(setup: &Setup) -> Result<(), CliError> {
    let (screen, inbox) = (setup.screen(), inbox(setup).await?);
    let listed = setup.stores().await?.memos.memo(LISTED).await?;
    if listed.is_none() {
        // Whoever never looks means everything.
        bring_up_to_date(&inbox, setup).await?;
    }
    let unread = inbox.notices(Notices::Unread).await?;
    let mut keys: Vec<String> = unread.into_iter().map(|stored| stored.notice.key).collect();
    let total = keys.len();
    if let Some(listed) = listed {
        let shown = keys.iter().position(|key| *key == listed).map_or(0, |last| last + 1);
        keys.truncate(shown);
    }
    inbox.mark_read(&keys).await?;
    let (cleared, left) = (keys.len(), total - keys.len());
    if screen.json {
        return screen.answer(&json!({ "cleared": cleared, "unread": left }));
    }
    let count = |count| time::counted(count as u64, "notice");
    screen.say(format!("Marked {} as read.", count(cleared)))?;
    if left > 0 {
        screen.remark(format!(
            "hint: {} came since the last list; `kugetsu notify list` shows what it is",
            count(left)
        ));
    }
    Ok(())
}

async fn test(name: &str, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    let all = setup.settings()?.sinks();
    let Some(sink) = all.iter().find(|sink| sink.name == name) else {
        let names: Vec<&str> = all.iter().map(|sink| sink.name.as_str()).collect();
        let hint = if names.is_empty() {
            "config.toml has none: add a table [notify.NAME]".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        return Err(CliError::usage(format!("there is no sink {name:?}")).hint(hint));
    };
    let opened = sinks::open(sink, setup).await?;
    opened.bare.notify(&sample(name)?).await?;
    if screen.json {
        return screen.answer(&json!({ "sink": name, "delivered": true }));
    }
    screen.say(format!("The sink {name} has taken the notice."))
}

/// A notice that is about nothing, with a key of its own.
fn sample(sink: &str) -> Result<Notice, CliError> {
    let chance = SystemChance;
    let now = kugetsu_core::Clock::now(&setup::clock()?);
    let what = Happening::Enqueued { priority: Priority::default() };
    let task = TaskId::new(now, &chance);
    let mut notice = Notice::of(&Event::new(now, task, None, what), Cursor(0))
        .ok_or_else(|| CliError::failed("there is no notice to test with"))?;
    let id = uuid::Builder::from_random_bytes(chance.bytes()).into_uuid();
    notice.key = format!("test-{id}");
    notice.text = format!("This is a test of the sink {sink}. No task is behind it.");
    Ok(notice)
}

fn sinks(setup: &Setup) -> Result<(), CliError> {
    let (screen, sinks) = (setup.screen(), setup.settings()?.sinks());
    if screen.json {
        let told: Vec<_> = sinks
            .iter()
            .map(|sink| {
                json!({
                    "name": sink.name,
                    "kind": sink.target.kind(),
                    "to": whither(sink),
                    "types": sink.route.kinds(),
                    "severity": sink.route.severity(),
                })
            })
            .collect();
        return screen.answer(&json!({ "sinks": told }));
    }
    let mut rows = Rows::new(["SINK", "KIND", "TYPES", "TO"]);
    rows.row([INBOX.into(), INBOX.into(), "all".into(), "`kugetsu notify list`".into()]);
    for sink in sinks {
        rows.row([sink.name.clone(), sink.target.kind().into(), wanted(sink), whither(sink)]);
    }
    rows.show(screen)
}

fn wanted(sink: &Sink) -> String {
    let kinds = sink.route.kinds().map_or("all".to_owned(), |kinds| {
        kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    });
    match sink.route.severity() {
        kugetsu_core::Severity::Info => kinds,
        least => format!("{kinds}, {}+", format!("{least:?}").to_lowercase()),
    }
}

/// Where a sink's notices go. Of an address no more than what may be shown to anybody.
fn whither(sink: &Sink) -> String {
    match &sink.target {
        Target::Command { program } => {
            program.iter().map(|word| escape::word(word)).collect::<Vec<_>>().join(" ")
        }
        Target::Webhook { url, .. } => kugetsu_notify::origin(&url.text),
        Target::Telegram { chats, .. } => {
            let chats: Vec<_> = chats.iter().map(ToString::to_string).collect();
            format!("chats {}", chats.join(", "))
        }
    }
}

fn json_of(stored: &StoredNotice) -> serde_json::Value {
    let mut told = json!(stored.notice);
    told["unread"] = json!(stored.unread);
    told
}

async fn inbox(setup: &Setup) -> Result<Arc<dyn Inbox>, CliError> {
    let stores = setup.stores().await?;
    stores.inbox.clone().ok_or_else(|| CliError::config("the store in use keeps no notices"))
}

/// Brings what happened since somebody last did: no daemon is needed to read notices.
async fn bring_up_to_date(inbox: &Arc<dyn Inbox>, setup: &Setup) -> Result<(), CliError> {
    let stores = setup.stores().await?;
    let events = WatchedStore::new(Arc::clone(&stores.tasks));
    let sink = Arc::clone(inbox) as Arc<dyn Notifier>;
    let clock = Arc::new(setup::clock()?);
    let delivery = Delivery::new(events, Arc::clone(&stores.memos), clock, sink);
    match delivery.with_everything().catch_up().await {
        Ok(_) => Ok(()),
        Err(DeliveryError::Store(error)) => Err(error.into()),
        Err(DeliveryError::Sink(error)) => Err(error.into()),
        Err(other) => Err(CliError::failed(other.to_string())),
    }
}
