//! The deterministic random bit generator: CTR_DRBG with AES-256 and the derivation function (NIST SP 800-90A
//! Rev. 1, §10.2.1).

use crate::secret::Secret;
use crate::software::CbcMac;
use crate::software::aes::{Encryptor, WideCounter};
use crate::software::in_place;
use crate::{AES_BLOCK, Entropy, Error, Random};
use core::cell::RefCell;

/// AES-256.
const KEY: usize = 32;
/// Key and V: seedlen in the standard.
const SEED: usize = 48;
/// 2^19 bits, the largest request of table 3.
const MAX_REQUEST: usize = 0x1_0000;
/// Requests served between two reseeds. The standard's limit is 2^48; reseeding much earlier bounds what a leaked
/// state is good for.
const RESEED_INTERVAL: u32 = 1024;

/// A random bit generator that is seeded, and reseeded, from an [`Entropy`] source: CTR_DRBG with AES-256 and
/// derivation function (NIST SP 800-90A Rev. 1), of 256 bits of security.
///
/// It reseeds by itself after 1024 requests ([`with_reseed_interval`](Self::with_reseed_interval) changes that) and
/// on request. A request of up to 65536 bytes counts as one; longer ones are split.
///
/// A copy of a process (`fork`) copies the generator too: a port that forks must [`reseed`](Self::reseed) in the
/// child.
///
/// It serves as [`Random`] inside a [`RefCell`] (one core, no threads) or, with the feature `std`, inside a
/// `std::sync::Mutex`.
pub struct Drbg<E> {
    entropy: E,
    state: State,
    interval: u32,
    /// Requests served since the last seeding.
    requests: u32,
}

impl<E: Entropy> Drbg<E> {
    /// Seeds a generator with 48 bytes of `entropy` (the standard's entropy input and nonce in one).
    ///
    /// `personalization` sets this generator apart from others on the same source, for instance by a serial
    /// number. It may be empty and need not be secret.
    ///
    /// # Errors
    /// What the source answers, normally [`Error::Entropy`].
    pub fn new(mut entropy: E, personalization: &[u8]) -> Result<Self, Error> {
        // §8.6.7 lets the nonce be a further half of the security strength from the same source.
        let mut seed = Secret::<48>::zero();
        entropy.fill(seed.as_mut_slice())?;
        let state = State::new(&[seed.as_slice(), personalization])?;
        Ok(Self { entropy, state, interval: RESEED_INTERVAL, requests: 0 })
    }

    /// Changes after how many requests the generator reseeds by itself. 0 and 1 both mean before every request
    /// (prediction resistance).
    #[must_use]
    pub const fn with_reseed_interval(mut self, requests: u32) -> Self {
        self.interval = requests;
        self
    }

    /// Mixes 32 fresh bytes of entropy, and `additional` data that may be empty, into the state.
    ///
    /// # Errors
    /// What the source answers; the state is then unchanged.
    #[inline(never)] // Rare: what it needs of the stack is not taken by every request.
    pub fn reseed(&mut self, additional: &[u8]) -> Result<(), Error> {
        let mut seed = Secret::<32>::zero();
        self.entropy.fill(seed.as_mut_slice())?;
        self.state.reseed(&[seed.as_slice(), additional])?;
        self.requests = 0;
        Ok(())
    }

    /// [`reseed`](Self::reseed)s if three quarters of the requests between two reseeds were served: for callers with
    /// little stack, which call it where they have most of it.
    ///
    /// # Errors
    /// What the source answers; the state is then unchanged.
    pub fn reseed_early(&mut self) -> Result<(), Error> {
        let early = self.interval.saturating_sub(self.interval / 4).max(1);
        if self.requests < early { Ok(()) } else { self.reseed(&[]) }
    }

    /// Fills `output` with random bytes, reseeding first if it is due.
    ///
    /// # Errors
    /// What the source answers; `output` is then all zero.
    pub fn generate(&mut self, output: &mut [u8]) -> Result<(), Error> {
        let answer = self.generate_parts(output);
        if answer.is_err() {
            output.fill(0);
        }
        answer
    }

    fn generate_parts(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for part in output.chunks_mut(MAX_REQUEST) {
            // The very first request after seeding needs no reseed, unless one is wanted before each.
            if self.requests >= self.interval || self.interval == 1 {
                self.reseed(&[])?;
            }
            self.state.generate(&[], part)?;
            self.requests = self.requests.saturating_add(1);
        }
        Ok(())
    }
}

