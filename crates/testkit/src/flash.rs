//! Flash that loses power, or fails, at a chosen operation.

use crate::random::SplitMix64;
use casemate_nvm::Flash;
use core::fmt;
use core::ops::Range;
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// What a write or an erase does to the flash when it is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Everything; only the caller does not learn of it.
    Complete,
    /// Only the first bytes are written or erased. A number larger than the size means all.
    First(usize),
    /// Only the last bytes are written or erased. A number larger than the size means all.
    Last(usize),
    /// Of every bit that should change, a random half does. The seed makes it repeatable.
    Garbage(u64),
}

/// Why an operation on a [`PowerCutFlash`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerCutError {
    /// The power is off.
    Off,
    /// This operation was meant to fail.
    Injected,
    /// The range does not lie inside the flash.
    OutOfBounds,
    /// Offset or size is not a multiple of the unit.
    NotAligned,
    /// A byte to be written is not erased.
    NotBlank,
}

impl fmt::Display for PowerCutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "the simulated power is off",
            Self::Injected => "the simulated flash failed as told",
            Self::OutOfBounds => "the range does not lie inside the flash",
            Self::NotAligned => "offset or size is not a multiple of the flash's unit",
            Self::NotBlank => "a byte to be written is not erased",
        })
    }
}

impl core::error::Error for PowerCutError {}

impl NorFlashError for PowerCutError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::Off | Self::Injected | Self::NotBlank => NorFlashErrorKind::Other,
        }
    }
}

/// What a [`PowerCutFlash`] has been asked to do, for estimates of wear. Interrupted operations count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Write calls in the first and the second half.
    pub programs: [u64; 2],
    /// Bytes written in the first and the second half.
    pub programmed_bytes: [u64; 2],
    /// Erase calls in the first and the second half.
    pub erases: [u64; 2],
    /// Commit calls.
    pub commits: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    operation: u64,
    effect: Effect,
    power: bool,
}

#[derive(Debug, Clone)]
struct Change {
    offset: usize,
    bytes: Vec<u8>,
}

/// NOR flash in RAM that loses power or fails at a chosen write or erase, and counts them.
///
/// A write is refused unless all its bytes are erased. With a [write cache](Self::with_write_cache), writes and erases
/// since the last [`Flash::commit`] may get lost, each on its own, when the power fails, as those to a file may.
#[derive(Debug, Clone)]
pub struct PowerCutFlash<const WRITE: usize = 8, const ERASE: usize = 64> {
    memory: Vec<u8>,
    erased_byte: u8,
    fault: Option<Fault>,
    operations: u64,
    off: bool,
    statistics: Statistics,
    cache: Option<Cache>,
}

#[derive(Debug, Clone)]
struct Cache {
    durable: Vec<u8>,
    pending: Vec<Change>,
    random: SplitMix64,
}

impl<const WRITE: usize, const ERASE: usize> PowerCutFlash<WRITE, ERASE> {
    /// Erased flash of `size` bytes.
    pub fn new(size: usize, erased_byte: u8) -> Self {
        Self::from_image(vec![erased_byte; size], erased_byte)
    }

    /// Flash that holds `image`.
    pub fn from_image(image: Vec<u8>, erased_byte: u8) -> Self {
        Self {
            memory: image,
            erased_byte,
            fault: None,
            operations: 0,
            off: false,
            statistics: Statistics::default(),
            cache: None,
        }
    }

    /// The same, with a cache: when the power fails, every write and erase since the last commit is lost with a
    /// probability of one half. The seed makes it repeatable.
    #[must_use]
    pub fn with_write_cache(mut self, seed: u64) -> Self {
        self.cache =
            Some(Cache { durable: self.memory.clone(), pending: Vec::new(), random: SplitMix64(seed) });
        self
    }

    /// Cuts the power at the write or erase number `operation`, counted from 0 from now on. All later operations
    /// fail, until [`reboot`](Self::reboot).
    pub fn cut_power_at(&mut self, operation: u64, effect: Effect) {
        self.operations = 0;
        self.fault = Some(Fault { operation, effect, power: true });
    }

