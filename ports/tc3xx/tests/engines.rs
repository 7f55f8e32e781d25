//! Engines beside AES-128. The chip has them for hashes, ECDSA and Ed25519; whoever knows their registers puts a driver for them
//! in front (README.md, "Other engines"). Here software that counts what it is asked stands in for them.

use casemate_client::HashAlgorithm as Algorithm;
use casemate_crypto::{
    Aead, Cipher, Curve, Curve25519, Ed25519Mode, EllipticCurve, Error, Hash, HashAlgorithm, HashState, Mac,
    MlDsa, MlKem, Prefer, Random, Rsa, Software,
};
use casemate_device::{Aes128Driver, Bridge};
use casemate_port::{Cause, NoHardware, Reason, SelfTest, Step};
use casemate_protocol::ClientId;
use casemate_tc3xx::bridge::BLOCK;
use casemate_tc3xx::port::{Board, Memory, PACKET, Tc3xx};
use casemate_tc3xx::{BridgeBoard, Engine, FlashCells, Model, Surroundings};
use casemate_testkit::bridge::{Around, Bench, bridge_memory, leak};
use std::cell::Cell;

const LINKS: usize = 1;

#[derive(Debug, Clone, Copy)]
struct Wire(&'static Around);

impl Surroundings for Wire {
    fn noise(&self) -> Option<u32> {
        Some(self.0.noise())
    }

    fn rung(&self, clients: u32) {
        self.0.ring(clients);
    }
}

type Module = &'static Model<'static, Wire>;

/// How often each engine was asked.
#[derive(Debug, Default)]
struct Asked {
    hash: Cell<u32>,
    ecdsa: Cell<u32>,
    ed25519: Cell<u32>,
    /// Whether the engine for Ed25519 accepts every signature.
    is_broken: Cell<bool>,
}

fn count(asked: &Cell<u32>) -> Software<NoHardware> {
    asked.set(asked.get() + 1);
    Software::new(NoHardware)
}

struct Engines(&'static Asked);

impl Hash for Engines {
    fn compress(&self, state: &mut HashState, blocks: &[u8]) -> Result<(), Error> {
        count(&self.0.hash).compress(state, blocks)
    }

    fn finish(&self, state: &HashState, tail: &[u8], output: &mut [u8]) -> Result<(), Error> {
        count(&self.0.hash).finish(state, tail, output)
    }

    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        count(&self.0.hash).digest(algorithm, parts, output)
    }
}

impl EllipticCurve for Engines {
    fn ecdsa_verify(
        &self,
        curve: Curve,
        public: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        count(&self.0.ecdsa).ecdsa_verify(curve, public, digest, signature)
    }
}

impl Curve25519 for Engines {
    fn ed25519_verify(
        &self,
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), Error> {
        let software = count(&self.0.ed25519);
        if self.0.is_broken.get() {
            return Ok(());
        }
        software.ed25519_verify(public, mode, message, signature)
    }
}

impl Random for Engines {}
impl Mac for Engines {}
impl Cipher for Engines {}
impl Aead for Engines {}
impl Rsa for Engines {}
impl MlDsa for Engines {}
impl MlKem for Engines {}

/// The bridge's board with these engines before that for AES-128.
struct Chip {
    bridge: BridgeBoard<Module>,
    module: Module,
    asked: &'static Asked,
}

impl Board for Chip {
    type Transport = <BridgeBoard<Module> as Board>::Transport;
    type Engines = Prefer<Engines, Aes128Driver<Engine<Module>>>;

    fn engines(&mut self) -> Self::Engines {
        Prefer::new(Engines(self.asked), Aes128Driver::new(Engine::new(self.module)))
    }

    fn open(&mut self, link: usize) -> Option<Self::Transport> {
        self.bridge.open(link)
    }
}

fn device(asked: &'static Asked) -> Bench<Tc3xx<Module, Chip, LINKS>, LINKS> {
    let around: &'static Around = leak(Around::default());
    let flash = FlashCells::new(vec![0; 0x2_0000].leak(), vec![0; 0x2_0000 / 64].leak());
    let module: Module = leak(Model::new(Wire(around), flash));
    let memory = bridge_memory(2 * LINKS * BLOCK);
    let bridge = BridgeBoard::new(module, memory, || ());
    let port = Tc3xx::new(module, Chip { bridge, module, asked }, leak(Memory::new()));
    let link = |bridge, link| Bridge::<PACKET>::new(bridge).client(link);
    Bench::new(port, around, memory, link, |clients| module.ring(clients), PACKET)
}

#[test]
fn engines_are_tested_at_boot_and_asked_before_the_software() {
    let asked: &'static Asked = leak(Asked::default());
    let device = device(asked);
    device.boot();
    let counts = [&asked.hash, &asked.ecdsa, &asked.ed25519].map(Cell::get);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let mut client = device.client(0);
    client.init(ClientId::new(1).unwrap()).unwrap();
    let digest = client.hash(Algorithm::Sha256, b"abc").unwrap();
    assert_eq!(digest.as_ref()[..4], [0xba, 0x78, 0x16, 0xbf], "FIPS 180-4's example");
    assert!(asked.hash.get() > counts[0], "the client's hash is the engine's work");
}

#[test]
fn an_engine_that_accepts_every_signature_ends_in_the_safe_state() {
    let asked: &'static Asked = leak(Asked::default());
    asked.is_broken.set(true);
    let refused = Some(Reason { step: Step::Crypto, cause: Cause::SelfTest(SelfTest::Ed25519) });
    assert_eq!(device(asked).refused(), refused);
}
