//! Packets on a stream socket, each behind its length (document 01, §12.1): what TCP and Unix-domain sockets share.
//!
//! Every packet travels behind its length in one write; one read takes whatever has arrived.

use crate::LinkError;
use crate::connection::{DEFAULT_POLL_INTERVAL, Ended, Exchange, PacketStream, Read};
use casemate_transport::{FrameDecoder, FrameEncoder, FrameError, LENGTH_PREFIX_SIZE, TransportError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use zeroize::Zeroizing;

#[cfg(target_vendor = "apple")]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT;
/// A vanished peer must be an error, not a signal. (On Apple systems the standard library arranges that per socket.)
#[cfg(not(target_vendor = "apple"))]
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A connected socket with its framing.
#[derive(Debug)]
pub(crate) struct FramedStream {
    socket: OwnedFd,
    incoming: FrameDecoder<Zeroizing<Vec<u8>>>,
    outgoing: FrameEncoder<Zeroizing<Vec<u8>>>,
    /// The peer announced a length out of range: the stream has no next packet.
    is_corrupt: bool,
    /// Whether a client waits with `poll`, see [`waiting_by_poll`](Self::waiting_by_poll).
    polls: bool,
}

/// Settles how long a blocking read on `socket` may sleep.
pub(crate) fn set_poll_interval(socket: &OwnedFd, poll_interval: Duration) -> io::Result<()> {
    rustix::io::ioctl_fionbio(socket, false)?;
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Recv, Some(poll_interval))?;
    Ok(())
}

impl FramedStream {
    pub(crate) fn new(socket: OwnedFd, maximum_packet: usize, poll_interval: Duration) -> io::Result<Self> {
        set_poll_interval(&socket, poll_interval)?;
        let storage = || Zeroizing::new(vec![0; maximum_packet.saturating_add(LENGTH_PREFIX_SIZE)]);
        Ok(Self {
            socket,
            incoming: FrameDecoder::new(storage()),
            outgoing: FrameEncoder::new(storage()),
            is_corrupt: false,
            polls: false,
        })
    }

    /// The same, which waits with `poll` before it reads. Linux wakes a reader of a Unix-domain socket also when its peer
    /// has taken in what it wrote, that is, once for nothing with each request; who polls for input sleeps on. That is one
    /// system call more and one context switch of three less.
    pub(crate) fn waiting_by_poll(mut self) -> Self {
        self.polls = true;
        self
    }

