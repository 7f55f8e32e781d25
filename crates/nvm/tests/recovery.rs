//! What is recovered from, what is refused, and what policy forbids.

mod common;

use casemate_nvm::{
    Available, DirectoryEntry, Error, Flash, FlashOptions, FlashStore, Geometry, LogOptions, LogStore,
    MountError, ObjectStore, RamFlash, Unusable,
};
use casemate_protocol::{Flags, Metadata, ObjectId};
use casemate_testkit::flash::{Effect, PowerCutFlash};
use common::{Layout, content, metadata, pattern, plain};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use proptest::prelude::*;
use std::cell::Cell;

const ENTRIES: usize = 6;
const PLAIN: Layout = Layout::Flash { entries: ENTRIES, checksums: false };
const CHECKED: Layout = Layout::Flash { entries: ENTRIES, checksums: true };
const LOG: Layout = Layout::Log { objects: 6 };
const PARTITION: usize = 1024;
/// Byte offset of the data area.
const DATA: usize = 24 + 56 * ENTRIES;
const DATA_SIZE: u32 = (PARTITION - DATA) as u32;

type Ram = RamFlash<Vec<u8>>;

fn blank() -> Vec<u8> {
    vec![0xFF; 2 * PARTITION]
}

/// The image after adding objects 1, 2, 3, ... with the given lengths of data.
fn image(layout: Layout, lengths: &[usize]) -> Vec<u8> {
    let mut store = layout.mount(Ram::from_image(blank(), 0xFF)).unwrap();
    for (id, &length) in (1..).zip(lengths) {
        store.get().add(&plain(id), &pattern(id, length)).unwrap();
    }
    store.unmount().into_storage()
}

/// The error of mounting, which must not have changed anything.
fn refusal(layout: Layout, image: Vec<u8>, erased: u8) -> Unusable {
    let mut flash = Ram::from_image(image.clone(), erased);
    let error = layout.mount(&mut flash).err().expect("the image has to be refused");
    assert_eq!(flash.image(), image, "a refused image was changed");
    match error {
        MountError::Unusable(unusable) => unusable,
        error => panic!("{error}"),
    }
}

/// The table of §3.5: what an interrupted addition costs.
#[test]
fn interrupted_additions() {
    for (number, effect, found, lost) in [
        (0, Effect::None, false, (0, 0)),
        (0, Effect::Complete, false, (1, 0)),
        (1, Effect::Complete, false, (1, 0)),
        (2, Effect::Complete, false, (1, 16)),
        (3, Effect::Complete, false, (1, 16)),
        (4, Effect::Complete, false, (1, 16)),
        // A part of the last word makes nothing valid.
        (5, Effect::First(7), false, (1, 16)),
        (5, Effect::Complete, true, (1, 8)),
    ] {
        for layout in [PLAIN, CHECKED] {
            let mut flash = PowerCutFlash::<8, 64>::new(2 * PARTITION, 0xFF);
            layout.mount(&mut flash).unwrap().get().add(&plain(1), &[9; 8]).unwrap();
            flash.cut_power_at(number, effect);
            let mut store = layout.mount(&mut flash).unwrap();
            store.get().add(&plain(1), &pattern(5, 13)).unwrap_err();
            drop(store);
            flash.reboot();
            let mut store = layout.mount(&mut flash).unwrap();
            let expected = if found { pattern(5, 13) } else { vec![9; 8] };
            assert_eq!(content(store.get())[&1].1, expected, "{number} {effect:?}");
            let (objects, size) = lost;
            let live = expected.len().next_multiple_of(8) as u32;
            assert_eq!(
                store.get().available().unwrap(),
                Available {
                    size: DATA_SIZE - live - size,
                    objects: 6 - 1 - objects,
                    reclaimable_size: size,
                    reclaimable_objects: objects,
                },
                "{layout:?} {number} {effect:?}"
            );
            // The next addition goes behind the lost entry, a compaction brings it back.
            store.get().add(&plain(2), &[]).unwrap();
            store.get().destroy(&[]).unwrap();
            let available = store.get().available().unwrap();
            assert_eq!((available.objects, available.reclaimable_objects), (4, 0));
            assert_eq!((available.size, available.reclaimable_size), (DATA_SIZE - live, 0));
        }
    }
}

