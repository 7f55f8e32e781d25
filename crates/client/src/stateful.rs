//! Stateful hash-based signatures (NIST SP 800-208): LMS and HSS (RFC 8554), XMSS and XMSS^MT (RFC 8391); document 05, §9.
//!
//! A private key makes a limited number of signatures and never leaves the server, which stores its new state before a
//! signature leaves. The messages are of the DMA kind: message, signature and public key lie in memory that client and
//! server share (see [`dma`](crate::dma)).
//!
//! [`stateful_import_public`](Client::stateful_import_public) gives a server a public key to verify with.

use crate::dma::{generated, wanted};
use crate::key::named;
use crate::operation::{PlainCrypto, demand};
use crate::{Argument, Client, Error, NewKey};
use casemate_protocol::message::crypto_dma::{
    StatefulKeyGenerationDmaRequest, StatefulRemainingRequest, StatefulSignDmaRequest,
    StatefulVerifyDmaRequest,
};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{algorithm, sub_algorithm};
use casemate_protocol::{DmaBuffer, Flags, KeyId};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;

/// A parameter set of LMS (one level) or HSS (RFC 8554), with SHA-256 and 32 bytes, the only ones that the messages can
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LmsParameters {
    levels: u8,
    height: u8,
    winternitz: u8,
}

impl LmsParameters {
    /// A set of `levels` (1 to 4) trees above each other, each of `height` (5, 10, 15, 20 or 25) and with the Winternitz
    /// parameter `winternitz` (1, 2, 4 or 8); nothing if servers know none such (document 05, §9.2).
    #[must_use]
    pub const fn new(levels: u32, height: u32, winternitz: u32) -> Option<Self> {
        match (levels, height, winternitz) {
            (1, 5 | 10 | 15 | 20 | 25, 1 | 2 | 4 | 8)
            | (2, 5 | 10 | 15 | 20, 2 | 4 | 8)
            | (3 | 4, 5, 2 | 4 | 8)
            | (3 | 4, 10, 4 | 8) => {
                let [levels, ..] = levels.to_le_bytes();
                let [height, ..] = height.to_le_bytes();
                let [winternitz, ..] = winternitz.to_le_bytes();
                Some(Self { levels, height, winternitz })
            }
            _ => None,
        }
    }

    /// Size of a signature in bytes.
    #[must_use]
    pub const fn signature_size(self) -> usize {
        let chains: usize = match self.winternitz {
            1 => 265,
            2 => 133,
            4 => 67,
            _ => 34,
        };
        let one = chains.saturating_add(1).saturating_add(self.height as usize).saturating_mul(32);
        let levels = self.levels as usize;
        let keys = levels.saturating_sub(1).saturating_mul(56);
        one.saturating_add(12).saturating_mul(levels).saturating_add(keys).saturating_add(4)
    }

    /// How many signatures a key makes.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        1_u64.unbounded_shl(self.levels.saturating_mul(self.height) as u32)
    }
}

impl fmt::Display for LmsParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { levels, height, winternitz } = self;
        write!(f, "LMS with {levels} of height {height}, w = {winternitz}")
    }
}

/// A parameter set of XMSS or XMSS^MT, by its name in RFC 8391 or NIST SP 800-208.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct XmssParameters<'n> {
    name: &'n str,
    height: u8,
    layers: u8,
    /// The length of a hash in bytes.
    size: u8,
}

impl<'n> XmssParameters<'n> {
    /// The set of that name, such as `XMSS-SHA2_10_256` or `XMSSMT-SHAKE256_60/12_192` (document 05, §9.2).
    #[must_use]
    pub fn named(name: &'n str) -> Option<Self> {
        let (family, rest) = name.split_once('-')?;
        let (hash, rest) = rest.split_once('_')?;
        let (tree, bits) = rest.split_once('_')?;
        let (height, layers) = match (family, tree) {
            ("XMSS", "10") => (10, 1),
            ("XMSS", "16") => (16, 1),
            ("XMSS", "20") => (20, 1),
            ("XMSSMT", "20/2") => (20, 2),
            ("XMSSMT", "20/4") => (20, 4),
            ("XMSSMT", "40/2") => (40, 2),
            ("XMSSMT", "40/4") => (40, 4),
            ("XMSSMT", "40/8") => (40, 8),
            ("XMSSMT", "60/3") => (60, 3),
            ("XMSSMT", "60/6") => (60, 6),
            ("XMSSMT", "60/12") => (60, 12),
            _ => return None,
        };
        let size = match (hash, bits) {
            ("SHA2" | "SHAKE256", "192") => 24,
            ("SHA2" | "SHAKE" | "SHAKE256", "256") => 32,
            ("SHA2" | "SHAKE", "512") => 64,
            _ => return None,
        };
        Some(Self { name, height, layers, size })
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'n str {
        self.name
    }

