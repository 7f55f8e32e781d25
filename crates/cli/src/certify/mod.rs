//! `casemate cert request`, `self-sign` and `issue`: requests and certificates signed by keys of the server.

mod names;
mod profile;
mod signer;

use crate::connection::Connection;
use crate::key;
use crate::pem::pem_blocks;
use crate::value::{Permissions, read_file, say, write_file};
use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use names::AlternativeNames;
use profile::Profile;
use signer::{SignatureOptions, SigningKey, check_strength, verify};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use x509_cert::Certificate;
use x509_cert::builder::CertificateBuilder;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::BitString;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

const SECONDS_A_DAY: u64 = 86_400;

/// Where the result goes.
#[derive(Args)]
struct Output {
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write DER instead of PEM
    #[arg(long)]
    der: bool,
    /// Replace a file that exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl Output {
    /// Refuses before anything is signed.
    fn check(&self) -> Result<()> {
        match &self.out {
            Some(path) if !self.force && path.symlink_metadata().is_ok() => {
                bail!("{} exists; --force replaces it", path.display())
            }
            _ => Ok(()),
        }
    }

    fn write(&self, label: &str, der: &[u8]) -> Result<()> {
        let bytes = if self.der { der.to_vec() } else { pem(label, der).into_bytes() };
        match &self.out {
            Some(path) => write_file(path, &bytes, self.force, Permissions::Public),
            None => {
                let mut output = io::stdout().lock();
                output.write_all(&bytes)?;
                Ok(output.flush()?)
            }
        }
    }
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let digits = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// When a certificate is valid.
#[derive(Args)]
struct Period {
    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..))]
    days: u32,
    /// From when on, in UTC, such as 2030-01-31 or 2030-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    not_before: Option<DateTime>,
}

impl Period {
    fn validity(&self) -> Result<Validity> {
        let begin = match self.not_before {
            Some(time) => time.unix_duration(),
            None => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
                Duration::from_secs(now.as_secs())
            }
        };
        let time = |since: Duration| {
            let time = DateTime::from_unix_duration(since).ok().filter(|time| time.year() <= 9999);
            time.map(Time::from).context("certificates end in the year 9999; give fewer --days")
        };
        let length = Duration::from_secs(u64::from(self.days).saturating_mul(SECONDS_A_DAY));
        // The last second counts (RFC 5280, §4.1.2.5).
        let end = begin.saturating_add(length).saturating_sub(Duration::from_secs(1));
        Ok(Validity::new(time(begin)?, time(end)?))
    }
}

fn point_in_time(text: &str) -> Result<DateTime, String> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    DateTime::from_str(&whole)
        .map_err(|_| "write a time such as 2030-01-31 or 2030-01-31T12:00:00Z".to_owned())
}

/// Make a certificate signing request (PKCS#10) with a key of the server
///
/// The private key stays in the server; it signs the request there. The request goes to a certificate authority, for
/// instance to `casemate cert issue`. It is verified before it is written.
#[derive(Args)]
pub(crate) struct Request {
    #[command(flatten)]
    key: key::Name,
    /// Whom the certificate is for, as in RFC 4514, the most specific part first: "CN=Device 7,O=Example,C=DE"
    #[arg(long, value_name = "NAME", value_parser = names::subject)]
    subject: Name,
    #[command(flatten)]
    names: AlternativeNames,
    /// Ask for the extensions of this profile
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    #[command(flatten)]
    signature: SignatureOptions,
    #[command(flatten)]
    output: Output,
}

impl Request {
    pub(crate) fn run(&self, connection: &Connection) -> Result<()> {
        self.output.check()?;
        let names = self.names.extension()?;
        let mut hsm = connection.open()?;
        let key = SigningKey::open(&mut hsm, self.key.id(), &self.signature)?;
        let mut extensions = Vec::new();
        if let Some(profile) = self.profile {
            profile.check_names(names.as_ref())?;
            extensions.extend(profile.extensions(&key.public, None)?);
        }
        extensions.extend(names.map(|names| names.to_extension()).transpose()?);
        let mut info = CertReqInfo {
            version: Version::V1,
            subject: self.subject.clone(),
            public_key: key.public_info()?,
            attributes: Default::default(),
        };
        if !extensions.is_empty() {
            info.attributes.insert(ExtensionReq(extensions).try_into()?)?;
        }
        let signature = key.sign(&mut hsm, &info.to_der()?)?;
        let request =
            CertReq { info, algorithm: key.algorithm()?, signature: BitString::from_bytes(&signature)? };
        self.output.write("CERTIFICATE REQUEST", &request.to_der()?)?;
        hsm.close()
    }
}

