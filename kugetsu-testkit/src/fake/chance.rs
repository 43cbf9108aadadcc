use std::sync::atomic::{AtomicU64, Ordering};

use kugetsu_core::Chance;

/// Chance that always comes out the same.
///
/// Exhaustive: it is these bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedChance(pub [u8; 16]);

impl FixedChance {
    /// Delays are as short as they can be.
    pub const LOW: Self = Self([0; 16]);
    /// Delays are as long as they can be.
    pub const HIGH: Self = Self([0xff; 16]);
}

impl Chance for FixedChance {
    fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

/// Chance that looks like any other, and comes out the same again for the same seed. Never twice
/// the same bytes from one source.
#[derive(Debug, Default)]
pub struct SeededChance {
    state: AtomicU64,
}

impl SeededChance {
    /// A source with this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Chance for SeededChance {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // Two at once, so that two who draw at the same time do not mix their halves.
        let state = self.state.fetch_add(STEP.wrapping_mul(2), Ordering::SeqCst);
        bytes[..8].copy_from_slice(&mixed(state).to_le_bytes());
        bytes[8..].copy_from_slice(&mixed(state.wrapping_add(STEP)).to_le_bytes());
        bytes
    }
}

// SplitMix64, with the constants that its authors publish. It maps different states to different
// numbers.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
