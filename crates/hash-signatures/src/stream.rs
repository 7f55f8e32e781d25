//! Messages and signatures that need not lie in memory as a whole.

use crate::Error;

/// A message to sign or verify. It is read once, from front to back.
pub trait Message {
    /// Hands the message to `sink` in pieces of any size.
    ///
    /// # Errors
    /// What `sink` answers, or [`Error::Transfer`] if the message cannot be read.
    fn read(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error>;
}

impl Message for [u8] {
    fn read(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        sink(self)
    }
}

impl<const N: usize> Message for [u8; N] {
    fn read(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        sink(self)
    }
}

impl<M: Message + ?Sized> Message for &M {
    fn read(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        (**self).read(sink)
    }
}

/// Where a signature goes, from front to back. A `&mut [u8]` shrinks to what is left of it.
pub trait Output {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Transfer`] if they cannot be written, [`Error::Length`] if there is no room for them.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

impl Output for &mut [u8] {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (to, rest) = core::mem::take(self).split_at_mut_checked(bytes.len()).ok_or(Error::Length)?;
        to.copy_from_slice(bytes);
        *self = rest;
        Ok(())
    }
}

impl<O: Output + ?Sized> Output for &mut O {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        (**self).write(bytes)
    }
}

/// A signature to verify. No byte of it is read twice.
pub trait Input {
    /// Length of the signature in bytes.
    fn length(&self) -> usize;

    /// Fills `bytes` with what lies at `offset`.
    ///
    /// # Errors
    /// [`Error::Signature`] if fewer bytes lie there, [`Error::Transfer`] if they cannot be read.
    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error>;
}

impl Input for &[u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn read(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let from = self.get(offset..).and_then(|rest| rest.get(..bytes.len())).ok_or(Error::Signature)?;
        bytes.copy_from_slice(from);
        Ok(())
    }
}

/// A place in a signature.
pub(crate) struct Cursor<'a> {
    input: &'a mut dyn Input,
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(input: &'a mut dyn Input) -> Self {
        Self { input, offset: 0 }
    }

    /// Fills `bytes` with the next bytes.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read(self.offset, bytes)?;
        self.skip(bytes.len());
        Ok(())
    }

    /// Fills `bytes` with what lies `distance` bytes ahead, and stays.
    pub(crate) fn read_ahead(&mut self, distance: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.input.read(self.offset.saturating_add(distance), bytes)
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.offset = self.offset.saturating_add(count);
    }

    /// # Errors
    /// [`Error::Signature`] unless every byte was read.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.offset == self.input.length() { Ok(()) } else { Err(Error::Signature) }
    }
}
