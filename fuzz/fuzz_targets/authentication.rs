//! Any packets to a server with users, from a session of the administrator and from one of nobody: no panic, no byte of
//! a response that was there before, nothing but login for nobody, users that can be loaded again, and one of them an
//! administrator.
//!
//! The input is a sequence of messages for users, each after a byte for its session (lowest bit), one for its action and
//! one for its length; a length beyond the input's end takes what is left.

#![no_main]

use casemate_protocol::message::authentication::{Permissions, UserName};
use casemate_server::{Config, Lockout, UserPolicy};
use casemate_testkit::server::{VirtualOptions, VirtualServer, VirtualSession};
use libfuzzer_sys::fuzz_target;

const PIN: &[u8] = b"1234";

fn server() -> VirtualServer {
    let lockout =
        Lockout { free: u8::MAX, first_delay: 0, longest_delay: 0, limit: u8::MAX, count_first: true };
    let users = UserPolicy { pin_iterations: 1, lockout, ..UserPolicy::default() };
    let server = VirtualServer::new(VirtualOptions {
        config: Config { users: Some(users), data_length: 1280, ..Config::default() },
        objects: 12,
        partition_size: 16 * 1024,
        device_key: Some([7; 32]),
        ..VirtualOptions::default()
    });
    server.server().load_users().expect("an empty store has no users");
    let name = UserName::new(b"admin").expect("a name");
    server.server().provision_user(name, &Permissions::all(), PIN).expect("an empty store takes a user");
    server
}

fn packet(group: u8, action: u8, payload: &[u8]) -> Vec<u8> {
    [&[1, 0xA5, action, group, 1, 0, 0, 0], payload].concat()
}

fn login(pin: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 36];
    payload[0] = 1;
    payload[2..7].copy_from_slice(b"admin");
    payload[34] = u8::try_from(pin.len()).expect("a short PIN");
    payload.extend(pin);
    packet(13, 0, &payload)
}

fuzz_target!(|input: &[u8]| {
    // Two equal servers whose response buffers hold different bytes must answer alike.
    let servers = [server(), server()];
    let size = servers[0].server().packet_size();
    let mut sessions = servers.each_ref().map(|server| [server.session(), server.session()]);
    let mut buffers = [vec![0; size], vec![0xA7; size]];
    let mut both = |sessions: &mut [[VirtualSession; 2]; 2], session: usize, packet: &[u8]| {
        let answers = [0, 1].map(|which| {
            let buffer = &mut buffers[which];
            let reply =
                servers[which].handle(&mut sessions[which][session], packet, buffer).expect("a packet");
            buffer[8..reply.length].to_vec()
        });
        assert_eq!(answers[0], answers[1], "a response depends on what was in the buffer");
        let [answer, _] = answers;
        answer
    };
    for session in 0..2 {
        assert_eq!(both(&mut sessions, session, &packet(1, 1, &[3, 0, 0, 0])).len(), 8);
    }
    assert_eq!(both(&mut sessions, 0, &login(PIN))[..4], [0; 4]);

    let mut rest = input;
    let mut knows_a_pin = false;
    while let [which, action, length, after @ ..] = rest {
        let length = usize::from(*length) * 3;
        let (payload, after) = after.split_at(length.min(after.len()));
        let session = usize::from(which & 1);
        // Actions 0 to 6, unknown ones, and now and then another group.
        let (group, action) = if *which & 0x80 == 0 { (13, action & 7) } else { (2, 5) };
        let answer = both(&mut sessions, session, &packet(group, action, payload));
        let succeeded = answer.get(..4) == Some(&[0; 4]);
        let is_login = (group, action) == (13, 0);
        if session == 1 && succeeded && !is_login {
            assert!(knows_a_pin, "nobody did something that needs a login");
        }
        knows_a_pin |= session == 1 && is_login && succeeded;
        rest = after;
    }

    for server in &servers {
        let count = server.server().user_count().expect("loaded users");
        let loaded = server.server().load_users().expect("what was stored can be loaded");
        assert_eq!(loaded.users, count);
        assert!(count >= 1 && !loaded.attempts_lost);
    }
});
