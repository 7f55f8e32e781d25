//! The two ends of a link.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::{Subject, shortfall};
use casemate_protocol::Header;
use casemate_transport::{ClientTransport, ServerTransport, TransportError};

const AREA: &str = "transport";
/// The largest packet that is tried, in bytes.
const LARGEST: usize = 1288;

type Buffer = [u8; LARGEST];

/// Checks the transport of every link that a client can be had for, without the firmware.
pub fn check_transport<P: Subject>(report: &mut Report<'_>, port: &mut P, links: usize) {
    if let Err(fault) = crate::initialize(port) {
        return report.check(AREA, "links", Err(shortfall(fault, "the hardware cannot be initialized")));
    }
    for link in 0..links {
        let mut pair = match Pair::new(port, link) {
            Ok(pair) => pair,
            Err(why) => {
                report.check(AREA, "a link opens when a client is there", Err(why));
                continue;
            }
        };
        report.note(format_args!("transport: link {link}"));
        report.check(AREA, "a link opens when a client is there", Ok(()));
        report.check(AREA, "nothing arrives before something was sent", pair.silence());
        report.check(AREA, "packets of every size arrive as they were sent", pair.sizes());
        report.check(AREA, "packets arrive in order", pair.order());
        report.check(AREA, "packets without a whole header are refused", pair.too_short());
        report.check(AREA, "what waits to be fetched is kept, and holds up the next packet", pair.pressure());
        report.check(AREA, "a client that resets starts over", pair.client_reset(link));
        let outcome = Pair::new(port, link).and_then(|mut pair| pair.small_buffer());
        report.check(AREA, "a packet larger than the buffer is reported as such", outcome);
        let outcome = Pair::new(port, link).and_then(|mut pair| pair.too_long());
        report.check(AREA, "a packet larger than the link carries is refused by one end", outcome);
        let outcome = Pair::server_reset(port, link);
        report.check(AREA, "a server that opens the link anew can be reached", outcome);
    }
    report.check(
        AREA,
        "a link of a number that the device does not have is refused",
        match port.open(usize::MAX) {
            Ok(Some(_)) => Err(Shortfall::Failed("it was opened")),
            Ok(None) => Err(Shortfall::NotApplicable("it is never there")),
            Err(fault) => match shortfall(fault, "") {
                Shortfall::NotImplemented => Err(Shortfall::NotImplemented),
                _ => Ok(()),
            },
        },
    );
}

/// A client and a server on one link.
struct Pair<'p, P: Subject> {
    port: &'p mut P,
    client: P::Client,
    server: P::Transport,
    largest: usize,
}

/// Bytes of a packet that tells its number and length: no packet equals another.
fn fill(packet: &mut [u8], number: u8) {
    for (index, byte) in packet.iter_mut().enumerate() {
        *byte = index.to_le_bytes()[0].wrapping_mul(29).wrapping_add(number);
    }
}

fn is(packet: &[u8], number: u8) -> bool {
    packet
        .iter()
        .enumerate()
        .all(|(index, &byte)| byte == index.to_le_bytes()[0].wrapping_mul(29).wrapping_add(number))
}

const LOST: Shortfall = Shortfall::Failed("a packet did not arrive");
const NOT_SENT: Shortfall = Shortfall::Failed("a packet was not taken");

impl<'p, P: Subject> Pair<'p, P> {
    fn new(port: &'p mut P, link: usize) -> Result<Self, Shortfall> {
        let client = match port.client(link) {
            Ok(Some(client)) => client,
            Ok(None) => return Err(Shortfall::NotApplicable("no client can be had for it here")),
            Err(fault) => return Err(shortfall(fault, "the client's end cannot be made")),
        };
        let server = open(port, link)?;
        let config = port.config();
        let largest = config.data_length.saturating_add(Header::SIZE).min(LARGEST);
        Ok(Self { port, client, server, largest })
    }

    fn client_sends(&mut self, packet: &[u8]) -> Outcome {
        for _ in 0..P::PATIENCE {
            match self.client.send(packet) {
                Ok(()) => return Ok(()),
                Err(TransportError::NotReady) => self.port.idle(),
                Err(_) => break,
            }
        }
        Err(NOT_SENT)
    }

