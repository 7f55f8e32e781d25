//! Names in certificates: distinguished names and subject alternative names.

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::net::IpAddr;
use std::str::FromStr;
use x509_cert::der::asn1::{Ia5String, Ia5StringRef, OctetString, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// A distinguished name as RFC 4514 writes it.
///
/// The parser takes any text for any type; what the types allow is checked here.
pub(super) fn subject(text: &str) -> Result<Name, String> {
    let advice = || {
        "write the name as in RFC 4514, the most specific part first, such as \"CN=Device 7,O=Example,C=DE\"; no \
         spaces around commas, and a backslash before a comma that belongs to a value"
            .to_owned()
    };
    let name = Name::from_str(text).map_err(|_| advice())?;
    if name.is_empty() {
        return Err(advice());
    }
    check_subject(&name)?;
    Ok(name)
}

/// What holds for a subject, wherever it comes from. Control characters would change what a terminal shows.
pub(super) fn check_subject(name: &Name) -> Result<(), String> {
    for part in name.iter() {
        let value = &part.value;
        let is_plain = !value.value().iter().any(u8::is_ascii_control);
        let is_text = match value.tag() {
            Tag::PrintableString => PrintableStringRef::try_from(value).is_ok(),
            Tag::Ia5String => is_plain && Ia5StringRef::try_from(value).is_ok(),
            Tag::Utf8String => {
                Utf8StringRef::try_from(value).is_ok_and(|text| !text.as_str().contains(char::is_control))
            }
            Tag::TeletexString => is_plain,
            _ => true,
        };
        if !is_text || value.value().is_empty() {
            return Err(format!("the value of {} is empty or has characters that it cannot have", part.oid));
        }
        if part.oid.to_string() == "2.5.4.6" && value.value().len() != 2 {
            return Err("a country (C) has two letters".to_owned());
        }
    }
    Ok(())
}

/// Names besides the subject. Programs look for a host's name only here.
#[derive(Args)]
#[command(next_help_heading = "Subject alternative names")]
pub(super) struct AlternativeNames {
    /// A host's name, such as hsm.example.org or *.example.org; may be given several times, as the others
    #[arg(long, value_name = "HOST", value_parser = host)]
    dns: Vec<Ia5String>,
    /// A host's address
    #[arg(long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// A mail address
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    email: Vec<Ia5String>,
    /// A URI
    #[arg(long, value_name = "URI", value_parser = uri)]
    uri: Vec<Ia5String>,
}

impl AlternativeNames {
    /// `None` if there are none.
    pub(super) fn extension(&self) -> Result<Option<Names>> {
        let mut names = Vec::new();
        names.extend(self.dns.iter().cloned().map(GeneralName::DnsName));
        names.extend(self.ip.iter().copied().map(GeneralName::from));
        names.extend(self.email.iter().cloned().map(GeneralName::Rfc822Name));
        names.extend(self.uri.iter().cloned().map(GeneralName::UniformResourceIdentifier));
        Ok((!names.is_empty()).then_some(Names(SubjectAltName(names))))
    }
}

/// Subject alternative names of the kinds that are dealt with here.
pub(super) struct Names(SubjectAltName);

impl Names {
    /// Reads the extension of a request, which may say anything.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let names = SubjectAltName::from_der(bytes)
            .context("the request's subject alternative names are malformed")?;
        ensure!(!names.0.is_empty(), "the request's subject alternative names are none");
        for name in &names.0 {
            let wrong = match name {
                GeneralName::DnsName(name) => host(name.as_str()).err(),
                GeneralName::Rfc822Name(name) => mail_address(name.as_str()).err(),
                GeneralName::UniformResourceIdentifier(name) => uri(name.as_str()).err(),
                GeneralName::IpAddress(octets) => wrong_address(octets),
                _ => bail!(
                    "the request has subject alternative names that are no DNS names, addresses or URIs; give those that \
                     the certificate shall have with --dns, --ip, --email or --uri"
                ),
            };
            if let Some(wrong) = wrong {
                bail!("a subject alternative name of the request is refused: {wrong}");
            }
        }
        Ok(Self(names))
    }

    pub(super) fn to_extension(&self) -> Result<Extension> {
        super::extension(false, &self.0)
    }
}

