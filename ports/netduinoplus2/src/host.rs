//! What stands in for the board where the port is built for another machine: for its tests.

use crate::flash::FLASH_SIZE;
use core::sync::atomic::AtomicU32;

/// The cells that stand in for the flash of the store.
pub(crate) static CELLS: [AtomicU32; FLASH_SIZE / 4] = [const { AtomicU32::new(0) }; FLASH_SIZE / 4];

/// Numbers that look like noise and are the same in each run.
#[derive(Debug)]
pub(crate) struct Source(u64);

impl Source {
    pub(crate) const fn new() -> Self {
        Self(1)
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> bool {
        for byte in bytes {
            // SplitMix64.
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.0;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            let [first, ..] = mixed.to_be_bytes();
            *byte = first;
        }
        true
    }
}