    /// Size of a signature in bytes.
    #[must_use]
    pub const fn signature_size(self) -> usize {
        let size = self.size as usize;
        let chains: usize = match size {
            24 => 51,
            32 => 67,
            _ => 131,
        };
        let index: usize = if self.layers == 1 { 4 } else { (self.height as usize).div_ceil(8) };
        let parts = chains.saturating_mul(self.layers as usize).saturating_add(self.height as usize);
        parts.saturating_add(1).saturating_mul(size).saturating_add(index)
    }

    /// How many signatures a key makes; the original's servers stop one short.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        1_u64.unbounded_shl(self.height as u32)
    }
}

impl fmt::Display for XmssParameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a stateful key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatefulParameters<'n> {
    /// LMS or HSS.
    Lms(LmsParameters),
    /// XMSS or XMSS^MT.
    Xmss(XmssParameters<'n>),
}

impl StatefulParameters<'_> {
    /// LMS or XMSS.
    #[must_use]
    pub const fn family(self) -> Stateful {
        match self {
            Self::Lms(_) => Stateful::Lms,
            Self::Xmss(_) => Stateful::Xmss,
        }
    }

    /// Size of a signature in bytes.
    #[must_use]
    pub const fn signature_size(self) -> usize {
        match self {
            Self::Lms(parameters) => parameters.signature_size(),
            Self::Xmss(parameters) => parameters.signature_size(),
        }
    }

    /// Size of a public key in bytes: as RFC 8554 has it for LMS; root ‖ seed ‖ four zeros for XMSS (document 05, §9.2).
    #[must_use]
    pub const fn public_size(self) -> usize {
        match self {
            Self::Lms(_) => 60,
            Self::Xmss(parameters) => (parameters.size as usize).saturating_mul(2).saturating_add(4),
        }
    }

    /// How many signatures a key makes.
    #[must_use]
    pub const fn capacity(self) -> u64 {
        match self {
            Self::Lms(parameters) => parameters.capacity(),
            Self::Xmss(parameters) => parameters.capacity(),
        }
    }
}

/// One of the two families, which a call has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stateful {
    /// LMS and HSS.
    Lms,
    /// XMSS and XMSS^MT.
    Xmss,
}

impl Stateful {
    const fn number(self) -> u32 {
        match self {
            Self::Lms => sub_algorithm::LMS,
            Self::Xmss => sub_algorithm::XMSS,
        }
    }

    /// The family's number in [`key_export_public`](Client::key_export_public).
    #[must_use]
    pub const fn key_algorithm(self) -> KeyAlgorithm {
        match self {
            Self::Lms => KeyAlgorithm::LMS,
            Self::Xmss => KeyAlgorithm::XMSS,
        }
    }
}

