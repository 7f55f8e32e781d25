//! The suite itself: it passes a device that is right, and finds each thing that is not.

use casemate_conformance::{
    Report, Summary, check_entropy, check_flash, compare_drivers, known_answers, run,
};
use casemate_crypto::{
    AES_BLOCK, Aead, Cipher, CtrState, Curve, Curve25519, Direction, Driver, Ed25519Mode, EllipticCurve,
    Entropy, Error, Hash, HashAlgorithm, Mac, MlDsa, MlKem, Random, Rsa, Software,
};
use casemate_nvm::RamFlash;
use casemate_port::NoHardware;
use casemate_testkit::faults::{FaultyNoise, FlashLie, LinkFault, LyingFlash, NoiseFault, Switch};
use casemate_testkit::flash::PowerCutFlash;
use casemate_testkit::port::{EvenNoise, VirtualDevice, VirtualPort};

fn whole(device: &VirtualDevice) -> (Summary, String) {
    let mut text = String::new();
    let summary = run::<VirtualPort, 3>(&mut || device.port(), &mut text);
    (summary, text)
}

fn failures(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("FAIL  ")).collect()
}

#[test]
fn a_device_that_is_right_passes() {
    let (summary, text) = whole(&VirtualDevice::new());
    assert!(summary.is_complete(), "{text}");
    assert!(summary.passed > 60, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("pass  ")).count(), summary.passed);
    assert_eq!(text.lines().filter(|line| line.starts_with("n/a   ")).count(), summary.not_applicable);
    assert!(text.ends_with(&format!("{summary}\n")));
    let cuts = text.lines().find_map(|line| line.trim().strip_suffix(" power cuts")).unwrap();
    assert!(cuts.rsplit(' ').next().unwrap().parse::<u32>().unwrap() > 3, "{cuts}");
}

#[test]
fn a_device_with_a_fault_fails() {
    for lie in
        [FlashLie::WritesAreLost, FlashLie::ErasesAreLost, FlashLie::ReadsAreNoise, FlashLie::EverythingFails]
    {
        let device = VirtualDevice::new();
        device.flash_lie().set(Some(lie));
        let (summary, text) = whole(&device);
        assert!(summary.failed > 0, "{lie:?}: {text}");
        assert!(failures(&text).iter().any(|line| line.starts_with("flash: ")), "{lie:?}: {text}");
    }
    let device = VirtualDevice::new();
    device.noise_fault().set(Some(NoiseFault::Stuck(3)));
    let (_, text) = whole(&device);
    assert!(failures(&text).iter().any(|line| line.starts_with("entropy: start-up")), "{text}");
    for fault in [
        LinkFault::Repeats,
        LinkFault::Truncates(20),
        LinkFault::Garbage(7),
        LinkFault::NeverSends,
        LinkFault::LosesResponses,
        LinkFault::Closes,
        LinkFault::BadLength,
    ] {
        let device = VirtualDevice::new();
        device.link_fault().set(Some(fault));
        let (_, text) = whole(&device);
        assert!(failures(&text).iter().any(|line| line.starts_with("transport: ")), "{fault:?}: {text}");
    }
}

fn flash_report<F: casemate_nvm::Flash>(flash: &mut F) -> String {
    let mut text = String::new();
    check_flash(&mut Report::new(&mut text), flash);
    text
}

#[test]
fn flash_of_other_shapes_passes() {
    let text = flash_report(&mut RamFlash::<_, 8, 64>::new([0; 512], 0xFF));
    assert!(failures(&text).is_empty(), "{text}");
    let text = flash_report(&mut RamFlash::<_, 32, 128>::new([0; 512], 0x00));
    assert!(failures(&text).is_empty(), "{text}");
    let text = flash_report(&mut RamFlash::<_, 1, 16>::new([0; 64], 0xFF));
    assert!(failures(&text).is_empty(), "{text}");
    // A lock, which RAM flash has.
    assert!(text.contains("pass  flash: locked flash"), "{text}");
    let text = flash_report(&mut PowerCutFlash::<8, 64>::new(1024, 0xFF));
    assert!(text.contains("n/a   flash: locked flash"), "{text}");
}

