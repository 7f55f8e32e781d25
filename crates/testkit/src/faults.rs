//! Parts of a port that misbehave as told: flash that lies, a noise source that sticks, an engine that computes wrongly, a
//! server's transport that
//! repeats, truncates or breaks off. Each wraps a real part, and a handle that the test keeps says what goes wrong and
//! when.

use casemate_crypto::{
    Aead, Cipher, Curve25519, Direction, EllipticCurve, Entropy, Error, Hash, HashAlgorithm, Mac, MlDsa,
    MlKem, Random, Rsa,
};
use casemate_nvm::Flash;
use casemate_transport::{ServerTransport, TransportError};
use core::fmt;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use std::cell::Cell;
use std::rc::Rc;

/// What goes wrong, shared between a test and the part that misbehaves. Clones are the same switch.
pub struct Switch<T>(Rc<Cell<Option<T>>>);

impl<T> Clone for Switch<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for Switch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Switch").field(&self.0.get()).finish()
    }
}

impl<T> Default for Switch<T> {
    /// Nothing goes wrong.
    fn default() -> Self {
        Self(Rc::new(Cell::new(None)))
    }
}

impl<T: Copy> Switch<T> {
    /// From now on this goes wrong; `None` for nothing.
    pub fn set(&self, fault: Option<T>) {
        self.0.set(fault);
    }

    /// What goes wrong.
    pub fn get(&self) -> Option<T> {
        self.0.get()
    }
}

/// How flash lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashLie {
    /// Writes report success and change nothing.
    WritesAreLost,
    /// Writes report success and leave one bit of their last byte as it was erased.
    WritesLoseABit,
    /// Erases report success and change nothing.
    ErasesAreLost,
    /// Every byte reads as this one.
    ReadsAs(u8),
    /// Reads give another value each time.
    ReadsAreNoise,
    /// Every operation that changes something reports an error and changes nothing.
    ChangesFail,
    /// Every operation reports an error.
    EverythingFails,
    /// It claims this capacity in bytes.
    Capacity(usize),
}

/// Why an operation on a [`LyingFlash`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LyingFlashError<E> {
    /// It was told to fail.
    Injected,
    /// The flash behind it failed.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for LyingFlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injected => f.write_str("the simulated flash failed as told"),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for LyingFlashError<E> {}

impl<E: NorFlashError> NorFlashError for LyingFlashError<E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Injected => NorFlashErrorKind::Other,
            Self::Inner(error) => error.kind(),
        }
    }
}

/// Flash that lies when its switch says so.
#[derive(Debug)]
pub struct LyingFlash<F> {
    inner: F,
    lie: Switch<FlashLie>,
    noise: u8,
}

impl<F> LyingFlash<F> {
    /// `inner`, which `lie` spoils.
    pub const fn new(inner: F, lie: Switch<FlashLie>) -> Self {
        Self { inner, lie, noise: 0 }
    }

    /// The flash behind it.
    pub const fn inner(&mut self) -> &mut F {
        &mut self.inner
    }
}

impl<F: ErrorType> ErrorType for LyingFlash<F> {
    type Error = LyingFlashError<F::Error>;
}

impl<F: ReadNorFlash> ReadNorFlash for LyingFlash<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.inner.read(offset, bytes).map_err(LyingFlashError::Inner)?;
        match self.lie.get() {
            Some(FlashLie::EverythingFails) => return Err(LyingFlashError::Injected),
            Some(FlashLie::ReadsAs(value)) => bytes.fill(value),
            Some(FlashLie::ReadsAreNoise) => {
                for byte in bytes {
                    self.noise = self.noise.wrapping_mul(5).wrapping_add(113);
                    *byte = self.noise;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        match self.lie.get() {
            Some(FlashLie::Capacity(claimed)) => claimed,
            _ => self.inner.capacity(),
        }
    }
}

impl<F: Flash> NorFlash for LyingFlash<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        match self.lie.get() {
            Some(FlashLie::ErasesAreLost) => Ok(()),
            Some(FlashLie::ChangesFail | FlashLie::EverythingFails) => Err(LyingFlashError::Injected),
            _ => self.inner.erase(from, to).map_err(LyingFlashError::Inner),
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let mut copy = bytes.to_vec();
        match self.lie.get() {
            Some(FlashLie::WritesAreLost) => return Ok(()),
            Some(FlashLie::ChangesFail | FlashLie::EverythingFails) => return Err(LyingFlashError::Injected),
            Some(FlashLie::WritesLoseABit) => {
                let erased = self.inner.erased_byte();
                if let Some(last) = copy.last_mut() {
                    let differing = *last ^ erased;
                    *last ^= differing & differing.wrapping_neg();
                }
            }
            _ => {}
        }
        self.inner.write(offset, &copy).map_err(LyingFlashError::Inner)
    }
}

impl<F: Flash> Flash for LyingFlash<F> {
    fn erased_byte(&self) -> u8 {
        self.inner.erased_byte()
    }
    fn lock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.inner.lock(from, to).map_err(LyingFlashError::Inner)
    }
    fn unlock(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.inner.unlock(from, to).map_err(LyingFlashError::Inner)
    }
    fn commit(&mut self) -> Result<(), Self::Error> {
        match self.lie.get() {
            Some(FlashLie::ChangesFail | FlashLie::EverythingFails) => Err(LyingFlashError::Injected),
            _ => self.inner.commit().map_err(LyingFlashError::Inner),
        }
    }
}

