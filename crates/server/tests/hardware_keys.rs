//! Keys in hardware: what can be done with them, and that nothing else can (document 03, §9).

mod common;

use casemate_crypto::{Aead, Software};
use casemate_protocol::message::crypto_dma::StatefulKeyGenerationDmaRequest;
use casemate_protocol::message::key;
use casemate_protocol::message::public_key::{
    self, EcCheckPublicRequest, EcKeyGenerationRequest, EcMakePublicRequest, EcdhRequest, EcdsaSignRequest,
    EcdsaVerifyRequest, Ed25519SignRequest, MlDsaKeyGenerationRequest, MlDsaSignRequest, RsaRequest,
    RsaSizeRequest, X25519Request,
};
use casemate_protocol::{
    ClientId, DmaBuffer, Flags, Group, IdFeatures, KeyId, Label, Metadata, ObjectId, ObjectType, Status,
};
use casemate_server::{Config, HardwareKeyFault, HardwareKeyStore, SliceMemory};
use casemate_testkit::server::{TestRandom, VirtualOptions, VirtualServer};
use common::{ANY, Client, bytes};
use std::cell::RefCell;
use std::rc::Rc;

const KEK: [u8; 32] = [0xAB; 32];

/// Slots 0 and 1 for client 1, slot 1 for everybody, and slots with faults. It notes which keys were asked for.
#[derive(Default, Clone)]
struct Slots {
    asked: Rc<RefCell<Vec<u16>>>,
}

impl HardwareKeyStore for Slots {
    fn read(&self, id: ObjectId, key: &mut [u8; 32]) -> Result<usize, HardwareKeyFault> {
        self.asked.borrow_mut().push(id.0);
        let (byte, length) = match id.0 {
            0x5100 => (0x10, 16),
            0x5101 => (KEK[0], 32),
            0x5001 => (0x01, 24),
            0x5102 => (0x02, 31),
            0x5103 => return Err(HardwareKeyFault::Refused),
            0x5104 => return Err(HardwareKeyFault::TooLong),
            0x5105 => return Err(HardwareKeyFault::Failed),
            _ => return Err(HardwareKeyFault::Unknown),
        };
        key[..length].fill(byte);
        Ok(length)
    }
}

fn server(hardware_keys: bool) -> (VirtualServer, Slots) {
    let features = IdFeatures { hardware_keys, ..IdFeatures::ALL };
    let config = Config { features, ..Config::default() };
    let mut server = VirtualServer::new(VirtualOptions { config, ..VirtualOptions::default() });
    let slots = Slots::default();
    server.attach(slots.clone());
    (server, slots)
}

fn wrapped_metadata(number: u8, length: usize) -> Metadata {
    let id = ObjectId::new(ObjectType::WRAPPED, ClientId::new(1).unwrap(), number);
    let flags = Flags(u16::try_from(ANY).unwrap());
    Metadata { id, flags, length: length.try_into().unwrap(), ..Metadata::default() }
}

#[test]
fn every_message_that_takes_a_key_encryption_key_takes_one_from_hardware() {
    let (server, slots) = server(true);
    let mut client = Client::new(&server, 1);
    for kek in [0x0401, 0x0400, 0x0501, 0x0701] {
        // Data, there and back.
        let blob = client.data_wrap(kek, b"some data").unwrap();
        assert_eq!(client.data_unwrap(kek, &blob).unwrap(), b"some data");
        // A key of the client's, as a blob, returned and cached.
        let blob = client.wrap(kek, wrapped_metadata(9, 16), &[7; 16]).unwrap();
        let (metadata, key) = client.unwrap_export(kek, &blob).unwrap();
        assert_eq!((metadata.id.number(), key), (9, vec![7; 16]));
        // The two that demand a trusted key.
        assert_eq!(client.unwrap_cache(kek, &blob), Ok(0x0209));
        let again = client.wrap_export(kek, 0x0209, 1).unwrap();
        client.evict(0x0209).unwrap();
        assert_eq!(client.unwrap_cache(kek, &again), Ok(0x0209));
        assert!(client.encrypt(0x0209).is_ok());
        client.evict(0x0209).unwrap();
    }
    let asked = slots.asked.take();
    // The flag for wrapped keys beside the one for hardware keys does not count.
    assert_eq!(asked.iter().filter(|id| **id == 0x5101).count(), 7);
    assert_eq!(asked.iter().filter(|id| **id == 0x5100).count(), 7);
    assert_eq!(asked.iter().filter(|id| **id == 0x5001).count(), 14);
    assert_eq!(asked.len(), 28);
    // Nothing of it was stored.
    assert_eq!(client.list(), []);
}

