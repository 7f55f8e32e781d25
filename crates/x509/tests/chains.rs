//! Chains made with OpenSSL: what document 07, §A.5, says of each situation, and more.

mod common;

use casemate_x509::{Certificate, ChainError, Error, Hooks, MAX_AUTHORITIES, NoHooks, Policy, Verifier};
use common::{NOW, certificate, chain, driver, fails, no_anchor, usual, verify, verify_with};

#[test]
fn order_and_completeness() {
    for (count, names) in [
        (2, "inter leaf"),
        (3, "root inter leaf"),
        (1, "inter"),
        (1, "root"),
        (3, "inter leaf leaf-second"),
        (4, "inter leaf inter leaf"),
    ] {
        assert_eq!(verify("root", names), Ok(count), "{names}");
    }
    assert_eq!(verify("root", "leaf"), fails(0, Error::UnknownIssuer));
    assert_eq!(verify("root", "leaf inter"), fails(0, Error::UnknownIssuer));
    assert_eq!(verify("root", "inter other-leaf"), fails(1, Error::UnknownIssuer));
    assert_eq!(verify("root", "other-inter other-leaf"), fails(0, Error::UnknownIssuer));
    assert_eq!(verify("root", ""), fails(0, Error::Malformed));
    assert_eq!(verify("", "root inter leaf"), fails(0, Error::UnknownIssuer));
}

#[test]
fn several_anchors() {
    assert_eq!(verify("root other-root", "inter leaf other-inter other-leaf"), Ok(4));
    assert_eq!(verify("other-root root", "inter leaf other-inter other-leaf"), Ok(4));
    assert_eq!(verify("other-root", "inter leaf"), fails(0, Error::UnknownIssuer));
    // Those behind the eighth are not used.
    let eight = "other-root ".repeat(8);
    assert_eq!(verify(&format!("{eight} root"), "inter leaf"), fails(0, Error::UnknownIssuer));
    // One with the right name and another key is tried and passed over.
    assert_eq!(verify("inter-new-key inter", "leaf"), Ok(1));
    assert_eq!(verify("inter-new-key", "leaf"), fails(0, Error::Signature));
}

#[test]
fn bytes_that_are_no_certificate() {
    let good = chain("inter leaf");
    assert_eq!(
        verify_with(usual(), "root", &[&good[..], &[0]].concat(), &mut NoHooks),
        fails(2, Error::Malformed)
    );
    assert_eq!(
        verify_with(usual(), "root", &[&[0], &good[..]].concat(), &mut NoHooks),
        fails(0, Error::Malformed)
    );
    let cut = &good[..good.len() - 1];
    assert_eq!(verify_with(usual(), "root", cut, &mut NoHooks), fails(1, Error::Malformed));
}

#[test]
fn partial_chains_and_odd_anchors() {
    assert_eq!(verify("inter", "leaf"), Ok(1));
    assert_eq!(verify("inter", "inter leaf"), fails(0, Error::UnknownIssuer));
    assert_eq!(verify("self-leaf", "self-leaf"), Ok(1));
    assert_eq!(verify("leaf", "leaf"), fails(0, Error::UnknownIssuer));
    assert_eq!(verify("anchor-without-constraints", "leaf-of-anchor-without-constraints"), Ok(1));
    assert_eq!(verify("anchor-no-authority", "leaf-of-anchor-no-authority"), Ok(1));
    let strict = Policy { require_authority_anchors: true, ..usual() };
    for name in ["self-leaf", "anchor-without-constraints", "anchor-no-authority"] {
        let result = verify_with(strict, &format!("root {name}"), &chain("inter leaf"), &mut NoHooks);
        assert_eq!(result, no_anchor(1, Error::NotAuthority), "{name}");
    }
    assert_eq!(verify_with(strict, "root", &chain("inter leaf"), &mut NoHooks), Ok(2));
}

