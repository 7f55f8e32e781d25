//! Key messages.

use super::{Generator, typed};
use crate::compare::step::{Compared, Step, Yield};
use casemate_protocol::message::key;
use casemate_protocol::{Field, KeyId, Layout, Metadata, ObjectId, Writer};

impl Generator {
    pub(super) fn label_length(&mut self) -> u32 {
        self.random.pick(&[0, 1, 5, 24, 24, 24, 25, u32::MAX])
    }

    pub(super) fn cipher_number(&mut self) -> u16 {
        if self.random.percent(5) { self.random.next() as u16 & 7 } else { key::WRAP_CIPHER_AES_GCM }
    }

    /// A blob of the first server's, sometimes changed, or what is none.
    pub(super) fn blob(&mut self, of_data: bool) -> Vec<u8> {
        let blobs = if of_data { &self.wrapped_data } else { &self.wrapped };
        if blobs.is_empty() || self.random.percent(10) {
            return self.data(8);
        }
        let at = self.random.below(blobs.len());
        let mut blob = if of_data { self.wrapped_data[at].clone() } else { self.wrapped[at].clone() };
        if self.random.percent(10) && !blob.is_empty() {
            let at = self.random.below(blob.len());
            blob[at] ^= 1;
        }
        blob
    }

    pub(super) fn key(&mut self) -> Step {
        let order = self.order;
        match self.random.below(22) {
            0..=3 => {
                let id = self.new_key();
                let data = if self.random.percent(70) {
                    let length = self.random.pick(&[16, 16, 24, 32]);
                    self.random.bytes(length)
                } else {
                    self.data(key::CacheRequest::SIZE)
                };
                let request = key::CacheRequest {
                    flags: u32::from(self.flags().0),
                    length: self.declared(&data),
                    label_length: self.label_length(),
                    id,
                    label: self.label(),
                };
                Step::plain("cache", order, &request, &data).yields(Yield::Key { random: false })
            }
            4 => {
                let request = key::CacheRandomRequest {
                    flags: u32::from(self.flags().0),
                    label_length: self.label_length(),
                    length: self.random.pick(&[0, 1, 16, 32, 256, 257, 1200, 1201, 8192, 8193, u16::MAX]),
                    id: self.random_key(),
                    label: self.label(),
                };
                Step::plain("cache random", order, &request, &[]).yields(Yield::Key { random: true })
            }
            5 => Step::plain("evict", order, &key::EvictRequest { id: self.any_key() }, &[]),
            6 | 7 => Step::plain("commit", order, &key::CommitRequest { id: self.any_key() }, &[]),
            8 => Step::plain("erase", order, &key::EraseRequest { id: self.any_key() }, &[]),
            9 => Step::plain("revoke", order, &key::RevokeRequest { id: self.any_key() }, &[]),
            10 | 11 => {
                let id = self.any_key();
                let step = Step::plain("export", order, &key::ExportRequest { id }, &[]);
                step.compared(self.compared(id))
            }
            12 | 13 => {
                let id = self.same_key();
                let algorithm = self.random.below(10) as u16;
                let (id, algorithm) = if self.random.percent(60) {
                    self.random.pick(&[
                        (KeyId(typed::RSA), 1),
                        (KeyId(typed::P256), 2),
                        (KeyId(typed::P521), 2),
                        (KeyId(typed::X25519), 3),
                        (KeyId(typed::ED25519), 4),
                        (KeyId(typed::ML_DSA), 5),
                        (KeyId(typed::ML_KEM), 6),
                    ])
                } else {
                    (id, algorithm)
                };
                Step::plain("export public", order, &key::ExportPublicRequest { id, algorithm }, &[])
            }
            14 => {
                let data = self.data(key::WrapRequest::SIZE + key::WRAPPED_KEY_OVERHEAD);
                let owner = u16::from(self.client.get()) << 8;
                let number = 1 + self.random.below(5) as u16;
                let metadata = Metadata {
                    id: ObjectId(
                        self.random.pick(&[
                            0x4000 | owner,
                            0x4000 | owner,
                            0x4000,
                            0x4300,
                            0x1000 | owner,
                            0,
                        ]) | number,
                    ),
                    access: 0xFFFF,
                    flags: self.flags(),
                    length: data.len() as u16,
                    label: self.label(),
                };
                let mut bytes = [0; Metadata::SIZE];
                let _ = metadata.put(&mut Writer::new(&mut bytes, order));
                let request = key::WrapRequest {
                    length: self.declared(&data) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("wrap", order, &request, &[&bytes, &*data].concat())
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedKey)
            }
            15 => {
                let request = key::WrapExportRequest {
                    id: self.same_key(),
                    object_type: self.random.pick(&[1, 1, 1, 4, 0, 2, 3, 5, 0xFFF1]),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("wrap export", order, &request, &[])
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedKey)
            }
            16 => {
                let blob = self.blob(false);
                let request = key::UnwrapExportRequest {
                    length: self.declared(&blob) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("unwrap export", order, &request, &blob)
            }
            17 => {
                let blob = self.blob(false);
                let request = key::UnwrapCacheRequest {
                    length: self.declared(&blob) as u16,
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("unwrap cache", order, &request, &blob).yields(Yield::Key { random: false })
            }
            18 | 19 => {
                let data = self.data(key::DataWrapRequest::SIZE);
                let request = key::DataWrapRequest {
                    length: self.declared(&data),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("data wrap", order, &request, &data)
                    .compared(Compared::Fixed)
                    .yields(Yield::WrappedData)
            }
            _ => {
                let blob = self.blob(true);
                let request = key::DataUnwrapRequest {
                    length: self.declared(&blob),
                    kek: self.same_key(),
                    cipher: self.cipher_number(),
                };
                Step::plain("data unwrap", order, &request, &blob)
            }
        }
    }
}
