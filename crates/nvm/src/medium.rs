//! Two equal partitions on flash, and what both layouts do with them.

use crate::{Error, Flash, Geometry, MountError};
use core::ops::{Deref, DerefMut};
use zeroize::optimization_barrier;

/// Flash is copied, compared and checked in pieces of this many bytes.
pub(crate) const CHUNK: usize = 64;

/// Room for a piece of flash. It is wiped when dropped, in one fill: `Zeroizing` writes byte by byte, and nearly every
/// operation has such a room several times.
pub(crate) struct Piece<const N: usize>([u8; N]);

impl<const N: usize> Piece<N> {
    pub(crate) const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Deref for Piece<N> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Piece<N> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Piece<N> {
    fn drop(&mut self) {
        self.0.fill(0);
        optimization_barrier(&self.0);
    }
}

/// One of the two partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A size as `usize`. Sizes that no memory of this machine can have are cut; nothing is found there.
pub(crate) fn to_usize(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// A length as `u32`; see [`to_usize`].
pub(crate) fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Flash, cut in two.
#[derive(Debug)]
pub(crate) struct Medium<F> {
    pub(crate) flash: F,
    partition: u32,
}

impl<F: Flash> Medium<F> {
    /// `unit` is the layout's unit: every program and every read is made in multiples of it. A given partition size
    /// is rounded down to a multiple of 8 bytes, as document 02, §3.1, says.
    pub(crate) fn new(flash: F, partition: Option<u32>, unit: usize) -> Result<Self, MountError<F::Error>> {
        let capacity = flash.capacity();
        let half = to_u32(capacity.checked_div(2).unwrap_or_default());
        let given = partition.unwrap_or(half);
        let partition = given & !7;
        let wrong = |geometry| Err(MountError::Geometry(geometry));
        for size in [F::WRITE_SIZE, F::READ_SIZE] {
            if unit.checked_rem(size) != Some(0) {
                return wrong(Geometry::Unit { flash: size, layout: unit });
            }
        }
        for size in [F::ERASE_SIZE, unit] {
            if to_usize(partition).checked_rem(size) != Some(0) {
                return wrong(Geometry::Alignment { partition: given, unit: size });
            }
        }
        match partition.checked_mul(2) {
            Some(both) if to_usize(both) <= capacity => Ok(Self { flash, partition }),
            _ => wrong(Geometry::Capacity { capacity, partition: given }),
        }
    }

    /// Bytes in one partition.
    pub(crate) const fn partition_size(&self) -> u32 {
        self.partition
    }

    /// Offsets lie inside a partition, and both partitions inside 2^32 bytes, so that nothing wraps, here and below.
    fn address(&self, side: Side, offset: u32) -> u32 {
        match side {
            Side::First => offset,
            Side::Second => self.partition.wrapping_add(offset),
        }
    }

    /// Reads bytes that start and end at a multiple of the layout's unit.
    pub(crate) fn read(&mut self, side: Side, offset: u32, out: &mut [u8]) -> Result<(), Error<F::Error>> {
        let address = self.address(side, offset);
        Ok(self.flash.read(address, out)?)
    }

    /// Shows `length` bytes in order, in pieces; `visitor` also gets each piece's offset.
    #[inline(never)]
    fn scan(
        &mut self,
        side: Side,
        offset: u32,
        length: u32,
        visitor: &mut dyn FnMut(u32, &[u8]) -> bool,
    ) -> Result<bool, Error<F::Error>> {
        let mut buffer = Piece::<CHUNK>::new();
        let mut offset = offset;
        let mut rest = to_usize(length);
        while rest > 0 {
            let size = rest.min(CHUNK);
            let piece = buffer.get_mut(..size).unwrap_or_default();
            self.read(side, offset, piece)?;
            if !visitor(offset, piece) {
                return Ok(false);
            }
            offset = offset.wrapping_add(to_u32(size));
            rest = rest.wrapping_sub(size);
        }
        Ok(true)
    }

    /// Whether every byte of the range is erased.
    pub(crate) fn is_blank(&mut self, side: Side, offset: u32, length: u32) -> Result<bool, Error<F::Error>> {
        let erased = self.flash.erased_byte();
        self.scan(side, offset, length, &mut |_, piece| is_filled(piece, erased))
    }

    /// Whether every byte of the partition is erased.
    pub(crate) fn is_partition_blank(&mut self, side: Side) -> Result<bool, Error<F::Error>> {
        self.is_blank(side, 0, self.partition)
    }

    /// The end of the last piece of `unit` bytes that is not blank, in bytes from the start of the partition, if any
    /// lies between `offset` and the end of the partition.
    pub(crate) fn last_used(
        &mut self,
        side: Side,
        offset: u32,
        unit: u32,
    ) -> Result<Option<u32>, Error<F::Error>> {
        let erased = self.flash.erased_byte();
        let length = self.partition.saturating_sub(offset);
        let mut last = None;
        self.scan(side, offset, length, &mut |at, piece| {
            let mut end = at;
            for part in piece.chunks(to_usize(unit)) {
                end = end.wrapping_add(unit);
                if !is_filled(part, erased) {
                    last = Some(end);
                }
            }
            true
        })?;
        Ok(last)
    }

    /// Programs erased flash and reads it back.
    pub(crate) fn program(&mut self, side: Side, offset: u32, bytes: &[u8]) -> Result<(), Error<F::Error>> {
        if !self.is_blank(side, offset, to_u32(bytes.len()))? {
            return Err(Error::NotBlank);
        }
        let address = self.address(side, offset);
        self.flash.write(address, bytes)?;
        let mut pieces = bytes.chunks(CHUNK);
        if self.scan(side, offset, to_u32(bytes.len()), &mut |_, piece| {
            pieces.next().is_some_and(|written| is_same(piece, written))
        })? {
            Ok(())
        } else {
            Err(Error::NotVerified)
        }
    }

    /// Makes all that was written durable.
    pub(crate) fn commit(&mut self) -> Result<(), Error<F::Error>> {
        Ok(self.flash.commit()?)
    }

    /// Erases a partition, for good: if the erasure could be lost while later writes to the same partition are kept,
    /// old and new content would mix.
    pub(crate) fn erase(&mut self, side: Side) -> Result<(), Error<F::Error>> {
        let from = self.address(side, 0);
        self.flash.erase(from, from.wrapping_add(self.partition))?;
        if !self.is_partition_blank(side)? {
            return Err(Error::NotBlank);
        }
        self.commit()
    }

    /// Erases a partition unless it is blank.
    pub(crate) fn clear(&mut self, side: Side) -> Result<(), Error<F::Error>> {
        if self.is_partition_blank(side)? { Ok(()) } else { self.erase(side) }
    }

    /// Allows programming and erasing.
    pub(crate) fn unlock(&mut self) -> Result<(), Error<F::Error>> {
        Ok(self.flash.unlock(0, self.partition.wrapping_mul(2))?)
    }

    /// Forbids programming and erasing.
    pub(crate) fn lock(&mut self) -> Result<(), Error<F::Error>> {
        Ok(self.flash.lock(0, self.partition.wrapping_mul(2))?)
    }
}

/// Whether two pieces are equal. Word by word, as in [`is_filled`].
#[inline(never)]
fn is_same(first: &[u8], second: &[u8]) -> bool {
    let ((words, rest), (others, other_rest)) = (first.as_chunks::<4>(), second.as_chunks::<4>());
    let mut pairs = words.iter().zip(others);
    first.len() == second.len()
        && pairs.all(|(word, other)| u32::from_ne_bytes(*word) == u32::from_ne_bytes(*other))
        && rest == other_rest
}

/// Whether every byte of `bytes` is `value`. Word by word: whole partitions are looked through.
#[inline(never)]
pub(crate) fn is_filled(bytes: &[u8], value: u8) -> bool {
    let expected = u32::from_ne_bytes([value; 4]);
    let (words, rest) = bytes.as_chunks::<4>();
    let differences = words.iter().fold(0, |all, word| all | (u32::from_ne_bytes(*word) ^ expected));
    differences == 0 && rest.iter().all(|&byte| byte == value)
}

/// Whether `byte` may be what an interrupted write of `written` over `erased` leaves.
pub(crate) const fn is_between(byte: u8, erased: u8, written: u8) -> bool {
    (byte ^ erased) & (byte ^ written) == 0
}

/// Which of two complete partitions is newer; `tie` if their epochs are equal.
///
/// Both are complete only while the older one waits to be erased, and then their epochs are neighbours (where 0
/// follows 2^32 - 1). Otherwise an erasure was cut short after it had changed bytes of the older one's epoch; if the
/// epochs can be explained that way, the other partition is the newer one. The larger epoch wins where nothing
/// explains them.
pub(crate) fn newer(first: u32, second: u32, erased_byte: u8, tie: Side) -> Side {
    if first == second {
        return tie;
    }
    if first == second.wrapping_add(1) {
        return Side::First;
    }
    if second == first.wrapping_add(1) {
        return Side::Second;
    }
    match (half_erased(first, second, erased_byte), half_erased(second, first, erased_byte)) {
        (true, false) => Side::Second,
        (false, true) => Side::First,
        _ if first > second => Side::First,
        _ => Side::Second,
    }
}

/// Whether `epoch` may be what an erasure that was cut short left of the epoch before `other`.
#[inline(never)]
fn half_erased(epoch: u32, other: u32, erased_byte: u8) -> bool {
    let before = other.wrapping_sub(1).to_le_bytes();
    epoch.to_le_bytes().iter().zip(before).all(|(&now, before)| now == before || now == erased_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_epoch() {
        for (first, second, erased, expected) in [
            (4, 4, 0xFF, Side::First),
            (5, 4, 0xFF, Side::First),
            (4, 5, 0xFF, Side::Second),
            (1, 7, 0xFF, Side::Second),
            (9, 3, 0x00, Side::First),
            (u32::MAX, 0, 0xFF, Side::Second),
            (0, u32::MAX, 0xFF, Side::First),
            // Epoch 3 with its first byte, then its first two bytes, erased; the other one is 4.
            (0xFF, 4, 0xFF, Side::Second),
            (4, 0xFFFF, 0xFF, Side::First),
            (0x0100, 0x0000, 0x00, Side::First),
        ] {
            assert_eq!(newer(first, second, erased, Side::First), expected, "{first} {second}");
        }
    }
}