#[test]
fn intermediates_that_are_no_authorities() {
    for name in ["no-authority", "without-constraints"] {
        let names = format!("inter-{name} leaf-of-inter-{name}");
        assert_eq!(verify("root", &names), fails(1, Error::UnknownIssuer), "{name}");
        assert_eq!(verify("root", &format!("inter-{name}")), Ok(1), "{name}");
    }
    let strict = Policy { require_key_cert_sign: true, ..usual() };
    let names = "inter-no-cert-sign leaf-of-inter-no-cert-sign";
    assert_eq!(verify("root", names), Ok(2));
    assert_eq!(verify_with(strict, "root", &chain(names), &mut NoHooks), fails(1, Error::KeyUsage));
    let names = chain("inter-no-usage leaf-of-inter-no-usage");
    assert_eq!(verify_with(strict, "root", &names, &mut NoHooks), Ok(2));
    let names = chain("leaf-of-anchor-without-constraints");
    let result = verify_with(strict, "anchor-without-constraints", &names, &mut NoHooks);
    assert_eq!(result, fails(0, Error::KeyUsage));
}

#[test]
fn path_lengths() {
    assert_eq!(verify("root-limit0", "leaf-of-root-limit0"), Ok(1));
    assert_eq!(verify("root-limit0", "root-limit0 leaf-of-root-limit0"), Ok(2));
    let names = "inter-of-root-limit0 leaf-of-inter-of-root-limit0";
    assert_eq!(verify("root-limit0", names), fails(0, Error::PathLength));
    assert_eq!(verify("root-limit0", &format!("root-limit0 {names}")), fails(1, Error::PathLength));
    assert_eq!(verify("root", "inter-limit0 leaf-of-inter-limit0"), Ok(2));
    assert_eq!(
        verify("root", "inter-limit0 inter-below-limit0 leaf-below-limit0"),
        fails(1, Error::PathLength)
    );
    // A renewed certificate of the same authority does not count, but hands the limit down.
    assert_eq!(verify("root", "inter-limit0 inter-limit0-renewed leaf-of-renewed"), Ok(3));
    assert_eq!(
        verify("root", "inter-limit0 inter-limit0-renewed inter-below-limit0"),
        fails(2, Error::PathLength)
    );
    assert_eq!(verify("root", "inter-limit1 inter-below-limit1 leaf-below-limit1"), Ok(3));
    // The larger number below does not widen the smaller one above.
    let names = "inter-limit1 inter-below-limit1 inter-second-below-limit1";
    assert_eq!(verify("root", names), fails(2, Error::PathLength));
    // As an anchor, what stood above it does not count.
    assert_eq!(verify("inter-below-limit1", "inter-second-below-limit1"), Ok(1));
}

#[test]
fn name_constraints() {
    for (names, good) in [
        ("inter-dns leaf-dns-good", true),
        ("inter-dns leaf-dns-bad", false),
        ("inter-dns inter-below-dns leaf-below-dns-good", true),
        ("inter-dns inter-below-dns leaf-below-dns-bad", false),
        ("inter-not-dns leaf-not-dns-good", true),
        ("inter-not-dns leaf-not-dns-bad", false),
        ("inter-mail leaf-mail-good", true),
        ("inter-mail leaf-mail-bad", false),
        ("inter-mail leaf-mail-subject-bad", false),
        ("inter-address leaf-address-good", true),
        ("inter-address leaf-address-bad", false),
        ("inter-uri leaf-uri-good", true),
        ("inter-uri leaf-uri-bad", false),
        ("inter-directory leaf-directory-good", true),
        ("inter-directory leaf-directory-bad", false),
        ("inter-other-name leaf-other-name", false),
    ] {
        let count = names.split(' ').count();
        let expected = if good { Ok(count) } else { fails(count - 1, Error::NameConstraint) };
        assert_eq!(verify("root", names), expected, "{names}");
    }
    // Of the anchor itself, directly and further down.
    assert_eq!(verify("root-dns", "leaf-of-root-dns-good"), Ok(1));
    assert_eq!(verify("root-dns", "leaf-of-root-dns-bad"), fails(0, Error::NameConstraint));
    assert_eq!(verify("root root-dns", "inter-of-root-dns leaf-of-inter-of-root-dns-good"), Ok(2));
    let names = "inter-of-root-dns leaf-of-inter-of-root-dns-bad";
    assert_eq!(verify("root root-dns", names), fails(1, Error::NameConstraint));
    assert_eq!(verify("root root-dns", &format!("root-dns {names}")), fails(2, Error::NameConstraint));
}

