//! ECDSA.

use crate::connection::public_key;
use crate::{Connection, Error};
use casemate_client::Key;
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use digest::Digest;
use ecdsa::elliptic_curve::array::ArraySize;
use ecdsa::elliptic_curve::pkcs8::AssociatedOid;
use ecdsa::elliptic_curve::point::PointCompression;
use ecdsa::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use ecdsa::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use ecdsa::{DigestAlgorithm, EcdsaCurve, Signature, SignatureSize, VerifyingKey, der};
use signature::hazmat::PrehashSigner;
use signature::{Keypair, Signer};
use spki::der::AnyRef;
use spki::{AlgorithmIdentifierRef, AssociatedAlgorithmIdentifier, SignatureAlgorithmIdentifier};

/// The longest DER signature, in bytes: of P-521.
const LONGEST_SIGNATURE: usize = 141;

/// An ECDSA key of the server on the curve `C` (FIPS 186-5).
#[derive(Clone)]
pub struct EcdsaKey<H, C: EcdsaCurve + CurveArithmetic> {
    connection: H,
    id: KeyId,
    public: VerifyingKey<C>,
}

debug_by_id!(EcdsaKey<H, C> where C: EcdsaCurve + CurveArithmetic);

impl<H, C> EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic + AssociatedOid + PointCompression,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    /// The key with this identifier, whose public half is read from the server. It needs `USAGE_SIGN`.
    ///
    /// # Errors
    /// [`Error`]: the server has no such key, or it is on another curve.
    pub fn open(connection: H, id: KeyId) -> Result<Self, Error> {
        let bytes = public_key(&connection, id, KeyAlgorithm::ECC)?;
        let read = spki::SubjectPublicKeyInfoRef::try_from(bytes.as_slice());
        let public =
            read.and_then(VerifyingKey::try_from).map_err(|error| Error::public_key("ECDSA", error))?;
        Ok(Self { connection, id, public })
    }
}

impl<H, C> EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as core::ops::Add>::Output: core::ops::Add<der::MaxOverhead> + ArraySize,
{
    fn sign_digest(&self, digest: &[u8]) -> Result<der::Signature<C>, signature::Error> {
        let mut bytes = [0; LONGEST_SIGNATURE];
        let length = self
            .connection
            .with(|client| Ok(client.ecdsa_sign(Key::Id(self.id), digest, &mut bytes)?))
            .map_err(Error::signature)?;
        der::Signature::from_bytes(bytes.get(..length).unwrap_or_default())
    }
}

impl<H, C: EcdsaCurve + CurveArithmetic> Keypair for EcdsaKey<H, C> {
    type VerifyingKey = VerifyingKey<C>;

    fn verifying_key(&self) -> VerifyingKey<C> {
        self.public
    }
}

impl<H, C> PrehashSigner<der::Signature<C>> for EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as core::ops::Add>::Output: core::ops::Add<der::MaxOverhead> + ArraySize,
{
    fn sign_prehash(&self, prehash: &[u8]) -> Result<der::Signature<C>, signature::Error> {
        self.sign_digest(prehash)
    }
}

impl<H, C> PrehashSigner<Signature<C>> for EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as core::ops::Add>::Output: core::ops::Add<der::MaxOverhead> + ArraySize,
    SignatureSize<C>: ArraySize,
{
    fn sign_prehash(&self, prehash: &[u8]) -> Result<Signature<C>, signature::Error> {
        self.sign_digest(prehash)?.try_into()
    }
}

/// The message is hashed here, with the curve's usual hash function.
impl<H, C> Signer<der::Signature<C>> for EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic + DigestAlgorithm,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as core::ops::Add>::Output: core::ops::Add<der::MaxOverhead> + ArraySize,
{
    fn try_sign(&self, message: &[u8]) -> Result<der::Signature<C>, signature::Error> {
        self.sign_digest(&C::Digest::digest(message))
    }
}

impl<H, C> Signer<Signature<C>> for EcdsaKey<H, C>
where
    H: Connection,
    C: EcdsaCurve + CurveArithmetic + DigestAlgorithm,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as core::ops::Add>::Output: core::ops::Add<der::MaxOverhead> + ArraySize,
    SignatureSize<C>: ArraySize,
{
    fn try_sign(&self, message: &[u8]) -> Result<Signature<C>, signature::Error> {
        self.sign_digest(&C::Digest::digest(message))?.try_into()
    }
}

impl<H, C> SignatureAlgorithmIdentifier for EcdsaKey<H, C>
where
    C: EcdsaCurve + CurveArithmetic,
    Signature<C>: AssociatedAlgorithmIdentifier<Params = AnyRef<'static>>,
{
    type Params = AnyRef<'static>;

    const SIGNATURE_ALGORITHM_IDENTIFIER: AlgorithmIdentifierRef<'static> =
        Signature::<C>::ALGORITHM_IDENTIFIER;
}
