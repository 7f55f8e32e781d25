//! Certificates and their extensions (RFC 5280, §4).

use crate::elements::{Elements, Malformed, Signed, constructed, integer, primitive, tag, unsigned};
use crate::{Error, time};

/// A validity period, both ends included, in seconds since the Unix epoch. What lies before the epoch counts as the
/// epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: u64,
    /// The last second.
    pub not_after: u64,
}

impl Validity {
    /// Checks that `time` lies in the period; always true without a time.
    ///
    /// # Errors
    /// [`Error::NotYetValid`], [`Error::Expired`].
    pub fn check(&self, time: Option<u64>) -> Result<(), Error> {
        match time {
            Some(time) if time < self.not_before => Err(Error::NotYetValid),
            Some(time) if time > self.not_after => Err(Error::Expired),
            _ => Ok(()),
        }
    }

    /// Decodes two times, each of a form of `allowed`.
    pub(crate) fn decode(content: &[u8], allowed: &[u8]) -> Result<Self, Malformed> {
        let mut elements = Elements::new(content);
        let mut next = || {
            let element = elements.next()?;
            if allowed.contains(&element.tag) { time::decode(element) } else { Err(Malformed) }
        };
        let period = Self { not_before: next()?, not_after: next()? };
        elements.finish()?;
        Ok(period)
    }
}

/// The basic constraints of a certificate (RFC 5280, §4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BasicConstraints {
    /// Whether the certificate belongs to an authority.
    pub authority: bool,
    /// How many authorities may stand between this one and a leaf; `None` for any number.
    pub path_length: Option<u32>,
}

/// The key usage of a certificate (RFC 5280, §4.2.1.3): the first octet of the bits, digitalSignature in the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(pub u8);

