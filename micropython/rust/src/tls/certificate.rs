//! What a peer's certificate has to fulfil.
//!
//! rustls's own rules are those of the Web: an authority is no server, and names are in the extension for them. Boards are
//! often set up with less: a self-signed certificate that serves both as the server's and as the anchor, and a name that
//! stands in the subject. Both are accepted here: a certificate that is, byte for byte, one of the anchors is trusted (its
//! dates and name are checked all the same), and the subject's common name counts if there are no alternative names of
//! any kind.

use crate::tls::{Port, VerifyMode};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

/// The certificates that are trusted.
#[derive(Clone, Debug)]
pub(super) struct Anchors {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) store: RootCertStore,
}

impl Anchors {
    /// Nobody.
    pub(super) fn none() -> Self {
        Self { certificates: Vec::new(), store: RootCertStore::empty() }
    }

    /// # Errors
    /// The certificate cannot be read.
    pub(super) fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Error> {
        self.store.add(certificate.clone())?;
        self.certificates.push(certificate);
        Ok(())
    }

    fn contain(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|anchor| anchor.as_ref() == certificate.as_ref())
    }
}

/// Checks the certificates of peers: a server's as its client, a client's as its server.
pub(super) struct Verifier {
    pub(super) anchors: Arc<Anchors>,
    pub(super) mode: VerifyMode,
    pub(super) callback: bool,
    /// False if the program gave no name of a server; then rustls was given a made-up one.
    pub(super) has_name: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Verifier {
    /// What the mode demands, then what the program says.
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        check: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.mode == VerifyMode::Required {
            check()?;
        }
        if self.callback && self.mode != VerifyMode::None {
            ask(&self.anchors, certificate, intermediates)?;
        }
        Ok(())
    }

    /// A client's certificate: rustls's rules, but one that is itself an anchor is trusted.
    fn check_client(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let fields = Fields::read(certificate).ok_or(CertificateError::BadEncoding)?;
        if self.anchors.contain(certificate) {
            return Ok(fields.check_dates(now)?);
        }
        let provider = Arc::new(casemate_rustls::provider::<Port>());
        let store = Arc::new(self.anchors.store.clone());
        let verifier = WebPkiClientVerifier::builder_with_provider(store, provider)
            .build()
            .map_err(|_| CertificateError::UnknownIssuer)?;
        let result = verifier.verify_client_cert(certificate, intermediates, now).map(|_| ());
        fields.explain(result)
    }

    fn check_server(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let fields = Fields::read(certificate).ok_or(CertificateError::BadEncoding)?;
        if self.anchors.contain(certificate) {
            fields.check_dates(now)?;
        } else {
            check_chain(certificate, intermediates, &self.anchors.store, now, self.algorithms, &fields)?;
        }
        if !self.has_name {
            return Ok(());
        }
        match name {
            ServerName::DnsName(name) if !fields.has_alternative_names => {
                // Chains are checked against name constraints by alternative names only: where there are constraints, a
                // common name is no way around them.
                let is_constrained = || {
                    let bytes = |certificate: &CertificateDer<'_>| {
                        certificate.windows(NAME_CONSTRAINTS.len()).any(|window| window == NAME_CONSTRAINTS)
                    };
                    intermediates.iter().any(bytes)
                        || self.anchors.store.roots.iter().any(|root| root.name_constraints.is_some())
                };
                if !self.anchors.contain(certificate) && is_constrained() {
                    return Err(CertificateError::NotValidForName.into());
                }
                fields.check_common_name(name.as_ref()).map_err(Error::from)
            }
            _ => verify_server_name(&ParsedCertificate::try_from(certificate)?, name),
        }
    }
}

/// The object identifier of name constraints, 2.5.29.30, in DER.
const NAME_CONSTRAINTS: &[u8] = &[0x06, 0x03, 0x55, 0x1D, 0x1E];

/// Whether a certificate has the form of one.
pub(super) fn is_readable(certificate: &CertificateDer<'_>) -> bool {
    Fields::read(certificate).is_some()
}

/// Whether this is a private RSA key, in PKCS#8 or PKCS#1, of less than 1024 bits: of the right form, but too short to use.
pub(super) fn is_short_rsa(key: &[u8]) -> bool {
    fn modulus(mut key: &[u8]) -> Option<&[u8]> {
        let mut numbers = take(&mut key, tag::SEQUENCE)?;
        let _version = take(&mut numbers, tag::INTEGER)?;
        match element(&mut numbers)? {
            (tag::SEQUENCE, _algorithm) => modulus(take(&mut numbers, tag::OCTET_STRING)?),
            (tag::INTEGER, modulus) => {
                for _ in 0..7 {
                    take(&mut numbers, tag::INTEGER)?;
                }
                Some(modulus)
            }
            _ => None,
        }
    }
    modulus(key).is_some_and(|modulus| (64..=128).contains(&modulus.len()))
}

