//! What this port needs of the HSM module, as registers: the one seam to fill in for real silicon.
//!
//! The registers of the TC3xx's HSM are described in documents under NDA, and nothing of them is known here. This file
//! therefore *defines* a set of registers with what such a module has to offer; [`Model`](crate::Model) behaves that way,
//! and the drivers of this crate ([`Engine`](crate::Engine), [`Noise`](crate::Noise), [`DataFlash`](crate::DataFlash),
//! [`Bell`](casemate_device::Bell), [`Host`](crate::Host)) work on it. README.md says what a holder of the documents does: a table
//! of addresses, the bits below, and, where the hardware wants another order of steps, the one function that takes them.

use crate::data_flash::PAGE_SIZE;

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
    /// AES: the key's bytes 0 to 3, the first in the lowest bits. Written only.
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
    /// Data flash: writing one of [`PAGE_MODE`], [`WRITE_PAGE`], [`ERASE_SECTOR`], [`CLEAR_STATUS`] runs the command.
    FlashCommand,
    /// Data flash: the offset that the next command is about, in bytes.
    FlashAddress,
    /// Data flash: the lower half of the page to be written.
    FlashPage0,
    /// Data flash: the upper half of it.
    FlashPage1,
    /// Data flash: [`BUSY`], [`FAULT`]. A fault stays until it is cleared by command.
    FlashStatus,
    /// Bridge: reading gives the bells that application cores have rung, one bit for each of 32 clients; writing ones
    /// silences those.
    BellIn,
    /// Bridge: writing ones rings the bells of those clients.
    BellOut,
    /// Application cores: [`HELD`] while they are held in reset, [`RESTARTED`] once they have reset by themselves; writing
    /// [`RELEASE`] lets them go, [`RESET`] resets and holds them, [`RESTARTED`] takes note of that.
    HostControl,
}

/// How many registers there are.
pub const REGISTER_COUNT: usize = Register::HostControl as usize + 1;

/// In [`Register::TrngStatus`].
pub const READY: u32 = 1 << 0;
/// In [`Register::AesStatus`] and [`Register::FlashStatus`].
pub const BUSY: u32 = 1 << 0;
/// In [`Register::TrngStatus`], [`Register::AesStatus`] and [`Register::FlashStatus`].
pub const FAULT: u32 = 1 << 1;

/// To [`Register::AesControl`].
pub const ENCRYPT: u32 = 1;
/// To [`Register::AesControl`].
pub const DECRYPT: u32 = 2;

/// To [`Register::FlashCommand`]: what is written to the page registers goes to a page.
pub const PAGE_MODE: u32 = 0x50;
/// To [`Register::FlashCommand`]: programs the page at [`Register::FlashAddress`].
pub const WRITE_PAGE: u32 = 0xA0;
/// To [`Register::FlashCommand`]: erases the sector at [`Register::FlashAddress`].
pub const ERASE_SECTOR: u32 = 0x80;
/// To [`Register::FlashCommand`]: forgets a fault.
pub const CLEAR_STATUS: u32 = 0xFA;

/// In [`Register::HostControl`].
pub const HELD: u32 = 1 << 0;
/// To [`Register::HostControl`].
pub const RELEASE: u32 = 1;
/// To [`Register::HostControl`].
pub const RESET: u32 = 2;

/// In and to [`Register::HostControl`].
pub const RESTARTED: u32 = 1 << 2;

/// How often a status is read before the device counts as dead.
pub(crate) const PATIENCE: u32 = 1_000_000;

/// Access to the registers, and to the data flash where it can be read as memory.
pub trait Registers {
    /// Reads a register.
    fn read(&self, register: Register) -> u32;

    /// Writes a register.
    fn write(&self, register: Register, value: u32);

    /// Length of the data flash in bytes.
    fn data_flash_length(&self) -> usize;

    /// The page of the data flash at `offset`, a multiple of 8. `None` if it lies outside, or if the flash reports an error
    /// that its code cannot correct; where such a read raises a bus fault on silicon, it has to be caught here.
    fn read_data_flash(&self, offset: usize) -> Option<[u8; PAGE_SIZE]>;

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

    fn read_data_flash(&self, offset: usize) -> Option<[u8; PAGE_SIZE]> {
        (**self).read_data_flash(offset)
    }

    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
        (**self).read_application_flash(offset, out)
    }
}

/// Reads a status until none of the `busy` bits is set; false if it does not come to that, or with a fault.
pub(crate) fn settled(registers: &impl Registers, status: Register) -> bool {
    for _ in 0..PATIENCE {
        let value = registers.read(status);
        if value & FAULT != 0 {
            return false;
        }
        if value & BUSY == 0 {
            return true;
        }
    }
    false
}