    fn server_sends(&mut self, packet: &[u8]) -> Outcome {
        for _ in 0..P::PATIENCE {
            match self.server.send(packet) {
                Ok(()) => return Ok(()),
                Err(TransportError::NotReady) => self.port.idle(),
                Err(_) => break,
            }
        }
        Err(NOT_SENT)
    }

    fn server_receives(&mut self, buffer: &mut [u8]) -> Result<usize, Option<Ending>> {
        for _ in 0..P::PATIENCE {
            match self.server.receive(buffer) {
                Err(TransportError::NotReady) => {
                    // A client's transport may move on only when it is asked.
                    self.port.idle();
                }
                Ok(length) => return Ok(length),
                Err(error) => return Err(Some(ending(&error))),
            }
        }
        Err(None)
    }

    fn client_receives(&mut self, buffer: &mut [u8]) -> Result<usize, Option<Ending>> {
        for _ in 0..P::PATIENCE {
            match self.client.receive(buffer) {
                Err(TransportError::NotReady) => self.port.idle(),
                Ok(length) => return Ok(length),
                Err(error) => return Err(Some(ending(&error))),
            }
        }
        Err(None)
    }

    /// One packet there, and one back.
    fn exchange(&mut self, request: usize, response: usize, number: u8) -> Outcome {
        let mut bytes: Buffer = [0; LARGEST];
        let packet = bytes.get_mut(..request).unwrap_or_default();
        fill(packet, number);
        self.client_sends(packet)?;
        let mut buffer: Buffer = [0xEE; LARGEST];
        let length = self.server_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(length == request, "a request arrived with another length")?;
        ensure(is(buffer.get(..length).unwrap_or_default(), number), "a request arrived changed")?;
        ensure(
            buffer.get(length..).unwrap_or_default().iter().all(|&byte| byte == 0xEE),
            "the buffer behind a request was written to",
        )?;
        let packet = bytes.get_mut(..response).unwrap_or_default();
        fill(packet, number.wrapping_add(1));
        self.server_sends(packet)?;
        let mut buffer: Buffer = [0xEE; LARGEST];
        let length = self.client_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(length == response, "a response arrived with another length")?;
        ensure(
            is(buffer.get(..length).unwrap_or_default(), number.wrapping_add(1)),
            "a response arrived changed",
        )
    }

    fn silence(&mut self) -> Outcome {
        let mut buffer: Buffer = [0; LARGEST];
        let server = matches!(self.server.receive(&mut buffer), Err(TransportError::NotReady));
        ensure(server, "the server's end does not say that it is not ready")?;
        let client = matches!(self.client.receive(&mut buffer), Err(TransportError::NotReady));
        ensure(client, "the client's end does not say that it is not ready")
    }

    fn sizes(&mut self) -> Outcome {
        for size in [Header::SIZE, 9, 12, 63, 64, 65, 255, 256, 257, 1000, self.largest] {
            let size = size.min(self.largest);
            self.exchange(size, Header::SIZE, size.to_le_bytes()[0])?;
            self.exchange(Header::SIZE, size, size.to_le_bytes()[0])?;
        }
        Ok(())
    }

    fn order(&mut self) -> Outcome {
        (0..100).try_for_each(|number| self.exchange(20, 24, number))
    }

    fn too_short(&mut self) -> Outcome {
        for length in [0, 1, Header::SIZE.saturating_sub(1)] {
            let packet = [0; Header::SIZE];
            let packet = packet.get(..length).unwrap_or_default();
            ensure(
                matches!(self.client.send(packet), Err(TransportError::BadLength)),
                "the client's end took one",
            )?;
        }
        self.exchange(40, 40, 1)?;
        // The server's end is asked while a request is waiting for its response.
        let mut bytes: Buffer = [0; LARGEST];
        let packet = bytes.get_mut(..40).unwrap_or_default();
        fill(packet, 2);
        self.client_sends(packet)?;
        let mut buffer: Buffer = [0; LARGEST];
        self.server_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(
            matches!(self.server.send(&[0; 7]), Err(TransportError::BadLength)),
            "the server's end took one",
        )?;
        fill(packet, 3);
        self.server_sends(packet)?;
        let length = self.client_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(is(buffer.get(..length).unwrap_or_default(), 3), "the response after it arrived changed")
    }

