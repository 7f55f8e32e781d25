//! RSA with PKCS#1 v1.5 and PSS. The server computes with the private key; the padding is made here.

use crate::connection::public_key;
use crate::{Connection, Error};
use alloc::vec;
use alloc::vec::Vec;
use casemate_client::{Key, RsaOperation};
use casemate_crypto::rsa_padding::{Pss, pkcs1_signature_encode};
use casemate_crypto::{HashAlgorithm, Random, Software};
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use core::marker::PhantomData;
use digest::Digest;
use rsa::pkcs1v15::RsaSignatureAssociatedOid;
use rsa::pkcs8::{AssociatedOid, DecodePublicKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPublicKey, pkcs1v15, pss};
use signature::hazmat::PrehashSigner;
use signature::{Keypair, Signer};
use spki::der::AnyRef;
use spki::{
    AlgorithmIdentifierOwned, AlgorithmIdentifierRef, DynSignatureAlgorithmIdentifier,
    SignatureAlgorithmIdentifier,
};

/// A hash function that RSA signatures can use: SHA-2 and SHA-3, known by its object identifier.
pub trait SignatureHash: Digest + AssociatedOid {}

impl<D: Digest + AssociatedOid> SignatureHash for D {}

/// What both paddings need of a key.
#[derive(Clone)]
struct Private<H> {
    connection: H,
    id: KeyId,
    public: RsaPublicKey,
}

debug_by_id!(Private<H>);

impl<H: Connection> Private<H> {
    fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        let bytes = public_key(&connection, id, KeyAlgorithm::RSA)?;
        let public =
            RsaPublicKey::from_public_key_der(&bytes).map_err(|error| Error::public_key("RSA", error))?;
        Ok(Self { connection, id, public })
    }

    fn block(&self) -> Vec<u8> {
        vec![0; self.public.size()]
    }

    fn power(&self, block: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = self.block();
        let length = self.connection.with(|client| {
            Ok(client.rsa(RsaOperation::PrivateEncrypt, Key::Id(self.id), block, &mut signature)?)
        })?;
        signature.truncate(length);
        Ok(signature)
    }
}

/// The algorithm of `D`, by its object identifier.
fn algorithm<D: SignatureHash>() -> Result<HashAlgorithm, Error> {
    const ARC: &str = "2.16.840.1.101.3.4.2.";
    let name = alloc::string::ToString::to_string(&D::OID);
    Ok(match name.strip_prefix(ARC) {
        Some("1") => HashAlgorithm::Sha256,
        Some("2") => HashAlgorithm::Sha384,
        Some("3") => HashAlgorithm::Sha512,
        Some("4") => HashAlgorithm::Sha224,
        Some("5") => HashAlgorithm::Sha512_224,
        Some("6") => HashAlgorithm::Sha512_256,
        Some("7") => HashAlgorithm::Sha3_224,
        Some("8") => HashAlgorithm::Sha3_256,
        Some("9") => HashAlgorithm::Sha3_384,
        Some("10") => HashAlgorithm::Sha3_512,
        _ => {
            return Err(Error::other(alloc::format!(
                "signatures with the hash function {name} are not made"
            )));
        }
    })
}

/// An RSA key of the server for PKCS#1 v1.5 signatures with the hash function `D` (RFC 8017, §8.2).
#[derive(Clone)]
pub struct Pkcs1Key<H, D> {
    private: Private<H>,
    hash: PhantomData<D>,
}

impl<H, D> core::fmt::Debug for Pkcs1Key<H, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Pkcs1Key").field(&self.private).finish()
    }
}

/// An RSA key of the server for PSS signatures with the hash function `D`, MGF1 with the same, and a salt as long as
/// the digest (RFC 8017, §8.1). The salt comes from the server.
#[derive(Clone)]
pub struct PssKey<H, D> {
    private: Private<H>,
    hash: PhantomData<D>,
}

impl<H, D> core::fmt::Debug for PssKey<H, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("PssKey").field(&self.private).finish()
    }
}

