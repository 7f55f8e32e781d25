//! Names against name constraints (RFC 5280, §4.2.1.10).

use crate::elements::{Element, Elements, constructed, primitive, tag};
use crate::{Certificate, Error};

/// How many comparisons of a name with a constraint one certificate may cost: constraints and names come from whoever
/// sends the chain, and each name meets each constraint.
pub const MAX_NAME_COMPARISONS: u32 = 65_536;

/// emailAddress, 1.2.840.113549.1.9.1.
const MAIL_ADDRESS: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01];

const MAIL: u8 = primitive(1);
const DNS: u8 = primitive(2);
const DIRECTORY: u8 = constructed(4);
const URI: u8 = primitive(6);
const ADDRESS: u8 = primitive(7);

/// Counts comparisons down.
pub(crate) struct Budget(u32);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(MAX_NAME_COMPARISONS)
    }

    fn spend(&mut self) -> Result<(), Error> {
        self.0 = self.0.checked_sub(1).ok_or(Error::TooMany)?;
        Ok(())
    }
}

/// Checks all names of a certificate against the constraints of one authority above it.
///
/// # Errors
/// [`Error::NameConstraint`] if a name is outside, or of a kind that is constrained in a way not known here;
/// [`Error::TooMany`]; [`Error::Malformed`].
pub(crate) fn check(
    constraints: &[u8],
    certificate: &Certificate<'_>,
    budget: &mut Budget,
) -> Result<(), Error> {
    let mut elements = Elements::new(constraints);
    let permitted = elements.optional(constructed(0))?;
    let excluded = elements.optional(constructed(1))?;
    elements.finish()?;
    let constraints = Constraints { permitted, excluded };
    let alternative = certificate.extensions.subject_alternative_names;

    let mut subject = Elements::new(certificate.subject);
    let subject = Element { tag: DIRECTORY, ..subject.next()? };
    if !subject.content.is_empty() {
        // A directory name's content is the Name with its header.
        let name = Element { content: certificate.subject, ..subject };
        constraints.check(name, budget)?;
        if alternative.is_none() {
            each_mail_address(subject.content, |address| {
                constraints.check(Element { tag: MAIL, encoding: address, content: address }, budget)
            })?;
        }
    }
    let mut names = Elements::new(alternative.unwrap_or_default());
    while !names.is_empty() {
        constraints.check(names.next()?, budget)?;
    }
    Ok(())
}

/// Calls `work` for each emailAddress in the RDNs of a name.
fn each_mail_address(rdns: &[u8], mut work: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut rdns = Elements::new(rdns);
    while !rdns.is_empty() {
        let mut attributes = Elements::new(rdns.take(tag::SET)?);
        while !attributes.is_empty() {
            let mut attribute = Elements::new(attributes.take(tag::SEQUENCE)?);
            if attribute.take(tag::OBJECT_IDENTIFIER)? == MAIL_ADDRESS {
                work(attribute.next()?.content)?;
            }
        }
    }
    Ok(())
}

struct Constraints<'a> {
    permitted: Option<&'a [u8]>,
    excluded: Option<&'a [u8]>,
}

impl Constraints<'_> {
    /// Checks one name, given as GeneralName.
    fn check(&self, name: Element<'_>, budget: &mut Budget) -> Result<(), Error> {
        let mut is_constrained = false;
        let mut is_permitted = false;
        each_subtree(self.permitted, |base| {
            budget.spend()?;
            if base.tag == name.tag {
                is_constrained = true;
                is_permitted = is_permitted || matches(name, base.content, false)?;
            }
            Ok(())
        })?;
        each_subtree(self.excluded, |base| {
            budget.spend()?;
            if base.tag == name.tag && matches(name, base.content, true)? {
                return Err(Error::NameConstraint);
            }
            Ok(())
        })?;
        if is_constrained && !is_permitted { Err(Error::NameConstraint) } else { Ok(()) }
    }
}

/// Calls `work` for the base of each of the GeneralSubtrees.
fn each_subtree<'a>(
    subtrees: Option<&'a [u8]>,
    mut work: impl FnMut(Element<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut subtrees = Elements::new(subtrees.unwrap_or_default());
    while !subtrees.is_empty() {
        let mut subtree = Elements::new(subtrees.take(tag::SEQUENCE)?);
        let base = subtree.next()?;
        // A minimum other than its default, 0, or a maximum must not be there.
        if !subtree.is_empty() {
            return Err(Error::NameConstraint);
        }
        work(base)?;
    }
    Ok(())
}