#[test]
fn extensions() {
    assert_eq!(verify("root", "inter leaf-critical"), fails(1, Error::CriticalExtension));
    assert_eq!(verify("root", "inter leaf-not-critical"), Ok(2));
    assert_eq!(verify("root", "inter leaf-extended-usage"), Ok(2));
    assert_eq!(verify("root", "inter leaf-policies"), Ok(2));
    assert_eq!(verify("root", "inter leaf-policy-constraints"), fails(1, Error::CriticalExtension));
    assert_eq!(verify("root", "inter leaf-distribution"), fails(1, Error::CriticalExtension));
    // Extensions of the same identifier: 1.2.3.5 becomes 1.2.3.4, extendedKeyUsage becomes certificatePolicies.
    let good = certificate("leaf-more-extensions");
    for (from, to) in [([6, 3, 0x2A, 3, 5], [6, 3, 0x2A, 3, 4]), ([6, 3, 0x55, 29, 37], [6, 3, 0x55, 29, 32])]
    {
        let place = good.windows(5).position(|window| window == from).unwrap();
        let mut bad = good.clone();
        bad[place..place + 5].copy_from_slice(&to);
        assert_eq!(Certificate::decode(&bad), Err(Error::Malformed));
    }
    assert_eq!(verify("root", "inter leaf-more-extensions"), Ok(2));
    assert_eq!(verify("anchor-critical", "inter"), no_anchor(0, Error::CriticalExtension));
}

#[test]
fn names_and_key_identifiers() {
    // The key identifier fits, the name does not.
    let (inter, leaf) = (certificate("inter"), certificate("leaf-of-inter-renamed"));
    let (inter, leaf) = (Certificate::decode(&inter).unwrap(), Certificate::decode(&leaf).unwrap());
    assert_eq!(inter.extensions.subject_key_identifier, leaf.extensions.authority_key_identifier);
    assert_eq!(verify("root", "inter leaf-of-inter-renamed"), fails(1, Error::UnknownIssuer));
    assert_eq!(verify("root", "inter-renamed leaf-of-inter-renamed"), Ok(2));
    // The name fits, the key does not.
    assert_eq!(verify("root", "inter leaf-of-inter-new-key"), fails(1, Error::Signature));
    for names in
        ["inter inter-new-key leaf-of-inter-new-key leaf", "inter-new-key inter leaf leaf-of-inter-new-key"]
    {
        assert_eq!(verify("root", names), Ok(4));
    }
    // Name and key fit, the key identifier does not.
    assert_eq!(verify("root", "inter leaf-odd-identifier"), Ok(2));
}

#[test]
fn signatures_that_are_wrong() {
    for name in ["leaf", "inter"] {
        let mut leaf = certificate(name);
        *leaf.last_mut().unwrap() ^= 1;
        let result = if name == "leaf" {
            verify_with(usual(), "root", &[certificate("inter"), leaf].concat(), &mut NoHooks)
        } else {
            verify_with(usual(), "root", &leaf, &mut NoHooks)
        };
        assert!(matches!(result, Err(ChainError::Certificate { error: Error::Signature, .. })), "{name}");
    }
}

