//! The HSM module's registers as software, for emulation and tests. It follows `registers.rs`, not the silicon.

use crate::data_flash::{ERASED, PAGE_SIZE, SECTOR_SIZE};
use crate::registers::{
    CLEAR_STATUS, DECRYPT, ENCRYPT, ERASE_SECTOR, FAULT, HELD, PAGE_MODE, READY, RELEASE, RESET, RESTARTED,
    Register, Registers, WRITE_PAGE,
};
use casemate_crypto::{Cipher, Direction, NoRandom, Software};
use core::cell::{Cell, RefCell};
use zeroize::Zeroize;

/// Where the model takes its noise from, and whom it tells of what happens.
pub trait Surroundings {
    /// Fresh noise; `None` if there is none, which the generator then reports as its fault.
    fn noise(&self) -> Option<u32>;

    /// The bells of these clients were rung, one bit each: an application core would now be interrupted.
    fn rung(&self, clients: u32) {
        let _ = clients;
    }

    /// The application cores were released, or reset and held.
    fn hosts(&self, running: bool) {
        let _ = running;
    }
}

/// The content of the data flash, with the state of its error correction.
#[derive(Debug)]
pub struct FlashCells<'a> {
    bytes: &'a mut [u8],
    /// One bit for each page that cannot be read, the first page's in bit 0 of the first byte.
    unreadable: &'a mut [u8],
}

impl<'a> FlashCells<'a> {
    /// Flash with this content; erased bytes are 0. `unreadable` has a bit for each page, so an eighth of a page for each
    /// byte; a page without one is not there.
    pub const fn new(bytes: &'a mut [u8], unreadable: &'a mut [u8]) -> Self {
        Self { bytes, unreadable }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        let marked = self.unreadable.len().saturating_mul(PAGES_PER_MARK * PAGE_SIZE);
        if marked < self.bytes.len() { marked } else { self.bytes.len() }
    }

    /// A page; `None` if it lies outside or cannot be read.
    #[must_use]
    #[inline]
    pub fn page(&self, offset: usize) -> Option<[u8; PAGE_SIZE]> {
        let (at, bit) = mark(offset);
        if self.unreadable.get(at)? & bit != 0 {
            return None;
        }
        self.bytes.get(offset..)?.first_chunk().copied()
    }

    /// Makes a page unreadable.
    pub fn spoil(&mut self, offset: usize) {
        let (at, bit) = mark(offset);
        if let Some(marks) = self.unreadable.get_mut(at) {
            *marks |= bit;
        }
    }

    /// Programs a page; `None` if it lies outside or is not erased, and is then not touched: on silicon, its error
    /// correction code would be spoiled.
    fn program(&mut self, offset: usize, page: [u8; PAGE_SIZE]) -> Option<()> {
        if self.page(offset)? != [ERASED; PAGE_SIZE] {
            return None;
        }
        *self.bytes.get_mut(offset..)?.first_chunk_mut()? = page;
        Some(())
    }

    /// Erases the sector at `offset`.
    fn erase(&mut self, offset: usize) -> Option<()> {
        let end = offset.checked_add(SECTOR_SIZE)?;
        self.bytes.get_mut(offset..end)?.fill(ERASED);
        let first = offset / (PAGES_PER_MARK * PAGE_SIZE);
        let last = end / (PAGES_PER_MARK * PAGE_SIZE);
        self.unreadable.get_mut(first..last)?.fill(0);
        Some(())
    }
}

/// Pages whose marks share a byte.
const PAGES_PER_MARK: usize = 8;

/// Where the mark of the page at `offset` is: byte, bit.
const fn mark(offset: usize) -> (usize, u8) {
    let page = offset / PAGE_SIZE;
    #[expect(clippy::cast_possible_truncation, reason = "it is below 8")]
    let bit = 1_u8.wrapping_shl((page % PAGES_PER_MARK) as u32);
    (page / PAGES_PER_MARK, bit)
}

