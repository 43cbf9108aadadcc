//! What a worker of this process is called.

use std::sync::atomic::{AtomicU32, Ordering};

use kugetsu_core::WorkerId;
use kugetsu_core::ids::InvalidName;

/// How many workers this process has named.
static NAMED: AtomicU32 = AtomicU32::new(0);

/// A name that no other worker has on this machine or on one of another name: `host-4711-0`, where
/// 4711 is this process and 0 counts the workers in it.
///
/// # Errors
///
/// None that is known: whatever the host is called, what does not belong into a name is left out.
pub fn new_worker() -> Result<WorkerId, InvalidName> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let host: String = host.trim().chars().filter(fits).take(60).collect();
    let host = host.trim_start_matches('-');
    let host = if host.is_empty() { "host" } else { host };
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    WorkerId::new(format!("{host}-{}-{number}", std::process::id()))
}
