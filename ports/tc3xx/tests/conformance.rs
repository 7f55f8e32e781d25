//! The conformance suite on the module's model, on a host.

use casemate_conformance::run;
use casemate_tc3xx::bridge::BLOCK;
use casemate_tc3xx::port::{Memory, Tc3xx};
use casemate_tc3xx::{BridgeBoard, FlashCells, Model, Surroundings};
use casemate_transport::SharedRegion;
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

const LINKS: usize = 2;

struct Noise(Cell<u64>);

impl Surroundings for Noise {
    fn noise(&self) -> Option<u32> {
        // SplitMix64: even, and the same in each run.
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some((mixed >> 32) as u32)
    }
}

#[test]
fn the_port_conforms() {
    let flash = FlashCells::new(vec![0; 0x2_0000].leak(), vec![0; 0x2_0000 / 64].leak());
    let module: &'static Model<'static, Noise> = Box::leak(Box::new(Model::new(Noise(Cell::new(1)), flash)));
    let words: Vec<AtomicU32> = (0..2 * LINKS * BLOCK / 4).map(|_| AtomicU32::new(0)).collect();
    let bridge = SharedRegion::new(words.leak());
    let mut text = String::new();
    let mut power_on = || {
        let board = BridgeBoard::new(module, bridge, || ());
        Tc3xx::<_, _, LINKS>::new(module, board, Box::leak(Box::new(Memory::new())))
    };
    let summary = run::<_, LINKS>(&mut power_on, &mut text);
    println!("{text}");
    assert!(summary.is_complete(), "{text}");
}
