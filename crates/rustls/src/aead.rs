//! AES-GCM for records of TLS 1.3 (RFC 8446, §5.2) and TLS 1.2 (RFC 5288).

use crate::DriverSource;
use alloc::boxed::Box;
use casemate_crypto::Aead;
use core::marker::PhantomData;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

const TAG: usize = 16;

/// AES-GCM with keys of one length.
pub(crate) struct AesGcm<S> {
    key_length: usize,
    source: PhantomData<fn() -> S>,
}

impl<S> AesGcm<S> {
    /// `key_length` is 16 or 32 bytes.
    pub(crate) const fn new(key_length: usize) -> Self {
        Self { key_length, source: PhantomData }
    }
}

/// The state of one direction of TLS 1.3: the key, which rustls wipes, and the nonce mask.
struct Tls13<S> {
    key: AeadKey,
    key_length: usize,
    iv: Iv,
    source: PhantomData<fn() -> S>,
}

impl<S> Tls13<S> {
    fn key(&self) -> &[u8] {
        self.key.as_ref().get(..self.key_length).unwrap_or_default()
    }
}

impl<S: DriverSource> Tls13AeadAlgorithm for AesGcm<S> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Tls13::<S> { key, key_length: self.key_length, iv, source: PhantomData })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Tls13::<S> { key, key_length: self.key_length, iv, source: PhantomData })
    }

    fn key_len(&self) -> usize {
        self.key_length
    }

    /// Traffic keys do not leave the driver's side.
    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<S: DriverSource> MessageEncrypter for Tls13<S> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&message.typ.to_array());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let mut tag = [0; TAG];
        S::driver()
            .gcm_seal(self.key(), &nonce, &make_tls13_aad(length), payload.as_mut(), &mut tag)
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // RFC 8446, §5.1: protected records say version 1.2.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length.saturating_add(1).saturating_add(TAG)
    }
}

impl<S: DriverSource> MessageDecrypter for Tls13<S> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(message.payload.len());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let length = message.payload.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        let (data, tag) = message.payload.split_at_mut_checked(length).ok_or(Error::DecryptError)?;
        S::driver().gcm_open(self.key(), &nonce, &aad, data, tag).map_err(|_| Error::DecryptError)?;
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}

#[cfg(feature = "tls12")]
mod tls12 {
    use super::{
        Aead, AeadKey, AesGcm, Box, ConnectionTrafficSecrets, DriverSource, Error, InboundOpaqueMessage,
        InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce, OutboundOpaqueMessage,
        OutboundPlainMessage, PhantomData, PrefixedPayload, TAG, UnsupportedOperationError,
    };
    use rustls::crypto::cipher::{KeyBlockShape, NONCE_LEN, Tls12AeadAlgorithm, make_tls12_aad};

    /// The part of the nonce that comes with each record, in bytes; the rest is secret.
    const EXPLICIT: usize = 8;
    const SECRET: usize = NONCE_LEN - EXPLICIT;
    /// The longest plaintext of a record (RFC 5246, §6.2.1).
    const MAXIMUM: usize = 1 << 14;

    /// The state of one direction.
    struct Tls12<S> {
        key: AeadKey,
        key_length: usize,
        /// For sending: the secret part, then the explicit part of record 0. For receiving, the secret part alone.
        iv: [u8; NONCE_LEN],
        source: PhantomData<fn() -> S>,
    }

    impl<S> Tls12<S> {
        fn new(key: AeadKey, key_length: usize, secret: &[u8], explicit: &[u8]) -> Self {
            let mut iv = [0; NONCE_LEN];
            iv.iter_mut().zip(secret.iter().chain(explicit)).for_each(|(target, byte)| *target = *byte);
            Self { key, key_length, iv, source: PhantomData }
        }

        fn key(&self) -> &[u8] {
            self.key.as_ref().get(..self.key_length).unwrap_or_default()
        }
    }

    impl<S: DriverSource> Tls12AeadAlgorithm for AesGcm<S> {
        fn encrypter(&self, key: AeadKey, iv: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
            Box::new(Tls12::<S>::new(key, self.key_length, iv, explicit))
        }

        fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
            Box::new(Tls12::<S>::new(key, self.key_length, iv, &[]))
        }

        fn key_block_shape(&self) -> KeyBlockShape {
            KeyBlockShape { enc_key_len: self.key_length, fixed_iv_len: SECRET, explicit_nonce_len: EXPLICIT }
        }

        fn extract_keys(
            &self,
            _: AeadKey,
            _: &[u8],
            _: &[u8],
        ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
            Err(UnsupportedOperationError)
        }
    }

    impl<S: DriverSource> MessageEncrypter for Tls12<S> {
        fn encrypt(
            &mut self,
            message: OutboundPlainMessage<'_>,
            sequence: u64,
        ) -> Result<OutboundOpaqueMessage, Error> {
            let length = message.payload.len();
            let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
            // Counting from the handshake's random start never repeats an explicit part under one key.
            let nonce = Nonce::new(&Iv::new(self.iv), sequence).0;
            payload.extend_from_slice(nonce.last_chunk::<EXPLICIT>().ok_or(Error::EncryptError)?);
            payload.extend_from_chunks(&message.payload);
            let aad = make_tls12_aad(sequence, message.typ, message.version, length);
            let mut tag = [0; TAG];
            let (_, data) = payload.as_mut().split_at_mut_checked(EXPLICIT).ok_or(Error::EncryptError)?;
            S::driver()
                .gcm_seal(self.key(), &nonce, &aad, data, &mut tag)
                .map_err(|_| Error::EncryptError)?;
            payload.extend_from_slice(&tag);
            Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
        }

        fn encrypted_payload_len(&self, length: usize) -> usize {
            length.saturating_add(EXPLICIT).saturating_add(TAG)
        }
    }

    impl<S: DriverSource> MessageDecrypter for Tls12<S> {
        fn decrypt<'a>(
            &mut self,
            mut message: InboundOpaqueMessage<'a>,
            sequence: u64,
        ) -> Result<InboundPlainMessage<'a>, Error> {
            let wrong = || Error::DecryptError;
            let length = message.payload.len().checked_sub(EXPLICIT + TAG).ok_or_else(wrong)?;
            if length > MAXIMUM {
                return Err(Error::PeerSentOversizedRecord);
            }
            let aad = make_tls12_aad(sequence, message.typ, message.version, length);
            let (explicit, rest) = message.payload.split_first_chunk_mut::<EXPLICIT>().ok_or_else(wrong)?;
            let mut nonce = self.iv;
            nonce.iter_mut().skip(SECRET).zip(explicit).for_each(|(target, byte)| *target = *byte);
            let (data, tag) = rest.split_at_mut_checked(length).ok_or_else(wrong)?;
            S::driver().gcm_open(self.key(), &nonce, &aad, data, tag).map_err(|_| wrong())?;
            let end = EXPLICIT.saturating_add(length);
            if message.payload.len() < end {
                return Err(wrong());
            }
            message.payload.copy_within(EXPLICIT..end, 0);
            message.payload.truncate(length);
            Ok(message.into_plain_message())
        }
    }
}
