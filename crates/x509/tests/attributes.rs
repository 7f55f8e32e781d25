//! Attribute certificates signed with OpenSSL: document 07, §A.8.

mod common;

use casemate_x509::{AttributeCertificate, Certificate, Error, Policy, Verifier};
use common::{NOW, certificate, driver};

fn verify(policy: Policy, root: &str, attribute: &[u8]) -> Result<(), Error> {
    let (root, driver) = (certificate(root), driver());
    let (attribute, _) = AttributeCertificate::decode_first(attribute)?;
    Verifier::new(&driver, policy).verify_attribute(&attribute, &Certificate::decode(&root)?)
}

#[test]
fn only_the_signature_counts() {
    let lax = Policy { time: Some(NOW), ..Policy::default() };
    for (root, name) in [
        ("root", "attribute-ec"),
        ("root", "attribute-ec-sha512"),
        ("other-root", "attribute-rsa"),
        ("root", "attribute-expired"),
        ("root", "attribute-other-issuer"),
        ("leaf", "attribute-of-leaf"),
        ("anchor-expired", "attribute-of-expired"),
    ] {
        assert_eq!(verify(lax, root, &certificate(name)), Ok(()), "{name}");
    }
    assert_eq!(verify(lax, "inter", &certificate("attribute-ec")), Err(Error::Signature));
    assert_eq!(verify(lax, "other-root", &certificate("attribute-ec")), Err(Error::SignatureAlgorithm));
    let mut bad = certificate("attribute-rsa");
    let last = bad.len() - 1;
    bad[last] ^= 1;
    assert_eq!(verify(lax, "other-root", &bad), Err(Error::Signature));
    // What follows does not matter to the first one, but a whole one has no rest.
    let longer = [certificate("attribute-ec"), vec![0]].concat();
    assert_eq!(verify(lax, "root", &longer), Ok(()));
    assert_eq!(AttributeCertificate::decode(&longer), Err(Error::Malformed));
    assert_eq!(verify(lax, "root", &certificate("leaf")), Err(Error::Malformed));
    assert_eq!(verify(lax, "root", b"garbage"), Err(Error::Malformed));
}

#[test]
fn strict_checks() {
    let strict = Policy { time: Some(NOW), ..Policy::STRICT };
    for (root, name, expected) in [
        ("root", "attribute-ec", Ok(())),
        ("other-root", "attribute-rsa", Ok(())),
        ("root", "attribute-expired", Err(Error::Expired)),
        ("root", "attribute-other-issuer", Err(Error::Issuer)),
        ("anchor-expired", "attribute-of-expired", Err(Error::Expired)),
    ] {
        assert_eq!(verify(strict, root, &certificate(name)), expected, "{name}");
    }
}

#[test]
fn parts() {
    let bytes = certificate("attribute-ec");
    let attribute = AttributeCertificate::decode(&bytes).unwrap();
    assert_eq!(attribute.encoding, bytes);
    assert_eq!(attribute.serial_number, [42]);
    assert_eq!(attribute.validity.not_before, NOW - 365 * 86_400 - 43_200);
    assert!(attribute.attributes.windows(9).any(|part| part == b"operators"));
    let (root, other) = (certificate("root"), certificate("other-root"));
    assert!(attribute.is_issued_by(&Certificate::decode(&root).unwrap()));
    assert!(!attribute.is_issued_by(&Certificate::decode(&other).unwrap()));
}
