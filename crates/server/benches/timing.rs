//! Whether comparisons of PINs and tags take the same time wherever the difference lies: the test of Reparaz, Balasch
//! and Verbauwhede ("Dude, is my code constant time?", 2017), over two classes of input in random order.
//!
//! Prints Welch's t for each. Beyond 4.5 the classes differ almost certainly; below, this measurement has found no
//! difference. The first row compares byte by byte and stops at the first difference: its t shows what the measurement
//! can see on this machine.
#![allow(missing_docs, reason = "a program")]

use casemate_crypto::{Aead, Software};
use casemate_protocol::message::authentication::{Permissions, UserName};
use casemate_server::{Config, Lockout, UserPolicy};
use casemate_testkit::server::{TestRandom, VirtualOptions, VirtualServer};
use std::hint::black_box;
use std::time::Instant;

/// Mean and variance, one value at a time (Welford).
#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// Times `work` on inputs of two classes and returns Welch's t, without the slowest tenth, which is noise.
fn welch(samples: usize, mut work: impl FnMut(bool)) -> f64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let class = state & 1 == 1;
        let start = Instant::now();
        work(class);
        times.push((class, start.elapsed().as_nanos() as f64));
    }
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let limit = sorted[sorted.len() * 9 / 10];
    let mut moments = [Moments::default(), Moments::default()];
    for (class, time) in times.into_iter().filter(|(_, time)| *time <= limit) {
        moments[usize::from(class)].add(time);
    }
    let [one, other] = moments;
    (one.mean - other.mean) / (one.error() + other.error()).sqrt().max(f64::MIN_POSITIVE)
}

fn report(name: &str, t: f64) {
    let verdict = if t.abs() > 4.5 { "DIFFERENT" } else { "no difference found" };
    println!("{name:<50} t = {t:>9.2}  {verdict}");
}

/// A secret, and what differs from it at the beginning or at the end.
fn guesses<const N: usize>() -> ([u8; N], [[u8; N]; 2]) {
    let secret = [0x5A; N];
    let (mut early, mut late) = (secret, secret);
    early[0] ^= 1;
    late[N - 1] ^= 1;
    (secret, [early, late])
}

fn comparisons(samples: usize) {
    const REPEAT: usize = 64;
    let (secret, guesses) = guesses::<64>();
    let early_exit = |a: &[u8], b: &[u8]| {
        for (a, b) in a.iter().zip(b) {
            if black_box(a) != black_box(b) {
                return false;
            }
        }
        true
    };
    report(
        "byte by byte, for comparison",
        welch(samples, |class| {
            for _ in 0..REPEAT {
                black_box(early_exit(black_box(&secret), black_box(&guesses[usize::from(class)])));
            }
        }),
    );
    report(
        "constant_time_equal, 64 bytes",
        welch(samples, |class| {
            for _ in 0..REPEAT {
                black_box(casemate_crypto::constant_time_equal(
                    black_box(&secret),
                    black_box(&guesses[usize::from(class)]),
                ));
            }
        }),
    );
}

fn tags(samples: usize) {
    let driver = Software::new(TestRandom::new(0));
    let mut tag = [0; 16];
    let mut sealed = [7; 32];
    driver.gcm_seal(&[1; 32], &[2; 12], b"", &mut sealed, &mut tag).expect("a tag");
    let (mut early, mut late) = (tag, tag);
    early[0] ^= 1;
    late[15] ^= 1;
    let wrong = [early, late];
    report(
        "AES-GCM, wrong tag",
        welch(samples, |class| {
            let mut data = sealed;
            let outcome =
                driver.gcm_open(&[1; 32], &[2; 12], b"", &mut data, black_box(&wrong[usize::from(class)]));
            assert!(outcome.is_err());
        }),
    );
}

fn logins(samples: usize) {
    let lockout =
        Lockout { free: u8::MAX, first_delay: 0, longest_delay: 0, limit: u8::MAX, count_first: true };
    let users = UserPolicy { pin_iterations: 1, lockout, ..UserPolicy::default() };
    let config = Config { users: Some(users), ..Config::default() };
    let server = VirtualServer::with_store(
        VirtualOptions { config, ..VirtualOptions::default() },
        casemate_nvm::NoStore,
    );
    server.server().load_users().expect("no users");
    let (pin, guesses) = guesses::<32>();
    let name = UserName::new(b"admin").expect("a name");
    let provision = || {
        server.server().provision_user(name, &Permissions::all(), &pin).expect("a user");
    };
    let mut session = server.session();
    let mut response = vec![0; server.server().packet_size()];
    let mut handle = |group: u8, action: u8, payload: &[u8]| {
        let packet = [&[1, 0xA5, action, group, 1, 0, 0, 0], payload].concat();
        let start = Instant::now();
        server.handle(&mut session, &packet, &mut response).expect("a packet");
        black_box(start.elapsed());
        i32::from_le_bytes(response[8..12].try_into().expect("four bytes"))
    };
    handle(1, 1, &[3, 0, 0, 0]);
    let requests = guesses.map(|guess| {
        let mut payload = vec![0; 36];
        payload[0] = 1;
        payload[2..7].copy_from_slice(b"admin");
        payload[34] = 32;
        payload.extend(guess);
        payload
    });
    let mut count = 0;
    provision();
    report(
        "login with a wrong PIN",
        welch(samples, |class| {
            count += 1;
            // The count of failures ends at 255.
            if count % 200 == 0 {
                provision();
            }
            assert_eq!(handle(13, 0, &requests[usize::from(class)]), -2300);
        }),
    );
}

fn main() {
    // `cargo test --benches` and the smoke run want to see that it works, not what it measures.
    let is_smoke = !std::env::args().any(|argument| argument == "--bench");
    let samples = if is_smoke { 200 } else { 200_000 };
    comparisons(samples);
    tags(samples);
    logins(samples / 10);
}
