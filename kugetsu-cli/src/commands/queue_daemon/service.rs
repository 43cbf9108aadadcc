//! What the service manager is told: that the daemon is ready, lives, and ends. Without one nobody
//! is told anything.

use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// The variables by which a service manager hears of us. Nothing that we start speaks for us.
pub(super) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// How often within the watchdog's time the daemon tells that it lives.
const BEATS: u32 = 4;

/// How often it has to be told that the daemon lives; `None` if nobody watches.
pub(super) fn pulse() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|within| within / BEATS).filter(|every| !every.is_zero())
}

pub(super) fn lives() {
    tell(News::Lives);
}

pub(super) fn ready(status: &str) {
    tell(News::Ready(status.to_owned()));
}

pub(super) fn stopping(status: &str) {
    tell(News::Stopping(status.to_owned()));
}

/// What there is to tell.
enum News {
    Lives,
    Ready(String),
    Stopping(String),
}

/// How much may wait to be told. What comes when so much waits is not told: nobody listens.
const WAITING: usize = 8;

/// A service manager that does not listen is none of the queue's concern: sending may block for
/// ever, so a thread of its own does.
fn tell(news: News) {
    static SPEAKER: OnceLock<Option<SyncSender<News>>> = OnceLock::new();
    let speaker = SPEAKER.get_or_init(|| {
        std::env::var_os(VARIABLES[0])?;
        let (sender, told) = sync_channel(WAITING);
        let speak = move || told.iter().for_each(|news: News| news.send());
        thread::Builder::new().name("service".into()).spawn(speak).ok()?;
        Some(sender)
    });
    if let Some(speaker) = speaker {
        let _ = speaker.try_send(news);
    }
}

impl News {
    fn send(&self) {
        let _ = match self {
            Self::Lives => sd_notify::notify(&[NotifyState::Watchdog]),
            Self::Ready(status) => {
                sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)])
            }
            Self::Stopping(status) => {
                sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(status)])
            }
        };
    }
}
