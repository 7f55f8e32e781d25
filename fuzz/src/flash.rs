//! Simulated flash that a store and the one who torments it hold at the same time.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use arbitrary::Arbitrary;
use casemate_nvm::Flash;
use casemate_testkit::flash::{Effect, PowerCutError, PowerCutFlash};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

/// Why an operation on the flash failed.
pub type Fault = PowerCutError;

/// When an operation fails, and what then stands in its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub struct Interruption {
    /// The number of writes and erases that still succeed.
    after: u8,
    damage: Damage,
    /// Whether the power is off from then on; otherwise later operations work.
    power: bool,
}

/// [`Effect`], with sizes in the range where they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Damage {
    None,
    Complete,
    First(u8),
    Last(u8),
    Garbage(u64),
}

impl Damage {
    fn effect(self) -> Effect {
        match self {
            Self::None => Effect::None,
            Self::Complete => Effect::Complete,
            Self::First(count) => Effect::First(usize::from(count)),
            Self::Last(count) => Effect::Last(usize::from(count)),
            Self::Garbage(seed) => Effect::Garbage(seed),
        }
    }
}

/// A handle of simulated flash with a unit of programming of `UNIT` bytes. Clones are handles of the same flash.
#[derive(Debug, Clone)]
pub struct SharedFlash<const UNIT: usize> {
    flash: Rc<RefCell<PowerCutFlash<UNIT>>>,
    /// Number of the operation that is to fail, while one is.
    planned: Rc<RefCell<Option<u64>>>,
}

impl<const UNIT: usize> SharedFlash<UNIT> {
    /// Flash that holds `bytes`. With a seed for a cache, a power cut may lose what was not yet committed.
    pub fn new(bytes: Vec<u8>, erased_byte: u8, cache: Option<u64>) -> Self {
        let mut flash = PowerCutFlash::from_image(bytes, erased_byte);
        if let Some(seed) = cache {
            flash = flash.with_write_cache(seed);
        }
        Self { flash: Rc::new(RefCell::new(flash)), planned: Rc::default() }
    }

    fn flash(&self) -> RefMut<'_, PowerCutFlash<UNIT>> {
        self.flash.borrow_mut()
    }

    /// A copy of the content.
    pub fn bytes(&self) -> Vec<u8> {
        self.flash().image().to_vec()
    }

    /// Makes one of the next operations fail.
    pub fn interrupt(&self, interruption: Interruption) {
        let Interruption { after, damage, power } = interruption;
        if power {
            self.flash().cut_power_at(u64::from(after), damage.effect());
        } else {
            self.flash().fail_at(u64::from(after), damage.effect());
        }
        *self.planned.borrow_mut() = Some(u64::from(after));
    }

    /// Whether the operation that was to fail has failed, since the last reboot.
    pub fn interrupted(&self) -> bool {
        self.planned.borrow().is_some_and(|operation| self.flash().operations() > operation)
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.flash().is_off()
    }

    /// Switches the power on and forgets what was to fail.
    pub fn reboot(&self) {
        self.flash().reboot();
        *self.planned.borrow_mut() = None;
    }
}

impl<const UNIT: usize> ErrorType for SharedFlash<UNIT> {
    type Error = Fault;
}

impl<const UNIT: usize> ReadNorFlash for SharedFlash<UNIT> {
    const READ_SIZE: usize = PowerCutFlash::<UNIT>::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        self.flash().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash().capacity()
    }
}

impl<const UNIT: usize> NorFlash for SharedFlash<UNIT> {
    const WRITE_SIZE: usize = UNIT;
    const ERASE_SIZE: usize = PowerCutFlash::<UNIT>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Fault> {
        self.flash().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.flash().write(offset, bytes)
    }
}

impl<const UNIT: usize> Flash for SharedFlash<UNIT> {
    fn erased_byte(&self) -> u8 {
        self.flash().erased_byte()
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.flash().commit()
    }
}
