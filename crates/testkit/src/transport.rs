//! A client transport that loses, delays, repeats and damages packets, or its connection, as a plan says.
//!
//! ```
//! use casemate_testkit::transport::{Fault, FaultPlan, FaultyTransport};
//! use casemate_transport::{ClientTransport, Loopback, TransportError};
//!
//! let echo = |request: &[u8], response: &mut [u8]| {
//!     response[..request.len()].copy_from_slice(request);
//!     Some(request.len())
//! };
//! let plan = FaultPlan::script([None, Some(Fault::Delay(1))]);
//! let mut transport = FaultyTransport::new(Loopback::new(echo, [0; 64]), plan);
//! let mut buffer = [0; 64];
//! transport.send(b"request 1")?;
//! assert_eq!(transport.receive(&mut buffer), Ok(9));
//! transport.send(b"request 2")?;
//! assert_eq!(transport.receive(&mut buffer), Err(TransportError::NotReady));
//! assert_eq!(transport.receive(&mut buffer), Ok(9));
//! # Ok::<(), TransportError<core::convert::Infallible>>(())
//! ```

use crate::random::SplitMix64;
use casemate_protocol::{Header, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, TransportError};
use std::collections::VecDeque;
use std::time::Duration;

/// What can happen to a request or to its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The request never arrives.
    LoseRequest,
    /// The request arrives with one bit inverted: this one, modulo the number of its bits.
    CorruptRequest(u64),
    /// The response never arrives.
    LoseResponse,
    /// The response is not ready this many times.
    Delay(u32),
    /// The response arrives twice.
    Repeat,
    /// Before the response comes a copy of it with the sequence number before, as if it were the answer to an earlier
    /// request.
    Stale,
    /// The response arrives with one bit inverted: this one, modulo the number of its bits.
    CorruptResponse(u64),
    /// Only so many bytes of the response arrive, modulo its length.
    Truncate(u64),
    /// The connection ends after the request has arrived.
    Close,
}

/// Which request suffers which fault.
#[derive(Debug, Clone)]
pub struct FaultPlan(Plan);

#[derive(Debug, Clone)]
enum Plan {
    Script(VecDeque<Option<Fault>>),
    Seeded { numbers: SplitMix64, per_mille: u64 },
}

impl FaultPlan {
    /// One entry for each request in order; no faults after the last.
    pub fn script(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self(Plan::Script(faults.into_iter().collect()))
    }

    /// Every request suffers a fault with a probability of `per_mille` thousandths; all kinds are equally likely. The
    /// same seed gives the same plan.
    pub const fn seeded(seed: u64, per_mille: u16) -> Self {
        Self(Plan::Seeded { numbers: SplitMix64(seed), per_mille: per_mille as u64 })
    }

    /// The fault of the next request.
    fn next(&mut self) -> Option<Fault> {
        let (numbers, per_mille) = match &mut self.0 {
            Plan::Script(faults) => return faults.pop_front().flatten(),
            Plan::Seeded { numbers, per_mille } => (numbers, *per_mille),
        };
        // Drawn in any case, so that the rate changes only how many of the faults happen.
        let (chance, kind, value) = (numbers.next(), numbers.next(), numbers.next());
        let fault = match kind % 9 {
            0 => Fault::LoseRequest,
            1 => Fault::CorruptRequest(value),
            2 => Fault::LoseResponse,
            3 => Fault::Delay((value % 5) as u32 + 1),
            4 => Fault::Repeat,
            5 => Fault::Stale,
            6 => Fault::CorruptResponse(value),
            7 => Fault::Truncate(value),
            _ => Fault::Close,
        };
        (chance % 1000 < per_mille).then_some(fault)
    }
}

/// A client transport with faults. What it does depends on nothing but the plan and the calls made.
#[derive(Debug)]
pub struct FaultyTransport<T> {
    inner: T,
    plan: FaultPlan,
    /// The fault of each request whose response was not seen yet.
    expected: VecDeque<Option<Fault>>,
    /// Responses to be delivered.
    arrived: VecDeque<Vec<u8>>,
    /// How often to say "not ready" before the next one.
    delay: u32,
    is_closed: bool,
    requests: u64,
    injected: Vec<(u64, Fault)>,
    scratch: Vec<u8>,
}

impl<T: ClientTransport> FaultyTransport<T> {
    /// Puts faults in front of `inner`.
    pub fn new(inner: T, plan: FaultPlan) -> Self {
        Self {
            inner,
            plan,
            expected: VecDeque::new(),
            arrived: VecDeque::new(),
            delay: 0,
            is_closed: false,
            requests: 0,
            injected: Vec::new(),
            scratch: vec![0; MAX_DATA_LENGTH + Header::SIZE],
        }
    }