/// Make a certificate that a key of the server signs for itself
///
/// With `--profile ca` it is the certificate of an authority, with which `casemate cert issue` issues others.
#[derive(Args)]
pub(crate) struct SelfSign {
    #[command(flatten)]
    key: key::Name,
    /// Whom the certificate is for, as in RFC 4514, the most specific part first: "CN=Device 7,O=Example,C=DE"
    #[arg(long, value_name = "NAME", value_parser = names::subject)]
    subject: Name,
    #[command(flatten)]
    names: AlternativeNames,
    /// What the certificate may be used for
    #[arg(long, value_enum)]
    profile: Profile,
    /// With --profile ca: how many further authorities may stand between this one and a leaf
    #[arg(long, value_name = "COUNT")]
    path_length: Option<u8>,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    signature: SignatureOptions,
    #[command(flatten)]
    output: Output,
}

impl SelfSign {
    pub(crate) fn run(&self, connection: &Connection) -> Result<()> {
        self.output.check()?;
        let names = self.names.extension()?;
        self.profile.check_names(names.as_ref())?;
        self.profile.check_path_length(self.path_length)?;
        let validity = self.period.validity()?;
        let mut hsm = connection.open()?;
        let key = SigningKey::open(&mut hsm, self.key.id(), &self.signature)?;
        let mut extensions = self.profile.extensions(&key.public, self.path_length)?;
        extensions.extend(names.map(|names| names.to_extension()).transpose()?);
        let info = key.public_info()?;
        extensions.push(subject_key(&info)?);
        let contents = Contents { issuer: self.subject.clone(), subject: self.subject.clone(), extensions };
        let builder = CertificateBuilder::new(contents, serial_number(&mut hsm)?, validity, info)?;
        self.output.write("CERTIFICATE", &key.finish(&mut hsm, builder)?)?;
        hsm.close()
    }
}

/// Issue a certificate for a request, signed with the key of an authority in the server
///
/// The request's signature is verified first. Of the extensions that it asks for, only the subject alternative names
/// are taken, and only if they are DNS names, addresses or URIs; --profile says what the certificate may be used for.
#[derive(Args)]
pub(crate) struct Issue {
    /// The authority's key
    #[command(flatten)]
    key: key::Name,
    /// The request, in PEM or DER
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The authority's certificate, in PEM or DER
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// What the certificate may be used for
    #[arg(long, value_enum)]
    profile: Profile,
    /// With --profile ca: how many further authorities may stand between this one and a leaf
    #[arg(long, value_name = "COUNT")]
    path_length: Option<u8>,
    /// Another subject than the one in the request
    #[arg(long, value_name = "NAME", value_parser = names::subject)]
    subject: Option<Name>,
    #[command(flatten)]
    names: AlternativeNames,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    signature: SignatureOptions,
    #[command(flatten)]
    output: Output,
}

impl Issue {
    pub(crate) fn run(&self, connection: &Connection) -> Result<()> {
        self.output.check()?;
        let request = read_request(&self.request)
            .with_context(|| format!("the request in {} is refused", self.request.display()))?;
        let wanted = requested_names(&request)?;
        let names = self.names.extension()?.or(wanted.names);
        for name in wanted.ignored {
            eprintln!("note: the request asks for the extension {name}, which is not taken from it");
        }
        self.profile.check_names(names.as_ref())?;
        let validity = self.period.validity()?;
        let subject = self.subject.clone().unwrap_or_else(|| request.info.subject.clone());
        ensure!(!subject.is_empty(), "the request has no subject; give one with --subject");
        names::check_subject(&subject).map_err(|wrong| {
            anyhow!("the subject of the request is refused: {wrong}; give one with --subject")
        })?;

        let authority = Authority::read(&self.ca)
            .with_context(|| format!("{} is refused as an authority's certificate", self.ca.display()))?;
        authority.covers(&validity)?;
        let path_length = authority.path_length(self.profile, self.path_length)?;

        let mut hsm = connection.open()?;
        let key = SigningKey::open(&mut hsm, self.key.id(), &self.signature)?;
        ensure!(
            key.public_info()? == *authority.certificate.tbs_certificate().subject_public_key_info(),
            "key {} is not the key of the certificate in {}",
            self.key.id(),
            self.ca.display()
        );
        let info = request.info.public_key;
        let mut extensions = self.profile.extensions(&info.to_der()?, path_length)?;
        extensions.extend(names.map(|names| names.to_extension()).transpose()?);
        extensions.push(subject_key(&info)?);
        extensions.push(authority.key_identifier()?);
        let issuer = authority.certificate.tbs_certificate().subject().clone();
        let issued = format!("issued: {subject}");
        let contents = Contents { issuer, subject, extensions };
        let builder = CertificateBuilder::new(contents, serial_number(&mut hsm)?, validity, info)?;
        let certificate = key.finish(&mut hsm, builder)?;
        self.output.write("CERTIFICATE", &certificate)?;
        if self.output.out.is_some() {
            say(issued)?;
        }
        hsm.close()
    }
}

