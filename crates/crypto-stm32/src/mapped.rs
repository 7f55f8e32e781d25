//! A processor's registers where the chip has them.

use crate::{Register, Registers};
use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The registers at an address.
#[derive(Debug)]
pub struct Mapped {
    address: usize,
}

impl Mapped {
    /// CRYP of STM32F2, F4 and F7. Its clock is bit 4 of RCC_AHB2ENR, 0x4002_3834.
    pub const CRYP_F2_F4_F7: usize = 0x5006_0000;
    /// HASH of STM32F2, F4 and F7. Its clock is bit 5 of RCC_AHB2ENR.
    pub const HASH_F2_F4_F7: usize = 0x5006_0400;
    /// CRYP of STM32H7. Its clock is bit 4 of RCC_AHB2ENR, 0x5802_44DC.
    pub const CRYP_H7: usize = 0x4802_1000;
    /// HASH of STM32H7. Its clock is bit 5 of RCC_AHB2ENR.
    pub const HASH_H7: usize = 0x4802_1400;
    /// AES of STM32F423, F73x, L1, L4 and G4, and AES1 of WB. Its clock is bit 4 of RCC_AHB2ENR of F423 and F73x, bit 16 of L4 and WB,
    /// bit 24 of G4, bit 27 of RCC_AHBENR of L1.
    pub const AES: usize = 0x5006_0000;
    /// HASH of STM32L4. Its clock is bit 17 of RCC_AHB2ENR.
    pub const HASH_L4: usize = 0x5006_0400;
    /// AES of STM32WL. Its clock is bit 17 of RCC_AHB3ENR.
    pub const AES_WL: usize = 0x5800_1800;
    /// AES of STM32H5 and U5, as not secure software sees it. Its clock is bit 16 of RCC_AHB2ENR of H5, RCC_AHB2ENR1 of U5.
    pub const AES_H5_U5: usize = 0x420c_0000;
    /// HASH of STM32H5 and U5, likewise. Its clock is bit 17 of the same register.
    pub const HASH_H5_U5: usize = 0x420c_0400;

    /// The registers at `address`.
    ///
    /// # Safety
    /// A processor that this crate has a driver for is at `address`, a multiple of 4, with 1024 bytes of registers. While this
    /// value exists nothing else uses them.
    #[must_use]
    pub const unsafe fn new(address: usize) -> Self {
        Self { address }
    }
}

impl Registers for Mapped {
    fn read(&self, register: Register) -> u32 {
        let register = self.address.wrapping_add(usize::from(register.offset()));
        // SAFETY: `new` was promised that the registers are there, and offsets are below 1024 and multiples of 4. Reading one
        // changes no memory of Rust's.
        unsafe { with_exposed_provenance::<u32>(register).read_volatile() }
    }

    fn write(&self, register: Register, value: u32) {
        let register = self.address.wrapping_add(usize::from(register.offset()));
        // SAFETY: as for `read`. The processors access memory by DMA only, which is never switched on.
        unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
    }
}