/// The table of §3.6: what an interrupted compaction leaves; and no secret of the old partition survives the mount.
#[test]
fn interrupted_compactions() {
    let objects = image(PLAIN, &[16, 16, 16]);
    let mut flash = PowerCutFlash::<8, 64>::from_image(objects.clone(), 0xFF);
    PLAIN.mount(&mut flash).unwrap().get().destroy(&[ObjectId(2)]).unwrap();
    let count = flash.operations();
    // Two words, two objects of five writes each, the last word, the erasure.
    assert_eq!(count, 2 + 2 * 5 + 1 + 1);
    for number in 0..=count {
        let mut flash = PowerCutFlash::<8, 64>::from_image(objects.clone(), 0xFF);
        flash.cut_power_at(number, Effect::None);
        let _ = PLAIN.mount(&mut flash).unwrap().get().destroy(&[ObjectId(2)]);
        flash.reboot();
        let mut store = PLAIN.mount(&mut flash).unwrap();
        let destroyed = number >= count - 1;
        assert_eq!(content(store.get()).contains_key(&2), !destroyed, "{number}");
        drop(store);
        let inactive = if destroyed { &flash.image()[..PARTITION] } else { &flash.image()[PARTITION..] };
        assert!(inactive.iter().all(|&byte| byte == 0xFF));
    }
}

#[test]
fn of_two_complete_partitions_the_newer_one_counts() {
    for (first, second, expected) in
        [(1, 2, 2), (2, 1, 1), (3, 9, 2), (4, 4, 1), (u32::MAX, 0, 2), (0, u32::MAX, 1)]
    {
        let mut both = image(PLAIN, &[1]);
        let mut other = image(PLAIN, &[1, 2]);
        both[..4].copy_from_slice(&u32::to_le_bytes(first));
        other[..4].copy_from_slice(&u32::to_le_bytes(second));
        both[PARTITION..].copy_from_slice(&other[..PARTITION]);
        let mut store = PLAIN.mount(Ram::from_image(both, 0xFF)).unwrap();
        assert_eq!(content(store.get()).len(), expected, "{first} {second}");
        let image = store.unmount().into_storage();
        let older = if expected == 1 { &image[PARTITION..] } else { &image[..PARTITION] };
        assert!(older.iter().all(|&byte| byte == 0xFF));
    }
    // The log prefers the second partition.
    for (first, second, expected) in [(1_u8, 2_u8, 2), (2, 1, 1), (7, 7, 2)] {
        let mut both = image(LOG, &[1]);
        let mut other = image(LOG, &[1, 2]);
        both.copy_within(PARTITION.., 0);
        both[0] = first;
        other[0] = second;
        both[PARTITION..].copy_from_slice(&other[..PARTITION]);
        let mut store = LOG.mount(Ram::from_image(both, 0xFF)).unwrap();
        assert_eq!(content(store.get()).len(), expected);
    }
}

