//! RSA (RFC 8017, §5): the bare primitives, without padding, and key sizes (document 05, §3).
//!
//! Without a padding scheme RSA is not secure. Pad before and unpad after; unpadding a decrypted message must not
//! show, by time or by error, why it failed (RFC 8017, §7.1.2 and §7.2.2).

use super::{Generation, KIND, Temporary, evict_option};
use crate::client::deliver;
use crate::key::named;
use crate::operation::{demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::public_key::{
    RsaKeyGenerationRequest, RsaRequest, RsaResponse, RsaSizeRequest, RsaSizeResponse, algorithm,
    rsa_operation,
};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};
use core::ops::RangeInclusive;

/// Payload bytes besides the result in a response.
const RESPONSE_OVERHEAD: usize = 16;

/// RSA key pairs of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsa {
    /// Size of the modulus in bits; servers take 1024 to 4096 and round down to a multiple of 16.
    pub bits: u32,
    /// Public exponent: odd, at least 3. 65537 is usual.
    pub exponent: u32,
}

impl Rsa {
    /// Key pairs with the exponent 65537 and a modulus of `bits` bits.
    pub const fn new(bits: u32) -> Self {
        Self { bits, exponent: 65_537 }
    }

    /// Size of the modulus that servers make, in bytes.
    fn modulus_size(self) -> usize {
        usize::try_from(self.bits / 16).map_or(usize::MAX, |words| words.saturating_mul(2))
    }
}

impl Generation for Rsa {
    type Request = RsaKeyGenerationRequest;
    const ALGORITHM: u32 = algorithm::RSA_KEY_GENERATION;

    fn request(&self, flags: u32, key: u32, label: Label) -> RsaKeyGenerationRequest {
        RsaKeyGenerationRequest { flags, key, size: self.bits, exponent: self.exponent, label }
    }

    /// RSAPrivateKey (RFC 8017, A.1.2): the modulus, an exponent as long, five numbers half as long, and their
    /// headers, of at most 5 bytes each, around.
    fn private_sizes(&self) -> RangeInclusive<usize> {
        let modulus = self.modulus_size();
        let halves = modulus.div_ceil(2).saturating_mul(5);
        1..=modulus.saturating_mul(2).saturating_add(halves).saturating_add(50)
    }

    /// SubjectPublicKeyInfo: the modulus and at most 46 bytes around.
    fn public_sizes(&self) -> RangeInclusive<usize> {
        let modulus = self.modulus_size();
        modulus..=modulus.saturating_add(46)
    }
}

/// What is done with a number below the modulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaOperation {
    /// Raise to the public exponent, to encrypt; needs `USAGE_ENCRYPT`.
    PublicEncrypt,
    /// Raise to the public exponent, to verify; needs `USAGE_VERIFY` or `USAGE_DECRYPT`.
    PublicDecrypt,
    /// Raise to the private exponent, to sign; needs `USAGE_SIGN` or `USAGE_ENCRYPT`.
    PrivateEncrypt,
    /// Raise to the private exponent, to decrypt; needs `USAGE_DECRYPT`.
    PrivateDecrypt,
}

impl RsaOperation {
    const fn code(self) -> u32 {
        match self {
            Self::PublicEncrypt => rsa_operation::PUBLIC_ENCRYPT,
            Self::PublicDecrypt => rsa_operation::PUBLIC_DECRYPT,
            Self::PrivateEncrypt => rsa_operation::PRIVATE_ENCRYPT,
            Self::PrivateDecrypt => rsa_operation::PRIVATE_DECRYPT,
        }
    }

    /// The usage of a key that is there for this operation only.
    const fn usage(self) -> Flags {
        match self {
            Self::PublicEncrypt | Self::PrivateEncrypt => Flags::USAGE_ENCRYPT,
            Self::PublicDecrypt | Self::PrivateDecrypt => Flags::USAGE_DECRYPT,
        }
    }

    /// The algorithm, if the public half of a key suffices.
    const fn public(self) -> Option<KeyAlgorithm> {
        match self {
            Self::PublicEncrypt | Self::PublicDecrypt => Some(KeyAlgorithm::RSA),
            Self::PrivateEncrypt | Self::PrivateDecrypt => None,
        }
    }
}