fn check_chain(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    store: &RootCertStore,
    now: UnixTime,
    algorithms: WebPkiSupportedAlgorithms,
    fields: &Fields<'_>,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let result =
        verify_server_cert_signed_by_trust_anchor(&parsed, store, intermediates, now, algorithms.all);
    fields.explain(result)
}

/// Asks the program about each certificate, the one nearest to the anchor first: that anchor, unless it is in the chain,
/// then the chain from its end to the peer's own certificate, which has depth 0.
fn ask(
    anchors: &Anchors,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    let top = intermediates.last().unwrap_or(certificate);
    let anchor = Fields::read(top).filter(|top| top.issuer != top.subject).and_then(|top| {
        let issued = |anchor: &&CertificateDer<'_>| {
            Fields::read(anchor).is_some_and(|anchor| anchor.subject == top.issuer)
        };
        anchors.certificates.iter().find(issued)
    });
    let chain = [certificate].into_iter().chain(intermediates).chain(anchor);
    let chain: Vec<&CertificateDer<'_>> = chain.collect();
    for (depth, certificate) in chain.iter().enumerate().rev() {
        if !crate::ffi::ask_program(certificate, depth) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
    }
    Ok(())
}

/// The methods that rustls's two traits share.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Verifier {
    signatures!();

    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let check = || self.check_server(certificate, intermediates, name, now);
        self.judge(certificate, intermediates, check)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ClientCertVerifier for Verifier {
    signatures!();

    fn client_auth_mandatory(&self) -> bool {
        self.mode == VerifyMode::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hints: clients send what they have, and the message stays short.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let check = || self.check_client(certificate, intermediates, now);
        self.judge(certificate, intermediates, check)?;
        Ok(ClientCertVerified::assertion())
    }
}

/// The fields of a certificate (RFC 5280, §4.1) that are looked at here.
struct Fields<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: u64,
    not_after: u64,
    has_alternative_names: bool,
}

/// What stands for a certificate that is signed by itself and is no anchor. rustls has no name for that; this one is free,
/// as there are no revocation lists here, and gives the peer the alert unknown_ca.
pub(super) const SELF_SIGNED: CertificateError = CertificateError::UnknownRevocationStatus;

/// The tags of DER that occur here.
mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
}

/// subjectAltName, 2.5.29.17.
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Takes one element off the front of `input`: its tag and content.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, content))
}

fn take<'a>(input: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    element(input).and_then(|(tag, content)| (tag == wanted).then_some(content))
}

impl<'a> Fields<'a> {
    fn read(certificate: &'a [u8]) -> Option<Self> {
        let mut input = certificate;
        let mut certificate = take(&mut input, tag::SEQUENCE)?;
        let mut fields = take(&mut certificate, tag::SEQUENCE)?;
        if fields.first() == Some(&tag::VERSION) {
            element(&mut fields)?;
        }
        let _serial = take(&mut fields, tag::INTEGER)?;
        let _signature = take(&mut fields, tag::SEQUENCE)?;
        let issuer = take(&mut fields, tag::SEQUENCE)?;
        let mut validity = take(&mut fields, tag::SEQUENCE)?;
        let not_before = time(element(&mut validity)?)?;
        let not_after = time(element(&mut validity)?)?;
        let subject = take(&mut fields, tag::SEQUENCE)?;
        let _key = take(&mut fields, tag::SEQUENCE)?;
        let mut has_alternative_names = false;
        while let Some((found, content)) = element(&mut fields) {
            if found == tag::EXTENSIONS {
                let mut content = content;
                let mut extensions = take(&mut content, tag::SEQUENCE)?;
                while !extensions.is_empty() {
                    let mut extension = take(&mut extensions, tag::SEQUENCE)?;
                    has_alternative_names |=
                        take(&mut extension, tag::OBJECT_IDENTIFIER)? == ALTERNATIVE_NAME;
                }
            }
        }
        Some(Self { issuer, subject, not_before, not_after, has_alternative_names })
    }

