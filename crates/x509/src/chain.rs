//! The walk along a chain.

use crate::names::{self, Budget};
use crate::{AttributeCertificate, Certificate, ChainError, Error, PublicKey, SignatureAlgorithm};
use casemate_crypto::{Driver, HashAlgorithm};

/// How many certificates of one chain may belong to authorities.
pub const MAX_AUTHORITIES: usize = 16;
/// How many trust anchors are used.
pub const MAX_ANCHORS: usize = 8;
/// How many keys are tried for one signature, where several authorities have the same name.
pub const MAX_ATTEMPTS: usize = 8;

/// What is demanded beyond a right signature by an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// The time, in seconds since the Unix epoch, at which certificates have to be valid; without one, validity periods
    /// are not checked.
    pub time: Option<u64>,
    /// An authority whose certificate has a key usage must have keyCertSign in it (RFC 5280, §6.1.4, n).
    pub require_key_cert_sign: bool,
    /// A trust anchor must be marked as an authority by its basic constraints.
    pub require_authority_anchors: bool,
    /// Length of the shortest modulus of an RSA key that is accepted, in bits. RSA keys below 1024 bits never are.
    pub minimum_rsa_bits: usize,
    /// An attribute certificate must be valid at the [`time`](Self::time) and name the subject of the root as its issuer.
    pub strict_attributes: bool,
}

impl Policy {
    /// What RFC 5280 and NIST SP 800-131A demand: keyCertSign, marked authorities, RSA keys of 2048 bits, the checks of
    /// attribute certificates.
    pub const STRICT: Self = Self {
        time: None,
        require_key_cert_sign: true,
        require_authority_anchors: true,
        minimum_rsa_bits: 2048,
        strict_attributes: true,
    };
}

/// The trust anchors of a chain. Only one of them has to be in memory at a time.
pub trait Anchors {
    /// How many there are; those from [`MAX_ANCHORS`] on are not used.
    fn count(&self) -> usize;

    /// A trust anchor: a DER certificate. What follows it is ignored, as by peers, who may store roots with padding. It may
    /// be asked for several times and must stay the same.
    ///
    /// # Errors
    /// [`Error::Unavailable`], or any other.
    fn anchor(&mut self, index: usize) -> Result<&[u8], Error>;
}

impl Anchors for &[&[u8]] {
    fn count(&self) -> usize {
        self.len()
    }

    fn anchor(&mut self, index: usize) -> Result<&[u8], Error> {
        self.get(index).copied().ok_or(Error::Unavailable)
    }
}

/// What a caller may add to the walk. Every method has a default that changes nothing.
pub trait Hooks {
    /// Whether signatures that were verified are remembered: if not, no fingerprints are computed.
    fn remembers(&self) -> bool {
        false
    }

    /// Whether [`remember`](Self::remember) was called with this fingerprint.
    fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        let _ = fingerprint;
        false
    }

    /// A signature was verified. The fingerprint is the SHA-256 digest of the issuer's SubjectPublicKeyInfo and the
    /// certificate: what verified once for a fingerprint verifies always, whatever else the chain, the anchors or the
    /// clock say. Everything but the signature is checked again each time.
    fn remember(&mut self, fingerprint: &[u8; 32]) {
        let _ = fingerprint;
    }

    /// Whether a certificate that passed all checks is accepted.
    fn accepts(&mut self, certificate: &Certificate<'_>) -> bool {
        let _ = certificate;
        true
    }
}

/// Hooks that change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// A chain that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'c> {
    /// How many certificates there were.
    pub count: usize,
    /// The last certificate that does not belong to an authority, if there is one.
    pub leaf: Option<Certificate<'c>>,
}

/// Who vouches for an authority.
#[derive(Debug, Clone, Copy)]
enum Above {
    Anchor(usize),
    Authority(usize),
}

/// A certificate of the chain that was accepted as an authority.
#[derive(Debug, Clone, Copy)]
struct Authority<'c> {
    subject: &'c [u8],
    public_key: &'c [u8],
    key_identifier: Option<&'c [u8]>,
    name_constraints: Option<&'c [u8]>,
    may_sign: bool,
    /// How many authorities may still stand below; `None` for any number.
    remaining: Option<u32>,
    above: Above,
}

/// What is kept of each anchor while others are in memory.
#[derive(Debug, Clone, Copy, Default)]
struct AnchorFacts {
    subject_hash: u32,
    has_name_constraints: bool,
}

