//! What a hostile peer can do to an end of the memory transport: any bytes in the two blocks at any moment.

#[path = "common/hostile.rs"]
mod common;

use common::{Step, memory};
use proptest::prelude::*;

fn step() -> impl Strategy<Value = Step> {
    // Small numbers, so that announcements are often plausible.
    let word = (0..4_u16, prop_oneof![0..70_u16, any::<u16>()]).prop_map(|(notify, length)| {
        u32::from_ne_bytes([notify.to_ne_bytes(), length.to_ne_bytes()].concat().try_into().unwrap())
    });
    prop_oneof![
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(offset, bytes)| Step::Write { offset, bytes }),
        (any::<bool>(), word).prop_map(|(response, word)| Step::Announce { response, word }),
        (0..80_u8).prop_map(|space| Step::ServerReceives { space }),
        (0..80_u8).prop_map(|length| Step::ServerSends { length }),
        (0..80_u8).prop_map(|length| Step::ClientSends { length }),
        (0..80_u8).prop_map(|space| Step::ClientReceives { space }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_the_peer_writes(steps in prop::collection::vec(step(), 0..40)) {
        memory(&steps);
    }
}
