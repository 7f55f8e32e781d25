//! Cuts the power at every flash operation of every change, in several ways, and finds exactly the old or the new
//! objects afterwards.

mod common;

use casemate_nvm::Error;
use casemate_testkit::flash::{Effect, PowerCutFlash};
use common::{Content, Layout, Operation, Store, content};

type Flash = PowerCutFlash<8, 64>;

const LAYOUTS: [Layout; 3] = [
    Layout::Flash { entries: 6, checksums: false },
    Layout::Flash { entries: 6, checksums: true },
    Layout::Log { objects: 6 },
];

/// Bytes in a partition: 24 + 56 * 6 of state and directory, and 152 of data; or a header and 6 objects of 128.
const fn partition(layout: Layout) -> usize {
    match layout {
        Layout::Flash { .. } => 512,
        Layout::Log { .. } => 64 + 6 * 128,
    }
}

const EFFECTS: [Effect; 20] = [
    Effect::None,
    Effect::Complete,
    Effect::First(1),
    Effect::First(2),
    Effect::First(3),
    Effect::First(4),
    Effect::First(5),
    Effect::First(7),
    Effect::First(9),
    Effect::First(24),
    Effect::First(31),
    Effect::First(63),
    Effect::First(200),
    Effect::Last(1),
    Effect::Last(4),
    Effect::Last(7),
    Effect::Last(300),
    Effect::Garbage(1),
    Effect::Garbage(2),
    Effect::Garbage(3),
];

/// Some of them, where two are combined.
const FEW_EFFECTS: [Effect; 8] = [
    Effect::None,
    Effect::Complete,
    Effect::First(1),
    Effect::First(4),
    Effect::First(7),
    Effect::First(63),
    Effect::Last(4),
    Effect::Garbage(1),
];

fn add(id: u16, version: u16, length: usize) -> Operation {
    Operation::Add { id, version, length }
}

fn reclaim(id: u16, version: u16, length: usize) -> Operation {
    Operation::AddWithReclaim { id, version, length }
}

fn destroy<const N: usize>(ids: [u16; N]) -> Operation {
    Operation::Destroy(ids.to_vec())
}

/// Each of them can be done from beginning to end in each layout.
fn sequences() -> Vec<Vec<Operation>> {
    vec![
        // Additions of every kind of length, and a replacement.
        vec![add(1, 1, 0), add(2, 2, 8), add(3, 3, 13), add(2, 4, 30), add(1, 5, 3)],
        // Destruction and compaction.
        vec![add(1, 1, 20), add(2, 2, 70), destroy([1]), destroy([]), add(3, 3, 5), destroy([2, 3, 9])],
        // A counter that counts: compactions in between.
        (1..=14).map(|version| reclaim(0x3001, version, 0)).collect(),
        // No entry is left, then no space, and each time something goes and comes.
        vec![
            add(1, 1, 8),
            add(2, 2, 8),
            add(3, 3, 8),
            add(4, 4, 8),
            add(5, 5, 8),
            add(6, 6, 8),
            destroy([4]),
            add(7, 7, 16),
            destroy([1, 2, 3]),
            reclaim(5, 8, 40),
            reclaim(6, 9, 50),
            reclaim(5, 10, 24),
        ],
        vec![add(1, 1, 100), add(2, 2, 48), destroy([1]), add(1, 3, 96), destroy([2]), reclaim(2, 4, 56)],
    ]
}

/// Does `operation` on `image`, undisturbed; the image after it and the number of writes and erases it took. To mount
/// an image that nothing disturbed takes none.
fn undisturbed(layout: Layout, image: &[u8], erased: u8, operation: &Operation) -> (Vec<u8>, u64) {
    let mut flash = Flash::from_image(image.to_vec(), erased);
    layout.mount(&mut flash).unwrap();
    assert_eq!(flash.operations(), 0);
    let mut store = layout.mount(&mut flash).unwrap();
    operation.apply(store.get()).unwrap_or_else(|error| panic!("{operation:?} cannot be done: {error}"));
    store.unmount();
    (flash.image().to_vec(), flash.operations())
}

