//! Verification of chains and attribute certificates against roots in the object store (document 07, §A.4 to §A.8).

use super::cache::VerifyCache;
#[cfg(any(feature = "images", feature = "authentication"))]
use super::hooks::OwnHooks;
use super::hooks::ServerHooks;
use super::roots::StoredRoots;
use crate::context::Context;
use crate::keys::{Source, Wanted};
use crate::platform::{Affinity, Platform};
use crate::server::Server;
use casemate_crypto::Driver;
use casemate_protocol::message::certificate::{FLAG_CACHE_LEAF_KEY, RootIds};
use casemate_protocol::{Flags, KeyId, Label, ObjectId, Status};
use casemate_x509::{AttributeCertificate, Certificate, ChainError, Error, Policy, Verifier};

/// A request to verify a chain.
pub(super) struct Chain<'p> {
    pub(super) roots: RootIds,
    pub(super) flags: u16,
    pub(super) key_flags: Flags,
    pub(super) key: KeyId,
    pub(super) bytes: &'p [u8],
}

/// What the server's owner demands of certificates, and the driver that checks their signatures.
#[inline(never)]
fn verifier<'s, P: Platform>(server: &'s Server<P>) -> Verifier<'s, dyn Driver + 's> {
    let options = &server.config().certificates;
    let policy = Policy {
        time: server.platform().now(),
        require_key_cert_sign: options.require_key_cert_sign,
        require_authority_anchors: options.require_authority_anchors,
        minimum_rsa_bits: options.minimum_rsa_bits,
        strict_attributes: options.strict_attributes,
    };
    Verifier::new(server.platform().crypto(Affinity::Accelerated), policy)
}

/// Why a chain that the server's owner asks about does not verify.
#[cfg(feature = "images")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnChainError {
    /// The root is not there, or cannot be read.
    Root(Status),
    /// The chain or its root is not accepted.
    Chain(ChainError),
}

/// Verifies a chain against a root that the server's owner names, which may be any object, and without the verify cache.
/// `space` holds the root meanwhile.
///
/// # Errors
/// [`OwnChainError`].
#[cfg(feature = "images")]
pub(crate) fn verify_own_chain<'c, P: Platform>(
    server: &Server<P>,
    root: ObjectId,
    chain: &'c [u8],
    space: &mut [u8],
) -> Result<casemate_x509::Verified<'c>, OwnChainError> {
    let mut roots = StoredRoots::new(server, space);
    roots.find_among(&RootIds::single(root), |_| true).map_err(OwnChainError::Root)?;
    let result = verifier(server).verify_chain(chain, &mut roots, &mut OwnHooks { server });
    result.map_err(|error| match (error, roots.status) {
        (ChainError::Anchor { error: Error::Unavailable, .. }, Some(status)) => OwnChainError::Root(status),
        (error, _) => OwnChainError::Chain(error),
    })
}

/// Verifies one certificate against a root that is at hand, without the verify cache.
///
/// # Errors
/// [`ChainError`].
#[cfg(feature = "authentication")]
pub(crate) fn verify_issued_by<P: Platform>(
    server: &Server<P>,
    root: &[u8],
    certificate: &Certificate<'_>,
) -> Result<(), ChainError> {
    let mut anchors: &[&[u8]] = &[root];
    verifier(server).verify_chain(certificate.encoding, &mut anchors, &mut OwnHooks { server }).map(|_| ())
}

/// Verifies a chain, and caches the key of its leaf if that is asked for: what became of it, and the identifier for the
/// response. `space` holds the roots meanwhile.
pub(super) fn verify_chain<P: Platform>(
    context: &mut Context<'_, P>,
    chain: &Chain<'_>,
    space: &mut [u8],
) -> (Result<(), Status>, KeyId) {
    let mut key = context.key_id(chain.key).to_key(context.server.config().features);
    let result = match check_chain(context, chain, space) {
        Ok(Some(leaf_key)) if chain.flags & FLAG_CACHE_LEAF_KEY != 0 => {
            let root = context.session.subject;
            let flags = u32::from(chain.key_flags.0);
            let wanted = Wanted { id: chain.key, flags, label: &LEAF_LABEL };
            let cached = context.locked(|keys| keys.create(&wanted, &Source::ServerBig(leaf_key)));
            // The verification's own record is about the root.
            context.session.subject = root;
            // Whatever the key store refuses, a lack of space included (document 07, §A.6).
            cached.map(|cached| key = cached).map_err(|_| Status::CERTIFICATE_VERIFICATION)
        }
        Ok(_) => Ok(()),
        Err(status) => Err(status),
    };
    (result, key)
}

/// The label of a leaf's key in the cache.
const LEAF_LABEL: Label = Label(*b"cert_pubkey\0\0\0\0\0\0\0\0\0\0\0\0\0");

/// The public key of the leaf of a chain that verifies, if it has one.
#[inline(never)]
fn check_chain<'p, P: Platform>(
    context: &mut Context<'_, P>,
    chain: &Chain<'p>,
    space: &mut [u8],
) -> Result<Option<&'p [u8]>, Status> {
    if chain.bytes.is_empty() {
        return Err(Status::BAD_ARGUMENTS);
    }
    let server = context.server;
    let verifier = verifier(server);
    context.session.subject = chain.roots.as_slice().first().copied().unwrap_or_default();
    let mut roots = StoredRoots::new(server, space);
    roots.find(&chain.roots)?;
    let own: &mut VerifyCache = &mut context.session.verify_cache;
    let result = verifier.verify_chain(chain.bytes, &mut roots, &mut ServerHooks { server, own });
    match result {
        Ok(verified) => Ok(verified.leaf.map(|leaf| leaf.public_key)),
        Err(ChainError::Anchor { error: Error::Unavailable, .. }) => {
            Err(roots.status.unwrap_or(Status::ABORTED))
        }
        Err(ChainError::Anchor { .. }) => Err(Status::ABORTED),
        Err(ChainError::Certificate { .. }) => Err(Status::CERTIFICATE_VERIFICATION),
    }
}

/// Verifies an attribute certificate; what follows it is ignored. `space` holds the root meanwhile.
///
/// # Errors
/// As document 07, §A.8.
#[inline(never)]
pub(super) fn verify_attribute<P: Platform>(
    context: &mut Context<'_, P>,
    root: ObjectId,
    certificate: &[u8],
    space: &mut [u8],
) -> Result<(), Status> {
    let verifier = verifier(context.server);
    context.session.subject = root;
    let mut roots = StoredRoots::new(context.server, space);
    roots.find(&RootIds::single(root))?;
    let root = roots.first()?;
    if certificate.is_empty() {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    let root = Certificate::decode_first(root);
    let certificate = AttributeCertificate::decode_first(certificate);
    let (Ok((root, _)), Ok((certificate, _))) = (&root, &certificate) else {
        return Err(Status::ASN_PARSE);
    };
    verifier.verify_attribute(certificate, root).map_err(|_| Status::CERTIFICATE_VERIFICATION)
}
