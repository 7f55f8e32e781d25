//! Public-key cryptography.

use crate::failure::{Failure, Outcome};
use crate::ffi::{self, Array, ArrayOut, Bytes, HsmClient, In, Out, Output};
use crate::status::Own;
use crate::types::{
    CurveName, Ed25519Name, EndiannessName, FamilyName, MlDsaName, MlKemName, NewKey, PairKind, PrehashName,
    RsaName,
};
use casemate_client::{Ed25519, Ed25519Mode, Key, KeyPair, MlDsaMessage, Prehash, Rsa, X25519};

/// Something to do with a kind of key pair.
trait WithPair {
    fn with<P: KeyPair>(self, pair: P) -> Outcome;
}

fn with_pair(kind: PairKind, work: impl WithPair) -> Outcome {
    match FamilyName::find(kind.family)? {
        1 => work.with(Rsa { bits: kind.parameter, exponent: kind.exponent }),
        2 => work.with(CurveName::find(kind.parameter)?),
        3 => work.with(X25519),
        4 => work.with(Ed25519),
        5 => work.with(MlDsaName::find(kind.parameter)?),
        _ => work.with(MlKemName::find(kind.parameter)?),
    }
}

struct Generate<'a> {
    client: &'a mut HsmClient,
    new: casemate_client::NewKey,
    id: &'a mut u16,
}

impl WithPair for Generate<'_> {
    fn with<P: KeyPair>(self, pair: P) -> Outcome {
        *self.id = self.client.key_pair_generate(pair, &self.new)?.0;
        Ok(())
    }
}

struct GenerateWithPublic<'a> {
    generate: Generate<'a>,
    public: Output<'a>,
}

impl WithPair for GenerateWithPublic<'_> {
    fn with<P: KeyPair>(self, pair: P) -> Outcome {
        let Generate { client, new, id } = self.generate;
        *id = self
            .public
            .fill_with(|bytes| {
                let (id, length) = client.key_pair_generate_with_public(pair, &new, bytes)?;
                Ok((length, id))
            })?
            .0;
        Ok(())
    }
}

struct GenerateExport<'a> {
    client: &'a mut HsmClient,
    private: Output<'a>,
}

impl WithPair for GenerateExport<'_> {
    fn with<P: KeyPair>(self, pair: P) -> Outcome {
        self.private.fill(|bytes| self.client.key_pair_generate_export(pair, bytes))
    }
}

fn mode(mode: u8, context: &[u8]) -> Result<Ed25519Mode<'_>, Failure> {
    match mode {
        0 if context.is_empty() => Ok(Ed25519Mode::Pure),
        1 => Ok(Ed25519Mode::Context(context)),
        2 => Ok(Ed25519Mode::Prehashed(context)),
        _ => Err(Own::BAD_ARGUMENT.into()),
    }
}

const fn message(prehash: Option<Prehash>, message: &[u8]) -> MlDsaMessage<'_> {
    match prehash {
        None => MlDsaMessage::Pure(message),
        Some(hash) => MlDsaMessage::Prehashed(hash, message),
    }
}

/// The verdict on a signature.
fn verdict(valid: bool) -> Outcome {
    if valid { Ok(()) } else { Err(Own::SIGNATURE_INVALID.into()) }
}