/// An interrupted erasure may have raised the older partition's epoch. What else it did gives it away.
#[test]
fn a_half_erased_partition_does_not_win() {
    let old = image(PLAIN, &[8, 8, 8]);
    let mut flash = Ram::from_image(old.clone(), 0xFF);
    PLAIN.mount(&mut flash).unwrap().get().destroy(&[ObjectId(1)]).unwrap();
    let mut both = flash.into_storage();
    both[..PARTITION].copy_from_slice(&old[..PARTITION]);
    // The compacted copy has epoch 1; the original's 0 has become 2.
    both[0] = 2;
    let mounted = |image: &[u8]| {
        let mut store = PLAIN.mount(Ram::from_image(image.to_vec(), 0xFF)).unwrap();
        content(store.get()).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(mounted(&both), [1, 2, 3]);
    for range in [24..32, 24..80, 80..136, 80..104, 38..39, 28..32] {
        let mut damaged = both.clone();
        damaged[range.clone()].fill(0xFF);
        assert_eq!(mounted(&damaged), [2, 3], "{range:?}");
    }
    // An interrupted addition, on the other hand, is no reason to go back to older objects.
    for range in [136..192, 144..192, 152..160, 155..160] {
        let mut interrupted = both.clone();
        interrupted[range.clone()].fill(0xFF);
        assert_eq!(mounted(&interrupted), [1, 2], "{range:?}");
    }
}

/// Where the original would erase everything: a word of the partition's state is gone, and no other partition has the
/// objects.
#[test]
fn a_damaged_partition_is_never_formatted() {
    let good = image(PLAIN, &[5, 6]);
    for (offset, unusable) in [
        (0, Unusable::Foreign),
        (8, Unusable::Corrupt),
        (16, Unusable::Corrupt),
        (4, Unusable::Foreign),
        (20, Unusable::Corrupt),
    ] {
        let mut damaged = good.clone();
        let size = if offset % 8 == 0 { 8 } else { 1 };
        damaged[offset..offset + size].fill(0xFF);
        assert_eq!(refusal(PLAIN, damaged, 0xFF), unusable, "{offset}");
    }
    // All three gone.
    let mut damaged = good.clone();
    damaged[..24].fill(0xFF);
    assert_eq!(refusal(PLAIN, damaged, 0xFF), Unusable::Foreign);
    // A blank first partition does not make up for a damaged second one.
    let mut damaged = blank();
    damaged[PARTITION..].copy_from_slice(&good[..PARTITION]);
    damaged[PARTITION + 16..PARTITION + 24].fill(0xFF);
    assert_eq!(refusal(PLAIN, damaged, 0xFF), Unusable::Corrupt);
}

#[test]
fn foreign_images_are_refused() {
    let text: Vec<u8> = b"Not a store. ".iter().copied().cycle().take(2 * PARTITION).collect();
    for layout in [PLAIN, CHECKED, LOG] {
        assert_eq!(refusal(layout, text.clone(), 0xFF), Unusable::Foreign);
        let mut one_byte = blank();
        one_byte[2 * PARTITION - 1] = 0;
        assert_eq!(refusal(layout, one_byte, 0xFF), Unusable::Foreign);
    }
    // Each layout refuses the other's images.
    assert_eq!(refusal(LOG, image(PLAIN, &[40]), 0xFF), Unusable::Foreign);
    assert_eq!(refusal(PLAIN, image(LOG, &[40]), 0xFF), Unusable::Foreign);
    // Zeros are blank only where the flash erases to zero.
    for layout in [PLAIN, CHECKED, LOG] {
        let zeros = vec![0; 2 * PARTITION];
        let unusable = refusal(layout, zeros.clone(), 0xFF);
        assert!(matches!(unusable, Unusable::Foreign | Unusable::Corrupt));
        layout.mount(Ram::from_image(zeros, 0x00)).unwrap();
        assert_eq!(refusal(layout, blank(), 0x00), Unusable::Foreign);
    }
}

#[test]
fn images_for_another_shape_are_refused() {
    let made = image(PLAIN, &[5]);
    let more = Layout::Flash { entries: 7, checksums: false };
    assert_eq!(refusal(more, made.clone(), 0xFF), Unusable::DirectorySize { image: 6, store: 7 });
    assert_eq!(refusal(CHECKED, made.clone(), 0xFF), Unusable::NoChecksums);
    assert_eq!(refusal(PLAIN, made.clone(), 0x00), Unusable::ErasedByte);

    // The first partition of a larger image.
    let half = made[..PARTITION].to_vec();
    assert_eq!(refusal(PLAIN, half, 0xFF), Unusable::PartitionSize { image: 1024, store: 512 });
    // An image for smaller partitions does mount, as it does in the original.
    let mut larger = vec![0xFF; 8 * PARTITION];
    larger[..2 * PARTITION].copy_from_slice(&made);
    let mut store = PLAIN.mount(Ram::from_image(larger, 0xFF)).unwrap();
    assert_eq!(content(store.get()).len(), 1);
    store.get().add(&plain(2), &pattern(2, 3000)).unwrap();
    store.get().destroy(&[ObjectId(1)]).unwrap();
    assert_eq!(content(store.get()).len(), 1);
}

#[test]
fn wrong_geometry_is_refused() {
    fn error<const WRITE: usize, const ERASE: usize>(size: usize, entries: usize) -> Geometry {
        let flash = RamFlash::<_, WRITE, ERASE>::new(vec![0; size], 0xFF);
        let directory = vec![DirectoryEntry::EMPTY; entries];
        match FlashStore::mount(flash, directory, FlashOptions::new()) {
            Err(MountError::Geometry(geometry)) => geometry,
            other => panic!("{:?}", other.err()),
        }
    }
    assert_eq!(error::<16, 64>(2048, 6), Geometry::Unit { flash: 16, layout: 8 });
    assert_eq!(error::<8, 96>(2048, 6), Geometry::Alignment { partition: 1024, unit: 96 });
    assert_eq!(error::<8, 8>(2048, 32), Geometry::Partition { partition: 1024, minimum: 24 + 56 * 32 });
    assert_eq!(error::<8, 8>(2048, 0), Geometry::Directory { entries: 0 });
    assert_eq!(error::<8, 8>(2048, 65536), Geometry::Directory { entries: 65536 });
    let options = FlashOptions::new().with_partition_size(4096);
    let flash = Ram::new(vec![0; 4096], 0xFF);
    assert_eq!(
        FlashStore::mount(flash, [DirectoryEntry::EMPTY; 4], options).err(),
        Some(MountError::Geometry(Geometry::Capacity { capacity: 4096, partition: 4096 }))
    );
    // The smallest that works holds objects without data.
    let flash = RamFlash::<_, 8, 8>::new(vec![0; 2 * (24 + 56)], 0xFF);
    let mut store = FlashStore::mount(flash, [DirectoryEntry::EMPTY], FlashOptions::new()).unwrap();
    store.add(&plain(1), &[]).unwrap();
    assert_eq!(store.add(&plain(1), &[]), Err(Error::NoSpace));

    let log = |size: usize, mirror: usize| {
        let flash = RamFlash::<_, 64, 64>::new(vec![0; size], 0xFF);
        LogStore::mount(flash, vec![0; mirror], LogOptions::new()).err()
    };
    let geometry = |geometry| Some(MountError::Geometry(geometry));
    assert_eq!(log(8192, 4031), geometry(Geometry::Mirror { mirror: 4031, minimum: 4032 }));
    assert_eq!(log(128, 4096), geometry(Geometry::Partition { partition: 64, minimum: 128 }));
    assert_eq!(log(320, 4096), geometry(Geometry::Alignment { partition: 160, unit: 64 }));
    assert_eq!(log(8192, 4032), None);
    let flash = RamFlash::<_, 128, 128>::new(vec![0; 8192], 0xFF);
    assert_eq!(
        LogStore::mount(flash, vec![0; 4096], LogOptions::new()).err(),
        geometry(Geometry::Unit { flash: 128, layout: 64 })
    );
}

#[test]
fn a_given_partition_size_leaves_the_rest_alone() {
    let mut flash = Ram::new(vec![0; 4 * PARTITION], 0xFF);
    let options = FlashOptions::new().with_partition_size(PARTITION as u32);
    let mut store = FlashStore::mount(&mut flash, vec![DirectoryEntry::EMPTY; ENTRIES], options).unwrap();
    store.add(&plain(1), &[1; 8]).unwrap();
    store.destroy(&[]).unwrap();
    let mut expected = image(PLAIN, &[]);
    expected.copy_within(..PARTITION, PARTITION);
    assert_eq!(flash.image()[PARTITION + 8..PARTITION + 24], expected[PARTITION + 8..PARTITION + 24]);
    assert!(flash.image()[2 * PARTITION..].iter().all(|&byte| byte == 0xFF));
}

#[test]
fn bad_arguments() {
    for layout in [PLAIN, CHECKED, LOG] {
        let mut store = layout.mount(Ram::from_image(image(layout, &[10]), 0xFF)).unwrap();
        let store = store.get();
        let id = ObjectId(1);
        assert_eq!(store.add(&plain(0), &[]), Err(Error::InvalidId));
        assert_eq!(store.add(&plain(2), &vec![0; 65536]), Err(Error::TooLong));
        assert_eq!(store.add(&plain(2), &vec![0; 65535]), Err(Error::NoSpace));
        assert_eq!(store.metadata(ObjectId(2)), Err(Error::NotFound));
        assert_eq!(store.metadata(ObjectId(0)), Err(Error::NotFound));
        let mut out = [7; 11];
        assert_eq!(store.read(ObjectId(2), 0, &mut out), Err(Error::NotFound));
        assert_eq!(store.read(id, 0, &mut out), Err(Error::OutOfRange));
        assert_eq!(out, [0; 11]);
        assert_eq!(store.read(id, 5, &mut out[..6]), Err(Error::OutOfRange));
        assert_eq!(store.read(id, 11, &mut []), Err(Error::OutOfRange));
        assert_eq!(store.read(id, 0xFFFF, &mut out), Err(Error::OutOfRange));
        store.read(id, 9, &mut []).unwrap();
        for offset in 0..10 {
            let length = 10 - offset;
            store.read(id, offset as u16, &mut out[..length]).unwrap();
            assert_eq!(out[..length], pattern(1, 10)[offset..]);
        }
        // Where the layouts differ: reading nothing at the end, and identifier 0.
        let log = matches!(layout, Layout::Log { .. });
        assert_eq!(store.read(id, 10, &mut []).is_ok(), log);
        store.add(&plain(3), &[]).unwrap();
        assert_eq!(store.read(ObjectId(3), 0, &mut []).is_ok(), log);
        assert_eq!(store.destroy(&[ObjectId(0), id]).is_err(), log);
        assert_eq!(store.metadata(id).is_ok(), log);
    }
}

#[test]
fn a_full_store() {
    for layout in [PLAIN, CHECKED, LOG] {
        let mut store = layout.mount(Ram::from_image(image(layout, &[1; 6]), 0xFF)).unwrap();
        let store = store.get();
        assert_eq!(store.available().unwrap().objects, 0);
        assert_eq!(store.add(&plain(7), &[]), Err(Error::NoSpace));
        assert_eq!(store.add_with_reclaim(&plain(7), &[]), Err(Error::NoSpace));
        // A second version needs an entry of its own, except in the log.
        let log = matches!(layout, Layout::Log { .. });
        assert_eq!(store.add_with_reclaim(&plain(6), &[2]).is_ok(), log);
        store.destroy(&[ObjectId(1)]).unwrap();
        store.add(&plain(6), &[3]).unwrap();
        if !log {
            assert_eq!(store.add(&plain(6), &[4]), Err(Error::NoSpace));
        }
        store.add_with_reclaim(&plain(6), &[4]).unwrap();
        assert_eq!(content(store)[&6].1, [4]);
    }
}

/// Entries that point nowhere hide themselves, not the others, and do not stop a compaction.
#[test]
fn damaged_entries_are_skipped() {
    let good = image(PLAIN, &[8, 8, 8]);
    let entry = 24 + 56;
    for (offset, bytes) in [
        // A start far outside, and one that overflows.
        (entry + 8, [0xFF, 0xFF, 0xFF, 0x0F]),
        (entry + 8, [0xFF, 0xFF, 0xFF, 0xFF]),
        // A count that is not that of the length, and the other way round.
        (entry + 16, [2, 0, 0, 0]),
        (entry + 28, [0, 0, 0, 0x60]),
        // Words without magic.
        (entry + 4, [0, 0, 0, 0]),
        (entry + 12, [0, 0, 0, 0]),
        (entry + 20, [0, 0, 0, 0]),
        // Identifier 0, which no enumeration gets past.
        (entry + 24, [0, 0, 0xFF, 0xFF]),
    ] {
        let mut damaged = good.clone();
        damaged[offset..offset + 4].copy_from_slice(&bytes);
        let mut store = PLAIN.mount(Ram::from_image(damaged.clone(), 0xFF)).unwrap();
        let found = content(store.get());
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 3], "{offset} {bytes:?}");
        assert_eq!(store.get().available().unwrap().reclaimable_objects, 1);
        store.get().add(&plain(4), &[4; 9]).unwrap();
        store.get().destroy(&[]).unwrap();
        assert_eq!(content(store.get()).len(), 3);
    }
}

