//! Certificates.

use super::Generator;
use crate::compare::step::{Compared, Step};
use crate::demo::certificate::certificates;
use casemate_protocol::message::certificate;
use casemate_protocol::{ByteOrder, ObjectId};

impl Generator {
    pub(super) fn certificate(&mut self) -> Step {
        let order = self.order;
        let names: &[&str] = self.random.pick(&[
            &["root"] as &[&str],
            &["root"],
            &["other-root"],
            &["intermediate", "leaf"],
            &["intermediate", "leaf"],
            &["leaf"],
            &["other-leaf"],
            &["intermediate", "expired"],
            &["attribute"],
        ]);
        // The names are those of the file.
        let mut data = certificates(names).unwrap_or_default();
        if self.random.percent(self.malformed) {
            data = self.data(40);
        }
        let length = self.declared(&data);
        let id = ObjectId(self.random.pick(&[1, 1, 2, 2, 3, 9]));
        let flags = self.random.pick(&[0, 0, 1, 2, 3, 0xFFFE]);
        let (key_flags, key) = (self.flags(), self.new_key());
        match self.random.below(14) {
            0 => Step::plain("certificate init", order, &certificate::InitRequest {}, &[]),
            1..=3 => {
                let request = certificate::AddTrustedRequest {
                    length,
                    id,
                    access: 0xFFFF,
                    flags: self.flags(),
                    label: self.label(),
                };
                Step::plain("add trusted", order, &request, &data)
            }
            4 => Step::plain("erase trusted", order, &certificate::EraseTrustedRequest { id }, &[]),
            5 => Step::plain("read trusted", order, &certificate::ReadTrustedRequest { id }, &[]),
            6..=8 => {
                let request = certificate::VerifyRequest { length, root: id, flags, key_flags, key };
                let compared = if flags & 1 == 0 { Compared::Status } else { Compared::Whole };
                Step::plain("verify", order, &request, &data).compared(compared)
            }
            9 | 10 => {
                let count = self.random.pick(&[1_u16, 2, 3, 8, 0, 9]);
                let mut tail = Vec::new();
                for _ in 0..count {
                    let id = self.random.pick(&[1_u16, 2, 3, 0]);
                    tail.extend(if order == ByteOrder::Little { id.to_le_bytes() } else { id.to_be_bytes() });
                }
                tail.extend(data);
                let request =
                    certificate::VerifyMultiRootRequest { length, roots: count, flags, key_flags, key };
                let compared = if flags & 1 == 0 { Compared::Status } else { Compared::Whole };
                Step::plain("verify with roots", order, &request, &tail).compared(compared)
            }
            11 => Step::plain("clear verify cache", order, &certificate::VerifyCacheClearRequest {}, &[]),
            12 => {
                let enable = self.random.pick(&[0, 1, 2]);
                Step::plain(
                    "switch verify cache",
                    order,
                    &certificate::VerifyCacheSetEnabledRequest { enable },
                    &[],
                )
            }
            _ => {
                let request = certificate::VerifyAttributeRequest { length, root: id };
                Step::plain("verify attribute", order, &request, &data)
            }
        }
    }
}
