//! What a panic says of itself: it may quote what an agent has said.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write as _};
use std::sync::Arc;

use crate::screen::{Screen, escape};

/// From now on whatever panics in this process is told without the secrets that the screen masks.
pub(crate) fn mask(screen: &Arc<Screen>) {
    let screen = Arc::clone(screen);
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.to_string();
        // Not by the screen, which the one that panics may be writing to.
        let mut error = io::stderr().lock();
        let _ = writeln!(error, "kugetsu itself failed: {}", escape::text(&screen.masked(&said)));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(error, "{trace}");
        }
    }));
}