/// Nothing is added behind a blank entry, because other readers would not see it.
#[test]
fn a_hole_in_the_directory() {
    let mut damaged = image(PLAIN, &[8, 8, 8]);
    damaged[24 + 56..24 + 112].fill(0xFF);
    let mut flash = Ram::from_image(damaged.clone(), 0xFF);
    let mut store = PLAIN.mount(&mut flash).unwrap();
    assert_eq!(content(store.get()).keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(store.get().add(&plain(4), &[]), Err(Error::NoSpace));
    drop(store);
    // Mounting alone destroys nothing: perhaps someone can repair it.
    assert_eq!(flash.image(), damaged);
    let mut store = PLAIN.mount(&mut flash).unwrap();
    store.get().add_with_reclaim(&plain(4), &[]).unwrap();
    assert_eq!(content(store.get()).keys().copied().collect::<Vec<_>>(), [1, 4]);
}

/// A cache may keep the later writes of an interrupted addition and lose the first: that is put right by mounting.
#[test]
fn a_disordered_addition() {
    for layout in [PLAIN, CHECKED] {
        let mut disordered = image(layout, &[8, 8, 8]);
        let entry = 24 + 2 * 56;
        // The first and the last word are lost.
        disordered[entry..entry + 8].fill(0xFF);
        disordered[entry + 16..entry + 24].fill(0xFF);
        let mut store = layout.mount(Ram::from_image(disordered, 0xFF)).unwrap();
        assert_eq!(content(store.get()).into_keys().collect::<Vec<_>>(), [1, 2]);
        let available = store.get().available().unwrap();
        assert_eq!((available.objects, available.reclaimable_objects), (4, 0));
        store.get().add(&plain(4), &[4; 9]).unwrap();
        assert_eq!(content(store.get()).len(), 3);
    }
}

#[test]
fn checksums_guard_metadata_and_data() {
    let mut store = CHECKED.mount(Ram::from_image(image(CHECKED, &[8, 20]), 0xFF)).unwrap();
    store.get().add(&metadata(2, 7, 0, "second"), &[5; 20]).unwrap();
    let good = store.unmount().into_storage();

    // The newer version's metadata are wrong: the older version shows again.
    let mut damaged = good.clone();
    damaged[24 + 2 * 56 + 35] ^= 1;
    let mut store = CHECKED.mount(Ram::from_image(damaged, 0xFF)).unwrap();
    assert_eq!(content(store.get())[&2].1, pattern(2, 20));

    // The newer version's data are wrong.
    let mut damaged = good.clone();
    damaged[DATA + 8 + 24 + 3] ^= 1;
    let mut store = CHECKED.mount(Ram::from_image(damaged, 0xFF)).unwrap();
    let store = store.get();
    let mut out = [1; 20];
    assert_eq!(store.read(ObjectId(2), 0, &mut out), Err(Error::NotVerified));
    assert_eq!(out, [0; 20]);
    store.read(ObjectId(2), 0, &mut out[..19]).unwrap();
    store.read(ObjectId(2), 1, &mut out[..19]).unwrap();
    // Nothing that is wrong gets copied, and nothing is lost for it; but the object can be destroyed.
    let before = store.available().unwrap();
    assert_eq!(store.destroy(&[]), Err(Error::NotVerified));
    assert_eq!(store.destroy(&[ObjectId(1)]), Err(Error::NotVerified));
    assert_eq!(store.available().unwrap(), before);
    store.destroy(&[ObjectId(2)]).unwrap();
    assert_eq!(content(store).keys().copied().collect::<Vec<_>>(), [1]);
}

/// Flash of which one unit, whose offset the cell holds, can no longer be read as it was written.
struct Aging<'c>(Ram, &'c Cell<Option<u32>>);

