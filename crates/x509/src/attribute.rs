//! Attribute certificates (RFC 5755, §4).

use crate::elements::{Elements, Signed, constructed, integer, tag, unsigned};
use crate::{Certificate, Error, Validity};

/// An attribute certificate of version 2: borrowed parts of its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeCertificate<'a> {
    /// The whole attribute certificate.
    pub encoding: &'a [u8],
    /// What is signed (AttributeCertificateInfo).
    pub to_be_signed: &'a [u8],
    /// The content of the INTEGER.
    pub serial_number: &'a [u8],
    /// The AlgorithmIdentifier of the signature.
    pub signature_algorithm: &'a [u8],
    /// The octets of the signature.
    pub signature: &'a [u8],
    /// Who holds the attributes, without the header of the SEQUENCE.
    pub holder: &'a [u8],
    /// The name of the issuer, a Name, if the issuer is named by exactly one directory name and nothing else, as
    /// RFC 5755, §4.2.3, demands.
    pub issuer: Option<&'a [u8]>,
    /// The validity period.
    pub validity: Validity,
    /// The attributes, without the header of the SEQUENCE.
    pub attributes: &'a [u8],
}

impl<'a> AttributeCertificate<'a> {
    /// Decodes an attribute certificate.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        match Self::decode_first(bytes)? {
            (certificate, []) => Ok(certificate),
            _ => Err(Error::Malformed),
        }
    }

    /// Decodes the attribute certificate at the start of `bytes` and returns it with what follows.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    #[inline(never)]
    pub fn decode_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        let signed = Signed::decode(bytes)?;
        let Signed { encoding, to_be_signed, algorithm: signature_algorithm, signature, mut elements, rest } =
            signed;
        let version = unsigned(elements.take(tag::INTEGER)?)?;
        let holder = elements.take(tag::SEQUENCE)?;
        let issuer = elements.next()?;
        let issuer = match issuer.tag {
            // The form of version 1, which RFC 5755 forbids.
            tag::SEQUENCE => None,
            tag if tag == constructed(0) => issuer_name(issuer.content)?,
            _ => return Err(Error::Malformed),
        };
        let inner_algorithm = elements.take_encoding(tag::SEQUENCE)?;
        let serial_number = integer(elements.take(tag::INTEGER)?)?;
        let validity = Validity::decode(elements.take(tag::SEQUENCE)?, &[tag::GENERALIZED_TIME])?;
        let attributes = elements.take(tag::SEQUENCE)?;
        let _issuer_unique_identifier = elements.optional(tag::BIT_STRING)?;
        let _extensions = elements.optional(tag::SEQUENCE)?;
        elements.finish()?;
        if version != 1 || inner_algorithm != signature_algorithm {
            return Err(Error::Malformed);
        }
        let certificate = Self {
            encoding,
            to_be_signed,
            serial_number,
            signature_algorithm,
            signature,
            holder,
            issuer,
            validity,
            attributes,
        };
        Ok((certificate, rest))
    }

    /// Whether the issuer is the subject of `certificate`.
    #[must_use]
    pub fn is_issued_by(&self, certificate: &Certificate<'_>) -> bool {
        self.issuer == Some(certificate.subject)
    }
}

/// The name in a V2Form that consists of one directory name.
fn issuer_name(content: &[u8]) -> Result<Option<&[u8]>, Error> {
    let mut form = Elements::new(content);
    let names = form.optional(tag::SEQUENCE)?;
    if !form.is_empty() {
        return Ok(None);
    }
    let Some(names) = names else { return Ok(None) };
    let mut names = Elements::new(names);
    let Some(name) = names.optional(constructed(4))? else { return Ok(None) };
    let mut inner = Elements::new(name);
    let name = inner.take_encoding(tag::SEQUENCE)?;
    inner.finish()?;
    Ok(if names.is_empty() { Some(name) } else { None })
}
