//! Sequences of operations on a store, interrupted by power cuts and failing flash, against a model: after every
//! operation, and after every restart, the store holds exactly the objects that it should.

#![no_main]

use arbitrary::Arbitrary;
use casemate_fuzz::flash::{Fault, Interruption, SharedFlash};
use casemate_fuzz::store::{self, Layout, OBJECTS, Objects, PARTITION};
use casemate_nvm::{Error, ObjectStore};
use casemate_protocol::{Flags, Label, Metadata, ObjectId};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    layout: Layout,
    erased_to_ones: bool,
    cache: Option<u64>,
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Operation {
    Add { id: u8, flags: u16, length: u8, fill: u8, way: Way },
    Destroy { ids: Vec<u8>, checked: bool },
    Compact,
    Read { id: u8, offset: u8, length: u8, checked: bool },
    Interrupt(Interruption),
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Way {
    Plain,
    Checked,
    WithReclaim,
}

fuzz_target!(|input: Input| {
    match input.layout {
        Layout::Directory | Layout::Checksums => run::<8>(&input),
        Layout::Log => run::<64>(&input),
    }
});

fn run<const UNIT: usize>(input: &Input) {
    let erased_byte = if input.erased_to_ones { 0xFF } else { 0x00 };
    let flash = SharedFlash::<UNIT>::new(vec![erased_byte; 2 * PARTITION], erased_byte, input.cache);
    let mut operations = input.operations.iter();
    // What the flash may hold: one set of objects, or two after an interrupted change.
    let mut possible: Vec<Objects> = vec![Vec::new()];
    loop {
        let ended = store::with_store(input.layout, &flash, |mounted| {
            let store = match mounted {
                Ok(store) => store,
                Err(error) => {
                    assert!(flash.interrupted(), "a sound store was not mounted: {error:?}");
                    return false;
                }
            };
            session(input.layout, &flash, store, &mut operations, &mut possible)
        });
        flash.reboot();
        if ended {
            return;
        }
    }
}

/// Works until a restart (`false`) or the end of the input (`true`).
fn session<'a, const UNIT: usize>(
    layout: Layout,
    flash: &SharedFlash<UNIT>,
    store: &mut dyn ObjectStore<FlashError = Fault>,
    operations: &mut impl Iterator<Item = &'a Operation>,
    possible: &mut Vec<Objects>,
) -> bool {
    // What was interrupted in this session may stand in the way of additions until the next compaction or restart.
    let mut damaged = flash.interrupted();
    loop {
        if flash.is_off() {
            return false;
        }
        damaged |= flash.interrupted();
        match store::objects(store) {
            Ok(seen) => {
                assert!(
                    possible.contains(&seen),
                    "the store holds {seen:?}, and should hold one of {possible:?}"
                );
                *possible = vec![seen];
            }
            Err(Error::Failed) if damaged => return false,
            Err(error) => panic!("a sound store cannot be read: {error:?}"),
        }
        let Some(operation) = operations.next() else { return true };
        let old = possible[0].clone();
        let (new, result) = match operation {
            Operation::Restart => return false,
            Operation::Interrupt(interruption) => {
                flash.interrupt(*interruption);
                continue;
            }
            Operation::Read { id, offset, length, checked } => {
                read(store, &old, object_id(*id), *offset, *length, *checked);
                continue;
            }
            Operation::Add { id, flags, length, fill, way } => {
                let metadata = Metadata {
                    id: object_id(*id),
                    access: 0xFFFF,
                    flags: Flags(*flags),
                    length: 0,
                    label: Label::from_bytes(&[*fill, *length, 0, 1]),
                };
                let data: Vec<u8> = (0..*length).map(|position| position.wrapping_mul(*fill)).collect();
                add(layout, store, &old, &metadata, &data, *way, damaged)
            }
            Operation::Compact => (old.clone(), store.destroy(&[])),
            Operation::Destroy { ids, .. } if ids.is_empty() => continue,
            Operation::Destroy { ids, checked } => {
                let ids: Vec<ObjectId> = ids.iter().map(|&id| object_id(id)).collect();
                destroy(store, &old, &ids, *checked)
            }
        };
        match result {
            Ok(()) => *possible = vec![new],
            Err(Error::Flash(fault)) if !matches!(fault, Fault::Off | Fault::Injected) => {
                panic!("{operation:?} used the flash wrongly: {fault:?}");
            }
            Err(_) if flash.interrupted() => *possible = vec![old, new],
            Err(Error::InvalidId | Error::NoSpace | Error::Access | Error::NotBlank | Error::NotVerified) => {
            }
            Err(error) => panic!("{operation:?} failed: {error:?}"),
        }
    }
}

