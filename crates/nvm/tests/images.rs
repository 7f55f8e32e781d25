//! Images are byte for byte those of document 02.

mod common;

use casemate_nvm::{DirectoryEntry, FlashOptions, FlashStore, LogOptions, LogStore, ObjectStore, RamFlash};
use casemate_protocol::{Label, Metadata, ObjectId};
use common::metadata;
use sha2::{Digest, Sha256};

type Store = FlashStore<RamFlash<Vec<u8>>, Vec<DirectoryEntry>>;

fn mount(image: Vec<u8>, erased: u8, checksums: bool) -> Store {
    let flash = RamFlash::from_image(image, erased);
    let options = FlashOptions::new().with_checksums(checksums);
    FlashStore::mount(flash, vec![DirectoryEntry::EMPTY; 32], options).unwrap()
}

/// The image of the annotated example, §8.4.
fn example(erased: u8, checksums: bool) -> Vec<u8> {
    let key: Vec<u8> = (0..16).collect();
    let she = Label::from_bytes(&[0, 0, 0, 5, 0, 0, 0, 1]);
    let mut store = mount(vec![erased; 0x2000], erased, checksums);
    store.add(&metadata(14, 0xFFFF, 0x0800, "greeting"), b"hello wolf").unwrap();
    store.add(&metadata(0x1CFE, 0, 0x1205, "kek"), &key).unwrap();
    store.add(&Metadata { label: she, ..metadata(0x2C04, 0, 0, "") }, &key).unwrap();
    store.add(&metadata(14, 0xFFFF, 0, "greeting v2"), &key).unwrap();
    store.unmount().unwrap().into_storage()
}

fn sha256(image: &[u8]) -> String {
    hex::encode(Sha256::digest(image))
}

#[test]
fn the_annotated_example() {
    let plain = example(0xFF, false);
    assert_eq!(sha256(&plain), "7407c7ced67cc37bb85c4834ceb975759259ec4b640568881071eb9a6f96cf63");
    assert_eq!(
        sha256(&example(0xFF, true)),
        "9ea26a6ca0865487d2b2f1d4f1a36aacf6814d440cc4cac032f27856e10d6c4f"
    );
    assert_eq!(
        sha256(&example(0x00, false)),
        "f44b7f7e653e87d058e735d5ce3970e0b296747b64d1a1dcd3c455ca9406e91e"
    );
    // A few bytes in clear, so that a wrong hash is easier to hunt down.
    assert_eq!(hex::encode(&plain[..0x10]), "0000000078563412e300000078563412");
    assert_eq!(hex::encode(&plain[0xC0..0xD8]), "010000007856341206000000785634120200000078563412");
    assert_eq!(&plain[0x718..0x728], b"hello wolf\0\0\0\0\0\0");
}

#[test]
fn words_with_checksums() {
    let image = example(0xFF, true);
    for (offset, word) in [
        (0x20, "0000000010483412"),
        (0x28, "0200000078663412"),
        (0x58, "0200000024643412"),
        (0x60, "02000000373b3412"),
        (0x90, "040000009aaf3412"),
        (0x98, "02000000373b3412"),
        (0xC8, "06000000263b3412"),
        (0xD0, "02000000373b3412"),
    ] {
        assert_eq!(hex::encode(&image[offset..offset + 8]), word, "{offset:#x}");
    }
    let mut store = mount(vec![0xFF; 0x2000], 0xFF, true);
    store.add(&common::plain(1), &[]).unwrap();
    assert_eq!(hex::encode(&store.flash().image()[0x28..0x30]), "00000000ffff3412");
}

#[test]
fn the_empty_store() {
    let image = mount(vec![0xFF; 0x20000], 0xFF, false).unmount().unwrap().into_storage();
    assert_eq!(sha256(&image), "0a104d24849c7c5827c042ecb51f916e2bfd06c36f7f52e0fa3814fb988ccc08");
}

#[test]
fn images_mount_and_extend() {
    for (erased, checksums) in [(0xFF, false), (0x00, false), (0xFF, true), (0x00, true)] {
        let image = example(erased, checksums);
        let mut store = mount(image.clone(), erased, checksums);
        let objects = common::content(&mut store);
        assert_eq!(objects.keys().copied().collect::<Vec<_>>(), [14, 0x1CFE, 0x2C04]);
        assert_eq!(objects[&14].0.label, "greeting v2".into());
        // The replaced version is still there, to be reclaimed: one entry, 16 bytes.
        let available = store.available().unwrap();
        assert_eq!((available.size, available.objects), (0x1000 - 0x758, 28));
        assert_eq!((available.reclaimable_size, available.reclaimable_objects), (16, 1));
        // In the order in which they were added; a replacement comes last.
        let listed = store.list_next(ObjectId::INVALID).unwrap();
        assert_eq!((listed.id, listed.count), (ObjectId(0x1CFE), 3));
        let listed = store.list_next(ObjectId(14)).unwrap();
        assert_eq!((listed.id, listed.count), (ObjectId::INVALID, 0));
        assert_eq!(store.list_next(ObjectId(0x9999)).unwrap(), listed);
        // Mounting writes nothing.
        assert_eq!(store.unmount().unwrap().into_storage(), image);
    }
}

