//! Why a certificate is not accepted.

use core::fmt;

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no DER encoding of the type, or end too early, or something follows that must not.
    Malformed,
    /// The signature algorithm is not supported, or is not one of the signer's key.
    SignatureAlgorithm,
    /// The public key is malformed, of an algorithm that cannot verify signatures here, or too short.
    PublicKey,
    /// The signature does not verify.
    Signature,
    /// The validity period has not begun.
    NotYetValid,
    /// The validity period is over.
    Expired,
    /// A critical extension is not known.
    CriticalExtension,
    /// No authority with the name of the issuer is trusted.
    UnknownIssuer,
    /// The path length of an authority above is exceeded.
    PathLength,
    /// A name is outside of what an authority above may issue, or the constraint cannot be understood.
    NameConstraint,
    /// The key usage of the authority does not allow that it signs certificates.
    KeyUsage,
    /// The trust anchor is not marked as an authority.
    NotAuthority,
    /// The attribute certificate names another issuer.
    Issuer,
    /// More authorities, anchors or names than can be handled.
    TooMany,
    /// The caller refused the certificate ([`Hooks::accepts`](crate::Hooks::accepts)).
    Refused,
    /// The caller could not provide the trust anchor.
    Unavailable,
    /// The driver failed.
    Driver(casemate_crypto::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => {
                "it is not DER of the right type: pass certificates in binary form, not in PEM"
            }
            Self::SignatureAlgorithm => {
                "its signature algorithm is not supported, or not one of the signer's key"
            }
            Self::PublicKey => "its public key is malformed, not supported or too short",
            Self::Signature => "its signature does not verify",
            Self::NotYetValid => "its validity period has not begun: check the clock",
            Self::Expired => "its validity period is over: renew it, or check the clock",
            Self::CriticalExtension => "it has a critical extension that is not known",
            Self::UnknownIssuer => "its issuer is neither trusted nor ahead of it in the chain",
            Self::PathLength => "the path length of an authority above it is exceeded",
            Self::NameConstraint => "an authority above it may not issue certificates for its names",
            Self::KeyUsage => "the key usage of its issuer does not allow signing certificates",
            Self::NotAuthority => "it is not marked as an authority",
            Self::Issuer => "it names another issuer",
            Self::TooMany => "there are more certificates or names than can be handled",
            Self::Refused => "it was refused by the platform",
            Self::Unavailable => "it could not be loaded",
            Self::Driver(error) => return write!(formatter, "its signature could not be checked: {error}"),
        })
    }
}

impl core::error::Error for Error {}

/// Which certificate is not accepted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainError {
    /// A trust anchor cannot be one.
    Anchor {
        /// Its index.
        index: usize,
        /// Why.
        error: Error,
    },
    /// A certificate of the chain does not verify.
    Certificate {
        /// Its index, from 0.
        index: usize,
        /// Why.
        error: Error,
    },
}

impl ChainError {
    /// Why.
    #[must_use]
    pub const fn error(&self) -> Error {
        match self {
            Self::Anchor { error, .. } | Self::Certificate { error, .. } => *error,
        }
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anchor { index, error } => write!(formatter, "trust anchor {index}: {error}"),
            Self::Certificate { index, error } => write!(formatter, "certificate {index}: {error}"),
        }
    }
}

impl core::error::Error for ChainError {}
