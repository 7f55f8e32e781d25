//! CRC-16/CCITT-FALSE (document 02, §3.9).

/// A checksum in progress: polynomial 0x1021, initial value 0xFFFF, not reflected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checksum(u16);

impl Checksum {
    pub(crate) const fn new() -> Self {
        Self(0xFFFF)
    }

    pub(crate) const fn of(bytes: &[u8]) -> u16 {
        Self::new().with(bytes).get()
    }

    /// The checksum of what came so far and `bytes`. A byte at a time without a table: the polynomial's division by
    /// eight bits collapses to four shifts.
    #[inline(never)]
    pub(crate) const fn with(self, mut bytes: &[u8]) -> Self {
        let mut sum = self.0;
        while let Some((&byte, rest)) = bytes.split_first() {
            let [high, _] = sum.to_be_bytes();
            let mut mixed = u16::from_be_bytes([0, high ^ byte]);
            mixed ^= mixed >> 4;
            sum = (sum << 8) ^ (mixed << 12) ^ (mixed << 5) ^ mixed;
            bytes = rest;
        }
        Self(sum)
    }

    pub(crate) const fn get(self) -> u16 {
        self.0
    }
}

/// The CRC-16 that objects are stored with: CRC-16/CCITT-FALSE (document 02, §3.9).
#[must_use]
pub const fn crc16(bytes: &[u8]) -> u16 {
    Checksum::of(bytes)
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn known_values() {
        assert_eq!(Checksum::of(b"123456789"), 0x29B1);
        assert_eq!(Checksum::of(b""), 0xFFFF);
        assert_eq!(Checksum::new().with(b"1234").with(b"56789").get(), 0x29B1);
        let key: [u8; 16] = core::array::from_fn(|index| index as u8);
        assert_eq!(Checksum::of(&key), 0x3B37);
    }
}