ffi::calls! { "Public keys"
    /// Has the server make a key pair that stays in its cache. For a large RSA key that takes seconds, which the timeout
    /// must allow.
    fn casemate_key_pair_generate(client; pair: PairKind, what: In<NewKey>, id: Out<u16>) {
        with_pair(pair, Generate { client, new: what.get(), id })
    }

    /// As casemate_key_pair_generate, and gives the encoded public key.
    fn casemate_key_pair_generate_with_public(client; pair: PairKind, what: In<NewKey>, id: Out<u16>, public_key[length]: Output<'_>) {
        with_pair(pair, GenerateWithPublic { generate: Generate { client, new: what.get(), id }, public: public_key })
    }

    /// Has the server make a key pair and gives the encoded private key, which contains the public one. Nothing stays in
    /// the server.
    fn casemate_key_pair_generate_export(client; pair: PairKind, private_key[length]: Output<'_>) {
        with_pair(pair, GenerateExport { client, private: private_key })
    }

    /// Signs a hash of 28 to 64 bytes with ECDSA; the signature is in DER, at most casemate_ecdsa_signature_size bytes.
    /// An inline key, here and below, enters the server's cache for the one operation: only with a client that blocks.
    fn casemate_ecdsa_sign(client; key: Key<'_>, hash[hash_length]: Bytes, signature[length]: Output<'_>) {
        signature.fill(|bytes| client.ecdsa_sign(key, hash, bytes))
    }

    /// Verifies an ECDSA signature of a hash: CASEMATE_SIGNATURE_INVALID if it is not valid. Malformed ones may also give
    /// CASEMATE_SERVER_ASN_ECC_KEY or CASEMATE_SERVER_NUMBER_ZERO.
    fn casemate_ecdsa_verify(client; key: Key<'_>, signature[length]: Bytes, hash[hash_length]: Bytes) {
        verdict(client.ecdsa_verify(key, signature, hash)?)
    }

    /// As casemate_ecdsa_verify, and gives the key's encoded public half, whatever the verdict.
    fn casemate_ecdsa_verify_with_public(client; key: Key<'_>, signature[length]: Bytes, hash[hash_length]: Bytes, public_key[public_length]: Output<'_>) {
        let valid = public_key.fill_with(|bytes| {
            let (valid, length) = client.ecdsa_verify_with_public(key, signature, hash, bytes)?;
            Ok((length, valid))
        })?;
        verdict(valid)
    }

    /// Agrees on a secret with the owner of `public_key` (ECDH) and gives it, as long as a field element. Derive keys
    /// from it; it is not one.
    fn casemate_ecdh_export(client; private_key: Key<'_>, public_key: Key<'_>, secret[length]: Output<'_>) {
        secret.fill(|bytes| client.ecdh_export(private_key, public_key, bytes))
    }

    /// Agrees on a secret with the owner of `public_key` (ECDH) that stays in the server's cache.
    fn casemate_ecdh_cache(client; private_key: Key<'_>, public_key: Key<'_>, what: In<NewKey>, id: Out<u16>) {
        *id = client.ecdh_cache(private_key, public_key, &what.get())?.0;
        Ok(())
    }

    /// Computes the public point of a private key, uncompressed: 04, X, Y. Servers may not know it.
    fn casemate_ec_make_public(client; key: Key<'_>, point[length]: Output<'_>) {
        point.fill(|bytes| client.ec_make_public(key, bytes))
    }

    /// Succeeds if a key is valid on a curve and, unless `length` is 0, has this uncompressed point. Servers may not know
    /// it.
    fn casemate_ec_check_public(client; key: Key<'_>, curve: CurveName, point[length]: Bytes) {
        Ok(client.ec_check_public(key, curve, point)?)
    }

    /// Signs a message with Ed25519. Message and context fit one packet.
    fn casemate_ed25519_sign(client; key: Key<'_>, variant: Ed25519Name, context[context_length]: Bytes, message[length]: Bytes, signature: ArrayOut<64>) {
        *signature = client.ed25519_sign(key, mode(variant, context)?, message)?;
        Ok(())
    }

    /// Verifies an Ed25519 signature: CASEMATE_SIGNATURE_INVALID if it is not valid.
    fn casemate_ed25519_verify(client; key: Key<'_>, variant: Ed25519Name, context[context_length]: Bytes, signature: Array<64>, message[length]: Bytes) {
        verdict(client.ed25519_verify(key, mode(variant, context)?, signature, message)?)
    }

    /// Agrees on a secret of 32 bytes with the owner of `public_key` by X25519 and gives it. Derive keys from it; it is
    /// not one.
    fn casemate_x25519_export(client; private_key: Key<'_>, public_key: Key<'_>, order: EndiannessName, secret: ArrayOut<32>) {
        Ok(client.x25519_export(private_key, public_key, order, secret)?)
    }

    /// Agrees on a secret with the owner of `public_key` by X25519 that stays in the server's cache.
    fn casemate_x25519_cache(client; private_key: Key<'_>, public_key: Key<'_>, order: EndiannessName, what: In<NewKey>, id: Out<u16>) {
        *id = client.x25519_cache(private_key, public_key, order, &what.get())?.0;
        Ok(())
    }

    /// Raises a big-endian number to an exponent of an RSA key; the result is as long as the modulus. There is no
    /// padding, without which RSA is not secure: pad before and unpad after.
    fn casemate_rsa(client; key: Key<'_>, operation: RsaName, input[input_length]: Bytes, output[length]: Output<'_>) {
        output.fill(|bytes| client.rsa(operation, key, input, bytes))
    }

    /// The size of an RSA key's modulus in bytes.
    fn casemate_rsa_get_size(client; key: Key<'_>, size: Out<usize>) {
        *size = client.rsa_size(key)?;
        Ok(())
    }

    /// Signs with ML-DSA, with a context of at most 255 bytes. Message, context and signature fit a packet.
    fn casemate_ml_dsa_sign(client; key: Key<'_>, parameters: MlDsaName, prehash: PrehashName, text[text_length]: Bytes, context[context_length]: Bytes, signature[length]: Output<'_>) {
        signature.fill(|bytes| client.ml_dsa_sign(key, parameters, message(prehash, text), context, bytes))
    }

    /// Verifies an ML-DSA signature: CASEMATE_SIGNATURE_INVALID if it is not valid.
    fn casemate_ml_dsa_verify(client; key: Key<'_>, parameters: MlDsaName, prehash: PrehashName, signature[length]: Bytes, text[text_length]: Bytes, context[context_length]: Bytes) {
        verdict(client.ml_dsa_verify(key, parameters, signature, message(prehash, text), context)?)
    }

    /// Makes a secret of 32 bytes for the owner of an ML-KEM key, and the ciphertext that carries it.
    fn casemate_ml_kem_encapsulate(client; key: Key<'_>, parameters: MlKemName, ciphertext[length]: Output<'_>, secret: ArrayOut<32>) {
        ciphertext.fill(|bytes| client.ml_kem_encapsulate(key, parameters, bytes, secret))
    }

    /// Opens an ML-KEM ciphertext with the private key. A damaged ciphertext gives another secret, not an error.
    fn casemate_ml_kem_decapsulate(client; key: Key<'_>, parameters: MlKemName, ciphertext[length]: Bytes, secret: ArrayOut<32>) {
        Ok(client.ml_kem_decapsulate(key, parameters, ciphertext, secret)?)
    }
}
