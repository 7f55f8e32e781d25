//! Images: made, examined, damaged, repaired.

use casemate_nvm_image::{
    Change, Configuration, EntryState, Error, Format, Layout, Object, PartitionState, Report, difference,
};
use casemate_protocol::{Flags, Metadata, ObjectId};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::fs;
use zeroize::Zeroizing;

const SMALL: Format = Format {
    layout: Layout::Flash { entries: 32, checksums: false },
    partition_size: 0x1000,
    erased_byte: 0xFF,
};
const LOG: Format = Format { layout: Layout::Log { objects: 32 }, partition_size: 0x1000, erased_byte: 0xFF };

fn checked() -> Format {
    Format { layout: Layout::Flash { entries: 32, checksums: true }, ..SMALL }
}

fn object(id: u16, label: &str, data: &[u8]) -> Object {
    let length = u16::try_from(data.len()).unwrap();
    let metadata =
        Metadata { id: ObjectId(id), access: 0xFFFF, flags: Flags(0), length, label: label.into() };
    Object { metadata, data: Zeroizing::new(data.to_vec()) }
}

fn some_objects() -> Vec<Object> {
    vec![
        object(1, "one", &[0x11; 40]),
        object(2, "two", &[0x22; 100]),
        object(1, "one again", b"x"),
        object(3, "empty", &[]),
    ]
}

/// The example of document 02, §8.4, from a file of the original's tool and from TOML.
#[test]
fn the_annotated_example() {
    let folder = tempfile::tempdir().unwrap();
    let key: Vec<u8> = (0..16).collect();
    fs::write(folder.path().join("a.bin"), b"hello wolf").unwrap();
    fs::write(folder.path().join("k.bin"), &key).unwrap();
    let path = folder.path().display();
    let original = format!(
        "obj 14 0xFFFF 0x0800 \"greeting\" {path}/a.bin # trailing comment\n\
         key 12 0xFE 0 0x1205 \"kek\" {path}/k.bin\n\
         she 12 4 5 0x01 {path}/k.bin\n\
         obj 14 0xFFFF 0x0000 \"greeting v2\" {path}/k.bin\n"
    );
    fs::write(folder.path().join("demo.nvminit"), original).unwrap();
    let configuration = Configuration::read(&folder.path().join("demo.nvminit")).unwrap();
    for (format, hash) in [
        (SMALL, "7407c7ced67cc37bb85c4834ceb975759259ec4b640568881071eb9a6f96cf63"),
        (checked(), "9ea26a6ca0865487d2b2f1d4f1a36aacf6814d440cc4cac032f27856e10d6c4f"),
        (
            Format { erased_byte: 0, ..SMALL },
            "f44b7f7e653e87d058e735d5ce3970e0b296747b64d1a1dcd3c455ca9406e91e",
        ),
    ] {
        let image = format.build(&configuration.objects).unwrap();
        assert_eq!(hex::encode(Sha256::digest(&*image)), hash, "{format:?}");
        assert_eq!(Format::detect(&image).unwrap(), format);
        let report = Report::new(&image, format).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let states: Vec<_> = report.entries.iter().map(|entry| entry.state.clone()).collect();
        assert_eq!(states, [EntryState::Replaced, EntryState::Live, EntryState::Live, EntryState::Live]);
        assert_eq!(report.entries[3].version, 1);
        assert_eq!(report.space.free_objects, Some(28));
        assert_eq!(report.space.reclaimable_bytes, 16);
    }

    // TOML puts SHE keys last, so the order differs; what a server sees is the same.
    let text = "[image]\npartition-size = 0x1000\n\
        [[object]]\nid = 14\nflags = [\"nondestroyable\"]\nlabel = \"greeting\"\nfile = \"a.bin\"\n\
        [[object]]\nid = 14\nlabel = \"greeting v2\"\nfile = \"k.bin\"\n\
        [[key]]\nclient = 12\nid = 0xfe\naccess = 0\nflags = 0x1205\nlabel = \"kek\"\nfile = \"k.bin\"\n\
        [[she]]\nclient = 12\nslot = 4\ncounter = 5\nflags = 1\nfile = \"k.bin\"\n";
    fs::write(folder.path().join("demo.toml"), text).unwrap();
    let tables = Configuration::read(&folder.path().join("demo.toml")).unwrap();
    assert_eq!(tables.format, Some(SMALL));
    assert!(difference(&tables.objects, &configuration.objects).is_empty());
}