#[test]
fn validity() {
    assert_eq!(verify("root", "inter leaf-expired"), fails(1, Error::Expired));
    assert_eq!(verify("root", "inter leaf-future"), fails(1, Error::NotYetValid));
    assert_eq!(verify("root", "inter leaf-first-second leaf-last-second leaf-without-end"), Ok(4));
    assert_eq!(verify("root", "inter-expired leaf-of-inter-expired"), fails(0, Error::Expired));
    assert_eq!(verify("anchor-expired", "leaf-of-anchor-expired"), no_anchor(0, Error::Expired));
    assert_eq!(verify("anchor-future", "leaf-of-anchor-future"), no_anchor(0, Error::NotYetValid));
    let at = |time, anchor: &str, names: &str| {
        verify_with(Policy { time, ..Policy::default() }, anchor, &chain(names), &mut NoHooks)
    };
    assert_eq!(at(Some(NOW + 1), "root", "inter leaf-last-second"), fails(1, Error::Expired));
    assert_eq!(at(Some(NOW - 1), "root", "inter leaf-first-second"), fails(1, Error::NotYetValid));
    // Without a clock, no date matters.
    for names in ["inter leaf-expired", "inter leaf-future", "inter-expired leaf-of-inter-expired"] {
        assert_eq!(at(None, "root", names), Ok(2), "{names}");
    }
    assert_eq!(at(None, "anchor-expired", "leaf-of-anchor-expired"), Ok(1));
}

#[test]
fn keys() {
    for name in ["rsa1024", "p384", "ed25519"] {
        assert_eq!(verify("root", &format!("inter leaf-key-{name}")), Ok(2), "{name}");
    }
    for name in ["rsa768", "sect283k1"] {
        assert_eq!(verify("root", &format!("inter leaf-key-{name}")), fails(1, Error::PublicKey), "{name}");
        assert_eq!(verify(&format!("root anchor-{name}"), "inter"), no_anchor(1, Error::PublicKey), "{name}");
    }
    assert_eq!(verify("anchor-rsa1024", "leaf-of-anchor-rsa1024"), Ok(1));
    let strict = Policy { minimum_rsa_bits: 2048, ..usual() };
    assert_eq!(
        verify_with(strict, "root", &chain("inter leaf-key-rsa1024"), &mut NoHooks),
        fails(1, Error::PublicKey)
    );
    let result = verify_with(strict, "anchor-rsa1024", &chain("leaf-of-anchor-rsa1024"), &mut NoHooks);
    assert_eq!(result, no_anchor(0, Error::PublicKey));
    assert_eq!(verify_with(strict, "other-root", &chain("other-inter other-leaf"), &mut NoHooks), Ok(2));
}

#[test]
fn signature_algorithms() {
    for name in [
        "rsa2048-sha256",
        "rsa3072-sha384",
        "rsa4096-sha512",
        "rsa2048-pss-sha256",
        "rsa2049-pss-sha512",
        "rsa2050-pss-sha384",
        "rsa2048-pss-max",
        "p224-sha256",
        "p256-sha256",
        "p256-sha512",
        "p384-sha384",
        "p521-sha512",
        "p521-sha256",
        "ed25519",
    ] {
        let (root, leaf) = (format!("root-{name}"), format!("leaf-{name}"));
        assert_eq!(verify(&root, &format!("{root} {leaf}")), Ok(2), "{name}");
        // One bit of what is signed, one of the signature: the first bytes of the serial number and of its numbers.
        let good = certificate(&leaf);
        let parts = Certificate::decode(&good).unwrap();
        let offset = |part: &[u8]| part.as_ptr() as usize - good.as_ptr() as usize;
        let places = [offset(parts.serial_number) + 1, offset(parts.signature) + parts.signature.len() / 2];
        for place in places {
            let mut bad = good.clone();
            bad[place] ^= 1;
            let result = verify_with(usual(), &root, &bad, &mut NoHooks);
            assert_eq!(result, fails(0, Error::Signature), "{name}, byte {place}");
        }
    }
    for name in ["rsa2048-sha1", "rsa2048-pss-sha1"] {
        let result = verify(&format!("root-{name}"), &format!("leaf-{name}"));
        assert_eq!(result, fails(0, Error::SignatureAlgorithm), "{name}");
    }
}

