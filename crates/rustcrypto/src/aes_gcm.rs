//! AES-GCM.

use crate::Connection;
use aead::array::sizes::{U12, U16};
use aead::inout::InOutBuf;
use aead::{AeadCore, AeadInOut, Nonce, Tag, TagPosition};
use casemate_client::Key;
use casemate_protocol::KeyId;

/// An AES key of the server for AES-GCM, with nonces of 12 and tags of 16 bytes (NIST SP 800-38D).
///
/// Message, associated data and tag have to fit one packet. **The same nonce must never serve twice with a key.**
#[derive(Clone)]
pub struct AesGcmKey<H> {
    connection: H,
    id: KeyId,
}

debug_by_id!(AesGcmKey<H>);

impl<H: Connection> AesGcmKey<H> {
    /// The key with this identifier, of 16, 24 or 32 bytes. It needs `USAGE_ENCRYPT` or `USAGE_DECRYPT`, as it is used.
    /// Whether the server has it shows when it is used.
    pub const fn new(connection: H, id: KeyId) -> Self {
        Self { connection, id }
    }
}

impl<H> AeadCore for AesGcmKey<H> {
    type NonceSize = U12;
    type TagSize = U16;
    const TAG_POSITION: TagPosition = TagPosition::Postfix;
}

/// Copies what is to be worked on to where the result goes.
fn copied<'a>(mut buffer: InOutBuf<'_, 'a, u8>) -> &'a mut [u8] {
    for mut byte in buffer.reborrow() {
        let value = *byte.get_in();
        *byte.get_out() = value;
    }
    buffer.into_out()
}

impl<H: Connection> AeadInOut for AesGcmKey<H> {
    fn encrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
    ) -> aead::Result<Tag<Self>> {
        let data = copied(buffer);
        let mut tag = Tag::<Self>::default();
        let sealed = self.connection.with(|client| {
            Ok(client.aes_gcm_encrypt(Key::Id(self.id), nonce, associated_data, data, &mut tag)?)
        });
        sealed.map(|()| tag).map_err(|_| aead::Error)
    }

    fn decrypt_inout_detached(
        &self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
        tag: &Tag<Self>,
    ) -> aead::Result<()> {
        let data = copied(buffer);
        let opened = self.connection.with(|client| {
            Ok(client.aes_gcm_decrypt(Key::Id(self.id), nonce, associated_data, data, tag)?)
        });
        opened.map_err(|_| aead::Error)
    }
}