/// The module in software. Each operation is finished before its register write returns, so nothing is ever busy.
pub struct Model<'a, S> {
    surroundings: S,
    applications: &'a [u8],
    data_flash: RefCell<FlashCells<'a>>,
    key: RefCell<[u8; 16]>,
    block: RefCell<[u8; 16]>,
    page: RefCell<[u8; PAGE_SIZE]>,
    page_mode: Cell<bool>,
    flash_address: Cell<u32>,
    flash_fault: Cell<bool>,
    /// Writes and erasures until the power fails, if it is to fail.
    operations_left: Cell<Option<u32>>,
    is_off: Cell<bool>,
    aes_fault: Cell<bool>,
    bells: Cell<u32>,
    held: Cell<bool>,
    restarted: Cell<bool>,
}

impl<'a, S: Surroundings> Model<'a, S> {
    /// A module after reset: application cores are held.
    pub const fn new(surroundings: S, data_flash: FlashCells<'a>) -> Self {
        Self {
            surroundings,
            applications: &[],
            data_flash: RefCell::new(data_flash),
            key: RefCell::new([0; 16]),
            block: RefCell::new([0; 16]),
            page: RefCell::new([0; PAGE_SIZE]),
            page_mode: Cell::new(false),
            flash_address: Cell::new(0),
            flash_fault: Cell::new(false),
            operations_left: Cell::new(None),
            is_off: Cell::new(false),
            aes_fault: Cell::new(false),
            bells: Cell::new(0),
            held: Cell::new(true),
            restarted: Cell::new(false),
        }
    }

    /// The module with this flash of the application cores; without, there is none.
    #[must_use]
    pub const fn with_applications(mut self, flash: &'a [u8]) -> Self {
        self.applications = flash;
        self
    }

    /// Rings bells, as application cores do: one bit for each client.
    pub fn ring(&self, clients: u32) {
        self.bells.set(self.bells.get() | clients);
    }

    /// Lets the power fail during the flash operation after `operations` more: what that one works on can no longer be
    /// read, and nothing works on the flash after it.
    pub fn cut_power_after(&self, operations: u32) {
        self.operations_left.set(Some(operations));
    }

    /// Switches the power of the data flash on again after [`cut_power_after`](Self::cut_power_after).
    pub fn restore_power(&self) {
        self.operations_left.set(None);
        self.is_off.set(false);
        self.flash_fault.set(false);
        self.page_mode.set(false);
    }

    /// Begins an operation on the flash; `None` if the power is off, otherwise whether it fails meanwhile.
    fn powered(&self) -> Option<bool> {
        if self.is_off.get() {
            return None;
        }
        let left = self.operations_left.get();
        let cut = left == Some(0);
        self.is_off.set(cut);
        self.operations_left.set(left.and_then(|left| left.checked_sub(1)));
        Some(cut)
    }

    /// The application cores reset by themselves.
    pub fn restart_hosts(&self) {
        self.restarted.set(true);
    }

    /// What the model was made with.
    pub const fn surroundings(&self) -> &S {
        &self.surroundings
    }

    fn turn(&self, command: u32) {
        let direction = match command {
            ENCRYPT => Direction::Encrypt,
            DECRYPT => Direction::Decrypt,
            _ => return self.aes_fault.set(true),
        };
        let done = Software::new(NoRandom).ecb(direction, &*self.key.borrow(), &mut *self.block.borrow_mut());
        self.aes_fault.set(done.is_err());
    }

    fn flash(&self, command: u32) {
        let done = match command {
            CLEAR_STATUS => {
                self.flash_fault.set(false);
                return;
            }
            PAGE_MODE => {
                self.page_mode.set(true);
                Some(())
            }
            WRITE_PAGE => self.write_page(),
            ERASE_SECTOR => self.erase_sector(),
            _ => None,
        };
        if done.is_none() {
            self.flash_fault.set(true);
        }
    }

    fn write_page(&self) -> Option<()> {
        let offset = self.aligned(PAGE_SIZE)?;
        if !self.page_mode.replace(false) {
            return None;
        }
        let cut = self.powered()?;
        let mut flash = self.data_flash.borrow_mut();
        flash.program(offset, *self.page.borrow())?;
        if cut {
            flash.spoil(offset);
        }
        (!cut).then_some(())
    }