    /// Lets the write or erase number `operation` fail, counted from 0 from now on. Later ones work.
    pub fn fail_at(&mut self, operation: u64, effect: Effect) {
        self.operations = 0;
        self.fault = Some(Fault { operation, effect, power: false });
    }

    /// Whether the power is off.
    pub const fn is_off(&self) -> bool {
        self.off
    }

    /// Switches the power on again. A fault that has not come to pass is forgotten.
    pub fn reboot(&mut self) {
        self.off = false;
        self.fault = None;
        self.operations = 0;
        if let Some(cache) = &mut self.cache {
            cache.pending.clear();
            cache.durable.clone_from(&self.memory);
        }
    }

    /// Writes and erases since the last fault was set or the last reboot.
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// What has been asked of the flash since it was made.
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// The content; after a power cut, what the next boot will find.
    pub fn image(&self) -> &[u8] {
        &self.memory
    }

    fn range(&self, offset: u32, length: usize, unit: usize) -> Result<Range<usize>, PowerCutError> {
        if self.off {
            return Err(PowerCutError::Off);
        }
        let start = offset as usize;
        let end = start.checked_add(length).filter(|&end| end <= self.memory.len());
        let range = start..end.ok_or(PowerCutError::OutOfBounds)?;
        if !start.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            return Err(PowerCutError::NotAligned);
        }
        Ok(range)
    }

    /// Replaces the bytes of `range`, unless something is to go wrong now.
    fn change(&mut self, range: Range<usize>, bytes: &[u8]) -> Result<(), PowerCutError> {
        let number = self.operations;
        self.operations += 1;
        let fault = self.fault.filter(|fault| fault.operation == number);
        let old = &self.memory[range.clone()];
        let new = match fault {
            None => bytes.to_vec(),
            Some(fault) => interrupted(old, bytes, fault.effect),
        };
        self.memory[range.clone()].copy_from_slice(&new);
        if let Some(cache) = &mut self.cache {
            cache.pending.push(Change { offset: range.start, bytes: new });
        }
        match fault {
            None => Ok(()),
            Some(Fault { power: false, .. }) => Err(PowerCutError::Injected),
            Some(Fault { power: true, .. }) => {
                self.off = true;
                if let Some(cache) = &mut self.cache {
                    for change in cache.pending.drain(..) {
                        if cache.random.next() & 1 == 0 {
                            let end = change.offset + change.bytes.len();
                            cache.durable[change.offset..end].copy_from_slice(&change.bytes);
                        }
                    }
                    self.memory.clone_from(&cache.durable);
                }
                Err(PowerCutError::Off)
            }
        }
    }

    fn half(&self, offset: u32) -> usize {
        usize::from(offset as usize >= self.memory.len() / 2)
    }
}

