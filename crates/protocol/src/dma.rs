//! Addresses in client memory (document 01, §10).

use crate::codec::{Field, Overflow, Reader, Writer};

/// A range of client memory in a message of the DMA kind, 16 bytes on the wire whatever the size of an address on
/// either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DmaBuffer {
    /// Where the server finds it: what the number means is an agreement between client and server.
    pub address: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl DmaBuffer {
    /// No buffer.
    pub const NONE: Self = Self { address: 0, size: 0 };

    /// `size` bytes from `address`.
    pub const fn new(address: u64, size: u64) -> Self {
        Self { address, size }
    }
}

impl Field for DmaBuffer {
    const SIZE: usize = 16;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self { address: reader.read(), size: reader.read() }
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put(self.address)?;
        writer.put(self.size)
    }
}
