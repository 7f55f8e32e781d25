//! What this port needs of the HSM module, as registers: the one seam to fill in for real silicon.
//!
//! The registers of the SPC58's HSM are described in documents under NDA, and nothing of them is known here. This file
//! therefore *defines* registers with what such a module has to offer; [`Model`](crate::Model) behaves that way, and the
//! drivers of this crate ([`Engine`](crate::Engine), [`Noise`](crate::Noise), [`DataFlash`](crate::DataFlash),
//! [`Bell`](casemate_device::Bell), [`Host`](crate::Host)) work on it. README.md says what a holder of the documents does.
//!
//! The flash registers are no invention: steps and bits are those of the C55 flash controller as public reference manuals
//! of the same generation describe it (NXP's MPC57xx, which shares its design with ST's SPC57 and SPC58). Whether the HSM
//! has a register block of its own for its blocks is not public.

/// A register, as an index into a table of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Register {
    /// Random number generator: [`READY`] while [`Register::TrngData`] holds a fresh word, [`FAULT`] if the generator's
    /// own tests failed.
    TrngStatus,
    /// Random number generator: 32 fresh bits. Reading it takes them.
    TrngData,
    /// AES: writing [`ENCRYPT`] or [`DECRYPT`] starts on the block in the data registers.
    AesControl,
    /// AES: [`BUSY`], [`FAULT`].
    AesStatus,
    /// AES: the key's bytes 0 to 3, the first in the highest bits, as on a big-endian core. Written only.
    AesKey0,
    /// AES: the key's bytes 4 to 7.
    AesKey1,
    /// AES: the key's bytes 8 to 11.
    AesKey2,
    /// AES: the key's bytes 12 to 15.
    AesKey3,
    /// AES: the block's bytes 0 to 3, before and after.
    AesData0,
    /// AES: the block's bytes 4 to 7.
    AesData1,
    /// AES: the block's bytes 8 to 11.
    AesData2,
    /// AES: the block's bytes 12 to 15.
    AesData3,
    /// Data flash, module configuration: [`PROGRAM`], [`ERASE`] and [`HIGH_VOLTAGE`] make the sequences;
    /// [`DONE`] and [`GOOD`] tell how they went.
    FlashControl,
    /// Data flash: one bit for each block, the first in bit 0; a block whose bit is set can be neither programmed nor
    /// erased.
    FlashLock,
    /// Data flash: one bit for each block that the next erasure is for.
    FlashSelect,
    /// Bridge: reading gives the bells that application cores have rung, one bit for each of 32 clients; writing ones
    /// silences those.
    BellIn,
    /// Bridge: writing ones rings the bells of those clients.
    BellOut,
    /// Application cores: one bit for each, set while that core is held in reset. Writing sets all of them.
    HostHold,
    /// Application cores: one bit for each that has reset by itself since the bit was cleared; writing ones clears those.
    HostRestarted,
}

/// How many registers there are.
pub const REGISTER_COUNT: usize = Register::HostRestarted as usize + 1;

/// In [`Register::TrngStatus`].
pub const READY: u32 = 1 << 0;
/// In [`Register::AesStatus`].
pub const BUSY: u32 = 1 << 0;
/// In [`Register::TrngStatus`] and [`Register::AesStatus`].
pub const FAULT: u32 = 1 << 1;

/// To [`Register::AesControl`].
pub const ENCRYPT: u32 = 1;
/// To [`Register::AesControl`].
pub const DECRYPT: u32 = 2;

/// In [`Register::FlashControl`], EHV: the operation that was set up runs while this is set.
pub const HIGH_VOLTAGE: u32 = 1 << 0;
/// In [`Register::FlashControl`], ERS: an erase sequence is being set up.
pub const ERASE: u32 = 1 << 2;
/// In [`Register::FlashControl`], PGM: a program sequence is being set up.
pub const PROGRAM: u32 = 1 << 4;
/// In [`Register::FlashControl`], PEG: the last operation was good. Valid while [`DONE`] and [`HIGH_VOLTAGE`] are set.
pub const GOOD: u32 = 1 << 9;
/// In [`Register::FlashControl`], DONE: no operation is running.
pub const DONE: u32 = 1 << 10;

/// How often a status is read before the device counts as dead.
pub(crate) const PATIENCE: u32 = 1_000_000;

/// Access to the registers, and to the data flash as memory.
pub trait Registers {
    /// Reads a register.
    fn read(&self, register: Register) -> u32;

    /// Writes a register.
    fn write(&self, register: Register, value: u32);

    /// Length of the data flash in bytes.
    fn data_flash_length(&self) -> usize;

    /// The double word of the data flash at `offset`, a multiple of 8. `None` if it lies outside, or if the flash reports
    /// an error that its code cannot correct; on silicon such a read raises an exception that has to be caught here.
    fn read_data_flash(&self, offset: usize) -> Option<[u8; 8]>;

    /// Writes a word to the address of the data flash at `offset`, a multiple of 4: within a sequence, the flash takes it
    /// as the address and data of the operation.
    fn write_data_flash(&self, offset: usize, word: [u8; 4]);

    /// Reads `out.len()` bytes of the application cores' flash from `offset` on, an offset into its region of the memory map.
    /// False if the HSM core cannot read them: where there is no such memory, or the flash reports an error that its code
    /// cannot correct.
    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool;
}

impl<T: Registers + ?Sized> Registers for &T {
    fn read(&self, register: Register) -> u32 {
        (**self).read(register)
    }

    fn write(&self, register: Register, value: u32) {
        (**self).write(register, value);
    }

    fn data_flash_length(&self) -> usize {
        (**self).data_flash_length()
    }

    fn read_data_flash(&self, offset: usize) -> Option<[u8; 8]> {
        (**self).read_data_flash(offset)
    }

    fn write_data_flash(&self, offset: usize, word: [u8; 4]) {
        (**self).write_data_flash(offset, word);
    }

    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
        (**self).read_application_flash(offset, out)
    }
}