impl ErrorType for Aging<'_> {
    type Error = <Ram as ErrorType>::Error;
}

impl ReadNorFlash for Aging<'_> {
    const READ_SIZE: usize = Ram::READ_SIZE;
    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.read(offset, bytes)?;
        let lost = self.1.get().map_or(0..0, |lost| lost..lost + 8);
        for (at, byte) in (offset..).zip(bytes) {
            if lost.contains(&at) {
                *byte ^= 0x40;
            }
        }
        Ok(())
    }
    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl NorFlash for Aging<'_> {
    const WRITE_SIZE: usize = Ram::WRITE_SIZE;
    const ERASE_SIZE: usize = Ram::ERASE_SIZE;
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        if self.1.get().is_some_and(|lost| (from..to).contains(&lost)) {
            self.1.set(None);
        }
        self.0.erase(from, to)
    }
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(offset, bytes)
    }
}

impl Flash for Aging<'_> {}

#[test]
fn a_directory_that_ages_while_it_is_in_use() {
    for (layout, units) in [(PLAIN, [0, 1, 2, 3]), (CHECKED, [0, 1, 2, 6])] {
        for unit in units {
            let lost = Cell::new(None);
            let ram = Ram::from_image(image(layout, &[8, 20, 12]), 0xFF);
            let mut store = layout.mount(Aging(ram, &lost)).unwrap();
            let store = store.get();
            let before = content(store);
            let (id, available) = (ObjectId(2), store.available().unwrap());
            lost.set(Some(24 + 56 + 8 * unit));
            // What protects the object is known without the flash, the rest of it not.
            assert_eq!(store.attributes(id).unwrap().length, 20);
            assert_eq!(store.metadata(id), Err(Error::NotVerified));
            assert_eq!(store.read(id, 0, &mut [1; 20]), Err(Error::NotVerified));
            assert_eq!(store.add(&plain(2), &[1; 20]), Err(Error::NotVerified));
            store.read(ObjectId(3), 0, &mut [0; 12]).unwrap();
            assert_eq!(store.destroy(&[]), Err(Error::NotVerified));
            assert_eq!(store.available().unwrap(), available, "nothing has changed");
            store.destroy(&[id]).unwrap();
            let mut after = before;
            after.remove(&2);
            assert_eq!(content(store), after, "{layout:?} {unit}");
        }
    }
}