    /// Of a certificate that only vouches for itself, there is more to say than that its issuer is unknown.
    fn explain(&self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_) | CertificateError::BadSignature,
            )) if self.issuer == self.subject => Err(SELF_SIGNED.into()),
            result => result,
        }
    }

    fn check_dates(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now.as_secs() < self.not_before {
            Err(CertificateError::NotValidYet)
        } else if now.as_secs() > self.not_after {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    /// Compares the last common name of the subject with a DNS name; a `*` stands for the whole first label.
    fn check_common_name(&self, name: &str) -> Result<(), CertificateError> {
        let mut subject = self.subject;
        let mut found = None;
        while let Some(mut attributes) = take(&mut subject, tag::SET) {
            while let Some(mut attribute) = take(&mut attributes, tag::SEQUENCE) {
                if take(&mut attribute, tag::OBJECT_IDENTIFIER) == Some(COMMON_NAME) {
                    found = element(&mut attribute).map(|(_, value)| value);
                }
            }
        }
        let common = found.and_then(|value| core::str::from_utf8(value).ok());
        let matches = common.is_some_and(|common| match common.strip_prefix("*.") {
            Some(parent) => name
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
            None => common.eq_ignore_ascii_case(name),
        });
        if matches { Ok(()) } else { Err(CertificateError::NotValidForName) }
    }
}

/// Seconds since 1970 of a UTCTime or GeneralizedTime (RFC 5280, §4.1.2.5), which end in seconds and `Z`.
fn time((found, text): (u8, &[u8])) -> Option<u64> {
    let two = |offset: usize| -> Option<u64> {
        let digits = text.get(offset..)?.first_chunk::<2>()?;
        let value = |digit: u8| digit.is_ascii_digit().then(|| u64::from(digit & 15));
        let [tens, ones] = *digits;
        value(tens)?.checked_mul(10)?.checked_add(value(ones)?)
    };
    let (year, start) = match found {
        tag::UTC_TIME => {
            let year = two(0)?;
            (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, 2_usize)
        }
        tag::GENERALIZED_TIME => (two(0)?.checked_mul(100)?.checked_add(two(2)?)?, 4),
        _ => return None,
    };
    let field = |index: usize| two(start.checked_add(index.checked_mul(2)?)?);
    let (month, day) = (field(0)?, field(1)?);
    let (hour, minute, second) = (field(2)?, field(3)?, field(4)?);
    if text.get(start.checked_add(10)?..) != Some(b"Z")
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
        || year < 1970
    {
        // Certificates from before 1970 do not occur; later dates only get that far by being well formed.
        return None;
    }
    // Days since 1970 in the Gregorian calendar, with years that begin in March.
    let (shifted_year, shifted_month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let leap = shifted_year.checked_div(4)?.checked_sub(shifted_year.checked_div(100)?)?;
    let leap = leap.checked_add(shifted_year.checked_div(400)?)?;
    let in_year = shifted_month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let days = shifted_year.checked_mul(365)?.checked_add(leap)?.checked_add(in_year)?.checked_add(day)?;
    let days = days.checked_sub(719_469)?;
    let minutes = days.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?.checked_add(minute)?;
    minutes.checked_mul(60)?.checked_add(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against `date -u -d … +%s`.
    #[test]
    fn dates() {
        let utc = |text: &str| time((tag::UTC_TIME, text.as_bytes()));
        let general = |text: &str| time((tag::GENERALIZED_TIME, text.as_bytes()));
        assert_eq!(general("19700101000000Z"), Some(0));
        assert_eq!(utc("700101000001Z"), Some(1));
        assert_eq!(utc("000229120000Z"), Some(951_825_600));
        assert_eq!(general("20000301000000Z"), Some(951_868_800));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(general("20501122013000Z"), Some(2_552_693_400));
        assert_eq!(general("21000301000000Z"), Some(4_107_542_400));
        for wrong in
            ["", "7001010000Z", "700101000000", "701301000000Z", "70010100000xZ", "700101000000+0100"]
        {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
        assert_eq!(time((tag::INTEGER, b"700101000000Z")), None);
    }

    #[test]
    fn common_names() {
        let certificate = |name: &str| {
            let mut subject = vec![0x31, 0, 0x30, 0, 0x06, 3, 0x55, 4, 3, 0x0c, 0];
            let length = u8::try_from(name.len()).unwrap();
            subject.extend(name.as_bytes());
            (subject[1], subject[3], subject[10]) = (length + 9, length + 7, length);
            subject
        };
        for (common, name, expected) in [
            ("board.local", "board.local", true),
            ("Board.LOCAL", "board.local", true),
            ("board.local", "board.locale", false),
            ("board.local", "xboard.local", false),
            ("*.local", "board.local", true),
            ("*.local", "a.board.local", false),
            ("*.local", "local", false),
            ("*", "local", false),
            ("b*.local", "board.local", false),
            ("", "board.local", false),
        ] {
            let subject = certificate(common);
            let fields = Fields {
                issuer: &[],
                subject: &subject,
                not_before: 0,
                not_after: 0,
                has_alternative_names: false,
            };
            assert_eq!(fields.check_common_name(name).is_ok(), expected, "{common} for {name}");
        }
    }
}
