//! The machine's own clocks and chance.

use std::io;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use kugetsu_core::{Chance, Clock, Tick, Timestamp};
use uuid::Uuid;

/// Where the kernel tells the boot's id (`random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The machine's clocks: the wall clock for people, `CLOCK_BOOTTIME` together with the boot's id for
/// decisions. It goes on while the machine is suspended.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    boot: Uuid,
}

impl SystemClock {
    /// The clock of this boot.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell the boot's id, so that leases could not be told apart over a
    /// reboot.
    pub fn new() -> io::Result<Self> {
        let text = std::fs::read_to_string(BOOT_ID)
            .map_err(|e| io::Error::new(e.kind(), format!("the boot's id in {BOOT_ID}: {e}")))?;
        let boot = Uuid::try_parse(text.trim())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{BOOT_ID}: {e}")))?;
        Ok(Self { boot })
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn tick(&self) -> Tick {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
        Tick { boot: self.boot, millis: seconds.saturating_mul(1000).saturating_add(millis) }
    }

    async fn sleep_until(&self, tick: Tick) {
        // Tokio's clock stands still while the machine is suspended, so it is asked again.
        while let Some(wait) = tick.since(self.tick()).filter(|wait| !wait.is_zero()) {
            tokio::time::sleep(wait.min(Duration::from_mins(1))).await;
        }
    }
}

/// Random bytes from the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        // Requests of up to 256 bytes are answered whole once the pool is initialised, which it is
        // long before any program of ours runs; `getrandom(2)` has no other error for them.
        while rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .is_ok_and(|filled| filled < bytes.len())
        {}
        bytes
    }
}
