//! What is known of the device: the table to change for another member of the family.
//!
//! | value | from | to be confirmed by a holder of the documents under NDA |
//! |---|---|---|
//! | [`LIMITS`]`.program` | 144 KB of flash for the HSM's code (ST's data sheet DS11758 of the SPC58xG, a sibling) | that the SPC58NNx has as much |
//! | [`DATA_FLASH`] | 32 KB of flash for the HSM's data (the same) | the same, and that it is two blocks of 16 KB |
//! | [`APPLICATIONS`] | assumed: the large blocks of flash controllers of this generation begin at 0x0100_0000 (NXP's public reference manuals on the C55 flash) | where the application cores' images lie, how large they may be, and at which address the HSM core sees them |
//! | [`LIMITS`]`.ram` | assumed | the size of the HSM's RAM |
//! | [`APPLICATION_CORES`] | three e200z4256 (public overviews) | in which order they have to be released |
//! | [`MIN_ENTROPY`] | assumed: not all that the generator could deliver | the entropy that the maker guarantees |

use casemate_port::MemoryLimits;

/// Memory of the HSM core, in bytes.
pub const LIMITS: MemoryLimits = MemoryLimits { program: 144 * 1024, ram: 40 * 1024, stack: 0 };

/// Data flash of the HSM core, in bytes.
pub const DATA_FLASH: usize = 32 * 1024;

/// A piece of address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub length: u32,
}

/// Flash of the application cores, as the HSM core sees it: where their images lie. In emulation, RAM of the board at another
/// address stands in for its first MiB.
pub const APPLICATIONS: Region = Region { start: 0x0100_0000, length: 0x0040_0000 };

/// Application cores that the HSM holds in reset and releases.
pub const APPLICATION_CORES: u8 = 3;

/// Bits of min-entropy in a byte of the random number generator.
pub const MIN_ENTROPY: u8 = 4;
