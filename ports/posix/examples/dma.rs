//! Works on data in memory that client and server share, and checks the results with messages that carry their data.
//! Start a server first: `casemate serve --nvm ram --shm casemate`, and give this program the object's name.

use casemate_client::dma::{Placement, SharedArea};
use casemate_client::{
    Client, CtrState, Direction, Ed25519, Ed25519Mode, Hash, HashAlgorithm, Key, MlDsa, MlDsaMessage, MlKem,
    NewKey,
};
use casemate_posix::MonotonicClock;
use casemate_posix::shm::ShmClientTransport;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::{ClientId, DmaBuffer, Flags, KeyId, Metadata, ObjectId};
use std::error::Error;
use std::time::Duration;

/// A key that may do everything.
fn new_key(id: u16, flags: Flags) -> NewKey {
    NewKey { id: KeyId(id), flags: Flags::USAGE_ANY | flags, label: "shared".into() }
}

/// Every call on shared memory; returns how many were made.
pub(crate) fn run(name: &str) -> Result<usize, Box<dyn Error>> {
    let limit = Duration::from_secs(20);
    let transport = ShmClientTransport::connect(name, limit)?;
    let memory = transport.dma_area().ok_or("the server has no such memory")?;
    let mut client = Client::with_timeout(transport, vec![0; 8 + 8192], MonotonicClock::new(), limit);
    client.init(ClientId::new(12).ok_or("a client identifier is 1 to 15")?)?;
    let mut calls = 0;
    let data: Vec<u8> = (0..2048_u32).map(|i| i.to_le_bytes()[0]).collect();

    // An object and a key, there and back.
    let mut place = Placement::new(&memory);
    let placed = place.place(&data)?;
    let object = ObjectId(0x77);
    let metadata = Metadata { id: object, label: "shared".into(), ..Metadata::default() };
    client.dma_nvm_add(&mut place, &metadata, placed.buffer)?;
    let back = place.reserve(data.len())?;
    client.dma_nvm_read(object, 0, back.buffer)?;
    let mut bytes = vec![0; data.len()];
    place.take(back, &mut bytes)?;
    assert_eq!(bytes, data);
    client.nvm_destroy(&[object])?;
    calls += 2;

    let mut place = Placement::new(&memory);
    let secret = place.place(b"0123456789abcdef")?;
    let id = client.dma_key_cache(&new_key(0, Flags::NONE), secret.buffer)?;
    let back = place.reserve(32)?;
    let (length, label) = client.dma_key_export(id, back.buffer)?;
    assert_eq!((length, label), (16, "shared".into()));
    let mut bytes = [0; 16];
    place.take(back, &mut bytes)?;
    assert_eq!(&bytes, b"0123456789abcdef");
    calls += 2;

    // Random numbers.
    let random = place.place(&[0; 64])?;
    client.dma_random(random.buffer)?;
    let mut bytes = [0; 64];
    place.take(random, &mut bytes)?;
    assert_ne!(bytes, [0; 64]);
    calls += 1;

    // Ciphers, against the same over messages.
    for key in [Key::Id(id), Key::Inline(b"0123456789abcdef")] {
        let mut place = Placement::new(&memory);
        let (input, output) = (place.place(&data)?, place.reserve(data.len())?);
        let (aad, mut result) = (place.place(b"header")?, vec![0; data.len()]);
        client.dma_aes_ecb(Direction::Encrypt, key, input.buffer, output.buffer)?;
        place.take(output, &mut result)?;
        let mut expected = data.clone();
        client.aes_ecb(Direction::Encrypt, key, &mut expected)?;
        assert_eq!(result, expected);
        client.dma_aes_ecb(Direction::Decrypt, key, output.buffer, output.buffer)?;
        place.take(output, &mut result)?;
        assert_eq!(result, data);

        let (mut iv, mut other) = ([1; 16], [1; 16]);
        client.dma_aes_cbc(Direction::Encrypt, key, &mut iv, input.buffer, output.buffer)?;
        place.take(output, &mut result)?;
        let mut expected = data.clone();
        client.aes_cbc(Direction::Encrypt, key, &mut other, &mut expected)?;
        assert_eq!((result.as_slice(), iv), (expected.as_slice(), other));

        let (mut state, mut other) = (CtrState::new([2; 16]), CtrState::new([2; 16]));
        let part = |placed: DmaBuffer| DmaBuffer { size: 1001, ..placed };
        for _ in 0..2 {
            client.dma_aes_ctr(key, &mut state, part(input.buffer), part(output.buffer))?;
            place.take(output, &mut result[..1001])?;
            let mut expected = data[..1001].to_vec();
            client.aes_ctr(key, &mut other, &mut expected)?;
            assert_eq!(result[..1001], expected);
        }

        let (mut tag, mut other) = ([0; 16], [0; 16]);
        let buffers = (input.buffer, output.buffer);
        client.dma_aes_gcm_encrypt(key, &[3; 12], aad.buffer, buffers, &mut tag)?;
        place.take(output, &mut result)?;
        let mut expected = data.clone();
        client.aes_gcm_encrypt(key, &[3; 12], b"header", &mut expected, &mut other)?;
        assert_eq!((&result, tag), (&expected, other));
        let buffers = (output.buffer, output.buffer);
        client.dma_aes_gcm_decrypt(key, &[3; 12], aad.buffer, buffers, &tag)?;
        place.take(output, &mut result)?;
        assert_eq!(result, data);

        let (mut mac, mut other) = ([0; 16], [0; 16]);
        client.dma_cmac(key, input.buffer, &mut mac)?;
        client.cmac(key, &data, &mut other)?;
        assert_eq!(mac, other);
        let mut cmac = casemate_client::Cmac::new(key);
        client.dma_cmac_update(&mut cmac, part(input.buffer))?;
        client.cmac_update(&mut cmac, &data[1001..])?;
        client.cmac_finish(&cmac, &mut mac)?;
        assert_eq!(mac, other);
        calls += 9;
    }

    // Hashes.
    for algorithm in HashAlgorithm::ALL {
        let mut place = Placement::new(&memory);
        let whole = data.len() / algorithm.block_size() * algorithm.block_size();
        let placed = place.place(&data[..whole])?;
        let mut hash = Hash::new(algorithm);
        client.dma_hash_update(&mut hash, placed.buffer)?;
        client.hash_update(&mut hash, &data[whole..])?;
        let digest = client.hash_finish(&hash)?;
        assert_eq!(digest.as_bytes(), client.hash(algorithm, &data)?.as_bytes(), "{algorithm:?}");
        calls += 1;
    }

    // Signatures.
    let mut place = Placement::new(&memory);
    let message = place.place(&data[..100])?;
    let signature = place.reserve(64)?;
    let pair = client.key_pair_generate(Ed25519, &new_key(0, Flags::NONE))?;
    client.dma_ed25519_sign(pair, Ed25519Mode::Pure, message.buffer, signature.buffer)?;
    let mut bytes = [0; 64];
    place.take(signature, &mut bytes)?;
    assert!(client.ed25519_verify(Key::Id(pair), Ed25519Mode::Pure, &bytes, &data[..100])?);
    assert!(client.dma_ed25519_verify(pair, Ed25519Mode::Pure, message.buffer, signature.buffer)?);
    let other = DmaBuffer { size: 99, ..message.buffer };
    assert!(!client.dma_ed25519_verify(pair, Ed25519Mode::Pure, other, signature.buffer)?);
    let exported = place.reserve(64)?;
    let (length, _) = client.dma_key_export_public(pair, KeyAlgorithm::ED25519, exported.buffer)?;
    assert_eq!(length, 44);
    client.key_evict(pair)?;
    calls += 4;

    for parameters in MlDsa::ALL {
        let mut place = Placement::new(&memory);
        let message = place.place(&data[..100])?;
        let output = place.reserve(parameters.public_size())?;
        let (key, length) =
            client.dma_ml_dsa_generate(parameters, &new_key(0, Flags::NONE), output.buffer)?;
        assert_eq!(length, parameters.public_size());
        let size = parameters.signature_size();
        let signature = place.reserve(size)?;
        let key = (key, parameters);
        client.dma_ml_dsa_sign(key, b"context", message.buffer, signature.buffer)?;
        let mut bytes = vec![0; size];
        place.take(signature, &mut bytes)?;
        let pure = MlDsaMessage::Pure(&data[..100]);
        assert!(client.ml_dsa_verify(Key::Id(key.0), parameters, &bytes, pure, b"context")?);
        assert!(client.dma_ml_dsa_verify(key, b"context", message.buffer, signature.buffer)?);
        assert!(!client.dma_ml_dsa_verify(key, b"other", message.buffer, signature.buffer)?);
        client.key_evict(key.0)?;
        calls += 4;
    }

    for parameters in MlKem::ALL {
        let mut place = Placement::new(&memory);
        let output = place.reserve(parameters.public_size())?;
        let (key, _) = client.dma_ml_kem_generate(parameters, &new_key(0, Flags::NONE), output.buffer)?;
        let ciphertext = place.reserve(parameters.ciphertext_size())?;
        let (mut secret, mut other) = ([0; 32], [0; 32]);
        client.dma_ml_kem_encapsulate((key, parameters), ciphertext.buffer, &mut secret)?;
        client.dma_ml_kem_decapsulate((key, parameters), ciphertext.buffer, &mut other)?;
        assert_eq!(secret, other);
        client.key_evict(key)?;
        calls += 3;
    }

    // What is not shared is refused.
    let outside = DmaBuffer::new(memory.address(memory.length() as u64), 16);
    assert!(client.dma_random(outside).is_err());
    client.key_evict(id)?;
    client.close()?;
    Ok(calls)
}

#[allow(dead_code, reason = "a test uses the rest of this file")]
fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "casemate".to_owned());
    println!("{} calls over shared memory did what they should", run(&name)?);
    Ok(())
}
