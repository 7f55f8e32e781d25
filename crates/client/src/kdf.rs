//! Key derivation: HKDF (RFC 5869) and two-step derivation with AES-CMAC (NIST SP 800-56C) (document 04, §8).
//!
//! The derived key is exported to the caller or stays in the server's cache. The original server gets long outputs
//! wrong when there is context information: outputs of at most 48 bytes more than the inline input key and salt
//! have together are right everywhere (document 04, §8.3).

use crate::client::overwrite;
use crate::key::NewKey;
use crate::operation::{KDF, crypto_kind, demand, length_u32, tail};
use crate::{Argument, Client, Error, HashAlgorithm, Key, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::crypto::{CmacKdfRequest, HkdfRequest, KdfResponse, kdf};
use casemate_protocol::{Flags, KeyId, Kind, Label};
use casemate_transport::{ClientTransport, Clock};

/// Payload bytes besides an exported key in a response.
const RESPONSE_OVERHEAD: usize = 20;

/// What HKDF derives from.
#[derive(Debug, Clone, Copy)]
pub struct HkdfInput<'a> {
    /// The hash behind it.
    pub hash: HashAlgorithm,
    /// The input key: inline of any length but 0, or a key of at most 256 bytes with `USAGE_DERIVE`.
    pub key: Key<'a>,
    /// The salt; empty means a hash length of zeros.
    pub salt: &'a [u8],
    /// Context information, possibly empty.
    pub info: &'a [u8],
}

/// What the two-step derivation with AES-CMAC derives from.
#[derive(Debug, Clone, Copy)]
pub struct CmacKdfInput<'a> {
    /// The salt, an AES key: inline, or a key with `USAGE_DERIVE`.
    pub salt: Key<'a>,
    /// The shared secret Z: inline of any length but 0, or a key of at most 256 bytes with `USAGE_DERIVE`.
    pub z: Key<'a>,
    /// Fixed information, possibly empty.
    pub info: &'a [u8],
}

/// The request fields that say what becomes of the derived key.
struct Output {
    flags: u32,
    key_out: u32,
    label: Label,
    length: u32,
}

impl Output {
    fn exported(length: usize, request: &mut RequestWriter<'_>) -> Result<Self, Argument> {
        if length == 0 {
            return Err(Argument::OutputLength);
        }
        request.expect_response(RESPONSE_OVERHEAD.saturating_add(length));
        Ok(Self {
            flags: u32::from(Flags::EPHEMERAL.0),
            key_out: 0,
            label: Label::EMPTY,
            length: length_u32(length),
        })
    }

    fn cached(new: &NewKey, length: usize) -> Result<Self, Argument> {
        if length == 0 {
            return Err(Argument::OutputLength);
        }
        if new.flags.contains(Flags::EPHEMERAL) {
            return Err(Argument::Ephemeral);
        }
        Ok(Self {
            flags: u32::from(new.flags.0),
            key_out: u32::from(new.id.0),
            label: new.label,
            length: length_u32(length),
        })
    }
}

fn put_hkdf(request: &mut RequestWriter<'_>, input: &HkdfInput<'_>, output: &Output) -> Result<(), Argument> {
    let key = input.key.fields()?;
    request.mark_secret();
    request.put_crypto(
        KDF,
        kdf::HKDF,
        &HkdfRequest {
            flags: output.flags,
            key_in: u32::from(key.id.0),
            key_out: output.key_out,
            hash: input.hash.variant(),
            key_length: key.length,
            salt_length: length_u32(input.salt.len()),
            info_length: length_u32(input.info.len()),
            length: output.length,
            label: output.label,
        },
    );
    for tail in [key.bytes, input.salt, input.info] {
        request.put_bytes(tail);
    }
    Ok(())
}

fn put_cmac_kdf(
    request: &mut RequestWriter<'_>,
    input: &CmacKdfInput<'_>,
    output: &Output,
) -> Result<(), Argument> {
    let salt = input.salt.aes_fields()?;
    let z = input.z.fields()?;
    request.mark_secret();
    request.put_crypto(
        KDF,
        kdf::TWO_STEP_CMAC,
        &CmacKdfRequest {
            flags: output.flags,
            key_salt: u32::from(salt.id.0),
            key_z: u32::from(z.id.0),
            key_out: output.key_out,
            salt_length: salt.length,
            z_length: z.length,
            info_length: length_u32(input.info.len()),
            length: output.length,
            label: output.label,
        },
    );
    for tail in [salt.bytes, z.bytes, input.info] {
        request.put_bytes(tail);
    }
    Ok(())
}

fn exported(response: Response<'_>, wanted: usize) -> Result<&[u8], ResponseFault> {
    let (KdfResponse { length, .. }, rest) = response.crypto(KDF)?;
    demand(length == length_u32(wanted))?;
    Ok(tail(rest).take_u32(length)?)
}