fn formatted(layout: Layout, erased: u8) -> Vec<u8> {
    let mut flash = Flash::new(2 * partition(layout), erased);
    layout.mount(&mut flash).unwrap();
    flash.image().to_vec()
}

/// One change of one sequence.
struct Step<'a> {
    layout: Layout,
    erased: u8,
    operation: &'a Operation,
    /// The image before it.
    image: &'a [u8],
    /// The objects before and after it.
    old: &'a Content,
    new: &'a Content,
    /// Writes and erases that it takes.
    count: u64,
}

impl Step<'_> {
    fn flash(&self) -> Flash {
        Flash::from_image(self.image.to_vec(), self.erased)
    }

    /// Mounts and shows what is there, which has to be the old or the new objects.
    fn mounted(&self, flash: &mut Flash, context: &str) -> Content {
        let mut store = self.layout.mount(flash).unwrap_or_else(|error| {
            panic!("{:?} erased to {:#x}, {:?}, {context}: {error}", self.layout, self.erased, self.operation)
        });
        let found = content(store.get());
        assert!(
            found == *self.old || found == *self.new,
            "{:?} erased to {:#x}, {:?}, {context}: neither old nor new: {found:?}",
            self.layout,
            self.erased,
            self.operation,
        );
        found
    }

    /// Makes the change again, whether it has been made or not.
    fn again(&self, store: &mut Store<&mut Flash>, context: &str) {
        let done = content(store.get()) == *self.new;
        let mut result = self.operation.apply(store.get());
        if matches!(result, Err(Error::NoSpace)) {
            store.get().destroy(&[]).unwrap();
            result = self.operation.apply(store.get());
        }
        match result {
            // A full store has no room for a second version of an object.
            Err(Error::NoSpace) if done => {}
            result => result.unwrap_or_else(|error| panic!("{:?}, {context}: {error}", self.operation)),
        }
        assert_eq!(content(store.get()), *self.new);
    }

    /// Goes on: the same change again has to work, and to last. What an interruption has used up comes back by
    /// compaction.
    fn go_on(&self, flash: &mut Flash) {
        let mut store = self.layout.mount(&mut *flash).unwrap();
        self.again(&mut store, "after a reboot");
        drop(store);
        assert_eq!(content(self.layout.mount(flash).unwrap().get()), *self.new);
    }
}