fn wrong_address(octets: &OctetString) -> Option<String> {
    let is_address = matches!(octets.as_bytes().len(), 4 | 16);
    (!is_address).then(|| "an IP address has 4 or 16 octets".to_owned())
}

fn ascii(text: &str) -> Result<Ia5String, String> {
    Ia5String::new(text).map_err(|_| "only ASCII can stand here".to_owned())
}

/// The preferred syntax of RFC 1034, §3.5, with underscores, and a wildcard as the whole first label (RFC 6125).
fn host(text: &str) -> Result<Ia5String, String> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let plain = text.strip_prefix("*.").unwrap_or(text);
    if text.len() > 253 || !plain.split('.').all(is_label) {
        return Err("write a host's name, such as hsm.example.org; other alphabets as xn--...".to_owned());
    }
    ascii(text)
}

fn mail_address(text: &str) -> Result<Ia5String, String> {
    let advice = || "write a mail address, such as operator@example.org".to_owned();
    let (local, domain) = text.rsplit_once('@').ok_or_else(advice)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if local.is_empty() || !is_plain || domain.starts_with('*') || host(domain).is_err() {
        return Err(advice());
    }
    ascii(text)
}

fn uri(text: &str) -> Result<Ia5String, String> {
    let advice = || "write a URI, such as urn:example:device:7".to_owned();
    let (scheme, rest) = text.split_once(':').ok_or_else(advice)?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if !is_scheme || rest.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(advice());
    }
    ascii(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_cert::der::Encode;

    #[test]
    fn subjects() {
        let name = subject("CN=Device 7,O=Example\\, Inc,C=DE").unwrap();
        assert_eq!(name.to_string(), "CN=Device 7,O=Example\\, Inc,C=DE");
        // The most general part comes first in the encoding.
        assert_eq!(
            name.to_der().unwrap().get(2..13).unwrap(),
            hex::decode("310b300906035504061302").unwrap()
        );
        for wrong in ["", "Device 7", "CN=", "C=Germany", "CN=a, O=b", "XX=y", "C=\u{e4}a", "CN=\\ff"] {
            assert!(subject(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn alternative_names() {
        for good in ["a", "hsm.example.org", "*.example.org", "xn--bcher-kva.example"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for wrong in ["", ".", "a..b", "a.*.b", "*", "b\u{fc}cher.example", "a b", "-a", &"a".repeat(64)] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(mail_address("a@b.example").is_ok());
        for wrong in ["a", "@b", "a@", "a b@c", "a@*.b"] {
            assert!(mail_address(wrong).is_err(), "{wrong}");
        }
        assert!(uri("urn:example:7").is_ok() && uri("https://example.org/x?y").is_ok());
        for wrong in ["example.org", ":x", "1a:b", "a:", "a:b c"] {
            assert!(uri(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_requests_are_checked() {
        let encode = |name: GeneralName| SubjectAltName(vec![name]).to_der().unwrap();
        let text = |text| Ia5String::new(text).unwrap();
        assert!(Names::decode(&encode(GeneralName::DnsName(text("a.example")))).is_ok());
        assert!(Names::decode(&encode(GeneralName::DnsName(text("a b")))).is_err());
        assert!(
            Names::decode(&encode(GeneralName::IpAddress(OctetString::new([1, 2, 3]).unwrap()))).is_err()
        );
        assert!(Names::decode(&encode(GeneralName::DirectoryName(subject("CN=x").unwrap()))).is_err());
        assert!(Names::decode(&SubjectAltName(vec![]).to_der().unwrap()).is_err());
        assert!(Names::decode(&[0x30, 0x01]).is_err());
    }
}