fn cached(response: Response<'_>) -> Result<KeyId, ResponseFault> {
    let (KdfResponse { key, length }, _) = response.crypto(KDF)?;
    let key = KeyId::from_u32(key);
    demand(key.is_some() && length == 0)?;
    Ok(key)
}

macro_rules! derivations {
    ($( $name:literal: $input:ident, $request:ident, $put:ident, $export:ident, $cache:ident; )*) => {$(
        #[doc = concat!("Derives a key with ", $name, " and returns it.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $export<'a> {
            /// What to derive from.
            pub input: $input<'a>,
            /// Length of the derived key in bytes: at least 1, at most the packet data length less 20.
            pub length: usize,
        }

        impl Operation for $export<'_> {
            const KIND: Kind = crypto_kind::<$request>();
            type Output<'r> = &'r [u8];

            fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
                let output = Output::exported(self.length, request)?;
                $put(request, &self.input, &output)
            }

            fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
                exported(response, self.length)
            }
        }

        #[doc = concat!("Derives a key with ", $name, " into the server's cache; yields its identifier.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $cache<'a> {
            /// What to derive from.
            pub input: $input<'a>,
            /// What the derived key shall be.
            pub new: NewKey,
            /// Its length in bytes, at least 1.
            pub length: usize,
        }

        impl Operation for $cache<'_> {
            const KIND: Kind = crypto_kind::<$request>();
            type Output<'r> = KeyId;

            fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
                let output = Output::cached(&self.new, self.length)?;
                $put(request, &self.input, &output)
            }

            fn decode<'r>(&self, response: Response<'r>) -> Result<KeyId, ResponseFault> {
                cached(response)
            }
        }
    )*};
}

derivations! {
    "HKDF": HkdfInput, HkdfRequest, put_hkdf, HkdfExport, HkdfCache;
    "two steps of AES-CMAC": CmacKdfInput, CmacKdfRequest, put_cmac_kdf, CmacKdfExport, CmacKdfCache;
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    fn derive<O>(&mut self, operation: &O, out: &mut [u8]) -> Result<(), Error<T::Error>>
    where
        O: for<'r> Operation<Output<'r> = &'r [u8]>,
    {
        let outcome = self.run(operation).map(|key| overwrite(out, key));
        self.wipe();
        outcome
    }

    /// Fills `out` with a key derived by HKDF. Inline key, salt and information have
    /// [`data_length`](Self::data_length) less 68 bytes together, `out` has at most `data_length` less 20. The
    /// packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// - [`Argument::KeyId`], [`Argument::KeyLength`], [`Argument::OutputLength`], [`Error::TooLong`].
    /// - `NOT_FOUND`, `USAGE` (the key has no `USAGE_DERIVE`), `CRYPTO_ARGUMENT` (more than 255 digests of output)
    ///   from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn hkdf_export(&mut self, input: &HkdfInput<'_>, out: &mut [u8]) -> Result<(), Error<T::Error>> {
        self.derive(&HkdfExport { input: *input, length: out.len() }, out)
    }

    /// Derives a key of `length` bytes by HKDF into the server's cache and returns its identifier.
    ///
    /// # Errors
    /// As [`hkdf_export`](Self::hkdf_export); [`Argument::Ephemeral`]; `NO_SPACE` or `ACCESS` from the server as
    /// with [`key_cache`](Self::key_cache).
    pub fn hkdf_cache(
        &mut self,
        input: &HkdfInput<'_>,
        new: &NewKey,
        length: usize,
    ) -> Result<KeyId, Error<T::Error>> {
        self.run(&HkdfCache { input: *input, new: *new, length })
    }

    /// Fills `out` with a key derived in two steps of AES-CMAC. Sizes are as with
    /// [`hkdf_export`](Self::hkdf_export). The packet buffer is wiped afterwards.
    ///
    /// # Errors
    /// As [`hkdf_export`](Self::hkdf_export).
    pub fn cmac_kdf_export(
        &mut self,
        input: &CmacKdfInput<'_>,
        out: &mut [u8],
    ) -> Result<(), Error<T::Error>> {
        self.derive(&CmacKdfExport { input: *input, length: out.len() }, out)
    }

    /// Derives a key of `length` bytes in two steps of AES-CMAC into the server's cache and returns its identifier.
    ///
    /// # Errors
    /// As [`hkdf_cache`](Self::hkdf_cache).
    pub fn cmac_kdf_cache(
        &mut self,
        input: &CmacKdfInput<'_>,
        new: &NewKey,
        length: usize,
    ) -> Result<KeyId, Error<T::Error>> {
        self.run(&CmacKdfCache { input: *input, new: *new, length })
    }
}
