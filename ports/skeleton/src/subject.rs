//! The device under test: what the conformance suite needs besides the porting interface.

use crate::device::Device;
use crate::flash::DataFlash;
use casemate_conformance::Subject;
use casemate_port::{Core, Fault};
use casemate_transport::{ClientTransport, TransportError};

/// A client's end of a link, for the suite alone: a program on the application core, a serial line, or a second value over the
/// same shared memory ([`casemate_transport::MemoryClient`]).
#[derive(Debug)]
pub struct Client {}

impl ClientTransport for Client {
    type Error = crate::transport::LinkError;

    /// Takes over one whole request packet, without waiting for the server to read it.
    ///
    /// **Errors.** As [`Link::send`](crate::transport::Link).
    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Self::Error>> {
        let _ = packet;
        Err(TransportError::Failed(crate::transport::LinkError::NotImplemented))
    }

    /// Copies the next whole response packet to the front of `buffer`, without waiting.
    ///
    /// **Errors.** As [`Link::receive`](crate::transport::Link).
    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Self::Error>> {
        let _ = buffer;
        Err(TransportError::Failed(crate::transport::LinkError::NotImplemented))
    }
}

impl Subject for Device {
    type Client = Client;

    /// A new client at the other end of a link, with nothing in flight. Where the device cannot play both ends, answer
    /// `Ok(None)` and run the suite of transports from the other core.
    ///
    /// **Errors.** [`Fault::NoSuchPart`] for a number that is not below [`LINKS`](crate::LINKS).
    fn client(&mut self, link: usize) -> Result<Option<Client>, Fault> {
        let _ = link;
        Err(Fault::NotImplemented)
    }

    /// Whether the suite may erase the flash: yes on a bench, never on a device that holds keys.
    fn may_erase_flash(&self) -> bool {
        true
    }

    /// Whether a core runs, from the reset-status register.
    fn is_running(&self, core: Core) -> Option<bool> {
        let _ = core;
        None
    }

    /// Makes a core reset by itself, as its watchdog would. `false`: this device cannot.
    fn crash_core(&mut self, core: Core) -> bool {
        let _ = core;
        false
    }

    /// Cuts the power at a write or erase to come. Only simulations can.
    fn cut_power_after(&mut self, flash: &mut DataFlash, operations: u32) -> bool {
        let _ = (flash, operations);
        false
    }

    /// Switches it on again.
    fn restore_power(&mut self, flash: &mut DataFlash) {
        let _ = flash;
    }
}
