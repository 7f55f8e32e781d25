//! Verification of chains and attribute certificates against roots in the object store (document 07, §A.4 to §A.8).

use super::cache::VerifyCache;
#[cfg(any(feature = "images", feature = "authentication"))]
use super::hooks::OwnHooks;
use super::hooks::ServerHooks;
use super::roots::StoredRoots;
use crate::context::Context;
use crate::keys::Source;
use crate::platform::{Affinity, Platform};
use crate::server::Server;
use casemate_protocol::message::certificate::{FLAG_CACHE_LEAF_KEY, RootIds};
use casemate_protocol::{Flags, KeyId, Label, ObjectId, ObjectType, Status};
use casemate_x509::{AttributeCertificate, Certificate, ChainError, Error, Policy, Verifier};

/// A request to verify a chain.
pub(super) struct Chain<'p> {
    pub(super) roots: RootIds,
    pub(super) flags: u16,
    pub(super) key_flags: Flags,
    pub(super) key: KeyId,
    pub(super) bytes: &'p [u8],
}

impl<'p> Chain<'p> {
    /// A request that names one root.
    ///
    /// # Errors
    /// None: one root is never too many.
    pub(super) fn single(
        root: ObjectId,
        flags: u16,
        key_flags: Flags,
        key: KeyId,
        bytes: &'p [u8],
    ) -> Result<Self, Status> {
        let roots = RootIds::new([root]).ok_or(Status::BAD_ARGUMENTS)?;
        Ok(Self { roots, flags, key_flags, key, bytes })
    }
}

impl<P: Platform> Context<'_, P> {
    fn certificate_policy(&self) -> Policy {
        policy(self.server)
    }
}

fn policy<P: Platform>(server: &Server<P>) -> Policy {
    let options = &server.config().certificates;
    Policy {
        time: server.platform().now(),
        require_key_cert_sign: options.require_key_cert_sign,
        require_authority_anchors: options.require_authority_anchors,
        minimum_rsa_bits: options.minimum_rsa_bits,
        strict_attributes: options.strict_attributes,
    }
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
    let roots = RootIds::new([root]).ok_or(OwnChainError::Root(Status::BAD_ARGUMENTS))?;
    let mut roots = StoredRoots::find_among(server, &roots, space, |_| true).map_err(OwnChainError::Root)?;
    let verifier = Verifier::new(server.platform().crypto(Affinity::Accelerated), policy(server));
    let result = verifier.verify_chain(chain, &mut roots, &mut OwnHooks { server });
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
    let verifier = Verifier::new(server.platform().crypto(Affinity::Accelerated), policy(server));
    verifier.verify_chain(certificate.encoding, &mut anchors, &mut OwnHooks { server }).map(|_| ())
}

/// Verifies a chain, and caches the key of its leaf if that is asked for: what became of it, and the identifier for the
/// response. `space` holds the roots meanwhile.
pub(super) fn verify_chain<P: Platform>(
    context: &mut Context<'_, P>,
    chain: &Chain<'_>,
    space: &mut [u8],
) -> (Result<(), Status>, KeyId) {
    let features = context.server.config().features;
    let id = chain.key.to_object(ObjectType::CRYPTO, context.client(), features);
    let result = match check_chain(context, chain, space) {
        Ok(Some(leaf)) if chain.flags & FLAG_CACHE_LEAF_KEY != 0 => {
            let root = context.session.subject;
            let cached = cache_key(context, id, chain.key_flags, &leaf);
            // The verification's own record is about the root.
            context.session.subject = root;
            cached
        }
        Ok(_) => Ok(id),
        Err(status) => Err(status),
    };
    match result {
        Ok(id) => (Ok(()), id.to_key(features)),
        Err(status) => (Err(status), id.to_key(features)),
    }
}

/// The leaf of a chain that verifies, if it has one.
#[inline(never)]
fn check_chain<'p, P: Platform>(
    context: &mut Context<'_, P>,
    chain: &Chain<'p>,
    space: &mut [u8],
) -> Result<Option<Certificate<'p>>, Status> {
    if chain.bytes.is_empty() {
        return Err(Status::BAD_ARGUMENTS);
    }
    let server = context.server;
    let policy = context.certificate_policy();
    context.session.subject = chain.roots.as_slice().first().copied().unwrap_or_default();
    let mut roots = StoredRoots::find(server, &chain.roots, space)?;
    let verifier = Verifier::new(server.platform().crypto(Affinity::Accelerated), policy);
    let own: &mut VerifyCache = &mut context.session.verify_cache;
    let result = verifier.verify_chain(chain.bytes, &mut roots, &mut ServerHooks { server, own });
    match result {
        Ok(verified) => Ok(verified.leaf),
        Err(ChainError::Anchor { error: Error::Unavailable, .. }) => {
            Err(roots.status.unwrap_or(Status::ABORTED))
        }
        Err(ChainError::Anchor { .. }) => Err(Status::ABORTED),
        Err(ChainError::Certificate { .. }) => Err(Status::CERTIFICATE_VERIFICATION),
    }
}

/// # Errors
/// CERTIFICATE_VERIFICATION for whatever the key store refuses, a lack of space included: this is what clients expect
/// (document 07, §A.6).
fn cache_key<P: Platform>(
    context: &mut Context<'_, P>,
    id: ObjectId,
    flags: Flags,
    leaf: &Certificate<'_>,
) -> Result<ObjectId, Status> {
    let key = leaf.public_key;
    let cached = context.locked(|keys| {
        let id = keys.assign(id, key.len())?;
        let flags = flags.without(Flags::SERVER_ONLY);
        keys.insert(id, flags, &Label::from("cert_pubkey"), &Source::ServerBig(key))?;
        Ok(id)
    });
    cached.map_err(|_| Status::CERTIFICATE_VERIFICATION)
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
    let policy = context.certificate_policy();
    context.session.subject = root;
    let roots = RootIds::new([root]).ok_or(Status::BAD_ARGUMENTS)?;
    let mut roots = StoredRoots::find(context.server, &roots, space)?;
    let root = roots.first()?;
    if certificate.is_empty() {
        return Err(Status::CRYPTO_ARGUMENT);
    }
    let (root, _) = Certificate::decode_first(root).map_err(|_| Status::ASN_PARSE)?;
    let (certificate, _) = AttributeCertificate::decode_first(certificate).map_err(|_| Status::ASN_PARSE)?;
    let driver = context.server.platform().crypto(Affinity::Accelerated);
    Verifier::new(driver, policy)
        .verify_attribute(&certificate, &root)
        .map_err(|_| Status::CERTIFICATE_VERIFICATION)
}
