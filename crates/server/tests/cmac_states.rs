//! CMACs in several steps with a key that the server holds: only states that the server gave out are accepted.

mod common;

use casemate_protocol::message::crypto::{CmacRequest, CmacState};
use casemate_protocol::{KeyId, Status};
use casemate_server::{Config, Isolation};
use casemate_testkit::server::{VirtualOptions, VirtualServer};
use common::Client;

const SIGN: u32 = 0x0080;
const KEY: [u8; 16] = [7; 16];
const MESSAGE: &[u8] = b"a message of more than two blocks, in several steps";

fn step(
    client: &mut Client<'_>,
    id: u16,
    state: CmacState,
    data: &[u8],
    mac_length: u32,
) -> Result<(CmacState, Vec<u8>), Status> {
    let length = u32::try_from(data.len()).unwrap();
    let request = CmacRequest { mac_length, length, key_length: 0, key: KeyId(id), state };
    client.compute(7, 0, &request, data).map(|(response, mac)| (response.state, mac))
}

fn one_shot(client: &mut Client<'_>, id: u16, data: &[u8]) -> Vec<u8> {
    step(client, id, CmacState::INITIAL, data, 16).unwrap().1
}

/// The state with which a client would have the server encrypt the block of its choice.
const INVENTED: CmacState = CmacState { buffer: [0xAA; 16], digest: [0; 16], buffered: 16, total: 0 };

#[test]
fn states_that_were_given_out_go_on_wherever_the_message_was_cut() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, SIGN, &KEY).unwrap();
    let expected = one_shot(&mut client, 5, MESSAGE);
    for cut in 0..=MESSAGE.len() {
        let (state, _) = step(&mut client, 5, CmacState::INITIAL, &MESSAGE[..cut], 0).unwrap();
        let (state, _) = step(&mut client, 5, state, &MESSAGE[cut..], 0).unwrap();
        // What lies behind the pending bytes has no meaning, and a request may be repeated.
        let mut residue = state;
        residue.buffer[usize::try_from(state.buffered).unwrap()..].fill(0xEE);
        assert_eq!(step(&mut client, 5, residue, &[], 16).unwrap().1, expected);
        assert_eq!(step(&mut client, 5, state, &[], 16).unwrap().1, expected);
    }
}

#[test]
fn invented_and_altered_states_are_refused() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, SIGN, &KEY).unwrap();
    assert_eq!(step(&mut client, 5, INVENTED, &[0], 0), Err(Status::BAD_ARGUMENTS));
    assert_eq!(step(&mut client, 5, INVENTED, &[], 16), Err(Status::BAD_ARGUMENTS));
    let (state, _) = step(&mut client, 5, CmacState::INITIAL, MESSAGE, 0).unwrap();
    for byte in 0..16 {
        let mut altered = state;
        altered.digest[byte] ^= 1;
        assert_eq!(step(&mut client, 5, altered, &[], 16), Err(Status::BAD_ARGUMENTS));
    }
    assert!(step(&mut client, 5, state, &[], 16).is_ok());
}

#[test]
fn a_state_belongs_to_its_key_and_its_session() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, SIGN, &KEY).unwrap();
    client.cache(6, SIGN, &[8; 16]).unwrap();
    let (state, _) = step(&mut client, 5, CmacState::INITIAL, MESSAGE, 0).unwrap();
    assert_eq!(step(&mut client, 6, state, &[], 16), Err(Status::BAD_ARGUMENTS));
    // The same number with another key behind it.
    client.cache(5, SIGN, &[8; 16]).unwrap();
    assert_eq!(step(&mut client, 5, state, &[], 16), Err(Status::BAD_ARGUMENTS));

    client.cache(5, SIGN, &KEY).unwrap();
    client.commit(5).unwrap();
    let mut other = Client::new(&server, 3);
    assert_eq!(step(&mut other, 5, state, &[], 16), Err(Status::BAD_ARGUMENTS));
    assert!(step(&mut client, 5, state, &[], 16).is_ok());
}

#[test]
fn sixteen_messages_may_be_under_way_at_once() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    client.cache(5, SIGN, &KEY).unwrap();
    let states: Vec<_> = (0..17_u8)
        .map(|message| step(&mut client, 5, CmacState::INITIAL, &[message; 40], 0).unwrap().0)
        .collect();
    assert_eq!(step(&mut client, 5, states[0], &[], 16), Err(Status::BAD_ARGUMENTS));
    for (message, state) in (0..17_u8).zip(&states).skip(1) {
        let mac = step(&mut client, 5, *state, &[], 16).unwrap().1;
        assert_eq!(mac, one_shot(&mut client, 5, &[message; 40]));
    }
}

#[test]
fn the_switch_restores_the_laxity_of_the_original() {
    let config = Config { isolation: Isolation::Original, ..Config::default() };
    let server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
    let mut client = Client::new(&server, 3);
    client.cache(5, SIGN, &KEY).unwrap();
    assert!(step(&mut client, 5, INVENTED, &[], 16).is_ok());
}

/// Document 04, §7.
#[test]
fn a_bad_inline_key_comes_before_a_bad_mac_length() {
    let server = VirtualServer::default();
    let mut client = Client::new(&server, 3);
    for (key_length, mac_length, expected) in [
        (8, 17, Err(Status::CRYPTO_ARGUMENT)),
        (8, 0, Err(Status::CRYPTO_ARGUMENT)),
        (16, 17, Err(Status::BUFFER)),
        (16, 3, Err(Status::BUFFER)),
        (16, 4, Ok(4)),
    ] {
        let state = CmacState::INITIAL;
        let request = CmacRequest { mac_length, length: 0, key_length, key: KeyId::NONE, state };
        let answer = client.compute(7, 0, &request, &KEY[..key_length as usize]);
        assert_eq!(answer.map(|(_, mac)| mac.len()), expected, "{key_length}, {mac_length}");
    }
}