/// The blob is AES-GCM under the very key of the slot.
#[test]
fn data_is_encrypted_with_the_key_of_the_slot() {
    let (server, _) = server(true);
    let blob = Client::new(&server, 1).data_wrap(0x0401, b"checked").unwrap();
    let (iv, rest) = blob.split_at(12);
    let (tag, text) = rest.split_at(16);
    let mut text = text.to_vec();
    let driver = Software::new(TestRandom::new(0));
    driver.gcm_open(&KEK, iv, key::DATA_WRAP_CONTEXT, &mut text, tag).unwrap();
    assert_eq!(text, b"checked");
    // Another client has another slot, or none.
    assert_eq!(Client::new(&server, 2).data_unwrap(0x0401, &blob), Err(Status::NOT_FOUND));
    assert_eq!(Client::new(&server, 2).data_unwrap(0x0501, &blob), Err(Status::AES_GCM_AUTHENTICATION));
}

#[test]
fn faults_of_the_hardware_reach_the_client() {
    let (server, _) = server(true);
    let mut client = Client::new(&server, 1);
    let blob = client.data_wrap(0x0401, b"some data").unwrap();
    let wrapped = client.wrap(0x0401, wrapped_metadata(9, 16), &[7; 16]).unwrap();
    client.cache(5, ANY, &[5; 16]).unwrap();
    for (kek, status) in [
        (0x0402, Status::CRYPTO_ARGUMENT),
        (0x0403, Status::ACCESS),
        (0x0404, Status::BUFFER_SIZE),
        (0x0405, Status::HARDWARE),
        (0x0406, Status::NOT_FOUND),
        (0x0502, Status::NOT_FOUND),
    ] {
        assert_eq!(client.data_wrap(kek, b"some data"), Err(status));
        assert_eq!(client.data_unwrap(kek, &blob), Err(status));
        assert_eq!(client.wrap(kek, wrapped_metadata(9, 16), &[7; 16]), Err(status));
        assert_eq!(client.unwrap_export(kek, &wrapped).map(drop), Err(status));
        assert_eq!(client.unwrap_cache(kek, &wrapped), Err(status));
        assert_eq!(client.wrap_export(kek, 5, 1), Err(status));
    }
}