impl<H: Connection, D> Pkcs1Key<H, D> {
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_SIGN`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is no RSA key.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        Ok(Self { private: Private::open(connection, id)?, hash: PhantomData })
    }
}

impl<H: Connection, D> PssKey<H, D> {
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_SIGN`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is no RSA key.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        Ok(Self { private: Private::open(connection, id)?, hash: PhantomData })
    }
}

impl<H, D: Digest + RsaSignatureAssociatedOid + AssociatedOid> Keypair for Pkcs1Key<H, D> {
    type VerifyingKey = pkcs1v15::VerifyingKey<D>;

    fn verifying_key(&self) -> Self::VerifyingKey {
        pkcs1v15::VerifyingKey::new(self.private.public.clone())
    }
}

impl<H, D: Digest> Keypair for PssKey<H, D> {
    type VerifyingKey = pss::VerifyingKey<D>;

    fn verifying_key(&self) -> Self::VerifyingKey {
        pss::VerifyingKey::new(self.private.public.clone())
    }
}

impl<H: Connection, D: SignatureHash> PrehashSigner<pkcs1v15::Signature> for Pkcs1Key<H, D> {
    fn sign_prehash(&self, prehash: &[u8]) -> Result<pkcs1v15::Signature, signature::Error> {
        let mut block = self.private.block();
        let encoded = algorithm::<D>()
            .and_then(|hash| pkcs1_signature_encode(hash, prehash, &mut block).map_err(Error::other));
        let signed = encoded.and_then(|()| self.private.power(&block)).map_err(Error::signature)?;
        pkcs1v15::Signature::try_from(signed.as_slice())
    }
}

impl<H: Connection, D: SignatureHash> Signer<pkcs1v15::Signature> for Pkcs1Key<H, D> {
    fn try_sign(&self, message: &[u8]) -> Result<pkcs1v15::Signature, signature::Error> {
        self.sign_prehash(&D::digest(message))
    }
}

impl<H: Connection, D: SignatureHash> PrehashSigner<pss::Signature> for PssKey<H, D> {
    fn sign_prehash(&self, prehash: &[u8]) -> Result<pss::Signature, signature::Error> {
        let mut block = self.private.block();
        let bits = usize::try_from(self.private.public.n_bits_precision()).unwrap_or(0);
        let encoded = algorithm::<D>().and_then(|hash| {
            let padding =
                Pss::new(hash).ok_or_else(|| Error::other("the hash function has no fixed length"))?;
            let driver = Software::new(Salt(&self.private.connection));
            padding.encode(&driver, bits, prehash, &mut block).map_err(Error::other)
        });
        let signed = encoded.and_then(|()| self.private.power(&block)).map_err(Error::signature)?;
        pss::Signature::try_from(signed.as_slice())
    }
}

impl<H: Connection, D: SignatureHash> Signer<pss::Signature> for PssKey<H, D> {
    fn try_sign(&self, message: &[u8]) -> Result<pss::Signature, signature::Error> {
        self.sign_prehash(&D::digest(message))
    }
}

/// Salts from the server.
struct Salt<'a, H>(&'a H);

impl<H: Connection> Random for Salt<'_, H> {
    fn fill(&self, output: &mut [u8]) -> Result<(), casemate_crypto::Error> {
        let filled = self.0.with(|client| Ok(client.random(output)?));
        filled.map_err(|_| casemate_crypto::Error::Entropy)
    }
}

impl<H, D: RsaSignatureAssociatedOid> SignatureAlgorithmIdentifier for Pkcs1Key<H, D> {
    type Params = AnyRef<'static>;

    const SIGNATURE_ALGORITHM_IDENTIFIER: AlgorithmIdentifierRef<'static> =
        AlgorithmIdentifierRef { oid: D::OID, parameters: Some(AnyRef::NULL) };
}

impl<H, D: Digest + AssociatedOid> DynSignatureAlgorithmIdentifier for PssKey<H, D> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        pss::get_default_pss_signature_algo_id::<D>()
    }
}
