//! Any bytes as a key, and any fields in a message: a documented status, and no panic.

use super::keys::{FAMILIES, OPERATIONS, export_number};
use super::{ANY, prepared, send_bytes, set_word};
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

    /// A request and its big-endian twin, to two equal servers: the answers are twins too.
    #[test]
    fn both_byte_orders_have_the_same_effect(
        which in 0..OPERATIONS.len() + FAMILIES.len() - 1,
        changes in prop::collection::vec((any::<Index>(), prop_oneof![0_u32..20, any::<u32>()]), 0..3),
    ) {
        // Not the first family: large RSA keys take long.
        let (algorithm, mut body, fixed, operation) = match OPERATIONS.get(which) {
            Some(operation) => (operation.algorithm, operation.body(5, 0), operation.fixed, operation),
            None => {
                let family = &FAMILIES[which - OPERATIONS.len() + 1];
                let body = family.generation_body(ANY, 0);
                (family.generation, body.clone(), body.len(), &OPERATIONS[0])
            }
        };
        // A label ends the fixed part of some messages.
        let integers = if matches!(algorithm, 3 | 7 | 8 | 9 | 15 | 16 | 18 | 21) { fixed - 24 } else { fixed };
        for (field, value) in changes {
            set_word(&mut body, 4 * field.index(integers / 4), value);
        }
        let servers = [VirtualServer::default(), VirtualServer::default()];
        let mut little = prepared(&servers[0], operation, ANY);
        let mut big = prepared(&servers[1], operation, ANY).big_endian();
        let expected = send_bytes(&mut little, algorithm, &body);
        let got = send_bytes(&mut big, algorithm, &swapped(&body, integers));
        let integers = if matches!(algorithm, 1 | 4 | 6 | 14 | 17 | 34 | 35) { 4 } else { 8 };
        prop_assert_eq!(got.map(|answer| swapped(&answer, integers)), expected);
        prop_assert_eq!(little.evict(5), big.evict(5));
    }
}

/// The first `integers` bytes as integers of the other byte order.
fn swapped(bytes: &[u8], integers: usize) -> Vec<u8> {
    let mut swapped = bytes.to_vec();
    swapped[..integers].chunks_exact_mut(4).for_each(<[u8]>::reverse);
    swapped
}