/// What a certificate says, besides serial number, validity and key.
struct Contents {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Contents {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _subject_key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _certificate: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

/// An extension with its criticality from the caller.
fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension> {
    use x509_cert::ext::ToExtension;
    Ok((critical, value).to_extension(&Name::default(), &[])?)
}

/// SHA-1 of the public key (RFC 5280, §4.2.1.2, method 1): an identifier, not a protection.
fn subject_key(info: &SubjectPublicKeyInfoOwned) -> Result<Extension> {
    use x509_cert::der::referenced::OwnedToRef;
    extension(false, &SubjectKeyIdentifier::try_from(info.owned_to_ref())?)
}

/// A positive number of 20 octets with 158 random bits (RFC 5280, §4.1.2.2).
fn serial_number(hsm: &mut crate::connection::Hsm) -> Result<SerialNumber> {
    let mut octets = [0; 20];
    hsm.random(&mut octets)?;
    octets[0] = octets[0] & 0x7F | 0x40;
    Ok(SerialNumber::new(&octets)?)
}

/// The one block of a PEM file with one of these labels, or the whole of a DER file.
fn read_one(path: &Path, labels: &[&str]) -> Result<Vec<u8>> {
    let bytes = read_file(path)?;
    let Some(blocks) = pem_blocks(&bytes)? else { return Ok(bytes.to_vec()) };
    let mut found = blocks.into_iter().filter(|(label, _)| labels.contains(&label.as_str()));
    let Some((_, first)) = found.next() else { bail!("it has no PEM block `{}`", labels.join("` or `")) };
    ensure!(found.next().is_none(), "it has more than one PEM block; give one");
    Ok(first)
}

/// A request whose signature is that of the key in it.
fn read_request(path: &Path) -> Result<CertReq> {
    let der = read_one(path, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])?;
    let request = CertReq::from_der(&der).context("it is no certificate request")?;
    // What is verified below is what was read.
    ensure!(request.to_der()? == der, "it is not encoded in DER");
    let public = request.info.public_key.to_der()?;
    check_strength(&public)?;
    let signature = request.signature.as_bytes().context("its signature has unused bits")?;
    verify(&public, &request.algorithm.to_der()?, &request.info.to_der()?, signature)
        .context("its signature does not verify with the key in it")?;
    Ok(request)
}

/// What is taken from a request's extensions, and what is not.
struct Wanted {
    names: Option<names::Names>,
    ignored: Vec<String>,
}

fn requested_names(request: &CertReq) -> Result<Wanted> {
    let mut wanted = Wanted { names: None, ignored: Vec::new() };
    for attribute in request.info.attributes.iter().filter(|attribute| attribute.oid == ExtensionReq::OID) {
        for value in attribute.values.iter() {
            let extensions: Vec<Extension> =
                value.decode_as().context("the request's extensions are malformed")?;
            for extension in extensions {
                if extension.extn_id == SubjectAltName::OID {
                    ensure!(wanted.names.is_none(), "the request has subject alternative names twice");
                    wanted.names = Some(names::Names::decode(extension.extn_value.as_bytes())?);
                } else {
                    wanted.ignored.push(profile::extension_name(extension.extn_id));
                }
            }
        }
    }
    Ok(wanted)
}

/// An authority's certificate.
struct Authority {
    certificate: Certificate,
    constraint: Option<u8>,
}

impl Authority {
    fn read(path: &Path) -> Result<Self> {
        let der = read_one(path, &["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"])?;
        let certificate = Certificate::from_der(&der).context("it is no certificate")?;
        let contents = certificate.tbs_certificate();
        let constraints = contents.get_extension::<BasicConstraints>()?;
        let Some((_, BasicConstraints { ca: true, path_len_constraint: constraint })) = constraints else {
            bail!("it is not marked as an authority's (basic constraints)")
        };
        if let Some((_, usage)) = contents.get_extension::<KeyUsage>()? {
            ensure!(usage.key_cert_sign(), "its key usage does not allow to sign certificates");
        }
        // Whoever verifies the chain has to obey these, so what is issued has to; here nobody looks at them.
        for Extension { extn_id: id, critical, .. } in contents.extensions().into_iter().flatten() {
            let name = profile::extension_name(*id);
            ensure!(*id != NameConstraints::OID, "it has {name}, which are not obeyed here");
            let is_known = [BasicConstraints::OID, KeyUsage::OID, SubjectAltName::OID].contains(id)
                || [SubjectKeyIdentifier::OID, AuthorityKeyIdentifier::OID].contains(id);
            ensure!(!critical || is_known, "its extension {name} is critical, and not known here");
        }
        ensure!(!contents.subject().is_empty(), "it has no subject, which is the issuer of what it issues");
        Ok(Self { certificate, constraint })
    }

