//! What certificates may be used for.

use super::names::Names;
use super::{extension, signer};
use anyhow::{Result, ensure};
use clap::ValueEnum;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::flagset::FlagSet;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints, SubjectKeyIdentifier,
};

/// id-kp-serverAuth (RFC 5280, §4.2.1.12).
const SERVER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// id-kp-clientAuth.
const CLIENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Key usage, extended key usage and basic constraints together.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// A TLS server; needs --dns or another name
    Server,
    /// A TLS client
    Client,
    /// An authority, which signs certificates and revocation lists
    Ca,
    /// A leaf for signatures of any kind
    Leaf,
}

impl Profile {
    pub(super) fn is_authority(self) -> bool {
        self == Self::Ca
    }

    /// A server without a name is no use to its clients, which do not look at the subject (RFC 9525).
    pub(super) fn check_names(self, names: Option<&Names>) -> Result<()> {
        ensure!(
            self != Self::Server || names.is_some(),
            "a server's certificate needs the names that clients know it by; give --dns or --ip"
        );
        Ok(())
    }

    pub(super) fn check_path_length(self, length: Option<u8>) -> Result<()> {
        ensure!(
            self.is_authority() || length.is_none(),
            "--path-length is for authorities, with --profile ca"
        );
        Ok(())
    }

    /// The extensions for a key, given as SubjectPublicKeyInfo.
    pub(super) fn extensions(self, public: &[u8], path_length: Option<u8>) -> Result<Vec<Extension>> {
        let mut usage: FlagSet<KeyUsages> = match self {
            Self::Ca => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            _ => KeyUsages::DigitalSignature.into(),
        };
        if self == Self::Server && signer::can_encipher(public) {
            usage |= KeyUsages::KeyEncipherment;
        }
        let constraints = BasicConstraints { ca: self.is_authority(), path_len_constraint: path_length };
        let mut extensions = vec![extension(true, &constraints)?, extension(true, &KeyUsage(usage))?];
        match self {
            Self::Server => extensions.push(extension(false, &ExtendedKeyUsage(vec![SERVER]))?),
            Self::Client => extensions.push(extension(false, &ExtendedKeyUsage(vec![CLIENT]))?),
            Self::Ca | Self::Leaf => {}
        }
        Ok(extensions)
    }
}

/// The name of an extension, for people.
pub(super) fn extension_name(id: ObjectIdentifier) -> String {
    let known = [
        (BasicConstraints::OID, "basic constraints"),
        (KeyUsage::OID, "key usage"),
        (ExtendedKeyUsage::OID, "extended key usage"),
        (NameConstraints::OID, "name constraints"),
        (SubjectKeyIdentifier::OID, "subject key identifier"),
    ];
    let name = known.iter().find(|(known, _)| *known == id);
    name.map_or_else(|| id.to_string(), |(_, name)| (*name).to_owned())
}
