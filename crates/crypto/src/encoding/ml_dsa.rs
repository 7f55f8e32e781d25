//! Keys of ML-DSA (RFC 9881, with the deviation that the [module](super) names).

use super::{
    Algorithm, Elements, EncodingError, PrivateKeyInfo, PublicKeyInfo, encode_private_key_info,
    encode_public_key_info, is_private, tag,
};
use crate::{MlDsa, MlDsaSet};
use core::fmt;

/// `[0]`, primitive: the seed.
const SEED: u8 = 0x80;

/// 2.16.840.1.101.3.4.3.17, .18 and .19.
const fn algorithm(set: MlDsaSet) -> Algorithm<'static> {
    let identifier = match set {
        MlDsaSet::MlDsa44 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11],
        MlDsaSet::MlDsa65 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12],
        MlDsaSet::MlDsa87 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x13],
    };
    Algorithm { identifier, parameters: &[] }
}

fn set_of(found: Algorithm<'_>) -> Result<MlDsaSet, EncodingError> {
    MlDsaSet::ALL.into_iter().find(|set| algorithm(*set) == found).ok_or(EncodingError::Malformed)
}

/// An ML-DSA key: borrowed parts of its encoding, each of the size that the set says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MlDsaKey<'a> {
    /// The parameter set.
    pub set: MlDsaSet,
    /// The expanded private key of FIPS 204.
    pub private: Option<&'a [u8]>,
    /// The seed that the key pair was generated from.
    pub seed: Option<&'a [u8; 32]>,
    /// The public key.
    pub public: Option<&'a [u8]>,
}

impl<'a> MlDsaKey<'a> {
    /// The largest encoding, in bytes: a pair of ML-DSA-87.
    pub const MAX_ENCODING: usize = 7520;

    /// Decodes OneAsymmetricKey (or PKCS#8) or SubjectPublicKeyInfo.
    ///
    /// The private key is what RFC 9881 allows, a seed, an expanded key or both, or an expanded key followed by the
    /// public key in one OCTET STRING. The public key may stand in `[1]` too; if it stands in both places, it must be
    /// the same. Of a seed, the other parts are not computed: see [`expand`](Self::expand).
    ///
    /// # Errors
    /// [`EncodingError::Malformed`]; [`EncodingError::Mismatch`] if there are two public keys.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        if !is_private(bytes)? {
            let info = PublicKeyInfo::decode(bytes)?;
            let set = set_of(info.algorithm)?;
            let public = sized(info.public_key, set.public_size())?;
            return Ok(Self { set, private: None, seed: None, public: Some(public) });
        }
        let info = PrivateKeyInfo::decode(bytes)?;
        let set = set_of(info.algorithm)?;
        let outside = info.public_key(set.public_size())?;
        let mut elements = Elements::new(info.private_key);
        let (private, seed, inside) = match elements.next_tag() {
            Some(tag::SEQUENCE) => {
                let mut both = Elements::new(elements.take(tag::SEQUENCE)?);
                let seed = both.take(tag::OCTET_STRING)?;
                let private = sized(both.take(tag::OCTET_STRING)?, set.private_size())?;
                both.finish()?;
                (Some(private), Some(seed), None)
            }
            Some(SEED) => (None, Some(elements.take(SEED)?), None),
            _ => {
                let octets = elements.take(tag::OCTET_STRING)?;
                let (private, inside) =
                    octets.split_at_checked(set.private_size()).ok_or(EncodingError::Malformed)?;
                let inside = if inside.is_empty() { None } else { Some(sized(inside, set.public_size())?) };
                (Some(private), None, inside)
            }
        };
        elements.finish()?;
        let seed = seed.map(|seed| seed.try_into().map_err(|_| EncodingError::Malformed)).transpose()?;
        if let (Some(outside), Some(inside)) = (outside, inside)
            && outside != inside
        {
            return Err(EncodingError::Mismatch);
        }
        Ok(Self { set, private, seed, public: outside.or(inside) })
    }

    /// Writes the expanded private key and the public key, computing from the seed or from the private key what the
    /// encoding did not contain. Both slices have the sizes of the set.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no private half, [`EncodingError::Driver`].
    #[inline(never)]
    pub fn expand<D: MlDsa + ?Sized>(
        &self,
        driver: &D,
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), EncodingError> {
        match (self.private, self.public, self.seed) {
            (Some(own), Some(own_public), _) => {
                copy(own, private)?;
                copy(own_public, public)
            }
            (_, _, Some(seed)) => {
                driver.ml_dsa_from_seed(self.set, seed, private, public).map_err(EncodingError::Driver)
            }
            (Some(own), None, None) => {
                copy(own, private)?;
                driver.ml_dsa_public(self.set, own, public).map_err(EncodingError::Driver)
            }
            (None, _, None) => Err(EncodingError::Missing),
        }
    }

    /// Writes the key with its expanded private key and returns the size: 3904, 6016 or 7520 bytes, or 2588, 4060 or
    /// 4924 if it has no public key. A seed is not written, because peers do not write one.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no expanded private key, [`EncodingError::OutputLength`].
    #[inline(never)]
    pub fn encode_private(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        let private = self.private.ok_or(EncodingError::Missing)?;
        encode_private_key_info(algorithm(self.set), private, self.public, output)
    }

    /// Writes the public key as SubjectPublicKeyInfo (1334, 1974 or 2614 bytes) and returns the size.
    ///
    /// # Errors
    /// [`EncodingError::Missing`] if there is no public key, [`EncodingError::OutputLength`].
    pub fn encode_public(&self, output: &mut [u8]) -> Result<usize, EncodingError> {
        encode_public_key_info(algorithm(self.set), &[self.public.ok_or(EncodingError::Missing)?], output)
    }
}

fn sized(octets: &[u8], size: usize) -> Result<&[u8], EncodingError> {
    if octets.len() == size { Ok(octets) } else { Err(EncodingError::Malformed) }
}

fn copy(from: &[u8], to: &mut [u8]) -> Result<(), EncodingError> {
    if from.len() != to.len() {
        return Err(EncodingError::OutputLength { needed: from.len() });
    }
    to.copy_from_slice(from);
    Ok(())
}

/// Shows which parts there are, not the private ones.
impl fmt::Debug for MlDsaKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MlDsaKey")
            .field("set", &self.set)
            .field("has_private", &self.private.is_some())
            .field("has_seed", &self.seed.is_some())
            .field("public", &self.public)
            .finish()
    }
}
