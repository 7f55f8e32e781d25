//! A client endpoint that answers its own requests.

use crate::{ClientTransport, TransportError};
use casemate_protocol::Header;
use core::convert::Infallible;

/// A client endpoint whose server is a function call: [`send`](ClientTransport::send) runs the handler, and
/// [`receive`](ClientTransport::receive) yields what it answered.
///
/// The handler gets the request packet and the space for the response packet and returns the response's length in
/// bytes, or `None` to end the connection. Both sides of a conversation then run in one thread with no copy of the
/// request and one of the response.
///
/// `B` is the storage of the response, `[u8; N]` or `&mut [u8]` for instance; its size is the largest packet.
#[derive(Debug)]
pub struct Loopback<H, B> {
    handler: H,
    storage: B,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Answered(usize),
    Closed,
}

impl<H, B> Loopback<H, B>
where
    H: FnMut(&[u8], &mut [u8]) -> Option<usize>,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    /// A connected endpoint with `handler` as its server.
    pub const fn new(handler: H, storage: B) -> Self {
        Self { handler, storage, state: State::Idle }
    }

    /// Connects anew after the handler ended the connection, and drops an undelivered response.
    pub fn reconnect(&mut self) {
        self.state = State::Idle;
    }
}

impl<H, B> ClientTransport for Loopback<H, B>
where
    H: FnMut(&[u8], &mut [u8]) -> Option<usize>,
    B: AsRef<[u8]> + AsMut<[u8]>,
{
    type Error = Infallible;

    /// Runs the handler. An earlier response that was not received is lost, as on a stream whose client gave up
    /// waiting.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        if matches!(self.state, State::Closed) {
            return Err(TransportError::Closed);
        }
        let storage = self.storage.as_mut();
        if packet.len() < Header::SIZE || packet.len() > storage.len() {
            return Err(TransportError::BadLength);
        }
        self.state = match (self.handler)(packet, storage) {
            Some(length) => State::Answered(length),
            None => State::Closed,
        };
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let length = match self.state {
            State::Idle => return Err(TransportError::NotReady),
            State::Closed => return Err(TransportError::Closed),
            State::Answered(length) => length,
        };
        self.state = State::Idle;
        let packet = self.storage.as_ref().get(..length).filter(|packet| packet.len() >= Header::SIZE);
        let packet = packet.ok_or(TransportError::BadLength)?;
        buffer.get_mut(..length).ok_or(TransportError::BadLength)?.copy_from_slice(packet);
        Ok(length)
    }
}