/// A reader without checksums takes images with them, and goes on in its own way.
#[test]
fn checksums_are_ignored_where_not_asked_for() {
    let mut store = mount(example(0xFF, true), 0xFF, false);
    assert_eq!(common::content(&mut store).len(), 3);
    store.destroy(&[]).unwrap();
    assert_eq!(common::content(&mut store).len(), 3);
}

#[test]
fn compaction_makes_a_dense_copy_with_the_next_epoch() {
    for checksums in [false, true] {
        let mut store = mount(example(0xFF, checksums), 0xFF, checksums);
        store.destroy(&[ObjectId(0x1CFE), ObjectId(0x7777)]).unwrap();
        let image = store.unmount().unwrap().into_storage();
        assert!(image[..0x1000].iter().all(|&byte| byte == 0xFF));
        let copy = &image[0x1000..];
        assert_eq!(hex::encode(&copy[..0x18]), "0100000078563412e3000000785634120002000078563412");
        // First the SHE key, then the replaced object, whose version stays 1.
        let start = |image: &[u8], offset: usize| hex::encode(&image[offset..offset + 4]);
        assert_eq!(start(copy, 0x18), "00000000");
        assert_eq!(start(copy, 0x20), "00000000");
        assert_eq!(hex::encode(&copy[0x30..0x32]), "042c");
        assert_eq!(start(copy, 0x50), "01000000");
        assert_eq!(start(copy, 0x58), "02000000");
        assert_eq!(hex::encode(&copy[0x68..0x6A]), "0e00");
        assert!(copy[0x88..0x718].iter().all(|&byte| byte == 0xFF));
        assert!(copy[0x738..].iter().all(|&byte| byte == 0xFF));
        if checksums {
            assert_eq!(hex::encode(&copy[0x28..0x30]), "02000000373b3412");
        }
        let mut store = mount(image, 0xFF, checksums);
        assert_eq!(common::content(&mut store).len(), 2);
    }
}

/// The example of §4.
#[test]
fn the_log_example() {
    for erased in [0xFF, 0x00] {
        let flash = RamFlash::<_, 64, 4096>::new(vec![0; 8192], erased);
        let mut store = LogStore::mount(flash, vec![0xEE; 4096], LogOptions::new()).unwrap();
        store.add(&metadata(1, 0xFFFF, 0, "obj1"), &[0x11; 40]).unwrap();
        store.add(&metadata(2, 0xFFFF, 0, "obj2"), &[0x22; 100]).unwrap();
        let mut expected = vec![erased; 8192];
        expected[..0x180].fill(0);
        expected[..8].copy_from_slice(&hex::decode("0200000040010000").unwrap());
        // Where blank is zero, a fresh store begins with epoch 1.
        expected[0] += u8::from(erased == 0);
        expected[0x40..0x4C].copy_from_slice(&hex::decode("0100ffff000028006f626a31").unwrap());
        expected[0x80..0xA8].fill(0x11);
        expected[0xC0..0xCC].copy_from_slice(&hex::decode("0200ffff000064006f626a32").unwrap());
        expected[0x100..0x164].fill(0x22);
        assert_eq!(store.flash().image(), expected);
        let available = store.available().unwrap();
        assert_eq!((available.size, available.objects), (4096 - 64 - 0x140, 30));
        assert_eq!((available.reclaimable_size, available.reclaimable_objects), (0, 0));

        let mut store =
            LogStore::mount(store.unmount().unwrap(), vec![0xEE; 4032], LogOptions::new()).unwrap();
        assert_eq!(common::content(&mut store).len(), 2);
        assert_eq!(store.flash().image(), expected);
        // The end of an object can be read, but nothing behind it.
        store.read(ObjectId(2), 100, &mut []).unwrap();
        assert!(store.read(ObjectId(2), 100, &mut [0]).is_err());
        store.destroy(&[ObjectId(1), ObjectId(2)]).unwrap();
        assert_eq!(store.flash().image()[4096..4104], [expected[0] + 1, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// No byte of an object that is gone may turn up in the padding of another.
#[test]
fn the_log_pads_with_zeros() {
    let flash = RamFlash::<_, 64, 1024>::new(vec![0; 2048], 0xFF);
    let mut store = LogStore::mount(flash, vec![0xEE; 1024], LogOptions::new()).unwrap();
    store.add(&common::plain(1), &[0xAA; 300]).unwrap();
    store.destroy(&[ObjectId(1)]).unwrap();
    store.add(&common::plain(2), &[0x55]).unwrap();
    let image = store.unmount().unwrap().into_storage();
    assert!(!image.contains(&0xAA));
    assert!(!image.contains(&0xEE));
}