fn for_each_step(mut test: impl FnMut(&Step<'_>)) {
    for layout in LAYOUTS {
        for erased in [0xFF, 0x00] {
            for sequence in sequences() {
                let mut image = formatted(layout, erased);
                let mut old = Content::new();
                for operation in &sequence {
                    let mut new = old.clone();
                    operation.apply_to(&mut new);
                    let (next, count) = undisturbed(layout, &image, erased, operation);
                    test(&Step { layout, erased, operation, image: &image, old: &old, new: &new, count });
                    image = next;
                    old = new;
                }
            }
        }
    }
}

/// Runs the step's change with the power cut at `number`. Whether it reported success.
fn cut(step: &Step<'_>, flash: &mut Flash, number: u64, effect: Effect) -> bool {
    flash.cut_power_at(number, effect);
    let mut store = step.layout.mount(&mut *flash).unwrap();
    let done = step.operation.apply(store.get()).is_ok();
    drop(store);
    assert!(flash.is_off());
    flash.reboot();
    done
}

#[test]
fn cut_at_every_operation() {
    let mut cuts = 0_u64;
    let mut outcomes = [0_u64; 2];
    for_each_step(|step| {
        for number in 0..step.count {
            for effect in EFFECTS {
                let context = format!("cut at {number} of {}, {effect:?}", step.count);
                let mut flash = step.flash();
                let done = cut(step, &mut flash, number, effect);
                let found = step.mounted(&mut flash, &context);
                assert!(!done || found == *step.new, "{context}: done, but lost");
                outcomes[usize::from(found == *step.new)] += 1;
                // What was found stays.
                assert_eq!(step.mounted(&mut flash, &context), found, "{context}");
                step.go_on(&mut flash);
                cuts += 1;
            }
        }
    });
    println!("{cuts} cuts; {} times the old objects, {} times the new ones", outcomes[0], outcomes[1]);
    assert!(outcomes[0] > 1000 && outcomes[1] > 1000);
}

/// The power fails again, while the store is mounted.
#[test]
fn cut_again_while_mounting() {
    let mut cuts = 0_u64;
    for_each_step(|step| {
        for number in 0..step.count {
            for effect in FEW_EFFECTS {
                let mut flash = step.flash();
                cut(step, &mut flash, number, effect);
                let interrupted = flash.image().to_vec();
                let found = step.mounted(&mut flash, "first cut");
                let count = flash.operations();
                for second in 0..count {
                    for again in FEW_EFFECTS {
                        let context = format!("cut at {number}, {effect:?}, then at {second}, {again:?}");
                        let mut flash = Flash::from_image(interrupted.clone(), step.erased);
                        flash.cut_power_at(second, again);
                        assert!(step.layout.mount(&mut flash).is_err(), "{context}");
                        flash.reboot();
                        assert_eq!(step.mounted(&mut flash, &context), found, "{context}");
                        cuts += 1;
                    }
                }
            }
        }
    });
    println!("{cuts} cuts");
    assert!(cuts > 1000);
}

/// Writes that were not committed get lost, each on its own.
#[test]
fn cut_with_a_write_cache() {
    for_each_step(|step| {
        for number in 0..step.count {
            for (effect, seed) in [Effect::None, Effect::Complete, Effect::First(3), Effect::First(63)]
                .into_iter()
                .cycle()
                .zip(0..24)
            {
                let context = format!("cut at {number} of {}, {effect:?}, seed {seed}", step.count);
                let mut flash = step.flash().with_write_cache(seed);
                let done = cut(step, &mut flash, number, effect);
                let found = step.mounted(&mut flash, &context);
                assert!(!done || found == *step.new, "{context}: done, but lost");
                assert_eq!(step.mounted(&mut flash, &context), found, "{context}");
                step.go_on(&mut flash);
            }
        }
    });
}

/// The same with a whole sequence in one session, so that what one change leaves in the cache meets the next.
#[test]
fn cut_a_session_with_a_write_cache() {
    for layout in LAYOUTS {
        for erased in [0xFF, 0x00] {
            let blank = formatted(layout, erased);
            for sequence in sequences() {
                let mut count = 0;
                while count < u64::MAX {
                    let mut off = false;
                    for seed in 0..6 {
                        let mut flash = Flash::from_image(blank.clone(), erased).with_write_cache(seed);
                        flash.cut_power_at(count, Effect::None);
                        let mut store = layout.mount(&mut flash).unwrap();
                        let mut old = Content::new();
                        let mut new = old.clone();
                        for operation in &sequence {
                            operation.apply_to(&mut new);
                            if operation.apply(store.get()).is_err() {
                                break;
                            }
                            old = new.clone();
                        }
                        drop(store);
                        off = flash.is_off();
                        flash.reboot();
                        let mut store = layout.mount(&mut flash).unwrap();
                        let found = content(store.get());
                        assert!(
                            found == old || found == new,
                            "{layout:?} erased to {erased:#x}, cut at {count}, seed {seed}: {found:?}"
                        );
                    }
                    count = if off { count + 1 } else { u64::MAX };
                }
            }
        }
    }
}

/// What `Ok` promises survives a power cut right afterwards, even with a cache.
#[test]
fn a_change_is_durable_when_the_call_returns() {
    for_each_step(|step| {
        for seed in 0..8 {
            let mut flash = step.flash().with_write_cache(seed);
            let mut store = step.layout.mount(&mut flash).unwrap();
            step.operation.apply(store.get()).unwrap();
            drop(store);
            // The next write of anything cuts the power.
            flash.cut_power_at(0, Effect::None);
            let mut store = step.layout.mount(&mut flash).unwrap();
            assert!(add(0x999, 99, 0).apply(store.get()).is_err() || store.get().destroy(&[]).is_err());
            drop(store);
            flash.reboot();
            assert_eq!(content(step.layout.mount(&mut flash).unwrap().get()), *step.new);
        }
    });
}

/// The flash fails once, the power stays: the store shows what a new mount would find, and goes on working.
#[test]
fn the_flash_fails_at_every_operation() {
    for_each_step(|step| {
        for number in 0..step.count {
            for effect in EFFECTS {
                let context = format!("{:?} fails at {number}, {effect:?}", step.operation);
                let mut flash = step.flash();
                flash.fail_at(number, effect);
                let mut store = step.layout.mount(&mut flash).unwrap();
                let done = step.operation.apply(store.get()).is_ok();
                let found = content(store.get());
                assert!(found == *step.old || found == *step.new, "{context}: neither old nor new");
                assert!(!done || found == *step.new, "{context}: done, but lost");
                // Without a reboot.
                step.again(&mut store, &context);
                drop(store);
                assert_eq!(content(step.layout.mount(&mut flash).unwrap().get()), *step.new);

                // With a reboot.
                let mut flash = step.flash();
                flash.fail_at(number, effect);
                let mut store = step.layout.mount(&mut flash).unwrap();
                let _ = step.operation.apply(store.get());
                drop(store);
                assert_eq!(step.mounted(&mut flash, &context), found, "{context}");
                step.go_on(&mut flash);
            }
        }
    });
}

/// Formatting blank flash is interrupted: the next mount starts again.
#[test]
fn cut_while_formatting() {
    for layout in LAYOUTS {
        for erased in [0xFF, 0x00] {
            let mut flash = Flash::new(2 * partition(layout), erased);
            layout.mount(&mut flash).unwrap();
            let count = flash.operations();
            assert!(count > 0);
            for number in 0..count {
                for effect in EFFECTS {
                    let mut flash = Flash::new(2 * partition(layout), erased);
                    flash.cut_power_at(number, effect);
                    assert!(layout.mount(&mut flash).is_err());
                    flash.reboot();
                    let mut store = layout.mount(&mut flash).unwrap_or_else(|error| {
                        panic!("{layout:?} erased to {erased:#x}, {number}, {effect:?}: {error}")
                    });
                    assert!(content(store.get()).is_empty());
                    add(1, 1, 10).apply(store.get()).unwrap();
                }
            }
        }
    }
}

/// Wear: an addition writes the directory layout once, and erases nothing.
#[test]
fn wear() {
    let layout = LAYOUTS[0];
    let mut flash = Flash::new(2 * partition(layout), 0xFF);
    layout.mount(&mut flash).unwrap();
    let before = flash.statistics();
    let mut store = layout.mount(&mut flash).unwrap();
    add(1, 1, 13).apply(store.get()).unwrap();
    drop(store);
    let after = flash.statistics();
    assert_eq!(after.programs[0] - before.programs[0], 6);
    assert_eq!(after.programmed_bytes[0] - before.programmed_bytes[0], 56 + 16);
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.erases, [0, 0]);
    // Fourteen versions in six entries: two compactions, each with one erasure.
    let mut store = layout.mount(&mut flash).unwrap();
    for version in 0..14 {
        reclaim(2, version, 0).apply(store.get()).unwrap();
    }
    drop(store);
    let erases = flash.statistics().erases;
    assert_eq!(erases[0] + erases[1], 3);
}
