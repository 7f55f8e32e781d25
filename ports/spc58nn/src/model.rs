//! The HSM module's registers as software, for emulation and tests. It follows `registers.rs`, not the silicon.

use crate::data_flash::{BLOCK_SIZE, DOUBLE_WORD, ERASED, PAGE_SIZE};
use crate::registers::{
    DECRYPT, DONE, ENCRYPT, ERASE, FAULT, GOOD, HIGH_VOLTAGE, PROGRAM, READY, Register, Registers,
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

    /// These application cores are held in reset now, one bit each; the others run.
    fn held(&self, cores: u32) {
        let _ = cores;
    }
}

/// Marks flash that was erased before: memory that was never anything has another value there.
const MADE: u32 = 0x5B58_F1A5;

/// The content of the data flash, with the state of its error correction: `BLOCKS` blocks.
///
/// All its bits may be anything at first, as those of memory that nobody has initialized; [`start`](Self::start) then
/// erases it as a new device is.
#[derive(Debug, Clone)]
pub struct FlashArray<const BLOCKS: usize> {
    made: u32,
    bytes: [[u8; BLOCK_SIZE]; BLOCKS],
    /// One bit for each double word that cannot be read.
    unreadable: [[u8; BLOCK_SIZE / 64]; BLOCKS],
}

impl<const BLOCKS: usize> FlashArray<BLOCKS> {
    /// All zeros: for a static.
    pub const fn new() -> Self {
        Self { made: 0, bytes: [[0; BLOCK_SIZE]; BLOCKS], unreadable: [[0; BLOCK_SIZE / 64]; BLOCKS] }
    }

    /// Keeps what an earlier start has left, or erases everything if there was none.
    pub fn start(&mut self) -> &mut Self {
        if self.made != MADE {
            for block in 0..BLOCKS {
                self.erase(block);
            }
            self.made = MADE;
        }
        self
    }

    /// The same; what was erased now is then programmed with `content`, as by a tool that leaves out what is erased.
    pub fn start_with(&mut self, content: &[u8]) -> &mut Self {
        let is_new = self.made != MADE;
        self.start();
        if is_new {
            for (word, offset) in content.as_chunks::<DOUBLE_WORD>().0.iter().zip((0..).step_by(DOUBLE_WORD))
            {
                if *word != [ERASED; DOUBLE_WORD] {
                    self.program(offset, *word);
                }
            }
        }
        self
    }
}

impl<const BLOCKS: usize> Default for FlashArray<BLOCKS> {
    fn default() -> Self {
        Self::new()
    }
}

/// What the model needs of [`FlashArray`], whatever its size.
pub trait FlashCells {
    /// Length in bytes.
    fn length(&self) -> usize;

    /// A double word; `None` if it lies outside or cannot be read.
    fn get(&self, offset: usize) -> Option<[u8; DOUBLE_WORD]>;

    /// Clears the bits that `word` has clear; false if it lies outside or was not erased, and then it cannot be read any
    /// more.
    fn program(&mut self, offset: usize, word: [u8; DOUBLE_WORD]) -> bool;

    /// Makes a double word unreadable.
    fn spoil(&mut self, offset: usize);

    /// Erases the block of this number.
    fn erase(&mut self, block: usize);
}

/// Block, offset within it.
const fn place(offset: usize) -> (usize, usize) {
    (offset / BLOCK_SIZE, offset % BLOCK_SIZE)
}

impl<const BLOCKS: usize> FlashCells for FlashArray<BLOCKS> {
    fn length(&self) -> usize {
        self.bytes.len().saturating_mul(BLOCK_SIZE)
    }

    fn get(&self, offset: usize) -> Option<[u8; DOUBLE_WORD]> {
        let (block, at) = place(offset);
        let mark = self.unreadable.get(block)?.get(at / 64)?;
        if mark & mask(at) != 0 {
            return None;
        }
        self.bytes.get(block)?.get(at..)?.first_chunk().copied()
    }

    fn program(&mut self, offset: usize, word: [u8; DOUBLE_WORD]) -> bool {
        let was_erased = self.get(offset) == Some([ERASED; DOUBLE_WORD]);
        let (block, at) = place(offset);
        let Some(cells) = self.bytes.get_mut(block).and_then(|block| block.get_mut(at..)?.first_chunk_mut())
        else {
            return false;
        };
        let cells: &mut [u8; DOUBLE_WORD] = cells;
        cells.iter_mut().zip(word).for_each(|(cell, bits)| *cell &= bits);
        if !was_erased {
            self.spoil(offset);
        }
        was_erased
    }

    fn spoil(&mut self, offset: usize) {
        let (block, at) = place(offset);
        if let Some(mark) = self.unreadable.get_mut(block).and_then(|block| block.get_mut(at / 64)) {
            *mark |= mask(at);
        }
    }

