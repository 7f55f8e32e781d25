//! The registers of the processors: offsets and bits.

use casemate_crypto::Error;
use core::sync::atomic::{AtomicBool, Ordering};

/// A register of a processor. There are no others than those that this crate names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u16);

impl Register {
    pub(crate) const fn new(offset: u16) -> Self {
        Self(offset)
    }

    /// How far from the processor's address the register is, in bytes: a multiple of 4 below 1024.
    #[must_use]
    pub const fn offset(self) -> u16 {
        self.0
    }
}

/// The registers of one processor.
pub trait Registers {
    /// Reads a register.
    fn read(&self, register: Register) -> u32;
    /// Writes a register.
    fn write(&self, register: Register, value: u32);
    /// Switches the processor's clock on; called before each use. The default leaves that to who made the registers.
    fn enable(&self) {}
}

impl<T: Registers + ?Sized> Registers for &T {
    fn read(&self, register: Register) -> u32 {
        (**self).read(register)
    }

    fn write(&self, register: Register, value: u32) {
        (**self).write(register, value);
    }

    fn enable(&self) {
        (**self).enable();
    }
}

/// How often a status register is read before a processor counts as broken. A block takes tens of cycles.
const PATIENCE: u32 = 100_000;

/// Waits until the bits of `mask` in a status register are `value`.
pub(crate) fn wait<R: Registers>(
    registers: &R,
    status: Register,
    mask: u32,
    value: u32,
) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        if registers.read(status) & mask == value {
            return Ok(());
        }
    }
    Err(Error::Hardware)
}

/// Writes a key or a vector, big-endian words, to the last registers of `places`, in their order.
pub(crate) fn load<R: Registers>(registers: &R, places: &[Register], bytes: &[u8]) {
    let (words, _) = bytes.as_chunks::<4>();
    for (register, word) in places.iter().skip(places.len().saturating_sub(words.len())).zip(words) {
        registers.write(*register, u32::from_be_bytes(*word));
    }
}