    /// One byte more than the server has room for; whether the link itself could carry it is its own affair.
    fn too_long(&mut self) -> Outcome {
        match self.client.send(&[0x5A; LARGEST + 1]) {
            Err(TransportError::BadLength) => self.exchange(40, 40, 4),
            Ok(()) => match self.server_receives(&mut [0; LARGEST]) {
                Err(Some(Ending::Length)) => Ok(()),
                _ => Err(Shortfall::Failed(
                    "the client's end took it, and the server's end does not report it",
                )),
            },
            Err(_) => Err(Shortfall::Failed("the client's end refuses it with another error")),
        }
    }

    fn pressure(&mut self) -> Outcome {
        let mut bytes: Buffer = [0; LARGEST];
        let packet = bytes.get_mut(..50).unwrap_or_default();
        fill(packet, 10);
        self.client_sends(packet)?;
        // The second is taken, or waits; it never takes the first one's place.
        fill(packet, 11);
        let second = match self.client.send(packet) {
            Ok(()) => true,
            Err(TransportError::NotReady) => false,
            Err(_) => {
                return Err(Shortfall::Failed(
                    "a packet that cannot be taken yet is not answered with NotReady",
                ));
            }
        };
        let mut buffer: Buffer = [0; LARGEST];
        let length = self.server_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(
            is(buffer.get(..length).unwrap_or_default(), 10),
            "the first packet was replaced by the second",
        )?;
        self.server_sends(packet)?;
        let length = self.client_receives(&mut buffer).map_err(|_| LOST)?;
        ensure(is(buffer.get(..length).unwrap_or_default(), 11), "a response arrived changed")?;
        if second {
            let length = self.server_receives(&mut buffer).map_err(|_| LOST)?;
            ensure(is(buffer.get(..length).unwrap_or_default(), 11), "the second packet arrived changed")?;
            self.server_sends(packet)?;
            self.client_receives(&mut buffer).map_err(|_| LOST)?;
        }
        self.exchange(40, 40, 12)
    }

    fn small_buffer(&mut self) -> Outcome {
        let mut bytes: Buffer = [0; LARGEST];
        let packet = bytes.get_mut(..100).unwrap_or_default();
        fill(packet, 20);
        self.client_sends(packet)?;
        match self.server_receives(&mut [0; 32]) {
            Err(Some(Ending::Length)) => Ok(()),
            _ => Err(Shortfall::Failed("the server's end does not report it")),
        }
    }

    fn client_reset(self, link: usize) -> Outcome {
        // The server's end outlives the client's; whether it notices by itself or not, the next open works.
        let Self { port, mut server, client, .. } = self;
        drop(client);
        let _ = server.receive(&mut [0; LARGEST]);
        drop(server);
        Pair::new(port, link)?.exchange(40, 40, 30)
    }

    fn server_reset(port: &'p mut P, link: usize) -> Outcome {
        let mut pair = Pair::new(port, link)?;
        pair.exchange(40, 40, 31)?;
        let Pair { client, server, port, .. } = pair;
        drop((client, server));
        Pair::new(port, link)?.exchange(40, 40, 32)
    }
}

/// How a call of a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Length,
    Other,
}

const fn ending<E>(error: &TransportError<E>) -> Ending {
    match error {
        TransportError::BadLength => Ending::Length,
        _ => Ending::Other,
    }
}

/// Waits for a link to open.
fn open<P: Subject>(port: &mut P, link: usize) -> Result<P::Transport, Shortfall> {
    for _ in 0..P::PATIENCE {
        match port.open(link) {
            Ok(Some(transport)) => return Ok(transport),
            Ok(None) => port.idle(),
            Err(fault) => return Err(shortfall(fault, "the server's end cannot be opened")),
        }
    }
    Err(Shortfall::Failed("a client is there, and the server's end does not open"))
}