/// Where the walk stands.
struct Walk<'c, 'w> {
    anchors: &'w mut dyn Anchors,
    facts: [AnchorFacts; MAX_ANCHORS],
    authorities: [Option<Authority<'c>>; MAX_AUTHORITIES],
    count: usize,
    hooks: &'w mut dyn Hooks,
}

/// An authority that may have issued a certificate.
struct Issuer<'i> {
    public_key: &'i [u8],
    may_sign: bool,
    remaining: Option<u32>,
}

/// Verifies chains and attribute certificates.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'d, D: ?Sized> {
    driver: &'d D,
    policy: Policy,
}

/// FNV-1a, to skip anchors of other names without loading them. What it finds equal is compared.
fn name_hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Whether a key identifier contradicts the one that is wanted.
fn contradicts(wanted: Option<&[u8]>, found: Option<&[u8]>) -> bool {
    matches!((wanted, found), (Some(wanted), Some(found)) if wanted != found)
}

/// The smaller of two path lengths.
fn stricter(left: Option<u32>, right: Option<u32>) -> Option<u32> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (limit, None) | (None, limit) => limit,
    }
}

/// What an authority's certificate says about the path below it.
fn path_length(certificate: &Certificate<'_>) -> Option<u32> {
    certificate.extensions.basic_constraints.filter(|constraints| constraints.authority)?.path_length
}

fn may_sign(certificate: &Certificate<'_>) -> bool {
    certificate.extensions.key_usage.is_none_or(|usage| usage.allows_certificate_signing())
}

impl<'d, D: Driver + ?Sized> Verifier<'d, D> {
    /// A verifier that checks signatures with this driver.
    pub const fn new(driver: &'d D, policy: Policy) -> Self {
        Self { driver, policy }
    }

    /// Checks what makes a certificate fit to be a trust anchor.
    ///
    /// # Errors
    /// [`Error::NotYetValid`], [`Error::Expired`], [`Error::CriticalExtension`], [`Error::PublicKey`],
    /// [`Error::NotAuthority`].
    pub fn check_anchor(&self, certificate: &Certificate<'_>) -> Result<(), Error> {
        self.check_self(certificate)?;
        PublicKey::decode(certificate.public_key)?;
        if self.policy.require_authority_anchors && !certificate.is_authority() {
            return Err(Error::NotAuthority);
        }
        Ok(())
    }

    /// What a certificate says about itself.
    fn check_self(&self, certificate: &Certificate<'_>) -> Result<(), Error> {
        if certificate.extensions.has_unknown_critical {
            return Err(Error::CriticalExtension);
        }
        certificate.validity.check(self.policy.time)?;
        let bits = PublicKey::known(certificate.public_key)?.and_then(|key| key.rsa_bits());
        if bits.is_some_and(|bits| bits < self.policy.minimum_rsa_bits) {
            return Err(Error::PublicKey);
        }
        Ok(())
    }

