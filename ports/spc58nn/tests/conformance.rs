//! The conformance suite on the module's model, on this machine; `cargo xtask ports` has the emulated device run it too.

use casemate_spc58nn::bridge::{BLOCK, BridgeBoard};
use casemate_spc58nn::conformance::OnModel;
use casemate_spc58nn::{FlashArray, Memory, Model, Spc58nn, Surroundings};
use casemate_transport::SharedRegion;
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

const LINKS: usize = 2;

struct Noise(Cell<u64>);

impl Surroundings for Noise {
    fn noise(&self) -> Option<u32> {
        self.0.set(self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        Some((self.0.get().wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as u32)
    }
}

#[test]
fn the_port_conforms() {
    let flash = Box::leak(Box::new(FlashArray::<2>::new())).start();
    let model: &'static _ = Box::leak(Box::new(Model::new(Noise(Cell::new(1)), flash)));
    let words: Vec<AtomicU32> = (0..2 * LINKS * BLOCK / 4).map(|_| AtomicU32::new(0)).collect();
    let bridge = SharedRegion::new(words.leak());
    let mut power_on = || -> OnModel<Noise, LINKS> {
        model.reset();
        let memory = Box::leak(Box::new(Memory::new()));
        Spc58nn::new(model, BridgeBoard::new(model, bridge, || ()), memory)
    };
    let mut text = String::new();
    let summary = casemate_conformance::run::<_, LINKS>(&mut power_on, &mut text);
    println!("{text}");
    assert!(summary.is_complete(), "{text}");
}