#[test]
fn a_torn_log_header_never_wins() {
    let good = image(LOG, &[10, 70]);
    let header_at = PARTITION * usize::from(good[0] % 2);
    assert_ne!(good[header_at..header_at + 64], [0xFF; 64]);
    for kept in 1..64 {
        let mut torn = good.clone();
        torn[header_at + kept..header_at + 64].fill(0xFF);
        let unusable = refusal(LOG, torn, 0xFF);
        assert!(matches!(unusable, Unusable::Foreign | Unusable::Corrupt));
    }
    for (offset, bytes, unusable) in [
        (4, [0x41, 0x01, 0, 0], Unusable::Corrupt),
        (4, [0xC0, 0x03, 0, 0], Unusable::Corrupt),
        (4, [0x00, 0x04, 0, 0], Unusable::Corrupt),
        (4, [0, 0, 0, 0], Unusable::Corrupt),
        (4, [0x80, 0, 0, 0], Unusable::Corrupt),
        (60, [0, 0, 0, 1], Unusable::Foreign),
        (64 + 6, [0xFF, 0xFF, 0, 0], Unusable::Corrupt),
    ] {
        let mut damaged = good.clone();
        damaged[header_at + offset..header_at + offset + 4].copy_from_slice(&bytes);
        assert_eq!(refusal(LOG, damaged, 0xFF), unusable, "{offset} {bytes:?}");
    }
}