    /// The faults so far, each with the number of its request, counted from 0.
    pub fn injected(&self) -> &[(u64, Fault)] {
        &self.injected
    }

    /// The transport behind it.
    pub const fn inner(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Whether [`Fault::Close`] has happened since the last [`reconnect`](Self::reconnect).
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Connects anew after [`Fault::Close`]: nothing that was in flight arrives any more. The plan goes on. `connect`
    /// does what `inner` needs.
    pub fn reconnect<R>(&mut self, connect: impl FnOnce(&mut T) -> R) -> R {
        self.expected.clear();
        self.arrived.clear();
        self.delay = 0;
        self.is_closed = false;
        connect(&mut self.inner)
    }

    /// Puts a response through its fault and into the queue.
    fn arrive(&mut self, mut packet: Vec<u8>) {
        match self.expected.pop_front().flatten() {
            Some(Fault::LoseResponse) => return,
            Some(Fault::Repeat) => self.arrived.push_back(packet.clone()),
            Some(Fault::Stale) => self.arrived.push_back(stale(&packet)),
            Some(Fault::CorruptResponse(bit)) => invert(&mut packet, bit),
            Some(Fault::Truncate(length)) => {
                let length = length % packet.len().max(1) as u64;
                packet.truncate(length as usize);
            }
            _ => {}
        }
        self.arrived.push_back(packet);
    }
}

/// The packet with the sequence number before its own.
fn stale(packet: &[u8]) -> Vec<u8> {
    let mut copy = packet.to_vec();
    if let Some(start) = copy.first_chunk_mut::<{ Header::SIZE }>()
        && let Ok(mut header) = Header::decode(start)
    {
        header.sequence = header.sequence.wrapping_sub(1);
        *start = header.encode();
    }
    copy
}

/// Inverts one bit.
fn invert(packet: &mut [u8], bit: u64) {
    let bit = bit % (packet.len() as u64 * 8).max(1);
    if let Some(byte) = packet.get_mut((bit / 8) as usize) {
        *byte ^= 1 << (bit % 8);
    }
}

impl<T: ClientTransport> ClientTransport for FaultyTransport<T> {
    type Error = T::Error;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<T::Error>> {
        if self.is_closed {
            return Err(TransportError::Closed);
        }
        // Drawn from a copy: a request that is not taken comes again, and then meets the same fault.
        let mut plan = self.plan.clone();
        let fault = plan.next();
        match fault {
            Some(Fault::LoseRequest) => {}
            Some(Fault::CorruptRequest(bit)) => {
                let mut packet = packet.to_vec();
                invert(&mut packet, bit);
                self.inner.send(&packet)?;
            }
            _ => self.inner.send(packet)?,
        }
        self.plan = plan;
        if let Some(fault) = fault {
            self.injected.push((self.requests, fault));
        }
        self.requests += 1;
        match fault {
            Some(Fault::LoseRequest) => {}
            Some(Fault::Close) => self.is_closed = true,
            Some(Fault::Delay(times)) => {
                self.delay = times;
                self.expected.push_back(fault);
            }
            _ => self.expected.push_back(fault),
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<T::Error>> {
        self.receive_within(buffer, Duration::ZERO)
    }

    fn receive_within(
        &mut self,
        buffer: &mut [u8],
        longest: Duration,
    ) -> Result<usize, TransportError<T::Error>> {
        if self.is_closed {
            return Err(TransportError::Closed);
        }
        if self.delay > 0 {
            self.delay -= 1;
            return Err(TransportError::NotReady);
        }
        if self.arrived.is_empty() {
            let length = self.inner.receive_within(&mut self.scratch, longest)?;
            let packet = self.scratch[..length].to_vec();
            self.arrive(packet);
        }
        let packet = self.arrived.pop_front().ok_or(TransportError::NotReady)?;
        if packet.len() < Header::SIZE {
            return Err(TransportError::BadLength);
        }
        buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(&packet);
        Ok(packet.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_transport::Loopback;
    use std::collections::HashSet;
    use std::convert::Infallible;

    type Outcome = Result<Vec<u8>, TransportError<Infallible>>;

    const REQUEST: [u8; 12] = [0x01, 0xA5, 0x05, 0x01, 0x00, 0x01, 0, 0, 1, 2, 3, 4];

    fn echo(plan: FaultPlan) -> FaultyTransport<impl ClientTransport<Error = Infallible>> {
        let echo = |request: &[u8], response: &mut [u8]| {
            response[..request.len()].copy_from_slice(request);
            Some(request.len())
        };
        FaultyTransport::new(Loopback::new(echo, [0; 64]), plan)
    }

    fn receive(transport: &mut impl ClientTransport<Error = Infallible>) -> Outcome {
        let mut buffer = [0; 64];
        transport.receive(&mut buffer).map(|length| buffer[..length].to_vec())
    }

    /// What the first calls of `receive` give after one request.
    fn outcomes(fault: Fault) -> [Outcome; 3] {
        let mut transport = echo(FaultPlan::script([Some(fault)]));
        transport.send(&REQUEST).unwrap();
        assert_eq!(transport.injected(), [(0, fault)]);
        std::array::from_fn(|_| receive(&mut transport))
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let good = || Ok(REQUEST.to_vec());
        let none = || Err(TransportError::NotReady);
        assert_eq!(outcomes(Fault::LoseRequest), [none(), none(), none()]);
        assert_eq!(outcomes(Fault::LoseResponse), [none(), none(), none()]);
        assert_eq!(outcomes(Fault::Delay(2)), [none(), none(), good()]);
        assert_eq!(outcomes(Fault::Repeat), [good(), good(), none()]);
        let mut changed = REQUEST;
        changed[9] ^= 0x20;
        for bit in [77, 77 + 96] {
            assert_eq!(outcomes(Fault::CorruptRequest(bit)), [Ok(changed.to_vec()), none(), none()]);
            assert_eq!(outcomes(Fault::CorruptResponse(bit)), [Ok(changed.to_vec()), none(), none()]);
        }
        assert_eq!(outcomes(Fault::Truncate(12 + 9)), [Ok(REQUEST[..9].to_vec()), none(), none()]);
        assert_eq!(outcomes(Fault::Truncate(7)), [Err(TransportError::BadLength), none(), none()]);
        let mut older = REQUEST;
        older[4..6].copy_from_slice(&0x00FF_u16.to_le_bytes());
        assert_eq!(outcomes(Fault::Stale), [Ok(older.to_vec()), good(), none()]);
        let closed = || Err(TransportError::Closed);
        assert_eq!(outcomes(Fault::Close), [closed(), closed(), closed()]);
    }

    #[test]
    fn a_closed_transport_works_again_after_reconnecting() {
        let mut transport = echo(FaultPlan::script([Some(Fault::Close)]));
        transport.send(&REQUEST).unwrap();
        assert!(transport.is_closed());
        assert_eq!(transport.send(&REQUEST), Err(TransportError::Closed));
        transport.reconnect(|inner| inner.receive(&mut [0; 64]).unwrap());
        transport.send(&REQUEST).unwrap();
        assert_eq!(receive(&mut transport), Ok(REQUEST.to_vec()));
    }

    #[test]
    fn a_request_that_is_not_taken_keeps_its_fault() {
        let mut transport = echo(FaultPlan::script([Some(Fault::Repeat)]));
        assert_eq!(transport.send(&[0; 7]), Err(TransportError::BadLength));
        assert!(transport.injected().is_empty());
        transport.send(&REQUEST).unwrap();
        assert_eq!(transport.injected(), [(0, Fault::Repeat)]);
    }

    /// A run of 2000 requests, with everything that was seen.
    fn run(seed: u64, per_mille: u16) -> (Vec<(u64, Fault)>, Vec<Outcome>) {
        let mut transport = echo(FaultPlan::seeded(seed, per_mille));
        let mut seen = Vec::new();
        for _ in 0..2000 {
            transport.send(&REQUEST).unwrap();
            seen.extend((0..7).map(|_| receive(&mut transport)));
            if transport.is_closed() {
                transport.reconnect(|inner| inner.receive(&mut [0; 64]).unwrap());
            }
        }
        (transport.injected().to_vec(), seen)
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(run(1, 300), run(1, 300));
        assert_ne!(run(1, 300).0, run(2, 300).0);
        assert!(run(3, 0).0.is_empty());
        let (all, _) = run(3, 1000);
        assert_eq!(all.len(), 2000);
        let (some, _) = run(3, 300);
        assert!((400..800).contains(&some.len()), "{}", some.len());
        assert!(some.iter().all(|fault| all.contains(fault)), "a rate picks among the same faults");
        let kinds: HashSet<_> = some.iter().map(|(_, fault)| std::mem::discriminant(fault)).collect();
        assert_eq!(kinds.len(), 9);
    }
}
