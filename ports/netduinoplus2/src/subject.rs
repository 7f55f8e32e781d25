//! The device under test: what the conformance suite needs besides the porting interface.

use crate::device::Device;
use crate::flash::DataFlash;
use crate::transport::{self, Client};
use casemate_conformance::Subject;
use casemate_port::Fault;

impl Subject for Device {
    type Client = Client;

    fn client(&mut self, link: usize) -> Result<Option<Client>, Fault> {
        if link < crate::LINKS { Ok(transport::client()) } else { Err(Fault::NoSuchPart) }
    }

    /// The board is emulated.
    fn may_erase_flash(&self) -> bool {
        true
    }

    fn cut_power_after(&mut self, flash: &mut DataFlash, operations: u32) -> bool {
        flash.cut_power_after(operations);
        true
    }

    fn restore_power(&mut self, flash: &mut DataFlash) {
        flash.restore_power();
    }
}