    fn erase(&mut self, block: usize) {
        if let Some(bytes) = self.bytes.get_mut(block) {
            bytes.fill(ERASED);
        }
        if let Some(marks) = self.unreadable.get_mut(block) {
            marks.fill(0);
        }
    }
}

/// The bit of a double word in its byte of marks.
const fn mask(at: usize) -> u8 {
    match (at / DOUBLE_WORD) & 7 {
        0 => 1,
        1 => 1 << 1,
        2 => 1 << 2,
        3 => 1 << 3,
        4 => 1 << 4,
        5 => 1 << 5,
        6 => 1 << 6,
        _ => 1 << 7,
    }
}

/// A sequence of the flash that is being set up.
struct Sequence {
    setup: u32,
    /// The page of a program sequence, or an address in a block to be erased.
    page: Option<usize>,
    data: [u8; PAGE_SIZE],
    /// Which bytes of `data` were written.
    written: [bool; PAGE_SIZE],
    good: bool,
}

impl Sequence {
    const fn new(setup: u32) -> Self {
        Self { setup, page: None, data: [0; PAGE_SIZE], written: [false; PAGE_SIZE], good: false }
    }
}

/// The module in software. Each operation is finished before its register write returns, so nothing is ever busy.
pub struct Model<'a, S> {
    surroundings: S,
    applications: &'a [u8],
    flash: RefCell<&'a mut (dyn FlashCells + Send)>,
    sequence: RefCell<Sequence>,
    control: Cell<u32>,
    locked: Cell<u32>,
    selected: Cell<u32>,
    key: RefCell<[u8; 16]>,
    block: RefCell<[u8; 16]>,
    aes_fault: Cell<bool>,
    noise: Cell<Option<u32>>,
    bells: Cell<u32>,
    held: Cell<u32>,
    restarted: Cell<u32>,
    /// Flash operations until the power fails, if it is to fail.
    operations_left: Cell<Option<u32>>,
    is_off: Cell<bool>,
}