/// An object with identifier 0, which the original stores, hides only itself.
#[test]
fn the_log_skips_identifier_0() {
    let mut odd = image(LOG, &[10, 70, 5]);
    let header_at = PARTITION * usize::from(odd[0] % 2);
    odd[header_at + 64 + 128] = 0;
    let mut store = LOG.mount(Ram::from_image(odd, 0xFF)).unwrap();
    assert_eq!(content(store.get()).keys().copied().collect::<Vec<_>>(), [1, 3]);
    store.get().add(&plain(4), &[4]).unwrap();
    let mut store = LOG.mount(store.unmount()).unwrap();
    assert_eq!(content(store.get()).keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn formatting_on_request() {
    let text: Vec<u8> = b"Not a store. ".iter().copied().cycle().take(2 * PARTITION).collect();
    let mut flash = Ram::from_image(text.clone(), 0xFF);
    let directory = vec![DirectoryEntry::EMPTY; ENTRIES];
    FlashStore::format(&mut flash, directory, FlashOptions::new()).unwrap();
    assert_eq!(flash.image(), image(PLAIN, &[]));
    let mut flash = Ram::from_image(text, 0xFF);
    LogStore::format(&mut flash, vec![0; PARTITION], LogOptions::new()).unwrap();
    assert_eq!(flash.image(), image(LOG, &[]));
}

#[test]
fn mounting_unlocks_and_unmounting_locks() {
    use embedded_storage::nor_flash::NorFlash;
    for layout in [PLAIN, LOG] {
        let mut flash = Ram::from_image(blank(), 0xFF);
        flash.lock(0, 0).unwrap();
        let mut store = layout.mount(flash).unwrap();
        store.get().add(&plain(1), &[]).unwrap();
        assert!(store.unmount().erase(0, 1024).is_err());
    }
}

/// The table of §5.4.
#[test]
fn policy() {
    let flags = |bits: u16| metadata(1, 0, bits, "");
    for layout in [PLAIN, LOG] {
        for bit in 0..16 {
            let bits = 1 << bit;
            let mut store = layout.mount(Ram::from_image(blank(), 0xFF)).unwrap();
            let store = store.get();
            store.add(&flags(bits), &[1, 2]).unwrap();
            store.add(&plain(2), &[3]).unwrap();
            let refused = |set: Flags| Flags(bits).intersects(set);
            let protected = Flags::TRUSTED | Flags::NONMODIFIABLE;

            let mut out = [9; 2];
            let read = store.read_checked(ObjectId(1), 0, &mut out);
            if refused(Flags::TRUSTED | Flags::NONEXPORTABLE) {
                assert_eq!((read, out), (Err(Error::Access), [0, 0]));
            } else {
                assert_eq!((read, out), (Ok(()), [1, 2]));
            }

            let added = store.add_checked(&flags(0xFFFF), &[4]);
            let expected = if refused(protected) { Err(Error::Access) } else { Ok(()) };
            assert_eq!(added, expected);
            if added.is_ok() {
                assert_eq!(store.metadata(ObjectId(1)).unwrap().flags, Flags(0xEFFF));
                store.add(&flags(bits), &[]).unwrap();
            }

            // One protected object protects the whole list.
            let ids = [ObjectId(2), ObjectId(77), ObjectId(1)];
            let destroyed = store.destroy_checked(&ids);
            if refused(protected | Flags::NONDESTROYABLE) {
                assert_eq!(destroyed, Err(Error::Access));
                assert_eq!(content(store).len(), 2);
                store.destroy_checked(&[]).unwrap();
                assert_eq!(content(store).len(), 2);
            } else {
                destroyed.unwrap();
                assert!(content(store).is_empty());
            }
        }
        let mut store = layout.mount(Ram::from_image(blank(), 0xFF)).unwrap();
        assert_eq!(store.get().read_checked(ObjectId(5), 0, &mut [0]), Err(Error::NotFound));
    }
}

#[test]
fn the_given_length_is_ignored() {
    let mut store = PLAIN.mount(Ram::from_image(blank(), 0xFF)).unwrap();
    store.get().add(&Metadata { length: 999, ..plain(1) }, &[1, 2, 3]).unwrap();
    assert_eq!(store.get().metadata(ObjectId(1)).unwrap().length, 3);
}

/// Flash that can only be read in units of 8 bytes gives every part of an object all the same.
#[test]
fn coarse_reads() {
    let mut flash = PowerCutFlash::<8, 64>::from_image(image(PLAIN, &[3, 200]), 0xFF);
    let mut store = PLAIN.mount(&mut flash).unwrap();
    let data = pattern(2, 200);
    for offset in 0..200 {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 128, 200 - offset] {
            if offset + length <= 200 {
                let mut out = vec![0; length];
                store.get().read(ObjectId(2), offset as u16, &mut out).unwrap();
                assert_eq!(out, data[offset..offset + length], "{offset} {length}");
            }
        }
    }
}

/// How to make something between a store and noise.
#[derive(Debug, Clone)]
struct Noise {
    base: usize,
    copy: bool,
    changes: Vec<(usize, Vec<u8>)>,
}

impl Noise {
    fn image(&self) -> Vec<u8> {
        let mut made = match self.base {
            0 => blank(),
            1 => image(PLAIN, &[8, 0, 30]),
            2 => image(CHECKED, &[8, 0, 30]),
            3 => image(LOG, &[8, 0, 30]),
            _ => vec![0; 2 * PARTITION],
        };
        if self.copy {
            made.copy_within(..PARTITION, PARTITION);
        }
        for (place, bytes) in &self.changes {
            for (to, &from) in made[*place..].iter_mut().zip(bytes) {
                *to = from;
            }
        }
        made
    }
}

fn noise() -> impl Strategy<Value = Noise> {
    let place = prop_oneof![0..64_usize, 0..400_usize, PARTITION..PARTITION + 64, 0..2 * PARTITION];
    let byte = prop_oneof![Just(0xFF), Just(0), any::<u8>()];
    let change = (place, proptest::collection::vec(byte, 1..12));
    (0..5_usize, any::<bool>(), proptest::collection::vec(change, 0..6))
        .prop_map(|(base, copy, changes)| Noise { base, copy, changes })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the flash holds: a refusal changes nothing, and what mounts is consistent and stays so.
    #[test]
    fn any_flash_content(noise in noise(), zero in any::<bool>()) {
        let image = noise.image();
        let erased = if zero { 0 } else { 0xFF };
        for layout in [PLAIN, CHECKED, LOG] {
            let mut flash = Ram::from_image(image.clone(), erased);
            let Ok(mut store) = layout.mount(&mut flash) else {
                prop_assert!(flash.image() == image, "a refused image was changed");
                continue;
            };
            let mut objects = Vec::new();
            store.get().visit(&mut |object| {
                objects.push(object.id);
                std::ops::ControlFlow::Continue(())
            }).unwrap();
            for &id in &objects {
                let length = store.get().metadata(id).unwrap().length;
                let mut data = vec![0; length.into()];
                match store.get().read(id, 0, &mut data) {
                    Ok(()) | Err(Error::NotVerified) => {}
                    Err(Error::OutOfRange) => prop_assert_eq!(length, 0),
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
            match store.get().add_with_reclaim(&plain(0x777), &[7; 10]) {
                Ok(()) => {
                    drop(store);
                    let mut store = layout.mount(&mut flash).unwrap();
                    let mut data = [0; 10];
                    store.get().read(ObjectId(0x777), 0, &mut data).unwrap();
                    prop_assert_eq!(data, [7; 10]);
                    for id in objects {
                        prop_assert!(store.get().metadata(id).is_ok());
                    }
                }
                Err(Error::NoSpace | Error::NotVerified) => {}
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
