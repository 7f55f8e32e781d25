//! Memory that client and server share.

use casemate_client::dma::{NoRoom, SharedArea};
use casemate_transport::{SharedMemory, SharedRegion};

/// Memory that client and server share, as the caller registered it or the transport has it.
#[derive(Clone)]
pub(crate) enum SharedSpace {
    /// The caller's, and the number that stands for its first byte in messages.
    Region(SharedRegion<'static>, u64),
    /// The transport's.
    #[cfg(feature = "std")]
    Transport(casemate_posix::shm::DmaArea),
}

impl SharedArea for SharedSpace {
    fn length(&self) -> u64 {
        match self {
            Self::Region(region, _) => u64::try_from(region.length()).unwrap_or(u64::MAX),
            #[cfg(feature = "std")]
            Self::Transport(area) => SharedArea::length(area),
        }
    }

    fn address(&self, offset: u64) -> u64 {
        match self {
            Self::Region(_, address) => address.wrapping_add(offset),
            #[cfg(feature = "std")]
            Self::Transport(area) => area.address(offset),
        }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), NoRoom> {
        match self {
            Self::Region(region, _) => {
                region.write(usize::try_from(offset).map_err(|_| NoRoom)?, bytes).map_err(|_| NoRoom)
            }
            #[cfg(feature = "std")]
            Self::Transport(area) => SharedArea::write(area, offset, bytes),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), NoRoom> {
        match self {
            Self::Region(region, _) => {
                region.read(usize::try_from(offset).map_err(|_| NoRoom)?, out).map_err(|_| NoRoom)
            }
            #[cfg(feature = "std")]
            Self::Transport(area) => SharedArea::read(area, offset, out),
        }
    }
}