#[test]
fn each_lie_of_flash_is_named() {
    for (lie, check) in [
        (FlashLie::WritesAreLost, "what is programmed is read back"),
        (FlashLie::WritesLoseABit, "what is programmed is read back"),
        (FlashLie::ErasesAreLost, "erase sets every byte"),
        (FlashLie::ReadsAs(0), "erase sets every byte"),
        (FlashLie::ReadsAreNoise, "erase sets every byte"),
        (FlashLie::ChangesFail, "erase sets every byte"),
        (FlashLie::Capacity(1000), "geometry"),
        (FlashLie::Capacity(64), "geometry"),
        (FlashLie::Capacity(2048), "erase sets every byte"),
    ] {
        let switch = Switch::default();
        let mut flash =
            LyingFlash::new(PowerCutFlash::<8, 64>::from_image(vec![0; 1024], 0xFF), switch.clone());
        switch.set(Some(lie));
        let text = flash_report(&mut flash);
        let first = failures(&text).first().map(|line| line.trim_start_matches("flash: ").to_owned());
        assert!(first.is_some_and(|first| first.starts_with(check)), "{lie:?}: {text}");
    }
}

#[test]
fn noise_of_every_kind_of_fault_fails() {
    for fault in
        [NoiseFault::Stuck(0), NoiseFault::Alternates(3, 4), NoiseFault::Biased(4), NoiseFault::Fails]
    {
        let switch = Switch::default();
        switch.set(Some(fault));
        let mut text = String::new();
        let mut report = Report::new(&mut text);
        check_entropy(&mut report, &mut FaultyNoise::new(EvenNoise::new(1), switch), 8);
        assert_eq!(report.finish().failed, 1, "{fault:?}: {text}");
    }
    /// Passes the health tests: no value is too frequent.
    struct Odd(EvenNoise);
    impl Entropy for Odd {
        fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
            self.0.fill(output)?;
            output.iter_mut().for_each(|byte| *byte |= 1);
            Ok(())
        }
    }
    let mut text = String::new();
    check_entropy(&mut Report::new(&mut text), &mut Odd(EvenNoise::new(1)), 8);
    assert_eq!(failures(&text), ["entropy: every bit of the samples is balanced: a bit is not"], "{text}");
    let mut text = String::new();
    check_entropy(&mut Report::new(&mut text), &mut Odd(EvenNoise::new(1)), 7);
    assert!(failures(&text).is_empty(), "{text}");
}

/// What an engine does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    Sha256AtTheEdge,
    CtrForgetsItsState,
    CbcForgetsTheChain,
    DeclinesTooLate,
    RandomAnswers,
    TagsAreIgnored,
    SignaturesAreIgnored,
    FaultReported,
    X25519,
}

/// An engine that is the software with one fault.
struct Engine(Software<Noise>, Wrong);

/// Enough randomness to make keys with.
struct Noise(std::cell::RefCell<EvenNoise>);
impl Random for Noise {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.0.borrow_mut().fill(output)
    }
}

fn software() -> Software<Noise> {
    Software::new(Noise(std::cell::RefCell::new(EvenNoise::new(9))))
}

