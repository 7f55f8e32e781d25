//! Secure Hardware Extension.

use super::Generator;
use crate::compare::step::Step;
use casemate_protocol::Metadata;
use casemate_protocol::message::{nvm, she};

impl Generator {
    pub(super) fn she(&mut self) -> Step {
        let order = self.order;
        let data = self.data(40);
        let slot = self.random.pick(&[14, 14, 14, 4, 4, 5, 0, 1, 2, 16, 0xFF]);
        let length = self.declared(&data);
        match self.random.below(20) {
            0 => Step::plain("set UID", order, &she::SetUidRequest { uid: *b"identifier 1234" }, &[]),
            1 => Step::plain("boot init", order, &she::SecureBootInitRequest { length: 16 }, &[]),
            2 => {
                let data = self.random.bytes(16);
                let request = she::SecureBootUpdateRequest { length: self.declared(&data) };
                Step::plain("boot update", order, &request, &data)
            }
            3 => Step::plain("boot finish", order, &she::SecureBootFinishRequest {}, &[]),
            4 => Step::plain("get status", order, &she::GetStatusRequest {}, &[]),
            5 => {
                let request = she::LoadKeyRequest {
                    m1: self.random.array(),
                    m2: self.random.array(),
                    m3: self.random.array(),
                };
                Step::plain("load key", order, &request, &[])
            }
            6 => Step::plain(
                "load RAM key",
                order,
                &she::LoadPlainKeyRequest { key: self.random.array() },
                &[],
            ),
            7 => Step::plain("export RAM key", order, &she::ExportRamKeyRequest {}, &[]),
            8 => Step::plain("init random", order, &she::InitRandomRequest {}, &[]),
            9 => Step::plain("SHE random", order, &she::RandomRequest {}, &[]),
            10 => {
                let entropy = self.random.array();
                Step::plain("extend seed", order, &she::ExtendSeedRequest { entropy }, &[])
            }
            11 => Step::plain("SHE encrypt ECB", order, &she::EncryptEcbRequest { length, slot }, &data),
            12 => Step::plain("SHE decrypt ECB", order, &she::DecryptEcbRequest { length, slot }, &data),
            13 => {
                let iv = self.random.array();
                Step::plain("SHE encrypt CBC", order, &she::EncryptCbcRequest { length, slot, iv }, &data)
            }
            14 => {
                let iv = self.random.array();
                Step::plain("SHE decrypt CBC", order, &she::DecryptCbcRequest { length, slot, iv }, &data)
            }
            15 | 16 => {
                let slot = slot.into();
                Step::plain("generate MAC", order, &she::GenerateMacRequest { slot, length }, &data)
            }
            17 => {
                let mac_length = self.random.pick(&[16, 16, 0, 1, 15, 17]);
                let mac = self.random.bytes(mac_length as usize);
                let request = she::VerifyMacRequest { slot: slot.into(), length, mac_length };
                Step::plain("verify MAC", order, &request, &[&*data, &mac].concat())
            }
            _ => {
                // Slots are provisioned as objects.
                let slot = self.random.pick(&[0, 1, 4, 5, 15]);
                let label = she::SlotLabel { counter: 1, flags: she::SlotFlags::NONE };
                let metadata = Metadata { length: 16, ..she::slot_metadata(self.client, slot, label) };
                // The original goes on with the key that it has cached, so a slot always gets the same.
                let key = [slot; 16];
                Step::plain("add slot", order, &nvm::AddRequest { metadata }, &key)
            }
        }
    }
}
