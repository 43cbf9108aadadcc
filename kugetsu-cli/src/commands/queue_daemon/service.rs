//! What the service manager is told: that the daemon is ready, lives, and ends. Without one nobody
//! is told anything.

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
    tell(&[NotifyState::Watchdog]);
}

pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// A service manager that does not listen is none of the queue's concern.
fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
