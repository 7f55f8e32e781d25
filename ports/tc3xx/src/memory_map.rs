//! Where the memories of the HSM core are, and how large: the table to change for another member of the family.
//!
//! The build script reads this very file and makes the linker's `MEMORY` block of the map that the build asks for, so a
//! number is changed here and nowhere else.

/// A piece of address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Address of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub length: u32,
}

impl Region {
    /// The `length` bytes from `start` on.
    pub const fn new(start: u32, length: u32) -> Self {
        Self { start, length }
    }

    /// The address behind the last byte, if there is one.
    pub const fn end(self) -> Option<u32> {
        self.start.checked_add(self.length)
    }

    /// Whether the two have a byte in common.
    pub const fn overlaps(self, other: Self) -> bool {
        match (self.end(), other.end()) {
            (Some(end), Some(other_end)) => self.start < other_end && other.start < end,
            _ => true,
        }
    }
}

/// The memories that a firmware for the HSM core uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryMap {
    /// Program flash: code, constants, and the initial values of variables.
    pub program: Region,
    /// The HSM's own RAM: variables, and the stack in what is left.
    pub ram: Region,
    /// Memory that the application cores reach too, for requests and responses.
    pub bridge: Region,
    /// The HSM's data flash. In emulation, RAM that stands in for it.
    pub data_flash: Region,
    /// Program flash of the application cores, as the HSM core sees it: where their images lie. In emulation, RAM.
    pub applications: Region,
}

impl MemoryMap {
    /// Whether every region is in the address space and none overlaps another.
    pub const fn is_consistent(&self) -> bool {
        let regions = [self.program, self.ram, self.bridge, self.data_flash, self.applications];
        let mut rest: &[Region] = &regions;
        while let [one, others @ ..] = rest {
            if one.end().is_none() || one.length == 0 {
                return false;
            }
            let mut others_left = others;
            while let [other, left @ ..] = others_left {
                if one.overlaps(*other) {
                    return false;
                }
                others_left = left;
            }
            rest = others;
        }
        true
    }
}

/// A TC39x.
///
/// | region | from public documents | to be confirmed by a holder of the HSM's documents |
/// |---|---|---|
/// | program | PF0 begins at 0xA000_0000 uncached, 0x8000_0000 cached; logical sectors of 16 KiB | how many sectors are set aside for the HSM (a project decides), and at which address the HSM core sees them |
/// | RAM | 96 KiB | its address; how much of it the boot system keeps |
/// | bridge | – | where it is, and how large: what application cores and HSM both reach |
/// | data flash | DF1 at 0xAFC0_0000, 128 KiB | the address at which the HSM core sees it |
/// | applications | PF1 at 0x8030_0000, 3 MiB, where PF0 has 3 MiB from 0x8000_0000 on | which banks a project's images lie in; that the HSM core sees them there |
pub const TC39X: MemoryMap = MemoryMap {
    program: Region::new(0x8000_0000, 0x0008_0000),
    ram: Region::new(0x2000_0000, 0x0001_8000),
    bridge: Region::new(0x9000_0000, 0x0000_8000),
    data_flash: Region::new(0xAFC0_0000, 0x0002_0000),
    applications: Region::new(0x8030_0000, 0x0030_0000),
};

/// Bits of min-entropy in a byte of the random number generator: assumed, half of what it could deliver. What the maker
/// guarantees is for a holder of the HSM's documents to put here. Too low a number costs more samples for a seed, and lets the
/// health tests find a weak source later; too high a number gives a weak seed for a good one.
pub const MIN_ENTROPY: u8 = 4;

/// The board mps2-an385 as QEMU has it, with as much RAM and data flash as a TC39x gives its HSM.
pub const EMULATED: MemoryMap = MemoryMap {
    program: Region::new(0x0000_0000, 0x0008_0000),
    ram: Region::new(0x2000_0000, 0x0001_8000),
    bridge: Region::new(0x2110_0000, 0x0000_8000),
    data_flash: Region::new(0x2100_0000, 0x0002_0000),
    applications: Region::new(0x2120_0000, 0x0010_0000),
};

/// The same board with all of its memory, for what does not fit a TC39x.
pub const EMULATED_LARGE: MemoryMap = MemoryMap {
    program: Region::new(0x0000_0000, 0x0040_0000),
    ram: Region::new(0x2000_0000, 0x0040_0000),
    bridge: Region::new(0x2110_0000, 0x0000_8000),
    data_flash: Region::new(0x2100_0000, 0x0010_0000),
    applications: Region::new(0x2120_0000, 0x0010_0000),
};

/// RAM of the board in which the model keeps which pages of the data flash cannot be read: one bit for each page.
pub const EMULATED_MARKS: Region = Region::new(0x2118_0000, EMULATED_LARGE.data_flash.length / 64);

/// The map of this build: that of a TC39x's HSM, unless the build holds what does not fit it.
pub const CURRENT: MemoryMap =
    if cfg!(any(feature = "everything", feature = "conformance")) { EMULATED_LARGE } else { EMULATED };

const _: () = assert!(TC39X.is_consistent() && EMULATED.is_consistent() && EMULATED_LARGE.is_consistent());
const _: () = assert!(
    !EMULATED_MARKS.overlaps(EMULATED_LARGE.data_flash)
        && !EMULATED_MARKS.overlaps(EMULATED_LARGE.bridge)
        && !EMULATED_MARKS.overlaps(EMULATED_LARGE.applications)
);