    /// Verifies a chain: all of its certificates.
    ///
    /// An empty chain is not verified ([`Error::Malformed`]), nor is anything without an anchor.
    ///
    /// # Errors
    /// [`ChainError`] names the first certificate that is not accepted. Anchors are looked at first.
    #[inline(never)]
    pub fn verify_chain<'c>(
        &self,
        chain: &'c [u8],
        anchors: &mut dyn Anchors,
        hooks: &mut dyn Hooks,
    ) -> Result<Verified<'c>, ChainError> {
        let mut walk = Walk {
            facts: [AnchorFacts::default(); MAX_ANCHORS],
            authorities: [None; MAX_AUTHORITIES],
            count: 0,
            anchors,
            hooks,
        };
        for index in 0..walk.anchor_count() {
            let facts = self.anchor_facts(&mut walk, index);
            let facts = facts.map_err(|error| ChainError::Anchor { index, error })?;
            if let Some(place) = walk.facts.get_mut(index) {
                *place = facts;
            }
        }
        let mut verified = Verified { count: 0, leaf: None };
        let mut rest = chain;
        loop {
            let failed = |error| ChainError::Certificate { index: verified.count, error };
            let decoded = Certificate::decode_first(rest);
            // Looked at in its place: `?` would move it.
            let (certificate, after) = decoded.as_ref().map_err(|error| failed(*error))?;
            self.step(&mut walk, certificate).map_err(failed)?;
            if !certificate.is_authority() {
                verified.leaf = Some(*certificate);
            }
            verified.count = verified.count.saturating_add(1);
            rest = after;
            if rest.is_empty() {
                return Ok(verified);
            }
        }
    }

    fn anchor_facts(&self, walk: &mut Walk<'_, '_>, index: usize) -> Result<AnchorFacts, Error> {
        let decoded = Certificate::decode_first(walk.anchors.anchor(index)?);
        let (anchor, _) = decoded.as_ref().map_err(|error| *error)?;
        self.check_anchor(anchor)?;
        Ok(AnchorFacts {
            subject_hash: name_hash(anchor.subject),
            has_name_constraints: anchor.extensions.name_constraints.is_some(),
        })
    }

    /// Verifies one certificate against the anchors and the authorities so far, and adds it to them if it is one.
    fn step<'c>(&self, walk: &mut Walk<'c, '_>, certificate: &Certificate<'c>) -> Result<(), Error> {
        self.check_self(certificate)?;
        let (above, remaining) = self.find_issuer(walk, certificate)?;
        if !walk.hooks.accepts(certificate) {
            return Err(Error::Refused);
        }
        if !certificate.is_authority() {
            return Ok(());
        }
        let below = if certificate.is_self_issued() {
            remaining
        } else {
            remaining.map(|left| left.saturating_sub(1))
        };
        let place = walk.authorities.get_mut(walk.count).ok_or(Error::TooMany)?;
        *place = Some(Authority {
            subject: certificate.subject,
            public_key: certificate.public_key,
            key_identifier: certificate.extensions.subject_key_identifier,
            name_constraints: certificate.extensions.name_constraints,
            may_sign: may_sign(certificate),
            remaining: stricter(below, path_length(certificate)),
            above,
        });
        walk.count = walk.count.saturating_add(1);
        Ok(())
    }

    /// The authority that issued a certificate, and how many authorities may stand below it.
    #[inline(never)]
    fn find_issuer<'c>(
        &self,
        walk: &mut Walk<'c, '_>,
        certificate: &Certificate<'c>,
    ) -> Result<(Above, Option<u32>), Error> {
        let wanted = certificate.extensions.authority_key_identifier;
        let mut first_error = None;
        let mut attempts = 0_usize;
        // Those whose key identifier contradicts the certificate come last.
        for last_round in [false, true] {
            for index in (0..walk.count).rev() {
                let Some(Some(authority)) = walk.authorities.get(index).copied() else { continue };
                if authority.subject != certificate.issuer
                    || contradicts(wanted, authority.key_identifier) != last_round
                {
                    continue;
                }
                attempts = attempts.saturating_add(1);
                if attempts > MAX_ATTEMPTS {
                    return Err(Error::TooMany);
                }
                let issuer = Issuer {
                    public_key: authority.public_key,
                    may_sign: authority.may_sign,
                    remaining: authority.remaining,
                };
                let above = Above::Authority(index);
                let result = self
                    .check_path(&issuer, certificate)
                    .and_then(|()| walk.check_names(above, certificate))
                    .and_then(|()| self.check_signature(walk.hooks, &issuer, certificate));
                match result {
                    Ok(()) => return Ok((above, authority.remaining)),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            for index in 0..walk.anchor_count() {
                let facts = walk.facts.get(index).copied().unwrap_or_default();
                if facts.subject_hash != name_hash(certificate.issuer) {
                    continue;
                }
                let decoded = Certificate::decode_first(walk.anchors.anchor(index)?);
                let (anchor, _) = decoded.as_ref().map_err(|error| *error)?;
                if anchor.subject != certificate.issuer
                    || contradicts(wanted, anchor.extensions.subject_key_identifier) != last_round
                {
                    continue;
                }
                attempts = attempts.saturating_add(1);
                if attempts > MAX_ATTEMPTS {
                    return Err(Error::TooMany);
                }
                let remaining = path_length(anchor);
                let issuer = Issuer { public_key: anchor.public_key, may_sign: may_sign(anchor), remaining };
                let result = self
                    .check_path(&issuer, certificate)
                    .and_then(|()| {
                        check_constraints(anchor.extensions.name_constraints, certificate, &mut Budget::new())
                    })
                    .and_then(|()| self.check_signature(walk.hooks, &issuer, certificate));
                match result {
                    Ok(()) => return Ok((Above::Anchor(index), remaining)),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
        }
        Err(first_error.unwrap_or(Error::UnknownIssuer))
    }

    fn check_path(&self, issuer: &Issuer<'_>, certificate: &Certificate<'_>) -> Result<(), Error> {
        if certificate.is_authority() && !certificate.is_self_issued() && issuer.remaining == Some(0) {
            return Err(Error::PathLength);
        }
        if self.policy.require_key_cert_sign && !issuer.may_sign {
            return Err(Error::KeyUsage);
        }
        Ok(())
    }

    fn check_signature(
        &self,
        hooks: &mut dyn Hooks,
        issuer: &Issuer<'_>,
        certificate: &Certificate<'_>,
    ) -> Result<(), Error> {
        let mut fingerprint = [0; 32];
        let remembers = hooks.remembers();
        if remembers {
            let parts = [issuer.public_key, certificate.encoding];
            casemate_crypto::hash(self.driver, HashAlgorithm::Sha256, &parts, &mut fingerprint)
                .map_err(Error::Driver)?;
            if hooks.knows(&fingerprint) {
                return Ok(());
            }
        }
        let key = PublicKey::decode(issuer.public_key)?;
        SignatureAlgorithm::decode(certificate.signature_algorithm)?.verify(
            self.driver,
            &key,
            certificate.to_be_signed,
            certificate.signature,
        )?;
        if remembers {
            hooks.remember(&fingerprint);
        }
        Ok(())
    }

    /// Verifies an attribute certificate with the public key of a root: the signature, and what
    /// [`Policy::strict_attributes`] adds. Of the root, only the public key counts.
    ///
    /// # Errors
    /// [`Error::Signature`], [`Error::SignatureAlgorithm`], [`Error::PublicKey`], [`Error::Driver`];
    /// [`Error::Issuer`], [`Error::NotYetValid`], [`Error::Expired`].
    #[inline(never)]
    pub fn verify_attribute(
        &self,
        attribute: &AttributeCertificate<'_>,
        root: &Certificate<'_>,
    ) -> Result<(), Error> {
        let key = PublicKey::decode(root.public_key)?;
        if self.policy.strict_attributes {
            attribute.validity.check(self.policy.time)?;
            self.check_self(root)?;
            if !attribute.is_issued_by(root) {
                return Err(Error::Issuer);
            }
        }
        SignatureAlgorithm::decode(attribute.signature_algorithm)?.verify(
            self.driver,
            &key,
            attribute.to_be_signed,
            attribute.signature,
        )
    }
}

/// Checks a certificate's names against one authority's constraints, if it has any.
fn check_constraints(
    constraints: Option<&[u8]>,
    certificate: &Certificate<'_>,
    budget: &mut Budget,
) -> Result<(), Error> {
    // A self-issued authority is exempt (RFC 5280, §6.1.3, b): its name is that of the authority above.
    if certificate.is_authority() && certificate.is_self_issued() {
        return Ok(());
    }
    match constraints {
        Some(constraints) => names::check(constraints, certificate, budget),
        None => Ok(()),
    }
}

impl Walk<'_, '_> {
    fn anchor_count(&self) -> usize {
        self.anchors.count().min(MAX_ANCHORS)
    }

    /// Checks a certificate's names against the constraints of all authorities from `above` up to the anchor.
    fn check_names(&mut self, above: Above, certificate: &Certificate<'_>) -> Result<(), Error> {
        let mut budget = Budget::new();
        let mut above = above;
        // Each authority stands above those that came after it, so the way up ends.
        loop {
            match above {
                Above::Authority(index) => {
                    let Some(Some(authority)) = self.authorities.get(index) else {
                        return Err(Error::TooMany);
                    };
                    check_constraints(authority.name_constraints, certificate, &mut budget)?;
                    above = authority.above;
                }
                Above::Anchor(index) => {
                    if !self.facts.get(index).is_some_and(|facts| facts.has_name_constraints) {
                        return Ok(());
                    }
                    let decoded = Certificate::decode_first(self.anchors.anchor(index)?);
                    let (anchor, _) = decoded.as_ref().map_err(|error| *error)?;
                    return check_constraints(anchor.extensions.name_constraints, certificate, &mut budget);
                }
            }
        }
    }
}