impl<'a, S: Surroundings> Model<'a, S> {
    /// A module after reset: application cores are held.
    pub const fn new(surroundings: S, flash: &'a mut (dyn FlashCells + Send)) -> Self {
        Self {
            surroundings,
            applications: &[],
            flash: RefCell::new(flash),
            sequence: RefCell::new(Sequence::new(0)),
            control: Cell::new(0),
            locked: Cell::new(u32::MAX),
            selected: Cell::new(0),
            key: RefCell::new([0; 16]),
            block: RefCell::new([0; 16]),
            aes_fault: Cell::new(false),
            noise: Cell::new(None),
            bells: Cell::new(0),
            held: Cell::new(u32::MAX),
            restarted: Cell::new(0),
            operations_left: Cell::new(None),
            is_off: Cell::new(false),
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

    /// Lets application cores reset by themselves, one bit for each.
    pub fn restart_hosts(&self, cores: u32) {
        self.restarted.set(self.restarted.get() | cores);
    }

    /// Lets the power fail during the flash operation after `operations` more: what that one works on can no longer be
    /// read, and nothing works on the flash after it.
    pub fn cut_power_after(&self, operations: u32) {
        self.operations_left.set(Some(operations));
    }

    /// Switches the power on again after [`cut_power_after`](Self::cut_power_after): the flash works as before.
    pub fn restore_power(&self) {
        self.operations_left.set(None);
        self.is_off.set(false);
    }

    /// Everything but the flash's content as after power on.
    pub fn reset(&self) {
        self.restore_power();
        self.control(0);
        self.locked.set(u32::MAX);
        self.selected.set(0);
        self.key.borrow_mut().zeroize();
        self.block.borrow_mut().zeroize();
        self.aes_fault.set(false);
        self.noise.set(None);
        self.bells.set(0);
        self.held.set(u32::MAX);
        self.restarted.set(0);
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

    fn control(&self, value: u32) {
        let mut sequence = self.sequence.borrow_mut();
        let setup = value & (PROGRAM | ERASE);
        if setup != sequence.setup {
            *sequence = Sequence::new(setup);
        }
        let starts = value & HIGH_VOLTAGE != 0 && self.control.get() & HIGH_VOLTAGE == 0;
        self.control.set(value & (PROGRAM | ERASE | HIGH_VOLTAGE));
        if starts {
            sequence.good = self.operate(&sequence);
        }
    }

    /// Runs a sequence; false if it is none, is refused, or the power fails.
    fn operate(&self, sequence: &Sequence) -> bool {
        let Some(page) = sequence.page else { return false };
        if self.is_off.get() {
            return false;
        }
        let cut = self.operations_left.get() == Some(0);
        self.is_off.set(cut);
        self.operations_left.set(self.operations_left.get().and_then(|left| left.checked_sub(1)));
        let mut flash = self.flash.borrow_mut();
        let good = match sequence.setup {
            PROGRAM => self.program(&mut **flash, page, sequence, cut),
            ERASE => self.erase(&mut **flash, cut),
            _ => false,
        };
        good && !cut
    }

    fn program(&self, flash: &mut dyn FlashCells, page: usize, sequence: &Sequence, cut: bool) -> bool {
        if self.locked.get() & block_bit(page / BLOCK_SIZE) != 0 {
            return false;
        }
        let (words, _) = sequence.data.as_chunks::<DOUBLE_WORD>();
        let (written, _) = sequence.written.as_chunks::<DOUBLE_WORD>();
        let mut good = true;
        for ((at, word), written) in (page..).step_by(DOUBLE_WORD).zip(words).zip(written) {
            if *written == [true; DOUBLE_WORD] {
                good &= flash.program(at, *word);
                if cut {
                    flash.spoil(at);
                }
            }
        }
        good
    }

    fn erase(&self, flash: &mut dyn FlashCells, cut: bool) -> bool {
        let selected = self.selected.get() & !self.locked.get();
        for block in (0..flash.length() / BLOCK_SIZE).filter(|block| selected & block_bit(*block) != 0) {
            flash.erase(block);
            if cut {
                let start = block.saturating_mul(BLOCK_SIZE);
                let end = start.saturating_add(BLOCK_SIZE);
                (start..end).step_by(DOUBLE_WORD).for_each(|at| flash.spoil(at));
            }
        }
        selected != 0
    }
}

/// The bit of a block in the lock and select registers.
fn block_bit(block: usize) -> u32 {
    u32::try_from(block).ok().and_then(|block| 1_u32.checked_shl(block)).unwrap_or(0)
}

/// Which 4 bytes of a key or block a register holds.
fn part(bytes: &mut [u8], index: usize) -> Option<&mut [u8; 4]> {
    bytes.as_chunks_mut().0.get_mut(index)
}

fn set(bytes: &mut [u8], index: usize, value: u32) {
    if let Some(part) = part(bytes, index) {
        *part = value.to_be_bytes();
    }
}

impl<S: Surroundings> Registers for Model<'_, S> {
    fn read(&self, register: Register) -> u32 {
        let data =
            |index| part(&mut *self.block.borrow_mut(), index).map_or(0, |part| u32::from_be_bytes(*part));
        match register {
            Register::TrngStatus => {
                if self.noise.get().is_none() {
                    self.noise.set(self.surroundings.noise());
                }
                if self.noise.get().is_some() { READY } else { FAULT }
            }
            Register::TrngData => self.noise.take().unwrap_or(0),
            Register::AesStatus if self.aes_fault.get() => FAULT,
            Register::AesData0 => data(0),
            Register::AesData1 => data(1),
            Register::AesData2 => data(2),
            Register::AesData3 => data(3),
            Register::FlashControl => {
                self.control.get() | DONE | if self.sequence.borrow().good { GOOD } else { 0 }
            }
            Register::FlashLock => self.locked.get(),
            Register::FlashSelect => self.selected.get(),
            Register::BellIn => self.bells.get(),
            Register::HostHold => self.held.get(),
            Register::HostRestarted => self.restarted.get(),
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
            Register::FlashControl => self.control(value),
            Register::FlashLock => self.locked.set(value),
            Register::FlashSelect => self.selected.set(value),
            Register::BellIn => self.bells.set(self.bells.get() & !value),
            Register::HostRestarted => self.restarted.set(self.restarted.get() & !value),
            Register::BellOut => self.surroundings.rung(value),
            Register::HostHold => {
                self.held.set(value);
                self.surroundings.held(value);
            }
            _ => {}
        }
    }

    fn data_flash_length(&self) -> usize {
        self.flash.borrow().length()
    }

    fn read_data_flash(&self, offset: usize) -> Option<[u8; 8]> {
        self.flash.borrow().get(offset)
    }

    fn write_data_flash(&self, offset: usize, word: [u8; 4]) {
        let mut sequence = self.sequence.borrow_mut();
        if sequence.setup == 0 {
            return;
        }
        let page = offset & !(PAGE_SIZE - 1);
        // The first write sets the address; later ones have to be to the same page.
        if *sequence.page.get_or_insert(page) != page {
            return;
        }
        let at = offset & (PAGE_SIZE - 1);
        if let Some(to) = sequence.data.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *to = word;
        }
        if let Some(written) = sequence.written.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *written = [true; 4];
        }
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