    /// One read. With no flags it sleeps for the poll interval at most.
    fn read_with(&mut self, flags: RecvFlags) -> io::Result<Read> {
        match recv(&self.socket, self.incoming.space(), flags) {
            Ok((_, 0)) => Ok(Read::End),
            Ok((_, count)) => {
                self.incoming.filled(count);
                Ok(Read::Bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Waiting),
            Err(error) => Err(error.into()),
        }
    }

    /// Sleeps until the socket can be read, or written if bytes are unsent, or `longest` has passed.
    fn wait(&self, events: PollFlags, longest: Duration) -> io::Result<()> {
        wait_for(&self.socket, events, longest).map(|_| ())
    }

    /// Copies the next packet to `buffer` if a whole one is there.
    fn deliver<E>(&mut self, buffer: &mut [u8]) -> Option<Result<usize, TransportError<E>>> {
        match self.incoming.next_packet() {
            Ok(None) => None,
            Ok(Some(packet)) => Some(match buffer.get_mut(..packet.len()) {
                Some(space) => {
                    space.copy_from_slice(packet);
                    Ok(packet.len())
                }
                None => Err(TransportError::BadLength),
            }),
            Err(_) => {
                self.is_corrupt = true;
                Some(Err(TransportError::BadLength))
            }
        }
    }
}

impl ClientStream for FramedStream {
    fn receive(&mut self, buffer: &mut [u8], longest: Duration) -> Result<usize, TransportError<io::Error>> {
        // With nothing else to do, one blocking read is the cheapest way to wait; it wakes after the poll interval.
        let mut may_wait = !longest.is_zero();
        loop {
            if let Some(result) = self.deliver(buffer) {
                return result;
            }
            let flushed = self.flush().map_err(TransportError::Failed)?;
            let mut flags = RecvFlags::DONTWAIT;
            if may_wait {
                may_wait = false;
                if flushed && longest >= DEFAULT_POLL_INTERVAL && !self.polls {
                    flags = RecvFlags::empty();
                } else {
                    let events = if flushed { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
                    self.wait(events, longest.min(DEFAULT_POLL_INTERVAL)).map_err(TransportError::Failed)?;
                    self.flush().map_err(TransportError::Failed)?;
                }
            }
            match self.read_with(flags).map_err(TransportError::Failed)? {
                Read::Bytes => {}
                Read::Waiting => return Err(TransportError::NotReady),
                Read::End => return Err(TransportError::Closed),
            }
        }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>> {
        if !self.flush().map_err(TransportError::Failed)? {
            return Err(TransportError::NotReady);
        }
        self.outgoing.encode(packet).map_err(|_| TransportError::BadLength)?;
        self.flush().map_err(TransportError::Failed)?;
        Ok(())
    }

    fn is_corrupt(&self) -> bool {
        self.is_corrupt
    }
}

/// Sleeps until one of `events` is true of the socket, or `longest` has passed; `true` in the first case.
pub(crate) fn wait_for(socket: &impl AsFd, events: PollFlags, longest: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(longest).ok();
    match poll(&mut [PollFd::new(socket, events)], timeout.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl PacketStream for FramedStream {
    fn exchange(&mut self) -> Result<Option<Exchange<'_>>, Ended> {
        let Some(request) = self.incoming.next_packet().map_err(Ended::BadLength)? else { return Ok(None) };
        let response = self.outgoing.packet_space().map_err(Ended::BadResponse)?;
        Ok(Some((request, response)))
    }

    fn is_started(&self) -> bool {
        self.incoming.is_frame_started()
    }

    fn read(&mut self, may_wait: bool) -> io::Result<Read> {
        self.read_with(if may_wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT })
    }

    fn finish(&mut self, length: usize) -> Result<(), FrameError> {
        self.outgoing.finish(length)
    }

    fn respond(&mut self, packet: &[u8]) -> Result<(), FrameError> {
        self.outgoing.encode(packet)
    }

    /// Writes what can be written without waiting; `true` if nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.outgoing.unsent().is_empty() {
            match send(&self.socket, self.outgoing.unsent(), SEND_FLAGS) {
                Ok(count) => self.outgoing.sent(count),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn wait_writable(&mut self, longest: Duration) -> io::Result<()> {
        self.wait(PollFlags::OUT, longest)
    }

    /// Closing a socket with unread bytes resets the connection, which can take the response away from the peer.
    fn end(&mut self) {
        if shutdown(&self.socket, Shutdown::Write).is_err() {
            return;
        }
        for _ in 0..16 {
            self.incoming.reset();
            if !matches!(self.read_with(RecvFlags::DONTWAIT), Ok(Read::Bytes)) {
                return;
            }
        }
    }
}

/// What a client does with a stream of packets.
pub(crate) trait ClientStream {
    /// Takes over a packet.
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<io::Error>>;

    /// Receives without waiting, or with one wait of at most `longest`.
    fn receive(&mut self, buffer: &mut [u8], longest: Duration) -> Result<usize, TransportError<io::Error>>;

    /// Whether the stream has no next packet, though it is not closed.
    fn is_corrupt(&self) -> bool;
}

/// A client's connection, until it is found to be lost.
#[derive(Debug)]
pub(crate) struct Line<S> {
    connection: Option<S>,
    peer: String,
}

impl<S: ClientStream> Line<S> {
    pub(crate) const fn down(peer: String) -> Self {
        Self { connection: None, peer }
    }

    pub(crate) fn set(&mut self, connection: Option<S>) {
        self.connection = connection;
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.connection.is_some()
    }

    /// Runs one step on the connection and drops it when the step says that it is lost.
    fn with<T>(
        &mut self,
        step: impl FnOnce(&mut S) -> Result<T, TransportError<io::Error>>,
    ) -> Result<T, TransportError<LinkError>> {
        let connection = self.connection.as_mut().ok_or(TransportError::Closed)?;
        let result = step(connection);
        if connection.is_corrupt()
            || matches!(result, Err(TransportError::Closed | TransportError::Failed(_)))
        {
            self.connection = None;
        }
        result.map_err(|error| error.map(|source| LinkError::Connection { peer: self.peer.clone(), source }))
    }

    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<LinkError>> {
        self.with(|connection| connection.send(packet))
    }

    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<LinkError>> {
        self.with(|connection| connection.receive(buffer, longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn receive_without_a_wait_does_not_wait() {
        let (socket, peer) = UnixStream::pair().unwrap();
        let (sender, done) = channel();
        // Whoever waits for the poll interval once does not come back.
        thread::spawn(move || {
            let mut stream = FramedStream::new(socket.into(), 100, Duration::from_secs(3600)).unwrap();
            for _ in 0..100 {
                let outcome = stream.receive(&mut [0; 100], Duration::ZERO);
                sender.send(matches!(outcome, Err(TransportError::NotReady))).unwrap();
            }
        });
        for _ in 0..100 {
            assert_eq!(done.recv_timeout(Duration::from_secs(60)), Ok(true));
        }
        drop(peer);
    }
}