/// How a noise source fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseFault {
    /// Every sample is this value.
    Stuck(u8),
    /// Samples alternate between two values.
    Alternates(u8, u8),
    /// One of so many samples is 0. The adaptive proportion test notices in a window that begins with such a sample.
    Biased(u8),
    /// The source reports an error.
    Fails,
}

/// A noise source that fails when its switch says so.
#[derive(Debug)]
pub struct FaultyNoise<E> {
    inner: E,
    fault: Switch<NoiseFault>,
    count: u64,
}

impl<E> FaultyNoise<E> {
    /// `inner`, which `fault` spoils.
    pub const fn new(inner: E, fault: Switch<NoiseFault>) -> Self {
        Self { inner, fault, count: 0 }
    }
}

impl<E: Entropy> Entropy for FaultyNoise<E> {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        self.inner.fill(output)?;
        for byte in output.iter_mut() {
            self.count += 1;
            match self.fault.get() {
                Some(NoiseFault::Stuck(value)) => *byte = value,
                Some(NoiseFault::Alternates(first, second)) => {
                    *byte = if self.count.is_multiple_of(2) { first } else { second };
                }
                Some(NoiseFault::Biased(period)) if self.count.is_multiple_of(u64::from(period.max(1))) => {
                    *byte = 0;
                }
                _ => {}
            }
        }
        if self.fault.get() == Some(NoiseFault::Fails) { Err(Error::Entropy) } else { Ok(()) }
    }
}

/// How crypto hardware fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineFault {
    /// The AES engine leaves the data as it is.
    AesDoesNothing,
    /// The hash engine gives the same digest for everything.
    HashIsConstant,
    /// Every operation reports a fault.
    Fails,
}

/// Crypto hardware that declines everything, unless its switch says otherwise.
#[derive(Debug, Clone, Default)]
pub struct FaultyEngine(Switch<EngineFault>);

impl FaultyEngine {
    /// Hardware that `fault` spoils.
    pub const fn new(fault: Switch<EngineFault>) -> Self {
        Self(fault)
    }

    fn answer(&self, faulty: EngineFault) -> Result<(), Error> {
        match self.0.get() {
            Some(EngineFault::Fails) => Err(Error::Hardware),
            Some(fault) if fault == faulty => Ok(()),
            _ => Err(Error::Unsupported),
        }
    }
}

impl Cipher for FaultyEngine {
    fn ecb(&self, _: Direction, _: &[u8], _: &mut [u8]) -> Result<(), Error> {
        self.answer(EngineFault::AesDoesNothing)
    }
}

impl Hash for FaultyEngine {
    fn digest(&self, _: HashAlgorithm, _: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        self.answer(EngineFault::HashIsConstant)?;
        output.fill(0x77);
        Ok(())
    }
}

impl Random for FaultyEngine {}
impl Mac for FaultyEngine {}
impl Aead for FaultyEngine {}
impl EllipticCurve for FaultyEngine {}
impl Curve25519 for FaultyEngine {}
impl Rsa for FaultyEngine {}
impl MlDsa for FaultyEngine {}
impl MlKem for FaultyEngine {}

/// How a server's transport misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// Every request is delivered a second time.
    Repeats,
    /// Requests lose their end: so many bytes remain.
    Truncates(usize),
    /// Requests are as long as announced, and every byte of them is this one.
    Garbage(u8),
    /// It claims to have delivered so many bytes, whatever the buffer holds.
    Claims(usize),
    /// Responses are never taken.
    NeverSends,
    /// Responses are taken and lost.
    LosesResponses,
    /// The other end is gone.
    Closes,
    /// Requests of an impossible length.
    BadLength,
}

/// A server's transport that misbehaves when its switch says so.
#[derive(Debug)]
pub struct FaultyLink<T> {
    inner: T,
    fault: Switch<LinkFault>,
    repeat: Option<Vec<u8>>,
}

impl<T> FaultyLink<T> {
    /// `inner`, which `fault` spoils.
    pub const fn new(inner: T, fault: Switch<LinkFault>) -> Self {
        Self { inner, fault, repeat: None }
    }
}

impl<T: ServerTransport> ServerTransport for FaultyLink<T> {
    type Error = T::Error;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<T::Error>> {
        if let Some(packet) = self.repeat.take() {
            buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(&packet);
            return Ok(packet.len());
        }
        if self.fault.get() == Some(LinkFault::Closes) {
            return Err(TransportError::Closed);
        }
        let length = self.inner.receive(buffer)?;
        match self.fault.get() {
            Some(LinkFault::Repeats) => self.repeat = buffer.get(..length).map(<[u8]>::to_vec),
            Some(LinkFault::Truncates(remaining)) => return Ok(remaining.min(length)),
            Some(LinkFault::Garbage(value)) => buffer[..length].fill(value),
            Some(LinkFault::Claims(claimed)) => return Ok(claimed),
            Some(LinkFault::BadLength) => return Err(TransportError::BadLength),
            _ => {}
        }
        Ok(length)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<T::Error>> {
        match self.fault.get() {
            Some(LinkFault::NeverSends) => Err(TransportError::NotReady),
            Some(LinkFault::LosesResponses) => Ok(()),
            _ => self.inner.send(packet),
        }
    }
}