/// Bytes in front of the parameters of a public key that is imported (document 05, §9.5).
const HEADER: usize = 12;
/// The longest name of a parameter set, its final zero included.
const NAME: usize = 32;
/// Size of the largest public key.
const PUBLIC: usize = 132;

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Generates a key pair, which the server stores in non-volatile memory, and writes the public key to `public`.
    /// Returns the identifier and the public key's length. The key becomes `NONEXPORTABLE`.
    ///
    /// The time doubles with each unit of the height of a tree.
    ///
    /// # Errors
    /// BUFFER_SIZE if `public` is too small, or the state is larger than the server keeps; CRYPTO_ARGUMENT for a set that
    /// the server lacks; [`Argument::Ephemeral`].
    pub fn dma_stateful_generate(
        &mut self,
        parameters: StatefulParameters<'_>,
        new: &NewKey,
        public: DmaBuffer,
    ) -> Result<(KeyId, usize), Error<T::Error>> {
        if new.flags.contains(Flags::EPHEMERAL) {
            return Err(Argument::Ephemeral.into());
        }
        let (flags, key, label_length, label) = wanted(new);
        let mut request = StatefulKeyGenerationDmaRequest {
            public,
            flags,
            key,
            access: 0xFFFF,
            label_length,
            levels: 0,
            height: 0,
            winternitz: 0,
            label,
            xmss: [0; NAME],
        };
        match parameters {
            StatefulParameters::Lms(LmsParameters { levels, height, winternitz }) => {
                request.levels = levels.into();
                request.height = height.into();
                request.winternitz = winternitz.into();
            }
            StatefulParameters::Xmss(parameters) => {
                request.xmss.iter_mut().zip(parameters.name.bytes()).for_each(|(to, byte)| *to = byte);
            }
        }
        let response =
            self.run_stateful(algorithm::STATEFUL_KEY_GENERATION, parameters.family(), &request)?;
        generated(new.flags, response.key, response.length, public)
    }

    /// Signs a message and writes the signature; returns its length. It takes one of the key's signatures.
    ///
    /// # Errors
    /// BUFFER if `signature` is too small, and the key is as before; BAD_STATE (LMS) or KEY_EXHAUSTED (XMSS) for a key
    /// that has made all its signatures; IO_FAILED if the new state cannot be stored; CRYPTO_ARGUMENT for an empty
    /// message under XMSS.
    pub fn dma_stateful_sign(
        &mut self,
        (key, family): (KeyId, Stateful),
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<usize, Error<T::Error>> {
        let key = u32::from(named(key)?.0);
        let request = StatefulSignDmaRequest { message, signature, options: 0, key };
        let response = self.run_stateful(algorithm::STATEFUL_SIGN, family, &request)?;
        demand(u64::from(response.length) <= signature.size)?;
        Ok(usize::try_from(response.length).map_err(|_| Argument::SharedMemory)?)
    }

    /// Verifies a signature of a message.
    ///
    /// # Errors
    /// BUFFER for a signature of the wrong length.
    pub fn dma_stateful_verify(
        &mut self,
        (key, family): (KeyId, Stateful),
        message: DmaBuffer,
        signature: DmaBuffer,
    ) -> Result<bool, Error<T::Error>> {
        let key = u32::from(named(key)?.0);
        let request = StatefulVerifyDmaRequest { signature, message, options: 0, key };
        Ok(self.run_stateful(algorithm::STATEFUL_VERIFY, family, &request)?.valid == 1)
    }

    /// Whether a key can still sign. How often, no message says.
    ///
    /// # Errors
    /// IO_FAILED for the public half of an XMSS key; that of an LMS key is said to be able to.
    pub fn stateful_remaining(&mut self, key: KeyId, family: Stateful) -> Result<bool, Error<T::Error>> {
        let request = StatefulRemainingRequest { key: u32::from(named(key)?.0) };
        Ok(self.run_stateful(algorithm::STATEFUL_REMAINING, family, &request)?.remaining != 0)
    }

    /// Caches a public key, to verify with.
    ///
    /// # Errors
    /// [`Argument::KeyLength`] if `public` has another size than [`StatefulParameters::public_size`]; as
    /// [`key_cache`](Self::key_cache).
    pub fn stateful_import_public(
        &mut self,
        parameters: StatefulParameters<'_>,
        new: &NewKey,
        public: &[u8],
    ) -> Result<KeyId, Error<T::Error>> {
        if public.len() != parameters.public_size() {
            return Err(Argument::KeyLength.into());
        }
        let mut bytes = [0; HEADER + NAME + PUBLIC];
        let length = container(parameters, public, &mut bytes).ok_or(Argument::KeyLength)?;
        self.key_cache(new, bytes.get(..length).ok_or(Argument::KeyLength)?)
    }

    fn run_stateful<R: casemate_protocol::message::crypto::CryptoRequest>(
        &mut self,
        algorithm: u32,
        family: Stateful,
        request: &R,
    ) -> Result<R::Response, Error<T::Error>> {
        let sub_algorithm = family.number();
        self.run(&PlainCrypto { algorithm, sub_algorithm, request, tails: &[] }).map(|(response, _)| response)
    }
}