/// Whether a name lies in the subtree with this base. For a name of a kind that is not known, that cannot be said.
fn matches(name: Element<'_>, base: &[u8], is_exclusion: bool) -> Result<bool, Error> {
    match name.tag {
        DNS => Ok(dns_matches(name.content, base, is_exclusion)),
        MAIL => Ok(mail_matches(name.content, base)),
        URI => Ok(host_matches(uri_host(name.content).ok_or(Error::NameConstraint)?, base)),
        ADDRESS => address_matches(name.content, base),
        DIRECTORY => directory_matches(name.content, base),
        _ => Err(Error::NameConstraint),
    }
}

/// Whether `name` ends in `ending`, without regard to case.
fn ends_in(name: &[u8], ending: &[u8]) -> bool {
    name.len()
        .checked_sub(ending.len())
        .and_then(|start| name.get(start..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
}

/// Whether `name` is `base`, or has labels in front of it.
fn is_within(name: &[u8], base: &[u8]) -> bool {
    match base {
        [] => true,
        [b'.', ..] => name.len() > base.len() && ends_in(name, base),
        _ => {
            name.eq_ignore_ascii_case(base)
                || (ends_in(name, base)
                    && name.len().checked_sub(base.len()).and_then(|at| name.get(at.checked_sub(1)?))
                        == Some(&b'.'))
        }
    }
}

/// A wildcard is excluded as soon as one of the names that it stands for is.
fn dns_matches(name: &[u8], base: &[u8], is_exclusion: bool) -> bool {
    let covers = |parent: &[u8]| is_within(base.strip_prefix(b".").unwrap_or(base), parent);
    match name {
        [b'*', b'.', parent @ ..] if is_exclusion => is_within(parent, base) || covers(parent),
        name => is_within(name, base),
    }
}

/// A base with `@` is a mailbox, one that starts with a dot means all hosts of a domain, any other means one host.
fn mail_matches(address: &[u8], base: &[u8]) -> bool {
    let split = |text: &[u8]| text.iter().rposition(|byte| *byte == b'@');
    let Some(at) = split(address) else { return false };
    let (mailbox, host) = (address.get(..at), address.get(at.saturating_add(1)..).unwrap_or_default());
    match split(base) {
        Some(at) => {
            mailbox == base.get(..at)
                && host.eq_ignore_ascii_case(base.get(at.saturating_add(1)..).unwrap_or_default())
        }
        None => host_matches(host, base),
    }
}

/// A base that starts with a dot means all hosts of a domain, any other means one host, an empty one all.
fn host_matches(host: &[u8], base: &[u8]) -> bool {
    match base {
        [] => true,
        [b'.', ..] => is_within(host, base),
        _ => host.eq_ignore_ascii_case(base),
    }
}

/// The host name in a URI; `None` if there is none, or an IP address.
fn uri_host(uri: &[u8]) -> Option<&[u8]> {
    let colon = uri.iter().position(|byte| *byte == b':')?;
    let rest = uri.get(colon.checked_add(1)?..)?.strip_prefix(b"//")?;
    let authority = rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    let host = host.split(|byte| *byte == b':').next()?;
    let is_address = host.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if host.is_empty() || host.starts_with(b"[") || is_address { None } else { Some(host) }
}

/// The base is an address and a mask.
fn address_matches(address: &[u8], base: &[u8]) -> Result<bool, Error> {
    if !matches!(address.len(), 4 | 16) || !matches!(base.len(), 8 | 32) {
        return Err(Error::NameConstraint);
    }
    let Some((network, mask)) = base.split_at_checked(address.len()) else { return Ok(false) };
    if mask.len() != address.len() {
        return Ok(false);
    }
    Ok(address.iter().zip(network).zip(mask).all(|((byte, network), mask)| byte & mask == network & mask))
}

/// The relative names of the base are the first ones of the name, byte by byte.
fn directory_matches(name: &[u8], base: &[u8]) -> Result<bool, Error> {
    let name = Elements::inside(name, tag::SEQUENCE)?.rest();
    let base = Elements::inside(base, tag::SEQUENCE)?.rest();
    // Both are sequences of DER elements, so a common start that ends with the base ends between two of them.
    Ok(name.starts_with(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        for (name, base, permitted, excluded) in [
            ("example.com", "example.com", true, true),
            ("EXAMPLE.com", "example.COM", true, true),
            ("a.b.example.com", "example.com", true, true),
            ("badexample.com", "example.com", false, false),
            ("example.com", ".example.com", false, false),
            ("a.example.com", ".example.com", true, true),
            ("com", "example.com", false, false),
            ("anything", "", true, true),
            ("*.example.com", "example.com", true, true),
            ("*.com", "example.com", false, true),
            ("*.example.com", "a.example.com", false, true),
            ("*.example.com", ".a.example.com", false, true),
            ("*.org", "example.com", false, false),
        ] {
            assert_eq!(dns_matches(name.as_bytes(), base.as_bytes(), false), permitted, "{name} in {base}");
            assert_eq!(dns_matches(name.as_bytes(), base.as_bytes(), true), excluded, "{name} not in {base}");
        }
    }

    /// The examples of RFC 5280, §4.2.1.10.
    #[test]
    fn mail_addresses() {
        for (address, base, expected) in [
            ("root@host.example.com", "root@host.example.com", true),
            ("Root@host.example.com", "root@host.example.com", false),
            ("root@HOST.example.com", "root@host.example.com", true),
            ("anyone@host.example.com", "host.example.com", true),
            ("anyone@my.host.example.com", "host.example.com", false),
            ("anyone@my.host.example.com", ".example.com", true),
            ("anyone@example.com", ".example.com", false),
            ("no address", "example.com", false),
            ("a@b@example.com", "example.com", true),
        ] {
            assert_eq!(mail_matches(address.as_bytes(), base.as_bytes()), expected, "{address} in {base}");
        }
    }

    #[test]
    fn hosts_of_uris() {
        for (uri, host) in [
            ("https://example.com/path@x:1", Some("example.com")),
            ("https://user:word@example.com:8080?q", Some("example.com")),
            ("ftp://example.com", Some("example.com")),
            ("https://[::1]/", None),
            ("https://127.0.0.1/", None),
            ("mailto:a@example.com", None),
            ("urn:x:y", None),
            ("https:///path", None),
            ("", None),
        ] {
            assert_eq!(uri_host(uri.as_bytes()), host.map(str::as_bytes), "{uri}");
        }
        assert!(host_matches(b"a.example.com", b".example.com"));
        assert!(!host_matches(b"a.example.com", b"example.com"));
    }

    #[test]
    fn addresses() {
        let base = [192, 0, 2, 0, 255, 255, 255, 0];
        assert_eq!(address_matches(&[192, 0, 2, 77], &base), Ok(true));
        assert_eq!(address_matches(&[192, 0, 3, 77], &base), Ok(false));
        assert_eq!(address_matches(&[0; 16], &base), Ok(false));
        assert_eq!(address_matches(&[0; 4], &[0; 32]), Ok(false));
        assert_eq!(address_matches(&[0; 16], &[0; 32]), Ok(true));
        assert_eq!(address_matches(&[0; 5], &base), Err(Error::NameConstraint));
        assert_eq!(address_matches(&[0; 4], &[0; 7]), Err(Error::NameConstraint));
    }

    #[test]
    fn directory_names() {
        let name = |rdns: &[u8]| [&[0x30, rdns.len() as u8], rdns].concat();
        let (first, second) = ([0x31, 0x02, 0x30, 0x00], [0x31, 0x02, 0x31, 0x00]);
        let both = [first, second].concat();
        assert_eq!(directory_matches(&name(&both), &name(&first)), Ok(true));
        assert_eq!(directory_matches(&name(&both), &name(&both)), Ok(true));
        assert_eq!(directory_matches(&name(&both), &name(&second)), Ok(false));
        assert_eq!(directory_matches(&name(&first), &name(&both)), Ok(false));
        assert_eq!(directory_matches(&name(&first), &name(&[])), Ok(true));
    }

    #[test]
    fn comparisons_are_counted() {
        let mut budget = Budget(2);
        assert_eq!(budget.spend(), Ok(()));
        assert_eq!(budget.spend(), Ok(()));
        assert_eq!(budget.spend(), Err(Error::TooMany));
    }
}