#[test]
fn the_empty_image() {
    let image = Format::default().build(&[]).unwrap();
    let expected = "0a104d24849c7c5827c042ecb51f916e2bfd06c36f7f52e0fa3814fb988ccc08";
    assert_eq!(hex::encode(Sha256::digest(&*image)), expected);
}

#[test]
fn an_image_is_extended_like_a_second_run_of_the_tool() {
    let objects = some_objects();
    let (first, second) = objects.split_at(2);
    for format in [SMALL, checked(), LOG] {
        let image = format.extend(format.build(first).unwrap(), second).unwrap();
        assert_eq!(image, format.build(&objects).unwrap());
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let error = SMALL.build(&[object(1, "", &[0; 1000]), object(2, "", &[0; 2000])]).unwrap_err().to_string();
    assert!(error.starts_with("object 0x0002: no room") && error.contains("2280 bytes"), "{error}");
    let error = LOG.build(&[object(7, "", &[0; 4000])]).unwrap_err().to_string();
    assert!(error.starts_with("object 0x0007: no room"), "{error}");
    for partition_size in [0, 12, 0x1000_0000] {
        assert!(matches!(Format { partition_size, ..SMALL }.build(&[]), Err(Error::Format(_))));
    }
    let tiny = Format { partition_size: 1024, ..SMALL }.build(&[]).unwrap_err();
    assert!(matches!(tiny, Error::Format(_)), "{tiny}");
}

#[test]
fn both_layouts_are_detected_and_shown() {
    for format in [SMALL, LOG] {
        for erased_byte in [0xFF, 0] {
            let format = Format { erased_byte, ..format };
            let image = format.build(&some_objects()).unwrap();
            assert_eq!(Format::detect(&image).unwrap(), format);
            let report = Report::new(&image, format).unwrap();
            assert!(report.problems.is_empty(), "{:?}", report.problems);
            let mut live = report.objects(&image);
            live.sort_by_key(|object| object.metadata.id.0);
            let expected =
                vec![object(1, "one again", b"x"), object(2, "two", &[0x22; 100]), object(3, "empty", &[])];
            assert_eq!(live, expected);
        }
    }
    for bytes in
        [&[][..], &[0xFF; 64], &[0; 64], &[1; 63], b"these are some bytes that are no image, of course..."]
    {
        assert!(matches!(Format::detect(bytes), Err(Error::Image(_))));
    }
}

#[test]
fn a_damaged_version_gives_way_to_the_one_before() {
    let format = checked();
    let mut image = format.build(&some_objects()).unwrap();
    let report = Report::new(&image, format).unwrap();
    // The newest version of object 1, and the only one of object 2.
    for index in [2, 1] {
        image[report.entries[index].data.start] ^= 1;
    }
    let report = Report::new(&image, format).unwrap();
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert!(report.problems[0].contains("entry 1 (object 0x0002) is unreadable: the data do not match"));
    let repaired = report.repair(&image).unwrap();
    assert_eq!(repaired.kept, [ObjectId(1), ObjectId(3)]);
    assert_eq!(repaired.older, [ObjectId(1)]);
    assert_eq!(repaired.lost, [ObjectId(2)]);
    let after = Report::new(&repaired.image, format).unwrap();
    assert!(after.problems.is_empty() && after.notes.is_empty());
    assert_eq!(after.objects(&repaired.image)[0], object(1, "one", &[0x11; 40]));
}

#[test]
fn an_image_without_a_complete_partition_is_saved() {
    let mut image = SMALL.build(&some_objects()).unwrap();
    image[16..24].fill(0xFF);
    assert_eq!(Format::detect(&image).unwrap(), SMALL);
    let report = Report::new(&image, SMALL).unwrap();
    assert_eq!(report.active, None);
    assert!(
        report.problems.iter().any(|problem| problem.contains("would not start")),
        "{:?}",
        report.problems
    );
    let repaired = report.repair(&image).unwrap();
    assert_eq!(repaired.kept.len(), 3);
    assert_eq!(Report::new(&repaired.image, SMALL).unwrap().problems.len(), 0);
}

#[test]
fn traces_of_a_power_failure_are_notes() {
    let mut image = SMALL.build(&some_objects()).unwrap();
    let unfinished = 24 + 4 * 56;
    image[unfinished..unfinished + 8].copy_from_slice(&[0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12]);
    image[0x1000] = 0;
    let report = Report::new(&image, SMALL).unwrap();
    assert_eq!(report.entries[4].state, EntryState::Unfinished);
    assert_eq!(report.partitions[1].state, PartitionState::Incomplete);
    assert_eq!(
        (report.problems.len(), report.notes.len()),
        (0, 2),
        "{:?} {:?}",
        report.problems,
        report.notes
    );
}

#[test]
fn differences_are_by_object() {
    let before = [object(1, "a", b"1"), object(2, "b", b"2"), object(4, "d", b"4")];
    let after = [object(4, "d", b"4"), object(2, "b", b"3"), object(3, "c", b"3")];
    let changes = difference(&before, &after);
    assert_eq!(
        changes,
        [
            Change::Removed(object(1, "a", b"1")),
            Change::Changed { before: object(2, "b", b"2"), after: object(2, "b", b"3") },
            Change::Added(object(3, "c", b"3")),
        ]
    );
}

fn any_format() -> impl Strategy<Value = Format> {
    let layout = prop_oneof![
        (1_u16..40, any::<bool>()).prop_map(|(entries, checksums)| Layout::Flash { entries, checksums }),
        (1_u16..40).prop_map(|objects| Layout::Log { objects }),
    ];
    (layout, 40_u32..80, any::<bool>()).prop_map(|(layout, blocks, zero)| Format {
        layout,
        partition_size: blocks * 64,
        erased_byte: if zero { 0 } else { 0xFF },
    })
}

proptest! {
    #[test]
    fn every_image_that_is_made_is_sound(
        format in any_format(),
        objects in proptest::collection::vec((1_u16..6, "[a-z]{0,24}", proptest::collection::vec(any::<u8>(), 0..200)), 0..10),
    ) {
        let objects: Vec<_> = objects.iter().map(|(id, label, data)| object(*id, label, data)).collect();
        if let Ok(image) = format.build(&objects) {
            let report = Report::new(&image, format).unwrap();
            prop_assert!(report.problems.is_empty() && report.notes.is_empty(), "{:?} {:?}", report.problems, report.notes);
            prop_assert!(difference(&objects, &report.objects(&image)).is_empty());
            let repaired = report.repair(&image).unwrap();
            prop_assert!(repaired.older.is_empty() && repaired.lost.is_empty());
            let again = Report::new(&repaired.image, format).unwrap();
            prop_assert!(difference(&objects, &again.objects(&repaired.image)).is_empty());
        }
    }

    #[test]
    fn any_damage_is_survived(
        format in any_format(),
        objects in proptest::collection::vec((1_u16..6, proptest::collection::vec(any::<u8>(), 0..200)), 1..6),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let objects: Vec<_> = objects.iter().map(|(id, data)| object(*id, "", data)).collect();
        if let Ok(mut image) = format.build(&objects) {
            for (place, byte) in damage {
                // Most of an image is free space: strike where something is.
                let place = place.index(1200.min(image.len()));
                image[place] = byte;
            }
            let format = Format::detect(&image).unwrap_or(format);
            if let Ok(report) = Report::new(&image, format)
                && let Ok(repaired) = report.repair(&image)
            {
                let after = Report::new(&repaired.image, format).unwrap();
                prop_assert!(after.problems.is_empty(), "{:?}", after.problems);
                prop_assert_eq!(after.objects(&repaired.image).len(), repaired.kept.len());
            }
        }
    }
}