/// Writes a public key as servers keep it, and says how long that is (document 05, §9.5).
fn container(parameters: StatefulParameters<'_>, public: &[u8], out: &mut [u8]) -> Option<usize> {
    let levels;
    let (magic, text, end): (u32, &[u8], &[u8]) = match parameters {
        StatefulParameters::Lms(LmsParameters { levels: l, height, winternitz }) => {
            levels = [l, height, winternitz];
            (0x4C4D_5301, &levels, &[])
        }
        StatefulParameters::Xmss(parameters) => (0x584D_5301, parameters.name.as_bytes(), &[0]),
    };
    let lengths = [public.len(), 0, text.len().checked_add(end.len())?, 0];
    let mut rest = out;
    let mut put = |bytes: &[u8]| -> Option<()> {
        let (to, after) = core::mem::take(&mut rest).split_at_mut_checked(bytes.len())?;
        to.copy_from_slice(bytes);
        rest = after;
        Some(())
    };
    put(&magic.to_le_bytes())?;
    for length in lengths {
        put(&u16::try_from(length).ok()?.to_le_bytes())?;
    }
    put(text)?;
    put(end)?;
    put(public)?;
    HEADER.checked_add(text.len())?.checked_add(end.len())?.checked_add(public.len())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    /// Document 05, §9.2.
    #[test]
    fn sizes_of_lms_signatures() {
        for (set, size) in [((1, 5, 8), 1296), ((2, 5, 8), 2644), ((4, 10, 8), 5980)] {
            let set = LmsParameters::new(set.0, set.1, set.2).unwrap();
            assert_eq!(set.signature_size(), size, "{set}");
        }
        assert_eq!(LmsParameters::new(1, 5, 1).unwrap().capacity(), 32);
        assert_eq!(LmsParameters::new(4, 10, 4).unwrap().capacity(), 1 << 40);
        for (levels, height, winternitz) in
            [(0, 5, 8), (1, 6, 8), (1, 5, 3), (2, 25, 8), (2, 5, 1), (5, 5, 8)]
        {
            assert_eq!(LmsParameters::new(levels, height, winternitz), None);
        }
    }

    /// Document 05, §9.2.
    #[test]
    fn sizes_of_xmss_signatures() {
        let trees = ["10", "16", "20", "20/2", "20/4", "40/2", "40/4", "40/8", "60/3", "60/6", "60/12"];
        let sizes: [(u32, [usize; 11]); 3] = [
            (256, [2500, 2692, 2820, 4963, 9251, 5605, 9893, 18469, 8392, 14824, 27688]),
            (512, [9092, 9476, 9732, 18115, 34883, 19397, 36165, 69701, 29064, 54216, 104_520]),
            (192, [1492, 1636, 1732, 2955, 5403, 3437, 5885, 10781, 5144, 8816, 16160]),
        ];
        for (bits, sizes) in sizes {
            for (tree, size) in trees.iter().zip(sizes) {
                let family = if tree.contains('/') { "XMSSMT" } else { "XMSS" };
                let name = std::format!("{family}-SHA2_{tree}_{bits}");
                let set = XmssParameters::named(&name).unwrap();
                assert_eq!(set.signature_size(), size, "{name}");
                assert_eq!(set.to_string(), name);
            }
        }
        let public = |name| StatefulParameters::Xmss(XmssParameters::named(name).unwrap()).public_size();
        assert_eq!(public("XMSS-SHAKE256_10_192"), 52);
        assert_eq!(public("XMSS-SHAKE_10_256"), 68);
        assert_eq!(public("XMSSMT-SHAKE_60/12_512"), 132);
        for name in [
            "XMSS-SHA2_10",
            "XMSS-SHA2_11_256",
            "XMSSMT-SHA2_20_256",
            "XMSS-SHA2_10_2560",
            "",
            "XMSS-MD5_10_256",
        ] {
            assert_eq!(XmssParameters::named(name), None, "{name}");
        }
    }

    /// Document 05, §9.5.
    #[test]
    fn public_keys_as_servers_keep_them() {
        let mut out = [0xEE; 256];
        let lms = StatefulParameters::Lms(LmsParameters::new(2, 10, 4).unwrap());
        assert_eq!(container(lms, &[7; 60], &mut out), Some(75));
        assert_eq!(hex::encode(&out[..16]), "01534d4c3c00000003000000020a0407");
        let xmss = StatefulParameters::Xmss(XmssParameters::named("XMSS-SHA2_10_256").unwrap());
        assert_eq!(container(xmss, &[9; 68], &mut out), Some(12 + 17 + 68));
        assert_eq!(hex::encode(&out[..12]), "01534d584400000011000000");
        assert_eq!(&out[12..30], b"XMSS-SHA2_10_256\0\x09");
        assert_eq!(container(xmss, &[9; 68], &mut [0; 96]), None);
    }
}
