//! Failures as numbers: those that programs for the original module know.

use super::certificate::SELF_SIGNED;
use rustls::{CertificateError, Error, InvalidMessage};

/// Why a session failed: the first argument of Python's `OSError`, negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure(pub i32);

macro_rules! failures {
    ($($name:ident = $number:literal, $text:literal;)+) => {
        impl Failure {
            $(#[doc = $text] pub const $name: Self = Self($number);)+

            /// What happened, in a few words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)+
                    _ => "TLS failed",
                }
            }
        }
    };
}

failures! {
    CERTIFICATE_MALFORMED = -140, "a certificate cannot be read";
    NOT_YET_VALID = -150, "a certificate is not valid yet";
    EXPIRED = -151, "a certificate has expired";
    CERTIFICATE_SIGNATURE = -155, "the signature of a certificate is wrong";
    CRITICAL_EXTENSION = -160, "a certificate has an unknown critical extension";
    UNKNOWN_AUTHORITY = -188, "no trusted authority signed the certificate";
    RANDOM = -199, "there are no random numbers";
    KEY_USAGE = -247, "the certificate is for another purpose";
    SELF_SIGNED = -275, "the certificate is self-signed and not trusted";
    DECRYPT = -312, "a record cannot be decrypted";
    ALERT = -313, "the peer sent an alert";
    NO_PRIVATE_KEY = -317, "the server has no key and certificate";
    NAME = -322, "the certificate is for another name";
    ADDRESS = -325, "the certificate is for another address";
    MALFORMED = -326, "the peer does not speak TLS";
    TOO_LARGE = -328, "a record or message is too large";
    CERTIFICATE = -329, "the certificate is not accepted";
    HANDSHAKE_SIGNATURE = -330, "the signature of the handshake is wrong";
    NO_CERTIFICATE = -345, "the peer sent no certificate";
    MISBEHAVED = -394, "the peer broke the protocol";
    CLOSED = -397, "the connection ended without notice";
    NO_PROTOCOL = -405, "no application protocol in common";
    UNSUPPORTED_SUITE = -500, "a cipher suite is unknown";
    INCOMPATIBLE = -501, "nothing in common with the peer";
    INTERNAL = -1, "internal failure";
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::AlertReceived(_) => Self::ALERT,
            Error::InvalidMessage(
                InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::MessageTooLarge,
            )
            | Error::PeerSentOversizedRecord => Self::TOO_LARGE,
            Error::InvalidMessage(_) => Self::MALFORMED,
            Error::DecryptError => Self::DECRYPT,
            Error::PeerIncompatible(_) => Self::INCOMPATIBLE,
            Error::NoCertificatesPresented => Self::NO_CERTIFICATE,
            Error::NoApplicationProtocol => Self::NO_PROTOCOL,
            Error::FailedToGetRandomBytes => Self::RANDOM,
            Error::InvalidCertificate(error) => error.into(),
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. } => Self::MISBEHAVED,
            Error::General(_) => Self::NO_PRIVATE_KEY,
            _ => Self::INTERNAL,
        }
    }
}

impl From<&CertificateError> for Failure {
    fn from(error: &CertificateError) -> Self {
        match error {
            CertificateError::BadEncoding => Self::CERTIFICATE_MALFORMED,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::EXPIRED,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NOT_YET_VALID
            }
            CertificateError::UnhandledCriticalExtension => Self::CRITICAL_EXTENSION,
            CertificateError::UnknownIssuer => Self::UNKNOWN_AUTHORITY,
            CertificateError::BadSignature => Self::CERTIFICATE_SIGNATURE,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::NAME,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::KEY_USAGE
            }
            error if *error == SELF_SIGNED => Self::SELF_SIGNED,
            _ => Self::CERTIFICATE,
        }
    }
}
