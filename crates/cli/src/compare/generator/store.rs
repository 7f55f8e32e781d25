//! Objects and counters.

use super::Generator;
use crate::compare::step::{Compared, Step};
use casemate_protocol::message::{counter, nvm};
use casemate_protocol::{KeyId, Layout, Metadata, ObjectId};

impl Generator {
    pub(super) fn object(&mut self) -> ObjectId {
        let owner = u16::from(self.client.get()) << 8;
        let any = self.random.next() as u16 & 0x0FFF;
        ObjectId(self.random.pick(&[
            0,
            1,
            2,
            3,
            7,
            0xFF,
            0x0FFF,
            any,
            0x1001,
            0x1000 | owner | 1,
            0x1000 | owner | 2,
            0x1000 | owner | 0x30,
            0x1000 | owner,
            0x2000 | owner | 1,
            0x2000 | owner | 4,
            0x2000 | owner | 5,
            0x3000 | owner | 1,
            0x4000 | owner | 1,
            0x5000 | owner | 1,
            0x1000 | (owner ^ 0x0100) | 1,
            0xFFFF,
        ]))
    }

    pub(super) fn nvm(&mut self) -> Step {
        let order = self.order;
        match self.random.below(12) {
            0 => {
                let client_nvm_id = self.random.pick(&[0, 1, u32::MAX]);
                Step::plain("nvm init", order, &nvm::InitRequest { client_nvm_id }, &[])
            }
            1 => Step::plain("nvm cleanup", order, &nvm::CleanupRequest {}, &[]),
            2 => Step::plain("nvm available", order, &nvm::AvailableRequest {}, &[]),
            3..=5 => {
                let id = self.object();
                let data = self.data(nvm::AddRequest::SIZE);
                let metadata = Metadata {
                    id: if id.0 == 0 && self.malformed == 0 { ObjectId(1) } else { id },
                    access: self.random.pick(&[0xFFFF, 0, 1]),
                    flags: self.flags(),
                    length: self.declared(&data) as u16,
                    label: self.label(),
                };
                Step::plain("add", order, &nvm::AddRequest { metadata }, &data)
            }
            6 => {
                let (access, flags, start) = (0xFFFF, self.flags(), self.object());
                Step::plain("list", order, &nvm::ListRequest { access, flags, start }, &[])
            }
            7 => {
                let id = self.object();
                Step::plain("metadata", order, &nvm::MetadataRequest { id }, &[])
            }
            8 | 9 => {
                let ids = std::array::from_fn(|_| self.object());
                let limit = if self.random.percent(self.malformed) { 4 } else { 3 };
                let count = [1, 2, 0, self.random.pick(&[19, 20, u16::MAX])][self.random.below(limit)];
                Step::plain("destroy", order, &nvm::DestroyRequest { count, ids }, &[])
            }
            _ => {
                let id = self.object();
                let request = nvm::ReadRequest {
                    id,
                    offset: self.random.pick(&[0, 0, 0, 1, 15, 16, 100, 1000, u16::MAX]),
                    length: self.random.pick(&[0, 1, 16, 100, 1000, 4096, 8188, 8189, u16::MAX]),
                };
                let key = KeyId(id.0 & 0xFF);
                let compared =
                    if (1..=5).contains(&(id.0 >> 12)) { self.compared(key) } else { Compared::Whole };
                Step::plain("read", order, &request, &[]).compared(compared)
            }
        }
    }

    pub(super) fn counter(&mut self) -> Step {
        let order = self.order;
        let id = self.random.pick(&[0, 1, 2, 3, 0xFF, 0x0101, 0xFFFF]);
        match self.random.below(6) {
            0 => {
                let value = self.random.pick(&[0, 1, 41, u32::MAX - 1, u32::MAX]);
                Step::plain("counter init", order, &counter::InitRequest { value, id }, &[])
            }
            1..=3 => Step::plain("counter increment", order, &counter::IncrementRequest { id }, &[]),
            4 => Step::plain("counter read", order, &counter::ReadRequest { id }, &[]),
            _ => Step::plain("counter destroy", order, &counter::DestroyRequest { id }, &[]),
        }
    }
}
