//! Public-key messages and the key cache (document 05, §2).

mod common;

use casemate_protocol::Status;
use casemate_testkit::server::VirtualServer;
use common::{Client, bytes};

const PUBLIC_KEY: u8 = 3;

/// Key generation with number 0: the server chooses, from 255 downwards, whatever the algorithm.
#[test]
fn generated_keys_get_free_numbers() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    let label = "6B6579 00*21";
    let generate = [
        (9, format!("20000000 07000000 00000000 E0070000 00*4 {label}")),
        (15, format!("E0070000 00000000 00*4 {label}")),
        (16, format!("20000000 E0070000 00000000 {label}")),
    ];
    for (number, (algorithm, body)) in (0xFD_u8..=0xFF).rev().zip(generate) {
        let answer = client.compute_raw(PUBLIC_KEY, algorithm, 0, &bytes(&body)).unwrap();
        assert_eq!(answer[..4], [number, 0, 0, 0], "algorithm {algorithm}");
        assert_eq!(client.evict(number.into()), Ok(()));
        assert_eq!(client.cache(number.into(), 0, &[1]), Ok(number.into()));
    }
    assert_eq!(client.evict(0xFC), Err(Status::NOT_FOUND));
}