/// Few identifiers, so that they meet again; one of them is invalid.
fn object_id(id: u8) -> ObjectId {
    ObjectId(u16::from(id % 13))
}

fn find(objects: &Objects, id: ObjectId) -> Option<&(Metadata, Vec<u8>)> {
    objects.iter().find(|(metadata, _)| metadata.id == id)
}

type Change = (Objects, Result<(), Error<Fault>>);

fn add(
    layout: Layout,
    store: &mut dyn ObjectStore<FlashError = Fault>,
    old: &Objects,
    metadata: &Metadata,
    data: &[u8],
    way: Way,
    damaged: bool,
) -> Change {
    let before = store.available().expect("a sound store tells its free space");
    let protected = find(old, metadata.id)
        .is_some_and(|(existing, _)| existing.flags.intersects(Flags::TRUSTED.with(Flags::NONMODIFIABLE)));
    let (flags, result) = match way {
        Way::Plain => (metadata.flags, store.add(metadata, data)),
        Way::Checked => (metadata.flags.without(Flags::TRUSTED), store.add_checked(metadata, data)),
        Way::WithReclaim => (metadata.flags, store.add_with_reclaim(metadata, data)),
    };
    let mut new = old.clone();
    new.retain(|(existing, _)| existing.id != metadata.id);
    // Each object at its largest footprint in any layout.
    let used: usize = new.iter().map(|(_, data)| 64 + data.len().next_multiple_of(64)).sum();
    let room = new.len() + 1 < OBJECTS && used + 128 + data.len().next_multiple_of(64) < PARTITION / 2;
    new.push((Metadata { flags, length: data.len() as u16, ..*metadata }, data.to_vec()));

    if metadata.id == ObjectId::INVALID {
        // A full store may say so first.
        assert!(matches!(result, Err(Error::InvalidId)) || way == Way::WithReclaim && result.is_err());
        return (old.clone(), result);
    }
    assert_eq!(result == Err(Error::Access), way == Way::Checked && protected);
    match result {
        Err(Error::NoSpace) if layout == Layout::Log => assert!(!room),
        Err(Error::NoSpace) if way == Way::WithReclaim => assert!(!room || damaged),
        Err(Error::NoSpace) => assert!(before.objects == 0 || (before.size as usize) < data.len()),
        Err(Error::NotBlank | Error::NotVerified) => assert!(damaged, "flash in order was refused"),
        _ => {}
    }
    (new, result)
}

fn destroy(
    store: &mut dyn ObjectStore<FlashError = Fault>,
    old: &Objects,
    ids: &[ObjectId],
    checked: bool,
) -> Change {
    let forbidding = Flags::TRUSTED.with(Flags::NONMODIFIABLE).with(Flags::NONDESTROYABLE);
    let protected =
        old.iter().any(|(existing, _)| ids.contains(&existing.id) && existing.flags.intersects(forbidding));
    let result = if checked { store.destroy_checked(ids) } else { store.destroy(ids) };
    assert_eq!(result == Err(Error::Access), checked && protected);
    let mut new = old.clone();
    new.retain(|(existing, _)| !ids.contains(&existing.id));
    (new, result)
}

fn read(
    store: &mut dyn ObjectStore<FlashError = Fault>,
    objects: &Objects,
    id: ObjectId,
    offset: u8,
    length: u8,
    checked: bool,
) {
    let mut out = vec![0xA5; usize::from(length)];
    let result = if checked {
        store.read_checked(id, u16::from(offset), &mut out)
    } else {
        store.read(id, u16::from(offset), &mut out)
    };
    if result.is_err() {
        assert!(out.iter().all(|&byte| byte == 0), "a refused read left {out:?}");
    }
    let (start, end) = (usize::from(offset), usize::from(offset) + usize::from(length));
    match find(objects, id) {
        None => assert_eq!(result, Err(Error::NotFound)),
        Some((metadata, _))
            if checked && metadata.flags.intersects(Flags::TRUSTED.with(Flags::NONEXPORTABLE)) =>
        {
            assert_eq!(result, Err(Error::Access));
        }
        // Whether nothing may be read at an object's end depends on the layout (document 02, §3.7 and §4).
        Some((_, data)) if start == data.len() && length == 0 => {
            assert!(matches!(result, Ok(()) | Err(Error::OutOfRange)));
        }
        Some((_, data)) => match data.get(start..end) {
            Some(expected) => {
                assert_eq!(result, Ok(()));
                assert_eq!(out, expected);
            }
            None => assert_eq!(result, Err(Error::OutOfRange)),
        },
    }
}
