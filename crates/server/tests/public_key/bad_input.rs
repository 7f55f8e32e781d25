//! Any bytes as a key, and any fields in a message: a documented status, and no panic.

use super::keys::{FAMILIES, OPERATIONS, export_number};
use super::{ANY, prepared, send_bytes};
use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;
use proptest::prelude::*;
use proptest::sample::Index;

/// What document 05, §14, lists for messages whose form is right.
const DOCUMENTED: &[Status] = &[
    Status::BAD_ARGUMENTS,
    Status::USAGE,
    Status::ACCESS,
    Status::NOT_FOUND,
    Status::NO_SPACE,
    Status::NUMBER_ZERO,
    Status::RSA_BUFFER,
    Status::BUFFER,
    Status::PUBLIC_KEY,
    Status::ASN_PARSE,
    Status::ASN_OBJECT_ID,
    Status::ECC_ARGUMENT,
    Status::ASN_ECC_KEY,
    Status::ECC_CURVE,
    Status::CRYPTO_ARGUMENT,
    Status::BAD_STATE,
    Status::POINT,
    Status::ECC_PRIVATE_KEY,
    Status::ECC_OUT_OF_RANGE,
    Status::SIGNATURE_VERIFICATION,
    Status::BAD_LENGTH,
];

fn check<T>(answer: Result<T, Status>) -> Result<(), TestCaseError> {
    if let Err(status) = answer {
        prop_assert!(DOCUMENTED.contains(&status), "{:?}", status);
    }
    Ok(())
}

/// Changes to bytes, most of them near the front, where the structure of a key is.
fn changes() -> impl Strategy<Value = Vec<(Index, u8)>> {
    prop::collection::vec((any::<Index>(), any::<u8>()), 0..4)
}

fn change(bytes: &mut [u8], changes: &[(Index, u8)], within: usize) {
    let within = bytes.len().min(within);
    if within > 0 {
        for (at, value) in changes {
            bytes[at.index(within)] = *value;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_key(
        which in 0..OPERATIONS.len(),
        key in prop_oneof![
            prop::collection::vec(any::<u8>(), 1..300),
            prop::sample::select(vec![800, 1184, 1568, 1632, 2400, 3168, 8000])
                .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length)),
        ],
    ) {
        let operation = &OPERATIONS[which];
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        client.cache(5, ANY, &key).unwrap();
        check(operation.send(&mut client, 5, 0))?;
        check(client.export_public(5, export_number(operation.family)))?;
    }

    #[test]
    fn damaged_keys(
        which in 0..OPERATIONS.len(),
        changes in changes(),
        near in prop::bool::ANY,
        cut in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let operation = &OPERATIONS[which];
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        let mut key = operation.key();
        change(&mut key, &changes, if near { 40 } else { usize::MAX });
        if let Some(cut) = cut {
            key.truncate(cut.index(key.len()).max(1));
        }
        client.cache(5, ANY, &key).unwrap();
        check(operation.send(&mut client, 5, 0))?;
        check(client.export_public(5, export_number(operation.family)))?;
    }

    #[test]
    fn damaged_messages(
        which in 0..OPERATIONS.len(),
        changes in changes(),
        near in prop::bool::ANY,
        cut in prop::option::weighted(0.3, any::<Index>()),
    ) {
        let operation = &OPERATIONS[which];
        let server = VirtualServer::default();
        let mut client = prepared(&server, operation, ANY);
        let mut body = operation.body(5, 0);
        change(&mut body, &changes, if near { operation.fixed } else { usize::MAX });
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        check(send_bytes(&mut client, operation.algorithm, &body))?;
    }

    #[test]
    fn damaged_generation(which in 1..FAMILIES.len(), changes in changes()) {
        let family = &FAMILIES[which];
        let server = VirtualServer::default();
        let mut client = super::Client::new(&server, 3);
        let mut body = family.generation_body(ANY, 0);
        change(&mut body, &changes, 20);
        check(send_bytes(&mut client, family.generation, &body))?;
    }
}