impl<E> core::fmt::Debug for Drbg<E> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Drbg").field("requests", &self.requests).finish_non_exhaustive()
    }
}

impl<E: Entropy> Random for RefCell<Drbg<E>> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.try_borrow_mut().map_err(|_| Error::Unavailable)?.generate(output)
    }
}

/// A panic in another thread while it held the lock leaves the generator in doubt: it then answers
/// [`Error::Unavailable`].
#[cfg(feature = "std")]
impl<E: Entropy> Random for std::sync::Mutex<Drbg<E>> {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        self.lock().map_err(|_| Error::Unavailable)?.generate(output)
    }
}

/// The working state and the algorithms of §10.2.1, without an entropy source.
struct State {
    key: Secret<KEY>,
    v: Secret<AES_BLOCK>,
}

impl State {
    /// CTR_DRBG_Instantiate_algorithm: the parts are entropy input, nonce and personalization string.
    fn new(parts: &[&[u8]]) -> Result<Self, Error> {
        let mut state = Self { key: Secret::zero(), v: Secret::zero() };
        state.reseed(parts)?;
        Ok(state)
    }

    /// CTR_DRBG_Reseed_algorithm: the parts are entropy input and additional input.
    fn reseed(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let mut seed = Secret::zero();
        derive(parts, &mut seed)?;
        self.mix(&mut seed)
    }

    /// CTR_DRBG_Generate_algorithm, for at most [`MAX_REQUEST`] bytes.
    fn generate(&mut self, additional: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let mut input = Secret::<SEED>::zero();
        if !additional.is_empty() {
            derive(&[additional], &mut input)?;
            self.mix(&mut input.clone())?;
        }
        output.fill(0);
        self.output_and_mix(output, &mut input)
    }

    /// CTR_DRBG_Update with the present key, whose keystream before it is XORed onto `output`. `provided` is used up.
    ///
    /// Not inlined: neither entropy nor seeds are gathered with a key schedule on the stack.
    #[inline(never)]
    fn output_and_mix(&mut self, output: &mut [u8], provided: &mut Secret<SEED>) -> Result<(), Error> {
        let encryptor = Encryptor::new(self.key.as_slice());
        let encryptor = in_place(&encryptor)?;
        self.keystream(encryptor, output);
        self.keystream(encryptor, provided.as_mut_slice());
        let (key, v) = provided.split_first_chunk::<KEY>().ok_or(Error::State)?;
        *self.key = *key;
        *self.v = *v.first_chunk().ok_or(Error::State)?;
        Ok(())
    }

    /// CTR_DRBG_Update. `provided` is used up.
    fn mix(&mut self, provided: &mut Secret<SEED>) -> Result<(), Error> {
        self.output_and_mix(&mut [], provided)
    }

    /// XORs E(V + 1), E(V + 2), ... onto `data` and moves V to the last of them.
    fn keystream(&mut self, encryptor: &Encryptor, data: &mut [u8]) {
        let mut counter = WideCounter(u128::from_be_bytes(*self.v).wrapping_add(1));
        encryptor.counter_mode(&mut counter, data, None);
        *self.v = counter.0.wrapping_sub(1).to_be_bytes();
    }
}

/// Block_Cipher_df (§10.3.2) of the concatenation of `parts`, for an output of [`SEED`] bytes. `seed` is zero.
fn derive(parts: &[&[u8]], seed: &mut Secret<SEED>) -> Result<(), Error> {
    condense(parts, seed)?;
    expand(seed)
}

/// The key of [`condense`]: 0, 1, 2, ...
const COUNTING_KEY: [u8; KEY] = {
    let mut key = [0; KEY];
    let mut rest = key.as_mut_slice();
    let mut value = 0;
    while let [first, later @ ..] = rest {
        *first = value;
        value += 1;
        rest = later;
    }
    key
};

// Not inlined, as the key schedules of both steps would share a stack frame otherwise.

