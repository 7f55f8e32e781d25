//! Waiting for a transport that cannot wait.

use crate::shm::Backoff;
use casemate_transport::{ClientTransport, TransportError};
use std::time::Duration;

/// A client's transport whose [`receive_within`](ClientTransport::receive_within) waits: it looks again and again, then
/// lets other threads run, then sleeps for a 64th of the time that it has waited. For a transport that returns at once,
/// such as [`MemoryClient`](casemate_transport::MemoryClient) between two threads of one process.
#[derive(Debug)]
pub struct Patient<T>(pub T);

impl<T: ClientTransport> ClientTransport for Patient<T> {
    type Error = T::Error;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<T::Error>> {
        self.0.send(packet)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<T::Error>> {
        self.0.receive(buffer)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<T::Error>> {
        let mut backoff = Backoff::default();
        loop {
            match self.0.receive(buffer) {
                Err(TransportError::NotReady) if !longest.is_zero() && backoff.wait(longest) => {}
                result => return result,
            }
        }
    }
}
