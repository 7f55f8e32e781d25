//! A transport that follows a script, and hexadecimal with the shorthand of the reference's recordings.
#![allow(dead_code, unreachable_pub)] // Each test file uses a part of it.

use casemate_client::Client;
use casemate_transport::{ClientTransport, Clock, TransportError};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;

/// Bytes from hexadecimal digits. `xx*n` repeats a byte n times, `"text"` is text; white space and `|` mean nothing.
pub fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split(['|', ' ', '\n']).filter(|word| !word.is_empty()) {
        if let Some(text) = word.strip_prefix('"') {
            bytes.extend(text.trim_end_matches('"').bytes());
        } else if let Some((byte, count)) = word.split_once('*') {
            bytes.extend(hex::decode(byte).unwrap().repeat(count.parse().unwrap()));
        } else {
            bytes.extend(hex::decode(word).unwrap());
        }
    }
    bytes
}

/// What comes of one request.
pub enum Step {
    /// These packets arrive, in this order.
    Answer(Vec<Vec<u8>>),
    /// The transport does not take the request.
    Refuse(TransportError<io::Error>),
}

/// Checks each request against the script and delivers what the script says.
#[derive(Default)]
pub struct Script {
    steps: VecDeque<(Option<Vec<u8>>, Step)>,
    pub inbox: VecDeque<Result<Vec<u8>, TransportError<io::Error>>>,
    /// Every request, as it was sent.
    pub sent: Vec<Vec<u8>>,
    /// Whether the receive buffer ever held this while the client waited.
    pub forbidden: Option<Vec<u8>>,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects exactly `request`, then delivers `response`.
    pub fn exchange(mut self, request: &str, response: &str) -> Self {
        self.steps.push_back((Some(hex(request)), Step::Answer(vec![hex(response)])));
        self
    }

    /// Takes any request, then delivers `packets`.
    pub fn answer(mut self, packets: &[&str]) -> Self {
        let packets = packets.iter().map(|packet| hex(packet)).collect();
        self.steps.push_back((None, Step::Answer(packets)));
        self
    }

    /// Fails the next request.
    pub fn refuse(mut self, error: TransportError<io::Error>) -> Self {
        self.steps.push_back((None, Step::Refuse(error)));
        self
    }

    pub fn is_finished(&self) -> bool {
        self.steps.is_empty() && self.inbox.is_empty()
    }

    pub fn client(&mut self) -> Client<&mut Self, Vec<u8>> {
        Client::new(self, vec![0xEE; 8 + 1280])
    }
}

impl ClientTransport for Script {
    type Error = io::Error;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        let (expected, step) = self.steps.pop_front().expect("an unexpected request");
        if let Some(expected) = expected {
            assert_eq!(hex::encode(packet), hex::encode(expected));
        }
        match step {
            Step::Refuse(error) => return Err(error),
            Step::Answer(packets) => self.inbox.extend(packets.into_iter().map(Ok)),
        }
        self.sent.push(packet.to_vec());
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<io::Error>> {
        if let Some(forbidden) = &self.forbidden {
            assert!(
                !buffer.windows(forbidden.len()).any(|part| part == forbidden),
                "a secret is left in the packet buffer"
            );
        }
        let packet = self.inbox.pop_front().unwrap_or(Err(TransportError::NotReady))?;
        buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(&packet);
        Ok(packet.len())
    }
}

/// A clock that advances by one millisecond with each reading.
#[derive(Default)]
pub struct TickingClock(Cell<u64>);

impl Clock for TickingClock {
    fn now_microseconds(&self) -> u64 {
        self.0.set(self.0.get() + 1000);
        self.0.get()
    }
}