/// What the flash holds after an interrupted change from `old` to `new`.
fn interrupted(old: &[u8], new: &[u8], effect: Effect) -> Vec<u8> {
    let length = new.len();
    let mix = |done: &mut dyn FnMut(usize) -> u8| -> Vec<u8> {
        let pairs = old.iter().zip(new).enumerate();
        pairs
            .map(|(index, (&old, &new))| {
                let mask = done(index);
                new & mask | old & !mask
            })
            .collect()
    };
    let all = |yes: bool| if yes { 0xFF } else { 0 };
    match effect {
        Effect::None => old.to_vec(),
        Effect::Complete => new.to_vec(),
        Effect::First(count) => mix(&mut |index| all(index < count)),
        Effect::Last(count) => mix(&mut |index| all(index + count >= length)),
        Effect::Garbage(seed) => {
            let mut random = SplitMix64(seed);
            mix(&mut |_| random.next().to_le_bytes()[7])
        }
    }
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for PowerCutFlash<WRITE, ERASE> {
    type Error = PowerCutError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for PowerCutFlash<WRITE, ERASE> {
    /// As coarse as programming, so that a store which reads carelessly is found out.
    const READ_SIZE: usize = WRITE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerCutError> {
        let range = self.range(offset, bytes.len(), WRITE)?;
        bytes.copy_from_slice(&self.memory[range]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for PowerCutFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerCutError> {
        let length = to.checked_sub(from).ok_or(PowerCutError::OutOfBounds)?;
        let range = self.range(from, length as usize, ERASE)?;
        self.statistics.erases[self.half(from)] += 1;
        let blank = vec![self.erased_byte; range.len()];
        self.change(range, &blank)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerCutError> {
        let range = self.range(offset, bytes.len(), WRITE)?;
        if self.memory[range.clone()].iter().any(|&byte| byte != self.erased_byte) {
            return Err(PowerCutError::NotBlank);
        }
        let half = self.half(offset);
        self.statistics.programs[half] += 1;
        self.statistics.programmed_bytes[half] += bytes.len() as u64;
        self.change(range, bytes)
    }
}

impl<const WRITE: usize, const ERASE: usize> Flash for PowerCutFlash<WRITE, ERASE> {
    fn erased_byte(&self) -> u8 {
        self.erased_byte
    }

    fn commit(&mut self) -> Result<(), PowerCutError> {
        if self.off {
            return Err(PowerCutError::Off);
        }
        self.statistics.commits += 1;
        if let Some(cache) = &mut self.cache {
            cache.pending.clear();
            cache.durable.clone_from(&self.memory);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_of_a_cut_write() {
        for (effect, expected) in [
            (Effect::None, [0xFF; 8]),
            (Effect::Complete, [1, 2, 3, 4, 5, 6, 7, 8]),
            (Effect::First(3), [1, 2, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            (Effect::Last(2), [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 7, 8]),
        ] {
            let mut flash = PowerCutFlash::<8, 16>::new(32, 0xFF);
            flash.cut_power_at(1, effect);
            flash.write(24, &[0; 8]).unwrap();
            assert_eq!(flash.write(8, &[1, 2, 3, 4, 5, 6, 7, 8]), Err(PowerCutError::Off));
            assert_eq!(flash.write(0, &[0; 8]), Err(PowerCutError::Off));
            assert_eq!(flash.read(0, &mut [0; 8]), Err(PowerCutError::Off));
            flash.reboot();
            let mut bytes = [0; 8];
            flash.read(8, &mut bytes).unwrap();
            assert_eq!(bytes, expected);
            assert_eq!(flash.statistics().programs, [1, 1]);
        }
    }

    #[test]
    fn garbage_changes_some_bits_only() {
        let mut flash = PowerCutFlash::<8, 16>::from_image(vec![0; 32], 0xFF);
        flash.fail_at(0, Effect::Garbage(1));
        assert_eq!(flash.erase(0, 16), Err(PowerCutError::Injected));
        let changed: u32 = flash.image().iter().map(|byte| byte.count_ones()).sum();
        assert!((1..128).contains(&changed), "{changed}");
        flash.erase(0, 16).unwrap();
        assert_eq!(flash.image()[..16], [0xFF; 16]);
    }

    #[test]
    fn a_commit_makes_durable_what_the_cache_may_lose() {
        let mut lost = 0;
        for seed in 0..32 {
            let mut flash = PowerCutFlash::<8, 16>::new(32, 0xFF).with_write_cache(seed);
            flash.write(0, &[1; 8]).unwrap();
            flash.commit().unwrap();
            flash.cut_power_at(1, Effect::None);
            flash.write(8, &[2; 8]).unwrap();
            assert!(flash.write(16, &[3; 8]).is_err());
            flash.reboot();
            assert_eq!(flash.image()[..8], [1; 8]);
            lost += usize::from(flash.image()[8] == 0xFF);
        }
        assert!((1..32).contains(&lost), "{lost}");
    }
}
