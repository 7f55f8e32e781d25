//! Random sequences of changes against a map.

mod common;

use casemate_nvm::{Error, RamFlash};
use common::{Content, Layout, Operation, content};
use proptest::prelude::*;

fn operation() -> impl Strategy<Value = Operation> {
    let id = prop_oneof![1..10_u16, Just(0x1CFE), Just(0x3001), any::<u16>().prop_map(|id| id.max(1))];
    let length = prop_oneof![Just(0_usize), 0..40_usize, 0..40_usize, 100..700_usize];
    let parts = (id.clone(), any::<u16>(), length);
    prop_oneof![
        4 => parts.clone().prop_map(|(id, version, length)| Operation::Add { id, version, length }),
        4 => parts.prop_map(|(id, version, length)| Operation::AddWithReclaim { id, version, length }),
        2 => proptest::collection::vec(id, 0..4).prop_map(Operation::Destroy),
    ]
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        (1..12_usize, any::<bool>()).prop_map(|(entries, checksums)| Layout::Flash { entries, checksums }),
        (1..12_u16).prop_map(|objects| Layout::Log { objects }),
    ]
}

/// What the operation needs at most, in the layout's terms, and whether the store has it.
fn has_room(layout: Layout, model: &Content, operation: &Operation, partition: usize) -> Option<bool> {
    let (Operation::Add { id, length, .. } | Operation::AddWithReclaim { id, length, .. }) = operation else {
        return Some(true);
    };
    match layout {
        Layout::Log { objects } => {
            let others = || model.iter().filter(|(other, _)| *other != id);
            let footprint = |length: usize| 64 + length.next_multiple_of(64);
            let used: usize = others().map(|(_, (_, data))| footprint(data.len())).sum();
            Some(others().count() < objects.into() && used + footprint(*length) <= partition - 64)
        }
        // How much of the directory layout is reclaimable depends on the past; after a compaction all of it is free.
        Layout::Flash { entries, .. } => {
            let used: usize = model.values().map(|(_, data)| data.len().next_multiple_of(8)).sum();
            let space = (partition - 24 - 56 * entries) & !7;
            let room = model.len() < entries && used + length.next_multiple_of(8) <= space;
            match operation {
                Operation::AddWithReclaim { .. } => Some(room),
                // Without a compaction there may be less room than this, never more.
                _ if room => None,
                _ => Some(false),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_map(
        layout in layout(),
        zero in any::<bool>(),
        partition in prop_oneof![Just(1024_usize), Just(2048)],
        operations in proptest::collection::vec((operation(), any::<bool>()), 1..60),
    ) {
        let erased = if zero { 0 } else { 0xFF };
        let flash = RamFlash::<Vec<u8>>::new(vec![0; 2 * partition], erased);
        let mut store = layout.mount(flash).unwrap();
        let mut model = Content::new();
        for (operation, remount) in operations {
            let result = operation.apply(store.get());
            let expected = has_room(layout, &model, &operation, partition);
            match result {
                Ok(()) => {
                    prop_assert_ne!(expected, Some(false), "{:?} worked without room", operation);
                    operation.apply_to(&mut model);
                }
                Err(Error::NoSpace) => {
                    prop_assert_ne!(expected, Some(true), "{:?} found no room", operation);
                }
                Err(error) => prop_assert!(false, "{:?}: {}", operation, error),
            }
            if remount {
                let before = store.get().available().unwrap();
                store = layout.mount(store.unmount()).unwrap();
                prop_assert_eq!(store.get().available().unwrap(), before);
            }
            prop_assert_eq!(&content(store.get()), &model);
        }
    }
}