    /// Checks that a validity period lies within the authority's.
    fn covers(&self, inner: &Validity) -> Result<()> {
        let outer = self.certificate.tbs_certificate().validity();
        ensure!(
            inner.not_before.to_unix_duration() >= outer.not_before.to_unix_duration()
                && inner.not_after.to_unix_duration() <= outer.not_after.to_unix_duration(),
            "the authority is valid from {} to {}, which does not cover {} to {}; choose other --days or --not-before",
            outer.not_before,
            outer.not_after,
            inner.not_before,
            inner.not_after
        );
        Ok(())
    }

    /// The path length for an authority below this one.
    fn path_length(&self, profile: Profile, wanted: Option<u8>) -> Result<Option<u8>> {
        profile.check_path_length(wanted)?;
        if !profile.is_authority() {
            return Ok(None);
        }
        let Some(constraint) = self.constraint else { return Ok(wanted) };
        let Some(longest) = constraint.checked_sub(1) else {
            bail!("the authority may not have others below it (its path length is 0)")
        };
        let length = wanted.unwrap_or(longest);
        ensure!(length <= longest, "the authority allows a path length of {longest} at most below it");
        Ok(Some(length))
    }

    /// The extension that names the authority's key as the authority's certificate does.
    fn key_identifier(&self) -> Result<Extension> {
        use x509_cert::der::referenced::OwnedToRef;
        let contents = self.certificate.tbs_certificate();
        let identifier = match contents.get_extension::<SubjectKeyIdentifier>()? {
            Some((_, identifier)) => identifier,
            None => SubjectKeyIdentifier::try_from(contents.subject_public_key_info().owned_to_ref())?,
        };
        let value = AuthorityKeyIdentifier { key_identifier: Some(identifier.0), ..Default::default() };
        extension(false, &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_include_their_last_second() {
        let period = Period { days: 2, not_before: Some(point_in_time("2030-01-31").unwrap()) };
        let validity = period.validity().unwrap();
        assert_eq!(validity.not_before.to_string(), "2030-01-31T00:00:00Z");
        assert_eq!(validity.not_after.to_string(), "2030-02-01T23:59:59Z");
        let endless = Period { days: u32::MAX, not_before: None };
        assert!(endless.validity().unwrap_err().to_string().contains("9999"));
        assert!(point_in_time("2030-02-30").is_err());
        assert!(point_in_time("2030-02-28T12:00:00+01:00").is_err());
        assert!(point_in_time("2030-02-28T12:00:00Z").is_ok());
    }

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem("CERTIFICATE", &[0; 49]);
        assert_eq!(
            text,
            format!("-----BEGIN CERTIFICATE-----\n{}\nAA==\n-----END CERTIFICATE-----\n", "A".repeat(64))
        );
    }
}