/// Steps 1 to 9: the key and the block that the output is made with.
#[inline(never)]
fn condense(parts: &[&[u8]], intermediate: &mut Secret<SEED>) -> Result<(), Error> {
    let length = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let length = u32::try_from(length).map_err(|_| Error::DataLength)?;
    let encryptor = Encryptor::new(&COUNTING_KEY);
    let encryptor = in_place(&encryptor)?;
    // The BCC function is a CBC-MAC; the padding of S with zeros is that of the MAC.
    let mut mac = CbcMac::new(encryptor);
    for (block, number) in intermediate.as_chunks_mut().0.iter_mut().zip(0_u32..) {
        // The first block is the number in four bytes, then zeros. S begins with both lengths.
        mac.update(&(u128::from(number) << 96).to_be_bytes())?;
        mac.update(&(u64::from(length) << 32 | 48).to_be_bytes())?;
        parts.iter().try_for_each(|part| mac.update(part))?;
        mac.update(&[0x80])?;
        *block = mac.finish();
    }
    Ok(())
}

/// Steps 10 to 15: makes the output of what [`condense`] left, in its place.
#[inline(never)]
fn expand(seed: &mut Secret<SEED>) -> Result<(), Error> {
    let (key, x) = seed.split_first_chunk::<KEY>().ok_or(Error::State)?;
    let encryptor = Encryptor::new(key);
    let encryptor = in_place(&encryptor)?;
    let mut x = Secret::new(*x.first_chunk::<AES_BLOCK>().ok_or(Error::State)?);
    for block in seed.as_chunks_mut::<AES_BLOCK>().0 {
        encryptor.block(&mut x);
        *block = *x;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::software::tests::bytes;
    use std::vec::Vec;

    /// Hands out a fixed string and counts the calls.
    struct Scripted {
        bytes: Vec<u8>,
        calls: usize,
    }

    impl Entropy for Scripted {
        fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
            if self.bytes.len() < output.len() {
                return Err(Error::Entropy);
            }
            output.copy_from_slice(&self.bytes[..output.len()]);
            self.bytes.drain(..output.len());
            self.calls += 1;
            Ok(())
        }
    }

    fn scripted(length: usize) -> Scripted {
        Scripted { bytes: (0..length).map(|index| (index * 7) as u8).collect(), calls: 0 }
    }

    /// NIST CAVP drbgtestvectors, no reseed, [AES-256 use df], no additional input, COUNT = 0.
    #[test]
    fn cavp_no_reseed() {
        let mut state = State::new(&[
            &bytes("36401940fa8b1fba91a1661f211d78a0b9389a74e5bccfece8d766af1a6d3b14"),
            &bytes("496f25b0f1301b4f501be30380a137eb"),
        ])
        .unwrap();
        assert_eq!(
            hex::encode(*state.key),
            "3363d9000e6db47c16d3fc65f2872c08a35f99b2d174afa537a66ec153052d98"
        );
        assert_eq!(hex::encode(*state.v), "9ee8d2e9c618ccbb8e66b5eb5333dce1");
        let mut output = [0; 64];
        state.generate(&[], &mut output).unwrap();
        assert_eq!(
            hex::encode(*state.key),
            "b1dff09c816af6d4b2111fe63c4507cb196154f8c59957a94a2b641a7c16cc01"
        );
        assert_eq!(hex::encode(*state.v), "69eec01b2dd4ff3aab5fac9467f54485");
        state.generate(&[], &mut output).unwrap();
        assert_eq!(
            hex::encode(output),
            "5862eb38bd558dd978a696e6df164782ddd887e7e9a6c9f3f1fbafb78941b535\
             a64912dfd224c6dc7454e5250b3d97165e16260c2faf1cc7735cb75fb4f07e1d"
        );
        assert_eq!(
            hex::encode(*state.key),
            "33a1f160b0bde1dd55fc314c3d1620c0581ace8b32f062fb1ed54cdecdc17694"
        );
    }

    /// NIST CAVP drbgtestvectors, no reseed, [AES-256 use df], AdditionalInputLen = 256, COUNT = 0.
    #[test]
    fn cavp_additional_input() {
        let mut state = State::new(&[
            &bytes("8148d65d86513ce7d38923ec2f26b9e7c677dcc8997e325b7372619e753ed944"),
            &bytes("41c71a24d17d974190982bb7515ce7f5"),
        ])
        .unwrap();
        let mut output = [0; 64];
        let first = bytes("55b446046c2d14bdd0cdba4b71873fd4762650695a11507949462da8d964ab6a");
        state.generate(&first, &mut output).unwrap();
        assert_eq!(
            hex::encode(*state.key),
            "ec013aa81ec90251e399774516481a22736bd89b5a5a6a7198da7cfceb741c59"
        );
        let second = bytes("91468f1a097d99ee339462ca916cb4a10f63d53850a4f17f598eac490299b02e");
        state.generate(&second, &mut output).unwrap();
        assert_eq!(
            hex::encode(output),
            "54603d1a506132bbfa05b153a04f22a1d516cc46323cef15111af221f030f38d\
             6841d4670518b4914a4631af682e7421dffaac986a38e94d92bfa758e2eb101f"
        );
    }

    /// NIST CAVP drbgtestvectors, prediction resistance, [AES-256 use df], COUNT = 0: a reseed before each request.
    #[test]
    fn cavp_prediction_resistance() {
        let mut state = State::new(&[
            &bytes("c18081a65d44021619b3f180b1c920026a546f0c7081498b6ea662526d51b1cb"),
            &bytes("d254fcff021e69d229c9cfad85fa486c"),
        ])
        .unwrap();
        let mut output = [0; 16];
        let first = bytes("583bfad5375ffbc9ff46d219c7223e95459d82e1e7229f633169d26b57474fa3");
        state.reseed(&[&first]).unwrap();
        state.generate(&[], &mut output).unwrap();
        assert_eq!(hex::encode(output), "aacecd2d8fb228b8f8f9c4152e96bc13");
        let second = bytes("37c9981c0bfb91314d55b9e91c5a5ee49392cfc52312d5562c4a6effdc10d068");
        state.reseed(&[&second]).unwrap();
        state.generate(&[], &mut output).unwrap();
        assert_eq!(hex::encode(output), "34011656b429008f3563ecb5f2590723");
    }

    /// NIST CAVP drbgtestvectors, reseed, [AES-256 use df], COUNT = 0, through the public face.
    #[test]
    fn cavp_reseed() {
        let entropy = Scripted {
            bytes: bytes(concat!(
                "5a194d5e2b31581454def675fb7958fec7db873e5689fc9d03217c68d8033820",
                "1b54b8ff0642bff521f15c1c0b665f3f",
                "f9e65e04d856f3a9c44a4cbdc1d00846f5983d771c1b137e4e0f9d8ef409f92e"
            )),
            calls: 0,
        };
        let mut drbg = Drbg::new(entropy, &[]).unwrap();
        let mut output = [0; 16];
        drbg.generate(&mut output).unwrap();
        assert_eq!(hex::encode(output), "3f6db52dff53ae68e92abcd8131ef8bf");
        drbg.reseed(&[]).unwrap();
        drbg.generate(&mut output).unwrap();
        assert_eq!(hex::encode(output), "a054303d8a7ea9889d903e077c6f218f");
    }

    /// NIST ACVP-Server, ctrDRBG-1.0, test case 165: AES-256 with derivation function, reseed, personalization
    /// and additional input.
    #[test]
    fn acvp_everything() {
        let mut state = State::new(&[
            &bytes(
                "0B073A51DEBB405A1FA41DA13A199F4E242DCEE680884B0571517058619E3656\
                 090956BEF15B56AAC27F14536E46E186",
            ),
            &bytes(
                "5C939CB4CCAB02B2D848D704C69B7C44CA2073B417067F913867CE3D1EA33628\
                 DCDCFE8C0769D48F16ED75DB56CA1FE5",
            ),
            &bytes(
                "DC69EC12720E84AE5B3205BED5B2AAECF4849B233B6CCAEE51D815620FC39FB4\
                 1C62D56E5CC491B716CEE8971AB5DE64",
            ),
        ])
        .unwrap();
        state
            .reseed(&[
                &bytes(
                    "FC3D7DCB4FB061247F9822428C76B2D2ED1677CD92CC51CF1260061D701027AD\
                     0D1643EC492B57EC85C3229C0DCF6383",
                ),
                &bytes(
                    "F3284CE4858AF97143E013283433D01452471155BC4C918F8BCB89CC3A763E40\
                     74B830564B3DBC027D408F0C034F985F",
                ),
            ])
            .unwrap();
        let mut output = [0; 512];
        let first = bytes(
            "EEFF65A064675DA0114CBA021913586942A646FFD3C8335E2C4B83FD8536EA74\
             F12883437A73C4CCD52F03068C0E3CA8",
        );
        state.generate(&first, &mut output).unwrap();
        let second = bytes(
            "45D67A8C2028EE62C52CAC356602D934F88CE71BA0E4249EBAEE0E6FEA11311D\
             86D65B3AD22EE2F025F6A316F91099D0",
        );
        state.generate(&second, &mut output).unwrap();
        assert_eq!(
            hex::encode_upper(&output[..64]),
            "BD3AE3C55328097D68141A824F60151F5FDE94DA6391637E2498A7B15DFEC2B9\
             CBD013C1C66A44558D4C86747E3594A3A0B13FAB816A9D50ABE7CB6BFADDFCBA"
        );
        assert_eq!(
            hex::encode_upper(&output[448..]),
            "CC5C894F98492DE7FF461D8C12D5B2A4E19C1A2445B64725A69BBD4D03C83AAF\
             A883D2B761C50C74267B438E7BCEC9EB30EA8B185C184A199AF5FDAC3936E0FC"
        );
    }

    #[test]
    fn reseeds_after_the_interval() {
        let mut drbg = Drbg::new(scripted(1000), b"unit").unwrap().with_reseed_interval(3);
        for expected in [1, 1, 1, 2, 2, 2, 3] {
            drbg.generate(&mut [0; 10]).unwrap();
            assert_eq!(drbg.entropy.calls, expected);
        }
        for interval in [0, 1] {
            let mut drbg = Drbg::new(scripted(1000), b"unit").unwrap().with_reseed_interval(interval);
            drbg.generate(&mut [0; 10]).unwrap();
            drbg.generate(&mut [0; 10]).unwrap();
            assert_eq!(drbg.entropy.calls, 3);
        }
    }

    #[test]
    fn reseeds_early_when_asked() {
        let mut drbg = Drbg::new(scripted(1000), b"unit").unwrap().with_reseed_interval(8);
        for expected in [1, 1, 1, 1, 1, 1, 2, 2] {
            drbg.reseed_early().unwrap();
            assert_eq!(drbg.entropy.calls, expected);
            drbg.generate(&mut [0; 10]).unwrap();
        }
        for interval in [0, 1] {
            let mut drbg = Drbg::new(scripted(1000), b"unit").unwrap().with_reseed_interval(interval);
            drbg.reseed_early().unwrap();
            assert_eq!(drbg.entropy.calls, 1);
            drbg.requests = 1;
            drbg.reseed_early().unwrap();
            assert_eq!(drbg.entropy.calls, 2);
        }
    }

    #[test]
    fn a_long_request_is_split() {
        let mut drbg = Drbg::new(scripted(1000), &[]).unwrap();
        let mut long = std::vec![0; MAX_REQUEST + 100];
        drbg.generate(&mut long).unwrap();
        assert_eq!(drbg.requests, 2);

        let mut again = Drbg::new(scripted(1000), &[]).unwrap();
        let mut first = std::vec![0; MAX_REQUEST];
        let mut second = [0; 100];
        again.generate(&mut first).unwrap();
        again.generate(&mut second).unwrap();
        assert_eq!((&long[..MAX_REQUEST], &long[MAX_REQUEST..]), (first.as_slice(), second.as_slice()));
    }

    #[test]
    fn a_dead_source_stops_the_generator() {
        assert_eq!(Drbg::new(scripted(47), &[]).err(), Some(Error::Entropy));
        let mut drbg = Drbg::new(scripted(48), &[]).unwrap().with_reseed_interval(1);
        let mut output = [0xaa; 100];
        assert_eq!(drbg.generate(&mut output), Err(Error::Entropy));
        assert_eq!(output, [0; 100]);
    }

    #[test]
    fn personalization_and_seed_matter() {
        let mut first = [0; 32];
        let mut second = [0; 32];
        Drbg::new(scripted(48), b"a").unwrap().generate(&mut first).unwrap();
        Drbg::new(scripted(48), b"b").unwrap().generate(&mut second).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn reentrance_is_an_error() {
        let cell = RefCell::new(Drbg::new(scripted(48), &[]).unwrap());
        let mut output = [0; 8];
        Random::fill(&cell, &mut output).unwrap();
        assert_ne!(output, [0; 8]);
        let _held = cell.borrow_mut();
        assert_eq!(Random::fill(&cell, &mut output), Err(Error::Unavailable));
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_poisoned_lock_is_an_error() {
        let mutex = std::sync::Mutex::new(Drbg::new(scripted(48), &[]).unwrap());
        let mut output = [0; 8];
        Random::fill(&mutex, &mut output).unwrap();
        assert_ne!(output, [0; 8]);
        let thread = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _held = mutex.lock().unwrap();
                    panic!("on purpose");
                })
                .join()
        });
        assert!(thread.is_err());
        assert_eq!(Random::fill(&mutex, &mut output), Err(Error::Unavailable));
    }
}