/// Raises a number to a key's exponent; yields a number as long as the modulus, big-endian.
#[derive(Clone, Copy)]
pub struct RsaRaw<'a> {
    /// Which exponent, and what for.
    pub operation: RsaOperation,
    /// The key.
    pub key: KeyId,
    /// The number, big-endian, at least 1 byte and at most as long as the modulus.
    pub input: &'a [u8],
    /// How long the result may be: at least as long as the modulus, at most the packet data length less 16.
    pub capacity: usize,
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for RsaRaw<'_> {
    const KIND: Kind = KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.capacity == 0 {
            return Err(Argument::OutputLength);
        }
        let body = RsaRequest {
            operation: self.operation.code(),
            options: evict_option(self.evict),
            key: u32::from(named(self.key)?.0),
            length: length_u32(self.input.len()),
            capacity: length_u32(self.capacity),
        };
        request.mark_secret(); // Plaintext goes in or comes out.
        request.put_crypto(algorithm::RSA, 0, &body);
        request.put_bytes(self.input);
        request.expect_response(RESPONSE_OVERHEAD.saturating_add(self.capacity));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (RsaResponse { length }, rest) = response.crypto(algorithm::RSA)?;
        let result = tail(rest).take_u32(length)?;
        demand(self.input.len() <= result.len() && result.len() <= self.capacity)?;
        Ok(result)
    }
}

/// Asks how large a key is; yields the size of its modulus in bytes.
#[derive(Debug, Clone, Copy)]
pub struct RsaSize {
    /// The key, of any usage.
    pub key: KeyId,
    /// Whether the key leaves the cache afterwards.
    pub evict: bool,
}

impl Operation for RsaSize {
    const KIND: Kind = KIND;
    type Output<'r> = usize;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let key = u32::from(named(self.key)?.0);
        request.put_crypto(
            algorithm::RSA_SIZE,
            0,
            &RsaSizeRequest { options: evict_option(self.evict), key },
        );
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<usize, ResponseFault> {
        let (RsaSizeResponse { size }, _) = response.crypto(algorithm::RSA_SIZE)?;
        // No modulus has 64 KiB.
        let size = u16::try_from(size).unwrap_or(0);
        demand(size != 0)?;
        Ok(usize::from(size))
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Raises the big-endian number `input` to an exponent of `key` modulo its modulus, writes the result to the
    /// front of `out` and returns its length in bytes, the modulus' length. The packet buffer is wiped afterwards.
    ///
    /// There is no padding: see the [module](crate::public_key::rsa).
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Argument::OutputLength`], [`Error::TooLong`].
    /// - `NOT_FOUND`, `USAGE`, `ASN_PARSE` (no RSA key), `CRYPTO_ARGUMENT` (`input` is empty or longer than the
    ///   modulus, or the key has no private half), `RSA_BUFFER` (`out` is shorter than the modulus), `NO_SPACE` from
    ///   the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn rsa(
        &mut self,
        operation: RsaOperation,
        key: Key<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error<T::Error>> {
        // The result of a longer modulus would not fit the packet.
        let capacity = out.len().min(self.data_length().saturating_sub(RESPONSE_OVERHEAD));
        let temporary =
            Temporary { key, label: "TempRsaFunction", flags: operation.usage(), public: operation.public() };
        let outcome = self
            .with_key(&temporary, |key, evict| RsaRaw { operation, key, input, capacity, evict })
            .and_then(|result| deliver(result, out));
        self.wipe();
        outcome
    }

    /// The size of an RSA key's modulus in bytes.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Error::TooLong`].
    /// - `NOT_FOUND`, `ASN_PARSE` (no RSA key), `NO_SPACE` from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn rsa_size(&mut self, key: Key<'_>) -> Result<usize, Error<T::Error>> {
        let public = Some(KeyAlgorithm::RSA);
        let temporary = Temporary { key, label: "TempRsaGetSize", flags: Flags::NONE, public };
        self.with_key(&temporary, |key, evict| RsaSize { key, evict })
    }
}