/// A processor in use: one caller at a time, for an interrupt or another thread may come in between.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    /// Takes the processor; declines while somebody else has it.
    pub(crate) fn take(busy: &'a AtomicBool) -> Result<Self, Error> {
        if busy.swap(true, Ordering::Acquire) { Err(Error::Unsupported) } else { Ok(Self(busy)) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// CRYP (RM0090, chapter 23).
pub(crate) mod cryp {
    use super::Register;

    pub(crate) const CONTROL: Register = Register::new(0x00);
    pub(crate) const STATUS: Register = Register::new(0x04);
    pub(crate) const INPUT: Register = Register::new(0x08);
    pub(crate) const OUTPUT: Register = Register::new(0x0c);
    /// Key words, the most significant first; shorter keys are in the last ones.
    pub(crate) const KEY: [Register; 8] = [
        Register::new(0x20),
        Register::new(0x24),
        Register::new(0x28),
        Register::new(0x2c),
        Register::new(0x30),
        Register::new(0x34),
        Register::new(0x38),
        Register::new(0x3c),
    ];
    /// Words of the initialisation vector, the most significant first.
    pub(crate) const VECTOR: [Register; 4] =
        [Register::new(0x40), Register::new(0x44), Register::new(0x48), Register::new(0x4c)];

    /// In [`CONTROL`].
    pub(crate) const DECRYPT: u32 = 1 << 2;
    pub(crate) const MODE_ECB: u32 = 4 << 3;
    pub(crate) const MODE_CBC: u32 = 5 << 3;
    pub(crate) const MODE_CTR: u32 = 6 << 3;
    /// Makes the key for decryption from that for encryption.
    pub(crate) const MODE_PREPARE: u32 = 7 << 3;
    /// Data words hold bytes, the first in the lowest bits.
    pub(crate) const BYTES: u32 = 2 << 6;
    pub(crate) const KEY_192: u32 = 1 << 8;
    pub(crate) const KEY_256: u32 = 2 << 8;
    pub(crate) const FLUSH: u32 = 1 << 14;
    pub(crate) const ENABLE: u32 = 1 << 15;

    /// In [`STATUS`].
    pub(crate) const INPUT_EMPTY: u32 = 1 << 0;
    pub(crate) const INPUT_ROOM: u32 = 1 << 1;
    pub(crate) const OUTPUT_THERE: u32 = 1 << 2;
    pub(crate) const BUSY: u32 = 1 << 4;
    pub(crate) const ALL: u32 = 0x1f;
}

/// AES (the vendor's register definitions; described in RM0351, chapter 28, RM0434, chapter 25, RM0456, chapter 49).
pub(crate) mod aes {
    use super::Register;

    pub(crate) const CONTROL: Register = Register::new(0x00);
    pub(crate) const STATUS: Register = Register::new(0x04);
    pub(crate) const INPUT: Register = Register::new(0x08);
    pub(crate) const OUTPUT: Register = Register::new(0x0c);
    /// Key words, the most significant first, KEYR7 to KEYR0; shorter keys are in the last ones.
    pub(crate) const KEY: [Register; 8] = [
        Register::new(0x3c),
        Register::new(0x38),
        Register::new(0x34),
        Register::new(0x30),
        Register::new(0x1c),
        Register::new(0x18),
        Register::new(0x14),
        Register::new(0x10),
    ];
    /// Words of the initialisation vector, the most significant first, IVR3 to IVR0.
    pub(crate) const VECTOR: [Register; 4] =
        [Register::new(0x2c), Register::new(0x28), Register::new(0x24), Register::new(0x20)];
    /// Clears flags; of the third generation.
    pub(crate) const CLEAR: Register = Register::new(0x308);

    /// In [`CONTROL`].
    pub(crate) const ENABLE: u32 = 1 << 0;
    /// Data words hold bytes, the first in the lowest bits.
    pub(crate) const BYTES: u32 = 2 << 1;
    /// Makes the key for decryption from that for encryption.
    pub(crate) const PREPARE: u32 = 1 << 3;
    pub(crate) const DECRYPT: u32 = 2 << 3;
    pub(crate) const CHAIN_CBC: u32 = 1 << 5;
    pub(crate) const CHAIN_CTR: u32 = 2 << 5;
    /// Clears [`DONE`] and both errors; of the first and second generation. Reads as 0.
    pub(crate) const CLEAR_FLAGS: u32 = 1 << 7 | 1 << 8;
    pub(crate) const KEY_256: u32 = 1 << 18;
    /// While set, everything is as after a reset; of the third generation.
    pub(crate) const RESET: u32 = 1 << 31;

    /// In [`STATUS`].
    pub(crate) const DONE: u32 = 1 << 0;
    pub(crate) const READ_ERROR: u32 = 1 << 1;
    pub(crate) const WRITE_ERROR: u32 = 1 << 2;
    /// All words of the key were written, in their order; of the third generation.
    pub(crate) const KEY_VALID: u32 = 1 << 7;

    /// In [`CLEAR`]: all flags.
    pub(crate) const CLEAR_ALL: u32 = 0xf;
}

/// HASH (RM0090, chapter 25; of H5 and U5 the vendor's register definitions).
pub(crate) mod hash {
    use super::Register;

    pub(crate) const CONTROL: Register = Register::new(0x00);
    pub(crate) const INPUT: Register = Register::new(0x04);
    pub(crate) const START: Register = Register::new(0x08);
    pub(crate) const STATUS: Register = Register::new(0x24);
    /// The words of the digest.
    pub(crate) const DIGEST: [Register; 8] = [
        Register::new(0x0c),
        Register::new(0x10),
        Register::new(0x14),
        Register::new(0x18),
        Register::new(0x1c),
        Register::new(0x324),
        Register::new(0x328),
        Register::new(0x32c),
    ];

    /// Where the state between two pieces of a message is read and written: of the processors with [`MD5`] and [`SHA256`] those
    /// that only HMAC needs are left out, of the others all that there are.
    pub(crate) const CONTEXT: [Register; CONTEXT_WORDS] = {
        let mut registers = [Register::new(0xf8); CONTEXT_WORDS];
        let (mut offset, mut rest) = (0xf8, registers.as_mut_slice());
        while let Some((first, others)) = rest.split_first_mut() {
            *first = Register::new(offset);
            offset = match offset.checked_add(4) {
                Some(next) => next,
                None => offset,
            };
            rest = others;
        }
        registers
    };

    pub(crate) const CONTEXT_WORDS: usize = if cfg!(any(test, feature = "h5")) {
        103
    } else if cfg!(feature = "u5") {
        54
    } else {
        38
    };

    /// In [`CONTROL`].
    pub(crate) const INITIALIZE: u32 = 1 << 2;
    /// Data words hold bytes, the first in the lowest bits.
    pub(crate) const BYTES: u32 = 2 << 4;
    pub(crate) const SHA1: u32 = 0;
    pub(crate) const MD5: u32 = 1 << 7;
    pub(crate) const SHA224: u32 = 1 << 18;
    pub(crate) const SHA256: u32 = 1 << 18 | 1 << 7;
    /// Of H5 and U5, where the two bits are neighbours.
    #[cfg(any(test, feature = "u5"))]
    pub(crate) const MD5_U5: u32 = 1 << 17;
    #[cfg(any(test, feature = "u5"))]
    pub(crate) const SHA256_U5: u32 = 3 << 17;

    /// In [`START`], beside the number of valid bits of the last word (0: all): pads and makes the digest.
    pub(crate) const FINISH: u32 = 1 << 8;

    /// In [`STATUS`]. There is room for a block.
    pub(crate) const ROOM: u32 = 1 << 0;
    pub(crate) const DONE: u32 = 1 << 1;
    pub(crate) const BUSY: u32 = 1 << 3;
}