#[test]
fn no_other_message_reaches_a_hardware_key() {
    let (server, slots) = server(true);
    let mut client = Client::new(&server, 1);
    client.memory = Some(Box::new(SliceMemory(Box::leak(vec![0; 4096].into_boxed_slice()))));
    let memory = DmaBuffer::new(0, 64);
    for id in [0x0401, 0x0501] {
        let refused = Err(Status::ACCESS);
        let named = KeyId(id);
        let word = u32::from(id);
        assert_eq!(client.cache(id, ANY, b"x").map(drop), refused);
        assert_eq!(client.cache_random(id, ANY, 16).map(drop), refused);
        assert_eq!(client.export(id).map(drop), refused);
        for algorithm in 1..=8 {
            assert_eq!(client.export_public(id, algorithm).map(drop), refused, "{algorithm}");
        }
        assert_eq!(client.evict(id), refused);
        assert_eq!(client.commit(id), refused);
        assert_eq!(client.erase(id), refused);
        assert_eq!(client.revoke(id), refused);
        assert_eq!(client.wrap_export(0x0401, id, 1).map(drop), Err(Status::BAD_ARGUMENTS));

        let request =
            key::CacheDmaRequest { key: memory, flags: ANY, label_length: 0, id: named, label: Label::EMPTY };
        assert_eq!(client.ask(&request, &[]).0.status, Status::ACCESS);
        assert_eq!(
            client.ask(&key::ExportDmaRequest { out: memory, id: named }, &[]).0.status,
            Status::ACCESS
        );
        let request = key::ExportPublicDmaRequest { out: memory, id: named, algorithm: 2 };
        assert_eq!(client.ask(&request, &[]).0.status, Status::ACCESS);

        // Ciphers, CMAC and key derivation: by the identifier in the message, which is little-endian.
        let digits = hex::encode(id.to_le_bytes());
        for (action, payload) in [
            (2, "0D000000 00*8 00000000 00000000 10000000 KKKK 0000 33*16"),
            (2, "02000000 00*8 01000000 00000000 10000000 KKKK 0000 00*16 00*16"),
            (2, "04000000 00*8 01000000 00000000 14000000 00000000 KKKK 0000 00*20 00*32"),
            (
                2,
                "03000000 00*8 01000000 00000000 10000000 0C000000 04000000 10000000 KKKK 0000 00*16 00*12 00*4",
            ),
            (7, "07000000 00*8 10000000 10000000 00000000 KKKK 0000 00*40 00*16"),
            (9, "09000000 01000000 00*4 10000000 KKKK0000 00*4 06000000 00*12 40000000 00*24"),
            (9, "09000000 02000000 00*4 E0070000 KKKK0000 05000000 00*4 00*12 20000000 00*24"),
            // A derived key cannot go there either.
            (9, "09000000 01000000 00*4 E0070000 05000000 KKKK0000 06000000 00*12 20000000 00*24"),
        ] {
            client.cache(5, ANY, &[5; 16]).unwrap();
            let answer = client.raw(Group::CRYPTO, action, &bytes(&payload.replace("KKKK", &digits)));
            assert_eq!(answer[4..8], Status::ACCESS.0.to_le_bytes(), "{payload}");
        }

        // Public keys.
        let public = |client: &mut Client<'_>, number, sub, body: &[u8]| {
            client.compute_raw(3, number, sub, body).map(drop)
        };
        let body = |request: &dyn Fn(&mut [u8])| {
            let mut body = vec![0; 128];
            request(&mut body);
            body
        };
        macro_rules! ask {
            ($number:expr, $sub:expr, $request:expr) => {
                let encoded = body(&|out| {
                    casemate_protocol::Layout::encode(&$request, casemate_protocol::ByteOrder::Little, out)
                        .unwrap();
                });
                assert_eq!(public(&mut client, $number, $sub, &encoded), refused, "{}", stringify!($request));
            };
        }
        use public_key::algorithm as number;
        let (options, label, flags) = (0, Label::EMPTY, ANY);
        ask!(number::RSA, 0, RsaRequest { operation: 0, options, key: word, length: 64, capacity: 64 });
        ask!(number::RSA_SIZE, 0, RsaSizeRequest { options, key: word });
        ask!(number::ECDSA_SIGN, 0, EcdsaSignRequest { options, key: word, length: 32 });
        ask!(
            number::ECDSA_VERIFY,
            0,
            EcdsaVerifyRequest { options, key: word, signature_length: 8, hash_length: 32 }
        );
        ask!(
            number::ECDH,
            0,
            EcdhRequest { options, private_key: word, public_key: word, flags, key: 0, label }
        );
        ask!(number::EC_MAKE_PUBLIC, 0, EcMakePublicRequest { options, key: word });
        ask!(number::EC_CHECK_PUBLIC, 0, EcCheckPublicRequest { options, key: word, curve: 7, length: 0 });
        ask!(
            number::X25519,
            0,
            X25519Request {
                options,
                private_key: word,
                public_key: word,
                endianness: 0,
                flags,
                key: 0,
                label
            }
        );
        ask!(
            number::ED25519_SIGN,
            0,
            Ed25519SignRequest { options, key: word, length: 8, mode: 0, context_length: 0 }
        );
        ask!(
            number::SIGNATURE_SIGN,
            1,
            MlDsaSignRequest { options, level: 2, key: word, length: 8, context_length: 0, prehash: 0 }
        );
        // New keys.
        ask!(
            number::EC_KEY_GENERATION,
            0,
            EcKeyGenerationRequest { size: 32, curve: 7, key: word, flags, access: 0, label }
        );
        ask!(
            number::SIGNATURE_KEY_GENERATION,
            1,
            MlDsaKeyGenerationRequest { size: 0, level: 2, key: word, flags, access: 0, label }
        );
        let mut xmss = [0; 32];
        xmss[..16].copy_from_slice(b"XMSS-SHA2_10_256");
        let request = StatefulKeyGenerationDmaRequest {
            public: DmaBuffer::new(0, 128),
            flags: 0,
            key: word,
            access: 0,
            label_length: 0,
            levels: 0,
            height: 0,
            winternitz: 0,
            label,
            xmss,
        };
        let sub = public_key::sub_algorithm::XMSS;
        let answer = client.compute(number::STATEFUL_KEY_GENERATION, sub, &request, &[]);
        assert_eq!(answer.map(drop), refused);
    }
    assert_eq!(slots.asked.borrow().len(), 0, "the hardware was asked");
}

/// Without the feature in the configuration, the flag does not count: key 1 of the client is meant.
#[test]
fn the_flag_is_ignored_without_the_feature() {
    let (server, slots) = server(false);
    let mut client = Client::new(&server, 1);
    assert_eq!(client.data_wrap(0x0401, b"data"), Err(Status::NOT_FOUND));
    assert_eq!(client.cache(0x0401, ANY, &[1; 16]), Ok(1));
    assert!(client.data_wrap(0x0401, b"data").is_ok());
    assert_eq!(slots.asked.borrow().len(), 0);
}