impl Random for Engine {
    fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
        if self.1 == Wrong::RandomAnswers { Ok(()) } else { Err(Error::Unsupported) }
    }
}
impl Hash for Engine {
    fn digest(&self, algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]) -> Result<(), Error> {
        casemate_crypto::hash(&self.0, algorithm, parts, output)?;
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.1 == Wrong::Sha256AtTheEdge && algorithm == HashAlgorithm::Sha256 && length == 56 {
            output[0] ^= 1;
        }
        Ok(())
    }
}
impl Mac for Engine {}
impl Cipher for Engine {
    fn ecb(&self, direction: Direction, key: &[u8], data: &mut [u8]) -> Result<(), Error> {
        if self.1 == Wrong::DeclinesTooLate && key.len() != 16 {
            data.fill(0);
            return Err(Error::Unsupported);
        }
        if self.1 == Wrong::FaultReported && data.len() > 128 {
            return Err(Error::Hardware);
        }
        self.0.ecb(direction, key, data)
    }
    fn cbc(
        &self,
        direction: Direction,
        key: &[u8],
        iv: &mut [u8; AES_BLOCK],
        data: &mut [u8],
    ) -> Result<(), Error> {
        let before = *iv;
        self.0.cbc(direction, key, iv, data)?;
        if self.1 == Wrong::CbcForgetsTheChain {
            *iv = before;
        }
        Ok(())
    }
    fn ctr(&self, key: &[u8], state: &mut CtrState, data: &mut [u8]) -> Result<(), Error> {
        if self.1 == Wrong::CtrForgetsItsState {
            return self.0.ctr(key, &mut state.clone(), data);
        }
        self.0.ctr(key, state, data)
    }
}
impl Aead for Engine {
    fn gcm_seal(
        &self,
        key: &[u8],
        iv: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        self.0.gcm_seal(key, iv, aad, data, tag)
    }
    fn gcm_open(&self, key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Error> {
        if self.1 == Wrong::TagsAreIgnored {
            // CTR from counter 2 on is what GCM does to its data.
            let mut counter = [0; 16];
            counter[..12].copy_from_slice(iv);
            counter[15] = 2;
            return self.0.ctr(key, &mut CtrState::new(counter), data);
        }
        self.0.gcm_open(key, iv, aad, data, tag)
    }
}
impl EllipticCurve for Engine {
    fn ecdsa_sign(
        &self,
        curve: Curve,
        private: &[u8],
        digest: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        self.0.ecdsa_sign(curve, private, digest, signature)
    }
    fn ecdsa_verify(
        &self,
        curve: Curve,
        public: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        if self.1 == Wrong::SignaturesAreIgnored {
            return Ok(());
        }
        self.0.ecdsa_verify(curve, public, digest, signature)
    }
    fn ecdh(&self, curve: Curve, private: &[u8], public: &[u8], secret: &mut [u8]) -> Result<(), Error> {
        self.0.ecdh(curve, private, public, secret)
    }
}
impl Curve25519 for Engine {
    fn x25519(&self, private: &[u8; 32], public: &[u8; 32], secret: &mut [u8; 32]) -> Result<(), Error> {
        self.0.x25519(private, public, secret)?;
        if self.1 == Wrong::X25519 {
            secret.reverse();
        }
        Ok(())
    }
    fn ed25519_sign(
        &self,
        seed: &[u8; 32],
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &mut [u8; 64],
    ) -> Result<(), Error> {
        self.0.ed25519_sign(seed, public, mode, message, signature)
    }
    fn ed25519_verify(
        &self,
        public: &[u8; 32],
        mode: Ed25519Mode<'_>,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), Error> {
        self.0.ed25519_verify(public, mode, message, signature)
    }
}
impl Rsa for Engine {}
impl MlDsa for Engine {}
impl MlKem for Engine {}

fn crypto_report(hardware: &dyn Driver) -> (Summary, String) {
    let mut text = String::new();
    let mut report = Report::new(&mut text);
    known_answers(&mut report, hardware);
    compare_drivers(&mut report, hardware, &software());
    let summary = report.finish();
    (summary, text)
}

#[test]
fn every_fault_of_an_engine_is_found() {
    let (summary, text) = crypto_report(&Engine(software(), Wrong::Nothing));
    assert_eq!(summary.failed, 0, "{text}");
    for name in [
        "AES-192-CTR",
        "AES-256-GCM",
        "ECDSA on P-521",
        "ECDH on P-256",
        "X25519",
        "Ed25519, verification",
        "SHA-1",
    ] {
        assert!(text.contains(&format!("pass  crypto: {name}\n")), "{name}: {text}");
    }
    for (wrong, name) in [
        (Wrong::Sha256AtTheEdge, "SHA-256"),
        (Wrong::CtrForgetsItsState, "AES-128-CTR"),
        (Wrong::CbcForgetsTheChain, "AES-128-CBC"),
        (Wrong::DeclinesTooLate, "AES-192-ECB"),
        (Wrong::RandomAnswers, "random numbers come from the generator"),
        (Wrong::TagsAreIgnored, "AES-128-GCM"),
        (Wrong::SignaturesAreIgnored, "ECDSA on P-256"),
        (Wrong::FaultReported, "AES-128-ECB"),
        (Wrong::X25519, "X25519"),
    ] {
        let (summary, text) = crypto_report(&Engine(software(), wrong));
        let expected = format!("crypto: {name}: ");
        assert!(summary.failed > 0, "{wrong:?}");
        assert!(failures(&text).iter().any(|line| line.starts_with(&expected)), "{wrong:?}: {text}");
    }
}

#[test]
fn what_declines_everything_is_reported_operation_by_operation() {
    let (summary, text) = crypto_report(&NoHardware);
    assert_eq!((summary.failed, summary.passed), (0, 1), "{text}");
    assert!(text.contains("n/a   crypto: AES-128-CBC: declined: software serves\n"), "{text}");
    assert!(summary.not_applicable > 45, "{text}");
}

#[test]
fn what_the_software_lacks_too_is_not_said_to_be_served() {
    let mut text = String::new();
    let mut report = Report::new(&mut text);
    compare_drivers(&mut report, &NoHardware, &NoHardware);
    let summary = report.finish();
    assert_eq!((summary.failed, summary.passed), (0, 1), "{text}");
    assert!(!text.contains("software serves") && !text.contains("not compared"), "{text}");
    for name in ["ML-DSA", "ECDSA on secp256k1", "ECDH on P-256", "AES-128-CBC", "Ed25519, verification"] {
        let line =
            format!("n/a   crypto: {name}: declined by the software too: this firmware does not offer it\n");
        assert!(text.contains(&line), "{text}");
    }
}
