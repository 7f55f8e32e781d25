//! The other side of things, for the conformance suite: clients in the memory of the bridge, and the module's model, whose
//! application cores can crash and whose power can be cut.

use crate::bridge::BridgeBoard;
use crate::port::Tc3xx;
use crate::{DataFlash, Host, Model, Surroundings};
use casemate_conformance::Subject;
use casemate_port::{Core, Fault};
use casemate_transport::{MemoryClient, SharedRegion};

impl<S: Surroundings, const LINKS: usize> Subject
    for Tc3xx<&'static Model<'static, S>, BridgeBoard<&'static Model<'static, S>>, LINKS>
{
    type Client = MemoryClient<SharedRegion<'static>>;

    fn client(&mut self, link: usize) -> Result<Option<Self::Client>, Fault> {
        let client = u8::try_from(link).ok().and_then(|link| self.board().bridge().client(link));
        client.map(Some).ok_or(Fault::NoSuchPart)
    }

    fn may_erase_flash(&self) -> bool {
        true
    }

    fn is_running(&self, _: Core) -> Option<bool> {
        Some(!Host::new(self.registers()).is_held())
    }

    fn crash_core(&mut self, core: Core) -> bool {
        let is_one = core == Core(0);
        if is_one {
            self.registers().restart_hosts();
        }
        is_one
    }

    fn cut_power_after(&mut self, _: &mut DataFlash<&'static Model<'static, S>>, operations: u32) -> bool {
        self.registers().cut_power_after(operations);
        true
    }

    fn restore_power(&mut self, _: &mut DataFlash<&'static Model<'static, S>>) {
        self.registers().restore_power();
    }
}