impl KeyUsage {
    /// Whether the key may sign certificates (keyCertSign).
    #[must_use]
    pub const fn allows_certificate_signing(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// Whether the key may sign anything but certificates and revocation lists (digitalSignature).
    #[must_use]
    pub const fn allows_digital_signature(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// The extensions of a certificate that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    /// Basic constraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// Key usage.
    pub key_usage: Option<KeyUsage>,
    /// Identifier of the certificate's key.
    pub subject_key_identifier: Option<&'a [u8]>,
    /// Identifier of the issuer's key.
    pub authority_key_identifier: Option<&'a [u8]>,
    /// Subject alternative names: GeneralNames, without the header of the SEQUENCE.
    pub subject_alternative_names: Option<&'a [u8]>,
    /// Name constraints, without the header of the SEQUENCE.
    pub name_constraints: Option<&'a [u8]>,
    /// Whether there is a critical extension that is not known.
    pub has_unknown_critical: bool,
}

/// What stands behind 2.5.29 (id-ce) in the identifiers of the extensions that are known.
mod extension {
    pub(super) const SUBJECT_KEY_IDENTIFIER: u8 = 14;
    pub(super) const KEY_USAGE: u8 = 15;
    pub(super) const SUBJECT_ALTERNATIVE_NAMES: u8 = 17;
    pub(super) const BASIC_CONSTRAINTS: u8 = 19;
    pub(super) const NAME_CONSTRAINTS: u8 = 30;
    pub(super) const CERTIFICATE_POLICIES: u8 = 32;
    pub(super) const AUTHORITY_KEY_IDENTIFIER: u8 = 35;
    pub(super) const EXTENDED_KEY_USAGE: u8 = 37;
}

impl<'a> Extensions<'a> {
    /// Decodes the content of the SEQUENCE of extensions.
    fn decode(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut extensions = Self::default();
        // RFC 5280 forbids to leave the list out by writing an empty one; encoders do it.
        let mut elements = Elements::new(content);
        let mut seen = 0_u64;
        while !elements.is_empty() {
            let before = elements;
            let mut extension = Elements::new(elements.take(tag::SEQUENCE)?);
            let identifier = extension.take(tag::OBJECT_IDENTIFIER)?;
            let critical = extension.boolean()?;
            let value = extension.take(tag::OCTET_STRING)?;
            extension.finish()?;
            match identifier {
                [0x55, 0x1D, number @ 0..=63] => {
                    let bit = 1_u64 << *number;
                    if seen & bit != 0 {
                        return Err(Malformed);
                    }
                    seen |= bit;
                    extensions.take(*number, critical, value)?;
                }
                _ => {
                    Self::check_absent(identifier, content, before.rest())?;
                    extensions.has_unknown_critical |= critical;
                }
            }
        }
        Ok(extensions)
    }

    /// Checks that no extension in front of `rest` has this identifier.
    fn check_absent(identifier: &[u8], content: &'a [u8], rest: &[u8]) -> Result<(), Malformed> {
        let mut elements = Elements::new(content);
        while elements.rest().len() > rest.len() {
            let mut extension = Elements::new(elements.take(tag::SEQUENCE)?);
            if extension.take(tag::OBJECT_IDENTIFIER)? == identifier {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    fn take(&mut self, number: u8, critical: bool, value: &'a [u8]) -> Result<(), Malformed> {
        match number {
            extension::BASIC_CONSTRAINTS => {
                let mut elements = Elements::inside(value, tag::SEQUENCE)?;
                let authority = elements.boolean()?;
                let path_length = elements.optional(tag::INTEGER)?.map(unsigned).transpose()?;
                elements.finish()?;
                self.basic_constraints = Some(BasicConstraints { authority, path_length });
            }
            extension::KEY_USAGE => {
                let mut elements = Elements::new(value);
                let usage = match elements.take(tag::BIT_STRING)? {
                    [0..=7, first, ..] => KeyUsage(*first),
                    [0] => KeyUsage(0),
                    _ => return Err(Malformed),
                };
                elements.finish()?;
                self.key_usage = Some(usage);
            }
            extension::SUBJECT_KEY_IDENTIFIER => {
                let mut elements = Elements::new(value);
                self.subject_key_identifier = Some(elements.take(tag::OCTET_STRING)?);
                elements.finish()?;
            }
            extension::AUTHORITY_KEY_IDENTIFIER => {
                let mut elements = Elements::inside(value, tag::SEQUENCE)?;
                self.authority_key_identifier = elements.optional(primitive(0))?;
                let _issuer = elements.optional(constructed(1))?;
                let _serial_number = elements.optional(primitive(2))?;
                elements.finish()?;
            }
            extension::SUBJECT_ALTERNATIVE_NAMES => {
                let mut elements = Elements::new(value);
                self.subject_alternative_names = Some(elements.take(tag::SEQUENCE)?);
                elements.finish()?;
            }
            extension::NAME_CONSTRAINTS => {
                let mut elements = Elements::new(value);
                self.name_constraints = Some(elements.take(tag::SEQUENCE)?);
                elements.finish()?;
            }
            extension::CERTIFICATE_POLICIES | extension::EXTENDED_KEY_USAGE => {}
            _ => self.has_unknown_critical |= critical,
        }
        Ok(())
    }
}

/// A certificate: borrowed parts of its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// The whole certificate.
    pub encoding: &'a [u8],
    /// What is signed (TBSCertificate).
    pub to_be_signed: &'a [u8],
    /// The content of the INTEGER.
    pub serial_number: &'a [u8],
    /// The AlgorithmIdentifier of the signature.
    pub signature_algorithm: &'a [u8],
    /// The octets of the signature.
    pub signature: &'a [u8],
    /// The issuer, a Name.
    pub issuer: &'a [u8],
    /// The subject, a Name.
    pub subject: &'a [u8],
    /// The validity period.
    pub validity: Validity,
    /// The public key, a SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
    /// The extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> Certificate<'a> {
    /// Decodes a certificate.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        match Self::decode_first(bytes) {
            Ok((certificate, [])) => Ok(certificate),
            _ => Err(Error::Malformed),
        }
    }

    /// Decodes the first certificate in `bytes` and returns it with what follows.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    #[inline(never)]
    pub fn decode_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let signed = Signed::decode(bytes)?;
        let Signed { encoding, to_be_signed, algorithm: signature_algorithm, signature, mut elements, rest } =
            signed;
        let version = match elements.optional(constructed(0))? {
            None => 0,
            Some(content) => {
                let mut version = Elements::new(content);
                let number = unsigned(version.take(tag::INTEGER)?)?;
                version.finish()?;
                number
            }
        };
        let serial_number = integer(elements.take(tag::INTEGER)?)?;
        let inner_algorithm = elements.take_encoding(tag::SEQUENCE)?;
        let issuer = elements.take_encoding(tag::SEQUENCE)?;
        let utc_or_generalized = &[tag::UTC_TIME, tag::GENERALIZED_TIME];
        let validity = Validity::decode(elements.take(tag::SEQUENCE)?, utc_or_generalized)?;
        let subject = elements.take_encoding(tag::SEQUENCE)?;
        let public_key = elements.take_encoding(tag::SEQUENCE)?;
        let _issuer_unique_identifier = elements.optional(primitive(1))?;
        let _subject_unique_identifier = elements.optional(primitive(2))?;
        let extensions = elements.optional(constructed(3))?;
        elements.finish()?;
        if version > 2 || inner_algorithm != signature_algorithm || (extensions.is_some() && version != 2) {
            return Err(Error::Malformed);
        }
        let extensions = match extensions {
            None => Extensions::default(),
            Some(content) => {
                let mut list = Elements::new(content);
                let content = list.take(tag::SEQUENCE)?;
                list.finish()?;
                Extensions::decode(content)?
            }
        };
        let certificate = Self {
            encoding,
            to_be_signed,
            serial_number,
            signature_algorithm,
            signature,
            issuer,
            subject,
            validity,
            public_key,
            extensions,
        };
        Ok((certificate, rest))
    }

    /// Whether the certificate says that it belongs to an authority.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        matches!(self.extensions.basic_constraints, Some(BasicConstraints { authority: true, .. }))
    }

    /// Whether issuer and subject are the same.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}
