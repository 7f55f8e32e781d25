//! The data flash's driver on the module's model.

use casemate_nvm::Flash;
use casemate_tc3xx::data_flash::{DataFlashError, PAGE_SIZE, SECTOR_SIZE, UNREADABLE};
use casemate_tc3xx::registers::{CLEAR_STATUS, FAULT, PAGE_MODE, Register, WRITE_PAGE};
use casemate_tc3xx::{DataFlash, FlashCells, Model, Registers, Surroundings};
use casemate_testkit::power;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

struct Nothing;
impl Surroundings for Nothing {
    fn noise(&self) -> Option<u32> {
        None
    }
}

const SIZE: usize = 4 * SECTOR_SIZE;

/// What outlives the model.
#[derive(Clone)]
struct Cells {
    bytes: Vec<u8>,
    unreadable: Vec<u8>,
}

impl Cells {
    fn new() -> Self {
        Self { bytes: vec![0; SIZE], unreadable: vec![0; SIZE / 64] }
    }

    fn flash(&mut self) -> FlashCells<'_> {
        FlashCells::new(&mut self.bytes, &mut self.unreadable)
    }
}

#[test]
fn pages_are_programmed_once_and_sectors_erased() {
    let mut cells = Cells::new();
    let model = Model::new(Nothing, cells.flash());
    let mut flash = DataFlash::new(&model);
    assert_eq!((flash.capacity(), flash.erased_byte()), (SIZE, 0));
    assert_eq!(flash.write(0, &[1; PAGE_SIZE]), Err(DataFlashError::Locked));
    flash.unlock(0, SIZE as u32).unwrap();
    flash.write(8, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]).unwrap();
    let mut read = [0; 5];
    flash.read(14, &mut read).unwrap();
    assert_eq!(read, [7, 8, 9, 10, 11]);
    // The second page is not free, so the first is not written either.
    assert_eq!(flash.write(0, &[0x55; 16]), Err(DataFlashError::NotBlank));
    flash.read(0, &mut read).unwrap();
    assert_eq!(read, [0; 5]);
    flash.write(4096, &[9; 8]).unwrap();
    flash.erase(0, SECTOR_SIZE as u32).unwrap();
    flash.read(8, &mut read).unwrap();
    assert_eq!(read, [0; 5]);
    flash.read(4096, &mut read).unwrap();
    assert_eq!(read, [9; 5], "the other sector stays");
    // Erased bytes take no programming, and their page stays free.
    flash.write(8, &[0; 8]).unwrap();
    flash.write(8, &[3; 8]).unwrap();
}

#[test]
fn ranges() {
    let mut cells = Cells::new();
    let model = Model::new(Nothing, cells.flash());
    let mut flash = DataFlash::new(&model);
    flash.unlock(0, SIZE as u32).unwrap();
    let end = SIZE as u32;
    assert_eq!(flash.write(4, &[0; 8]), Err(DataFlashError::NotAligned));
    assert_eq!(flash.write(0, &[0; 4]), Err(DataFlashError::NotAligned));
    assert_eq!(flash.write(end, &[0; 8]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.write(u32::MAX - 7, &[0; 8]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.erase(0, 2048), Err(DataFlashError::NotAligned));
    assert_eq!(flash.erase(4096, 0), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.erase(0, end + 4096), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.read(end - 1, &mut [0; 2]), Err(DataFlashError::OutOfBounds));
    assert_eq!(flash.write(end, &[]), Ok(()));
    assert_eq!(flash.erase(end, end), Ok(()));
}

#[test]
fn the_model_refuses_what_the_silicon_would() {
    let mut cells = Cells::new();
    let model = Model::new(Nothing, cells.flash());
    let run = |command| {
        model.write(Register::FlashCommand, command);
        let status = model.read(Register::FlashStatus);
        model.write(Register::FlashCommand, CLEAR_STATUS);
        status
    };
    assert_eq!(run(WRITE_PAGE), FAULT, "not in page mode");
    assert_eq!(run(PAGE_MODE), 0);
    model.write(Register::FlashPage0, 1);
    assert_eq!(run(WRITE_PAGE), 0);
    assert_eq!(run(PAGE_MODE), 0);
    assert_eq!(run(WRITE_PAGE), FAULT, "programmed twice");
    model.write(Register::FlashAddress, 4);
    assert_eq!(run(PAGE_MODE), 0);
    assert_eq!(run(WRITE_PAGE), FAULT, "no page begins there");
    assert_eq!(run(0x33), FAULT, "no such command");
}

#[test]
fn a_page_that_cannot_be_read_is_neither_erased_nor_complete() {
    let mut cells = Cells::new();
    let mut array = cells.flash();
    array.spoil(8);
    assert_eq!((array.page(0), array.page(8), array.page(16)), (Some([0; 8]), None, Some([0; 8])));
    assert_eq!((array.length(), array.page(SIZE)), (SIZE, None));
    let model = Model::new(Nothing, array);
    let mut flash = DataFlash::new(&model);
    let mut read = [1; 24];
    flash.read(0, &mut read).unwrap();
    assert_eq!(read[..8], [0; 8]);
    assert_eq!(read[8..16], [UNREADABLE; 8]);
    assert_eq!(read[16..], [0; 8]);
    flash.unlock(0, SIZE as u32).unwrap();
    assert_eq!(flash.write(8, &[1; 8]), Err(DataFlashError::NotBlank));
    flash.erase(0, SECTOR_SIZE as u32).unwrap();
    flash.write(8, &[1; 8]).unwrap();
    assert_eq!(flash.write(8, &[1; 8]), Err(DataFlashError::NotBlank));
}

impl power::Cells for Cells {
    type Model<'a> = Model<'a, Nothing>;

    fn erased() -> Self {
        Self::new()
    }

    fn model(&mut self) -> Model<'_, Nothing> {
        Model::new(Nothing, self.flash())
    }

    fn flash(model: &Self::Model<'_>) -> impl Flash {
        DataFlash::new(model)
    }

    fn cut_power_after(model: &Model<'_, Nothing>, operations: u32) {
        model.cut_power_after(operations);
    }

    fn spoil(&mut self, content: [u8; 8]) -> bool {
        let mut flash = self.flash();
        let place = (0..SIZE).step_by(PAGE_SIZE).find(|&at| flash.page(at) == Some(content));
        place.map(|at| flash.spoil(at)).is_some()
    }
}

#[test]
fn power_cuts() {
    power::power_cuts::<Cells>(1500, 4000);
}

#[test]
fn data_that_has_aged_is_found() {
    power::data_that_has_aged_is_found::<Cells>();
}