#[test]
fn more_authorities_than_are_followed() {
    let names = |count: usize| (0..count).map(|depth| format!("deep-{depth:02} ")).collect::<String>();
    assert_eq!(verify("root", &(names(MAX_AUTHORITIES) + "leaf-deep")), Ok(MAX_AUTHORITIES + 1));
    assert_eq!(verify("root", &names(MAX_AUTHORITIES + 1)), fails(MAX_AUTHORITIES, Error::TooMany));
}

#[test]
fn the_last_leaf_is_the_one_that_counts() {
    let (root, chain) = (certificate("root"), chain("inter leaf leaf-second inter"));
    let (driver, anchors) = (driver(), [root.as_slice()]);
    let verified =
        Verifier::new(&driver, usual()).verify_chain(&chain, &mut &anchors[..], &mut NoHooks).unwrap();
    assert_eq!(verified.count, 4);
    assert_eq!(verified.leaf.unwrap().encoding, certificate("leaf-second"));
    let verified =
        Verifier::new(&driver, usual()).verify_chain(&root, &mut &anchors[..], &mut NoHooks).unwrap();
    assert_eq!(verified.leaf, None);
}

/// Remembers signatures, and refuses certificates by their serial number.
#[derive(Default)]
struct Recorder {
    known: Vec<[u8; 32]>,
    hits: usize,
    refused: Option<Vec<u8>>,
}

impl Hooks for Recorder {
    fn remembers(&self) -> bool {
        true
    }
    fn knows(&mut self, fingerprint: &[u8; 32]) -> bool {
        let known = self.known.contains(fingerprint);
        self.hits += usize::from(known);
        known
    }
    fn remember(&mut self, fingerprint: &[u8; 32]) {
        assert!(!self.known.contains(fingerprint));
        self.known.push(*fingerprint);
    }
    fn accepts(&mut self, certificate: &Certificate<'_>) -> bool {
        self.refused.as_deref() != Some(certificate.serial_number)
    }
}

/// What is remembered replaces the signature and nothing else.
#[test]
fn remembered_signatures() {
    let mut hooks = Recorder::default();
    let mut run = |policy, anchors: &str, names: &str| {
        hooks.hits = 0;
        let result = verify_with(policy, anchors, &chain(names), &mut hooks);
        (result, hooks.hits, hooks.known.len())
    };
    assert_eq!(run(usual(), "root", "inter leaf"), (Ok(2), 0, 2));
    assert_eq!(run(usual(), "root", "inter leaf"), (Ok(2), 2, 2));
    // A chain without its intermediate does not verify for that (the original's does, document 07, §A.7).
    assert_eq!(run(usual(), "root", "leaf"), (fails(0, Error::UnknownIssuer), 0, 2));
    // Neither do other anchors, another time or another certificate.
    assert_eq!(run(usual(), "other-root", "inter leaf"), (fails(0, Error::UnknownIssuer), 0, 2));
    let late = Policy { time: Some(u64::MAX), ..usual() };
    assert_eq!(run(late, "root", "inter leaf").0, no_anchor(0, Error::Expired));
    assert_eq!(run(usual(), "inter-new-key", "leaf"), (fails(0, Error::Signature), 0, 2));
    assert_eq!(run(usual(), "root", "inter leaf-second"), (Ok(2), 1, 3));
    assert_eq!(run(usual(), "root", "inter-limit0 inter-below-limit0").0, fails(1, Error::PathLength));

    let refused = certificate("inter");
    hooks.refused = Some(Certificate::decode(&refused).unwrap().serial_number.to_vec());
    let result = verify_with(usual(), "root", &chain("inter leaf"), &mut hooks);
    assert_eq!(result, fails(0, Error::Refused));
}
