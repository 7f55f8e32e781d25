//! What the conformance suite needs of the port: the application cores' side, on the model.

use crate::bridge::BridgeBoard;
use crate::{DataFlash, Model, Spc58nn, Surroundings};
use casemate_conformance::Subject;
use casemate_port::{Core, Fault};
use casemate_transport::{ClientTransport, MemoryClient, MemoryError, SharedRegion, TransportError};

/// The module's model, as the port's registers.
type Registers<S> = &'static Model<'static, S>;

/// The port on the model, its clients in the memory of the bridge.
pub type OnModel<S, const LINKS: usize> = Spc58nn<Registers<S>, BridgeBoard<Registers<S>>, LINKS>;

/// An application core's end of the bridge: it rings when it has written a request.
#[derive(Debug)]
pub struct BridgeClient<S: 'static> {
    memory: MemoryClient<SharedRegion<'static>>,
    model: Registers<S>,
    bit: u32,
}

impl<S: Surroundings> ClientTransport for BridgeClient<S> {
    type Error = MemoryError;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<MemoryError>> {
        self.memory.send(packet)?;
        self.model.ring(self.bit);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<MemoryError>> {
        self.memory.receive(buffer)
    }
}

impl<S: Surroundings, const LINKS: usize> Subject for OnModel<S, LINKS> {
    type Client = BridgeClient<S>;

    fn client(&mut self, link: usize) -> Result<Option<Self::Client>, Fault> {
        let number = u8::try_from(link).map_err(|_| Fault::NoSuchPart)?;
        let memory = self.board().bridge().client(number).ok_or(Fault::NoSuchPart)?;
        Ok(Some(BridgeClient { memory, model: self.registers(), bit: 1_u32.wrapping_shl(number.into()) }))
    }

    fn may_erase_flash(&self) -> bool {
        true
    }

    fn is_running(&self, core: Core) -> Option<bool> {
        Some(!crate::Host::new(self.registers()).is_held(core))
    }

    fn crash_core(&mut self, core: Core) -> bool {
        self.registers().restart_hosts(1_u32.wrapping_shl(core.0.into()));
        true
    }

    fn cut_power_after(&mut self, _: &mut DataFlash<Registers<S>>, operations: u32) -> bool {
        self.registers().cut_power_after(operations);
        true
    }

    fn restore_power(&mut self, _: &mut DataFlash<Registers<S>>) {
        self.registers().restore_power();
    }
}
