//! The data flash's driver on the module's model.

use casemate_nvm::Flash;
use casemate_spc58nn::data_flash::{BLOCK_SIZE, DOUBLE_WORD, DataFlashError, UNREADABLE};
use casemate_spc58nn::registers::{ERASE, GOOD, HIGH_VOLTAGE, PROGRAM, Register};
use casemate_spc58nn::{DataFlash, FlashArray, FlashCells, Model, Registers, Surroundings};
use casemate_testkit::power;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

struct Nothing;
impl Surroundings for Nothing {
    fn noise(&self) -> Option<u32> {
        None
    }
}

const SIZE: u32 = 2 * BLOCK_SIZE as u32;

fn array() -> Box<FlashArray<2>> {
    let mut array = Box::new(FlashArray::new());
    array.start();
    array
}

#[test]
fn double_words_are_programmed_once_and_blocks_erased() {
    let mut array = array();
    let model = Model::new(Nothing, &mut *array);
    let mut flash = DataFlash::new(&model);
    assert_eq!((flash.capacity(), flash.erased_byte()), (SIZE as usize, 0xFF));
    assert_eq!(flash.write(0, &[1; 8]), Err(DataFlashError::Locked));
    assert_eq!(flash.erase(0, SIZE), Err(DataFlashError::Locked));
    flash.unlock(0, SIZE).unwrap();
    // Across a page's end, not from its start.
    let bytes: Vec<u8> = (1..=56).collect();
    flash.write(24, &bytes).unwrap();
    let mut read = [0; 56];
    flash.read(24, &mut read).unwrap();
    assert_eq!(read, *bytes);
    let mut part = [0; 11];
    flash.read(22, &mut part).unwrap();
    assert_eq!(part, [0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // The second double word is not free, so the first is not written either.
    assert_eq!(flash.write(16, &[0x55; 16]), Err(DataFlashError::NotBlank));
    flash.read(16, &mut part).unwrap();
    assert_eq!(part[..8], [0xFF; 8]);
    flash.write(BLOCK_SIZE as u32, &[9; 8]).unwrap();
    flash.erase(0, BLOCK_SIZE as u32).unwrap();
    flash.read(24, &mut read).unwrap();
    assert_eq!(read, [0xFF; 56]);
    flash.read(BLOCK_SIZE as u32, &mut part[..8]).unwrap();
    assert_eq!(part[..8], [9; 8], "the other block stays");
    // Erased bytes take no programming, and their double words stay free.
    let mut mixed = [0xFF; 32];
    mixed[8..16].fill(7);
    flash.write(64, &mixed).unwrap();
    flash.write(64, &[3; 8]).unwrap();
    assert_eq!(flash.write(72, &[3; 8]), Err(DataFlashError::NotBlank));
}

#[test]
fn ranges_and_locks() {
    let mut array = array();
    let model = Model::new(Nothing, &mut *array);
    let mut flash = DataFlash::new(&model);
    flash.unlock(0, SIZE).unwrap();
    let block = BLOCK_SIZE as u32;
    assert_eq!(flash.write(4, &[0; 8]), Err(DataFlashError::NotAligned));
    assert_eq!(flash.write(0, &[0; 4]), Err(DataFlashError::NotAligned));
    assert_eq!(flash.write(SIZE, &[0; 8]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.write(u32::MAX - 7, &[0; 8]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.erase(0, 4096), Err(DataFlashError::NotAligned));
    assert_eq!(flash.erase(block, 0), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.erase(0, SIZE + block), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.read(SIZE - 1, &mut [0; 2]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.write(SIZE, &[]), Ok(()));
    flash.lock(0, SIZE).unwrap();
    flash.unlock(block, SIZE).unwrap();
    assert_eq!(flash.write(0, &[0; 8]), Err(DataFlashError::Locked));
    assert_eq!(flash.write(block - 8, &[0; 16]), Err(DataFlashError::Locked));
    flash.write(block, &[0; 8]).unwrap();
    assert_eq!(flash.erase(0, SIZE), Err(DataFlashError::Locked));
}

#[test]
fn blocks_without_a_bit_are_not_there() {
    let mut array = Box::new(FlashArray::<33>::new());
    array.start();
    let model = Model::new(Nothing, &mut *array);
    let mut flash = DataFlash::new(&model);
    let end = 32 * BLOCK_SIZE as u32;
    assert_eq!(flash.capacity(), end as usize);
    flash.unlock(0, end).unwrap();
    flash.write(end - 8, &[1; 8]).unwrap();
    flash.erase(end - BLOCK_SIZE as u32, end).unwrap();
    assert_eq!(flash.write(end, &[1; 8]), Err(DataFlashError::OutOfBounds));
}

#[test]
fn a_flash_that_is_not_good_is_a_fault() {
    /// Says of one kind of operation that it was no success.
    struct Aged<'a, 'b>(&'a Model<'b, Nothing>, u32);
    impl Registers for Aged<'_, '_> {
        fn read(&self, register: Register) -> u32 {
            let value = self.0.read(register);
            if register == Register::FlashControl && value & self.1 != 0 { value & !GOOD } else { value }
        }
        fn write(&self, register: Register, value: u32) {
            self.0.write(register, value);
        }
        fn data_flash_length(&self) -> usize {
            self.0.data_flash_length()
        }
        fn read_data_flash(&self, offset: usize) -> Option<[u8; 8]> {
            self.0.read_data_flash(offset)
        }
        fn write_data_flash(&self, offset: usize, word: [u8; 4]) {
            self.0.write_data_flash(offset, word);
        }
        fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
            self.0.read_application_flash(offset, out)
        }
    }
    let mut array = array();
    let model = Model::new(Nothing, &mut *array);
    let mut flash = DataFlash::new(Aged(&model, PROGRAM));
    flash.unlock(0, SIZE).unwrap();
    assert_eq!(flash.write(0, &[1; 8]), Err(DataFlashError::Fault));
    assert_eq!(model.read(Register::FlashControl) & (PROGRAM | HIGH_VOLTAGE), 0, "the sequence was ended");
    flash.erase(0, SIZE).unwrap();
    let mut flash = DataFlash::new(Aged(&model, ERASE));
    flash.unlock(0, SIZE).unwrap();
    assert_eq!(flash.erase(0, SIZE), Err(DataFlashError::Fault));
}

#[test]
fn a_double_word_that_was_programmed_twice_can_no_longer_be_read() {
    let mut array = array();
    assert!(array.program(8, [0x0F; DOUBLE_WORD]));
    assert!(!array.program(8, [0xF0; DOUBLE_WORD]));
    assert_eq!(array.get(8), None);
    let model = Model::new(Nothing, &mut *array);
    let mut read = [1; 24];
    DataFlash::new(&model).read(0, &mut read).unwrap();
    assert_eq!(read[..8], [0xFF; 8]);
    assert_eq!(read[8..16], [UNREADABLE; 8]);
    assert_eq!(read[16..], [0xFF; 8]);
}

/// What outlives the model.
#[derive(Clone)]
struct Cells(Box<FlashArray<2>>);

impl power::Cells for Cells {
    type Model<'a> = Model<'a, Nothing>;

    fn erased() -> Self {
        Self(array())
    }

    fn model(&mut self) -> Model<'_, Nothing> {
        Model::new(Nothing, &mut *self.0)
    }

    fn flash(model: &Self::Model<'_>) -> impl Flash {
        DataFlash::new(model)
    }

    fn cut_power_after(model: &Model<'_, Nothing>, operations: u32) {
        model.cut_power_after(operations);
    }

    fn spoil(&mut self, content: [u8; 8]) -> bool {
        let place = (0..BLOCK_SIZE).step_by(DOUBLE_WORD).find(|&at| self.0.get(at) == Some(content));
        place.map(|at| self.0.spoil(at)).is_some()
    }
}

#[test]
fn power_cuts() {
    power::power_cuts::<Cells>(3000, 2000);
}

#[test]
fn data_that_has_aged_is_found() {
    power::data_that_has_aged_is_found::<Cells>();
}
