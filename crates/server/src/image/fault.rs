//! Why an image is not trusted.

use super::header::Tag;
use casemate_crypto::Error as CryptoError;
use casemate_protocol::{ObjectId, Status};
use core::fmt;

/// Why an image is not trusted, or could not be looked at. Either way it must not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The image's memory cannot be read.
    Memory,
    /// The object store has no such key, signature or version floor, or does not give it.
    Object {
        /// The object.
        id: ObjectId,
        /// What the store answered.
        status: Status,
    },
    /// The key may not be used to verify: it lacks that usage, or was revoked.
    KeyUsage,
    /// The key is not one of the method's: another algorithm, another size, or broken.
    Key,
    /// The scratch memory is too small.
    Scratch {
        /// The size that it must have at least, in bytes.
        needed: usize,
    },
    /// The header lies at an odd address, or is shorter than 12 bytes.
    HeaderPlace,
    /// The header does not begin with wolfBoot's magic number.
    Magic,
    /// The header announces a payload longer than the image may have.
    TooLong {
        /// The announced length in bytes.
        length: u32,
    },
    /// The header lacks a field, or the field has the wrong length.
    Field(Tag),
    /// The header has a field twice: which one counts would be the reader's choice.
    Twice(Tag),
    /// A field stands behind the digest, so that no signature covers it.
    Unauthenticated(Tag),
    /// The header says that the image was signed by another method.
    OtherMethod {
        /// Its number for the method.
        found: u8,
    },
    /// The image is not the one whose digest stands in the header.
    Digest,
    /// The image was signed with another key.
    Hint,
    /// The signature is no signature of the method: wrong length or form.
    SignatureForm,
    /// The signature or MAC is not valid: the image was changed, or is not the signer's.
    NotAuthentic,
    /// The image is older than what may run.
    Rollback {
        /// Its version.
        version: u32,
        /// The oldest version that may run.
        floor: u32,
    },
    /// A certificate of the header's chain, or the root, is not accepted.
    #[cfg(feature = "certificates")]
    Chain(casemate_x509::ChainError),
    /// The header's chain has no certificate but those of authorities.
    #[cfg(feature = "certificates")]
    NoLeaf,
    /// The certificate of the signer says that its key is not for signing.
    #[cfg(feature = "certificates")]
    LeafUsage,
    /// The method cannot verify an image of this kind.
    Unsupported,
    /// The cryptographic driver failed.
    Driver(CryptoError),
    /// The server's lock cannot be had.
    Lock,
}

impl Fault {
    /// The status code for records and for ports that report one: that of the original where it has the case (document
    /// 07, §B.2 to §B.4).
    pub const fn status(self) -> Status {
        match self {
            Self::Memory | Self::Scratch { .. } | Self::Key | Self::Lock => Status::ABORTED,
            Self::Object { status, .. } => status,
            Self::KeyUsage => Status::USAGE,
            #[cfg(feature = "certificates")]
            Self::LeafUsage => Status::USAGE,
            #[cfg(feature = "certificates")]
            Self::NoLeaf => Status::BAD_ARGUMENTS,
            #[cfg(feature = "certificates")]
            Self::Chain(casemate_x509::ChainError::Anchor { .. }) => Status::ABORTED,
            #[cfg(feature = "certificates")]
            Self::Chain(casemate_x509::ChainError::Certificate { .. }) => Status::CERTIFICATE_VERIFICATION,
            Self::HeaderPlace | Self::TooLong { .. } | Self::SignatureForm => Status::BAD_ARGUMENTS,
            Self::Magic
            | Self::Field(_)
            | Self::Twice(_)
            | Self::Unauthenticated(_)
            | Self::OtherMethod { .. }
            | Self::Digest
            | Self::Hint
            | Self::NotAuthentic => Status::NOT_VERIFIED,
            Self::Rollback { .. } => Status::ACCESS,
            Self::Unsupported => Status::NO_HANDLER,
            Self::Driver(error) => crate::error::crypto_status(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Memory => f.write_str("the image's memory cannot be read"),
            Self::Object { id, status } => write!(f, "object {id}: {status}"),
            Self::KeyUsage => f.write_str("the key may not be used to verify: provision it with that usage"),
            Self::Key => f.write_str("the key is not one of the verification method"),
            Self::Scratch { needed } => {
                write!(f, "the scratch memory is too small: it needs {needed} bytes")
            }
            Self::HeaderPlace => f.write_str("the header lies at an odd address or is too short"),
            Self::Magic => f.write_str("this is no wolfBoot header"),
            Self::TooLong { length } => {
                write!(f, "the header announces {length} bytes, more than the image may have")
            }
            Self::Field(tag) => write!(f, "the header has no valid {tag}"),
            Self::Twice(tag) => write!(f, "the header has the {tag} twice"),
            Self::Unauthenticated(tag) => {
                write!(f, "the {tag} stands behind the digest, where nothing protects it")
            }
            Self::OtherMethod { found } => write!(f, "the image was signed by method {found:#04x}"),
            Self::Digest => f.write_str("the image is not the one that the header describes"),
            Self::Hint => f.write_str("the image was signed with another key"),
            Self::SignatureForm => f.write_str("the signature has the wrong length or form"),
            Self::NotAuthentic => f.write_str("the signature or MAC is not valid"),
            Self::Rollback { version, floor } => {
                write!(f, "version {version} may not run any more: {floor} is the oldest that may")
            }
            #[cfg(feature = "certificates")]
            Self::Chain(error) => error.fmt(f),
            #[cfg(feature = "certificates")]
            Self::NoLeaf => f.write_str("the certificate chain has no signer, only authorities"),
            #[cfg(feature = "certificates")]
            Self::LeafUsage => {
                f.write_str("the signer's certificate does not allow digital signatures: issue one that does")
            }
            Self::Unsupported => f.write_str("the method does not verify images of this kind"),
            Self::Driver(error) => error.fmt(f),
            Self::Lock => f.write_str("the server's lock cannot be had"),
        }
    }
}

impl core::error::Error for Fault {}
