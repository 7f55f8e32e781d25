//! Certificates with changed bytes: nothing panics, and nothing verifies that was not signed.

mod common;

use casemate_x509::{AttributeCertificate, Certificate, NoHooks};
use common::{certificate, chain, usual, verify_with};
use proptest::prelude::*;

const NAMES: &[&str] = &["inter", "inter-dns leaf-dns-good", "inter leaf-more-extensions", "inter-limit0"];

proptest! {
    #[test]
    fn a_changed_chain_does_not_verify(
        which in 0..NAMES.len(),
        place: prop::sample::Index,
        change in 1..=255_u8,
    ) {
        let mut bytes = chain(NAMES[which]);
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let result = verify_with(usual(), "root", &bytes, &mut NoHooks);
        prop_assert!(result.is_err(), "byte {place} of {}", NAMES[which]);
    }

    #[test]
    fn a_cut_or_filled_chain_is_an_error(place: prop::sample::Index, filling: Vec<u8>) {
        let bytes = chain("inter-dns leaf-dns-good");
        let place = place.index(bytes.len());
        let bytes = [&bytes[..place], &filling, &bytes[place..]].concat();
        if !filling.is_empty() {
            prop_assert!(verify_with(usual(), "root", &bytes, &mut NoHooks).is_err());
        }
        let _ = Certificate::decode_first(&filling);
        let _ = AttributeCertificate::decode_first(&filling);
    }

    #[test]
    fn a_changed_attribute_certificate_never_panics(place: prop::sample::Index, change in 1..=255_u8) {
        let mut bytes = certificate("attribute-ec");
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let _ = AttributeCertificate::decode_first(&bytes);
    }
}
