//! Power cuts of a driver for data flash over a module's model, and data that has aged: what the ports to chips test alike.

use casemate_nvm::{DirectoryEntry, Error, Flash, FlashOptions, FlashStore, ObjectStore};
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use core::fmt::Debug;

/// The content of a data flash, which outlives the model of the module that it belongs to.
pub trait Cells: Clone {
    /// The module's model over these cells.
    type Model<'a>
    where
        Self: 'a;

    /// Erased cells.
    fn erased() -> Self;

    /// Switches the module on.
    fn model(&mut self) -> Self::Model<'_>;

    /// The flash's driver.
    fn flash(model: &Self::Model<'_>) -> impl Flash;

    /// Lets the power fail after so many operations of the flash.
    fn cut_power_after(model: &Self::Model<'_>, operations: u32);

    /// Makes the first unit of programming that holds these bytes unreadable; false if none holds them.
    fn spoil(&mut self, content: [u8; 8]) -> bool;
}

const OPTIONS: FlashOptions = FlashOptions::new().with_checksums(true);

fn metadata(id: u16, length: usize) -> Metadata {
    Metadata {
        id: ObjectId(id),
        access: 0xFFFF,
        flags: Flags::NONE,
        length: u16::try_from(length).expect("an object has at most 65535 bytes"),
        label: Label::from_bytes(b"object"),
    }
}

/// Lets `work` use the store in the cells, with a power cut after `cut` operations beginning with the mount, if there is to
/// be one; `None` if the store does not mount.
fn with_store<C: Cells, T>(
    cells: &mut C,
    cut: Option<u32>,
    work: impl FnOnce(&mut dyn Objects, &C::Model<'_>) -> T,
) -> Option<T> {
    let model = cells.model();
    if let Some(operations) = cut {
        C::cut_power_after(&model, operations);
    }
    let mut entries = [DirectoryEntry::EMPTY; 8];
    let mut store = FlashStore::mount(C::flash(&model), &mut entries[..], OPTIONS).ok()?;
    Some(work(&mut store, &model))
}

/// An object store whose errors are texts: the type of a driver's errors is its own.
trait Objects {
    fn add(&mut self, id: u16, data: &[u8]) -> Result<(), String>;
    fn read(&mut self, id: u16, out: &mut [u8]) -> Result<(), String>;
}

impl<S: ObjectStore> Objects for S
where
    S::FlashError: Debug,
{
    fn add(&mut self, id: u16, data: &[u8]) -> Result<(), String> {
        self.add_with_reclaim(&metadata(id, data.len()), data).map_err(text)
    }

    fn read(&mut self, id: u16, out: &mut [u8]) -> Result<(), String> {
        ObjectStore::read(self, ObjectId(id), 0, out).map_err(text)
    }
}

fn text<E: Debug>(error: Error<E>) -> String {
    format!("{error:?}")
}

/// Two objects, one of them of `length` bytes and replaced again and again so that partitions change, with a power cut at each
/// operation of the flash, and then at each of the mount after it: in the end the store mounts, and holds of each object what
/// was acknowledged last or what was being written.
///
/// # Panics
/// If it does not, if there are more than `operations` operations to cut, or if no mount had anything to repair.
pub fn power_cuts<C: Cells>(length: usize, operations: u32) {
    let mut cut_twice = 0;
    for cut in 0..operations {
        let mut cells = C::erased();
        let (mut kept, mut writing) = (0, 0);
        let work = |store: &mut dyn Objects, model: &C::Model<'_>| {
            store.add(1, &[1; 40]).unwrap();
            C::cut_power_after(model, cut);
            (1..=7).try_for_each(|value| {
                writing = value;
                store.add(2, &vec![value; length])?;
                kept = value;
                Ok::<(), String>(())
            })
        };
        let finished = with_store(&mut cells, None, work).expect("erased cells become a store").is_ok();
        let check = |cells: &mut C, second: u32| {
            let at = format!("cut at operation {cut}, and {second} of the mount");
            let content = with_store(cells, None, |store, _| {
                let mut one = [0; 40];
                store.read(1, &mut one).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert_eq!(one, [1; 40], "{at}");
                let mut two = vec![0; length];
                match store.read(2, &mut two) {
                    Ok(()) => {
                        let is = |value: u8| two.iter().all(|byte| *byte == value);
                        assert!(is(kept) || is(writing), "{at}: {}", two[0]);
                    }
                    Err(_) => assert_eq!(kept, 0, "{at}: an acknowledged object is gone"),
                }
            });
            assert!(content.is_some(), "{at}: the store does not mount");
        };
        for second in 0.. {
            let mut cells = cells.clone();
            let mounted = with_store(&mut cells, Some(second), |_, _| ()).is_some();
            check(&mut cells, second);
            if mounted {
                break;
            }
            cut_twice += 1;
        }
        if finished {
            assert!(cut_twice > 0, "no mount had anything to repair");
            return;
        }
    }
    panic!("there are more than {operations} operations");
}

/// An object that error correction has given up on is not given out as something else.
///
/// # Panics
/// If it is.
pub fn data_that_has_aged_is_found<C: Cells>() {
    let mut cells = C::erased();
    let added = with_store(&mut cells, None, |store, _| store.add(1, &[1; 32]));
    assert_eq!(added, Some(Ok(())));
    assert!(cells.spoil([1; 8]), "the object is there");
    let read = with_store(&mut cells, None, |store, _| store.read(1, &mut [0; 32]));
    assert!(read.is_some_and(|read| read.is_err()), "what cannot be read is not given out as the key");
}