    fn erase_sector(&self) -> Option<()> {
        let offset = self.aligned(SECTOR_SIZE)?;
        let cut = self.powered()?;
        let mut flash = self.data_flash.borrow_mut();
        flash.erase(offset)?;
        if cut {
            (offset..).step_by(PAGE_SIZE).take(SECTOR_SIZE / PAGE_SIZE).for_each(|page| flash.spoil(page));
        }
        (!cut).then_some(())
    }

    fn aligned(&self, unit: usize) -> Option<usize> {
        usize::try_from(self.flash_address.get()).ok().filter(|offset| offset.is_multiple_of(unit))
    }
}

/// Which 4 bytes of a key, block or page a register holds.
fn part(bytes: &mut [u8], index: usize) -> Option<&mut [u8; 4]> {
    bytes.as_chunks_mut().0.get_mut(index)
}

fn set(bytes: &mut [u8], index: usize, value: u32) {
    if let Some(part) = part(bytes, index) {
        *part = value.to_le_bytes();
    }
}

impl<S: Surroundings> Registers for Model<'_, S> {
    fn read(&self, register: Register) -> u32 {
        let data =
            |index| part(&mut *self.block.borrow_mut(), index).map_or(0, |part| u32::from_le_bytes(*part));
        let fault = |fault: &Cell<bool>| if fault.get() { FAULT } else { 0 };
        match register {
            // Noise is drawn when it is read: that there is none shows in the data then, which are all zero.
            Register::TrngStatus => READY,
            Register::TrngData => self.surroundings.noise().unwrap_or(0),
            Register::AesData0 => data(0),
            Register::AesData1 => data(1),
            Register::AesData2 => data(2),
            Register::AesData3 => data(3),
            Register::AesStatus => fault(&self.aes_fault),
            Register::FlashStatus => fault(&self.flash_fault),
            Register::BellIn => self.bells.get(),
            Register::HostControl => {
                let held = if self.held.get() { HELD } else { 0 };
                let restarted = if self.restarted.get() { RESTARTED } else { 0 };
                held | restarted
            }
            _ => 0,
        }
    }

    fn write(&self, register: Register, value: u32) {
        let key = |index| set(&mut *self.key.borrow_mut(), index, value);
        let data = |index| set(&mut *self.block.borrow_mut(), index, value);
        match register {
            Register::AesControl => self.turn(value),
            Register::AesKey0 => key(0),
            Register::AesKey1 => key(1),
            Register::AesKey2 => key(2),
            Register::AesKey3 => key(3),
            Register::AesData0 => data(0),
            Register::AesData1 => data(1),
            Register::AesData2 => data(2),
            Register::AesData3 => data(3),
            Register::FlashCommand => self.flash(value),
            Register::FlashAddress => self.flash_address.set(value),
            Register::FlashPage0 => set(&mut *self.page.borrow_mut(), 0, value),
            Register::FlashPage1 => set(&mut *self.page.borrow_mut(), 1, value),
            Register::BellIn => self.bells.set(self.bells.get() & !value),
            Register::BellOut => self.surroundings.rung(value),
            Register::HostControl if value == RELEASE => {
                self.held.set(false);
                self.surroundings.hosts(true);
            }
            Register::HostControl if value == RESET => {
                self.held.set(true);
                self.surroundings.hosts(false);
            }
            Register::HostControl if value == RESTARTED => self.restarted.set(false),
            _ => {}
        }
    }

    fn data_flash_length(&self) -> usize {
        self.data_flash.borrow().length()
    }

    fn read_data_flash(&self, offset: usize) -> Option<[u8; PAGE_SIZE]> {
        self.data_flash.borrow().page(offset)
    }

    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
        let from = self.applications.get(offset..).and_then(|rest| rest.get(..out.len()));
        from.map(|bytes| out.copy_from_slice(bytes)).is_some()
    }
}

impl<S> Drop for Model<'_, S> {
    fn drop(&mut self) {
        self.key.borrow_mut().zeroize();
        self.block.borrow_mut().zeroize();
    }
}

impl<S> core::fmt::Debug for Model<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model").field("held", &self.held.get()).finish_non_exhaustive()
    }
}
