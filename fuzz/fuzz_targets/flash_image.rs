//! Any image in flash, for both layouts: mounting it either refuses and changes nothing, or gives a store that works.

#![no_main]

use arbitrary::Arbitrary;
use casemate_fuzz::flash::{Fault, SharedFlash};
use casemate_fuzz::store::{self, Layout, PARTITION};
use casemate_nvm::{Error, MountError, ObjectStore};
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    layout: Layout,
    erased_to_ones: bool,
    image: Image,
}

#[derive(Debug, Arbitrary)]
enum Image {
    /// These bytes from the start on, and erased bytes behind them.
    Bytes(Vec<u8>),
    /// What a store of this layout wrote, with some bytes replaced.
    Damaged { written_as: Layout, objects: Vec<(u8, u8)>, changes: Vec<(u16, u8)> },
}

/// An object that no image of this target contains.
const NEW: ObjectId = ObjectId(0x0BAD);

fuzz_target!(|input: Input| {
    match input.layout {
        Layout::Directory | Layout::Checksums => run::<8>(&input),
        Layout::Log => run::<64>(&input),
    }
});

fn run<const UNIT: usize>(input: &Input) {
    let erased_byte = if input.erased_to_ones { 0xFF } else { 0x00 };
    let mut image = vec![erased_byte; 2 * PARTITION];
    match &input.image {
        Image::Bytes(bytes) => {
            let length = bytes.len().min(image.len());
            image[..length].copy_from_slice(&bytes[..length]);
        }
        Image::Damaged { written_as, objects, changes } => {
            image = match written_as {
                Layout::Log => written::<64>(image, erased_byte, *written_as, objects),
                _ => written::<8>(image, erased_byte, *written_as, objects),
            };
            for &(position, value) in changes {
                let position = usize::from(position) % image.len();
                image[position] = value;
            }
        }
    }
    let flash = SharedFlash::<UNIT>::new(image.clone(), erased_byte, None);

    let first = store::with_store(input.layout, &flash, |mounted| mounted.map(|store| look(store)));
    let first = match first {
        Ok(objects) => objects,
        Err(MountError::Unusable(reason)) => {
            assert!(flash.bytes() == image, "an image that was refused ({reason:?}) was changed");
            return;
        }
        // The store had to be compacted, which a damaged object forbids.
        Err(MountError::Store(Error::NotVerified)) => return,
        Err(error) => panic!("mounting failed: {error:?}"),
    };
    // A second start finds what the first one found, and what it writes stays readable beside it.
    let added = store::with_store(input.layout, &flash, |mounted| {
        let store = mounted.expect("what was mounted once can be mounted again");
        assert_eq!(look(store), first, "a second start found other objects");
        let metadata =
            Metadata { id: NEW, access: 1, flags: Flags::NONE, length: 0, label: Label::from("new") };
        store.add_with_reclaim(&metadata, b"thirteen byte").is_ok()
    });
    let mut expected = first;
    store::with_store(input.layout, &flash, |mounted| {
        let store = mounted.expect("a store is mounted after it was written to");
        let seen = look(store);
        expected.retain(|(metadata, _)| metadata.id != NEW);
        let others: Vec<_> = seen.iter().filter(|(metadata, _)| metadata.id != NEW).cloned().collect();
        assert_eq!(others, expected, "adding one object changed others");
        if added {
            let data = seen.iter().find(|(metadata, _)| metadata.id == NEW).map(|(_, data)| data.clone());
            assert_eq!(data, Some(Ok(b"thirteen byte".to_vec())), "an added object is not there");
        }
        // Whether a damaged object lets a compaction pass is the layout's matter; it never loses a sound one.
        let _ = store.destroy(&[NEW]);
        let left: Vec<_> = look(store).into_iter().filter(|(metadata, _)| metadata.id != NEW).collect();
        assert_eq!(left, expected, "destroying one object changed others");
    });
}

/// The image that a store leaves behind.
fn written<const UNIT: usize>(
    image: Vec<u8>,
    erased_byte: u8,
    layout: Layout,
    objects: &[(u8, u8)],
) -> Vec<u8> {
    let flash = SharedFlash::<UNIT>::new(image, erased_byte, None);
    store::with_store(layout, &flash, |mounted| {
        let store = mounted.expect("blank flash can be mounted");
        for &(id, length) in objects.iter().take(20) {
            let metadata =
                Metadata { id: ObjectId(u16::from(id % 8)), flags: Flags(0x0821), ..Metadata::default() };
            // A full store is as good an image as any.
            let _ = store.add_with_reclaim(&metadata, &vec![id; usize::from(length)]);
        }
    });
    flash.bytes()
}

/// Every object, with its data or the reason why they cannot be read.
fn look(store: &mut dyn ObjectStore<FlashError = Fault>) -> Vec<(Metadata, Result<Vec<u8>, String>)> {
    let records = store::records(store).expect("a mounted store can be listed");
    store.available().expect("a mounted store tells its free space");
    records
        .into_iter()
        .map(|metadata| {
            let mut data = vec![0xA5; usize::from(metadata.length)];
            let result = match store.read(metadata.id, 0, &mut data) {
                Ok(()) => Ok(data),
                // An object without data cannot be read.
                Err(Error::OutOfRange) if data.is_empty() => Ok(data),
                Err(error) => Err(format!("{error:?}")),
            };
            (metadata, result)
        })
        .collect()
}
