//! Random cross-checks of the software driver against independent implementations, and of streaming against
//! one-shot use. Lengths reach beyond the largest batch of blocks that a back end takes at once (1 KiB).

mod common;

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::array::ArraySize;
use aes_gcm::aead::consts::{U4, U7, U8, U10, U12, U13, U14, U16, U20};
use casemate_crypto::{
    Aead, Cipher, CmacState, CtrState, Direction, Error, Hash, HashAlgorithm, HashState, Hasher, Mac, cmac,
    cmac_kdf, hash, hkdf,
};
use common::driver;
use proptest::prelude::*;
use proptest::sample::select;
use sha3::digest::{Digest, ExtendableOutput, Update, XofReader};

fn key() -> impl Strategy<Value = Vec<u8>> {
    select(vec![16_usize, 24, 32]).prop_flat_map(|length| prop::collection::vec(any::<u8>(), length))
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..70), prop::collection::vec(any::<u8>(), 0..2500),]
}

fn blocks() -> impl Strategy<Value = Vec<u8>> {
    data().prop_map(|mut data| {
        data.truncate(data.len() / 16 * 16);
        data
    })
}

/// Cuts `data` at the given places, in any order.
fn pieces<'a>(data: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (data.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = vec![];
    let mut start = 0;
    for cut in cuts {
        pieces.push(&data[start..cut]);
        start = cut;
    }
    pieces.push(&data[start..]);
    pieces
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..6)
}

/// One block through the AES library's single-block call.
fn one_block(key: &[u8], direction: Direction, block: [u8; 16]) -> [u8; 16] {
    fn run<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(
        key: &[u8],
        direction: Direction,
        block: [u8; 16],
    ) -> [u8; 16] {
        let cipher = C::new_from_slice(key).unwrap();
        let mut array = aes::cipher::Block::<C>::default();
        array.copy_from_slice(&block);
        match direction {
            Direction::Encrypt => cipher.encrypt_block(&mut array),
            Direction::Decrypt => cipher.decrypt_block(&mut array),
        }
        array.as_slice().try_into().unwrap()
    }
    match key.len() {
        16 => run::<aes::Aes128>(key, direction, block),
        24 => run::<aes::Aes192>(key, direction, block),
        _ => run::<aes::Aes256>(key, direction, block),
    }
}

fn xor(left: [u8; 16], right: [u8; 16]) -> [u8; 16] {
    (u128::from_ne_bytes(left) ^ u128::from_ne_bytes(right)).to_ne_bytes()
}

/// CTR as document 04, §5.3, describes it, one byte at a time.
fn slow_ctr(key: &[u8], state: &mut CtrState, data: &mut [u8]) {
    for byte in data {
        if state.unused == 0 {
            state.keystream = one_block(key, Direction::Encrypt, state.counter);
            state.counter = u128::from_be_bytes(state.counter).wrapping_add(1).to_be_bytes();
            state.unused = 16;
        }
        *byte ^= state.keystream[16 - state.unused];
        state.unused -= 1;
    }
}

fn seal_oracle<A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &mut [u8],
) -> Option<Vec<u8>> {
    let cipher = A::new_from_slice(key).ok()?;
    let nonce = nonce.try_into().ok()?;
    Some(cipher.encrypt_inout_detached(nonce, aad, data.into()).ok()?.to_vec())
}

fn gcm_oracle<N: ArraySize>(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8]) -> Vec<u8> {
    use aes_gcm::AesGcm;
    match key.len() {
        16 => seal_oracle::<AesGcm<aes::Aes128, N>>(key, iv, aad, data),
        24 => seal_oracle::<AesGcm<aes::Aes192, N>>(key, iv, aad, data),
        _ => seal_oracle::<AesGcm<aes::Aes256, N>>(key, iv, aad, data),
    }
    .unwrap()
}

fn ccm_oracle<T, N>(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8]) -> Vec<u8>
where
    T: ArraySize + ccm::TagSize,
    N: ArraySize + ccm::NonceSize,
{
    use ccm::Ccm;
    match key.len() {
        16 => seal_oracle::<Ccm<aes::Aes128, T, N>>(key, nonce, aad, data),
        24 => seal_oracle::<Ccm<aes::Aes192, T, N>>(key, nonce, aad, data),
        _ => seal_oracle::<Ccm<aes::Aes256, T, N>>(key, nonce, aad, data),
    }
    .unwrap()
}

fn cmac_oracle(key: &[u8], data: &[u8]) -> Vec<u8> {
    fn run<M: cmac::Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        cmac::Mac::update(&mut mac, data);
        mac.finalize().into_bytes().to_vec()
    }
    match key.len() {
        16 => run::<cmac::Cmac<aes::Aes128>>(key, data),
        24 => run::<cmac::Cmac<aes::Aes192>>(key, data),
        _ => run::<cmac::Cmac<aes::Aes256>>(key, data),
    }
}

fn xof<X: Default + Update + ExtendableOutput>(data: &[u8], length: usize) -> Vec<u8> {
    let mut hasher = X::default();
    hasher.update(data);
    let mut output = vec![0; length];
    hasher.finalize_xof().read(&mut output);
    output
}

/// The digest (for SHAKE, 500 bytes) according to the RustCrypto hashes' own padding and buffering.
fn hash_oracle(algorithm: HashAlgorithm, data: &[u8]) -> Vec<u8> {
    match algorithm {
        HashAlgorithm::Sha1 => sha1::Sha1::digest(data).to_vec(),
        HashAlgorithm::Sha224 => sha2::Sha224::digest(data).to_vec(),
        HashAlgorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        HashAlgorithm::Sha384 => sha2::Sha384::digest(data).to_vec(),
        HashAlgorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
        HashAlgorithm::Sha512_224 => sha2::Sha512_224::digest(data).to_vec(),
        HashAlgorithm::Sha512_256 => sha2::Sha512_256::digest(data).to_vec(),
        HashAlgorithm::Sha3_224 => sha3::Sha3_224::digest(data).to_vec(),
        HashAlgorithm::Sha3_256 => sha3::Sha3_256::digest(data).to_vec(),
        HashAlgorithm::Sha3_384 => sha3::Sha3_384::digest(data).to_vec(),
        HashAlgorithm::Sha3_512 => sha3::Sha3_512::digest(data).to_vec(),
        HashAlgorithm::Shake128 => xof::<shake::Shake128>(data, 500),
        HashAlgorithm::Shake256 => xof::<shake::Shake256>(data, 500),
        other => panic!("no oracle for {other:?}"),
    }
}

fn algorithm() -> impl Strategy<Value = HashAlgorithm> {
    use HashAlgorithm::*;
    select(vec![
        Sha1, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256, Sha3_224, Sha3_256, Sha3_384, Sha3_512,
        Shake128, Shake256,
    ])
}

fn hmac_oracle(algorithm: HashAlgorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
    fn run<M: hmac::Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        hmac::Mac::update(&mut mac, data);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        HashAlgorithm::Sha1 => run::<hmac::Hmac<sha1::Sha1>>(key, data),
        HashAlgorithm::Sha256 => run::<hmac::Hmac<sha2::Sha256>>(key, data),
        HashAlgorithm::Sha384 => run::<hmac::Hmac<sha2::Sha384>>(key, data),
        _ => run::<hmac::SimpleHmac<sha3::Sha3_512>>(key, data),
    }
}

proptest! {
    #[test]
    fn ecb(key in key(), data in blocks()) {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let mut output = data.clone();
            driver().ecb(direction, &key, &mut output).unwrap();
            let expected: Vec<[u8; 16]> =
                data.as_chunks().0.iter().map(|block| one_block(&key, direction, *block)).collect();
            prop_assert_eq!(output.as_slice(), expected.as_flattened());
        }
    }

    #[test]
    fn cbc(key in key(), iv: [u8; 16], data in blocks(), cut: usize) {
        let mut previous = iv;
        let expected: Vec<[u8; 16]> = data
            .as_chunks()
            .0
            .iter()
            .map(|block| {
                previous = one_block(&key, Direction::Encrypt, xor(*block, previous));
                previous
            })
            .collect();
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let (input, expected) = match direction {
                Direction::Encrypt => (data.as_slice(), expected.as_flattened()),
                Direction::Decrypt => (expected.as_flattened(), data.as_slice()),
            };
            let mut output = input.to_vec();
            let mut chain = iv;
            let cut = cut % (data.len() / 16 + 1) * 16;
            driver().cbc(direction, &key, &mut chain, &mut output[..cut]).unwrap();
            driver().cbc(direction, &key, &mut chain, &mut output[cut..]).unwrap();
            prop_assert_eq!(output.as_slice(), expected);
            prop_assert_eq!(chain, previous);
        }
    }

    #[test]
    fn ctr(key in key(), counter: [u8; 16], near_wrap: bool, data in data(), cuts in cuts()) {
        let counter = if near_wrap { u128::MAX.wrapping_sub(counter[0].into()).to_be_bytes() } else { counter };
        let mut expected = data.clone();
        let mut slow = CtrState::new(counter);
        slow_ctr(&key, &mut slow, &mut expected);

        let mut state = CtrState::new(counter);
        let mut output = vec![];
        for piece in pieces(&data, &cuts) {
            let mut piece = piece.to_vec();
            driver().ctr(&key, &mut state, &mut piece).unwrap();
            output.extend(piece);
        }
        prop_assert_eq!(output, expected);
        prop_assert_eq!((state.counter, state.unused), (slow.counter, slow.unused));
        if state.unused > 0 {
            prop_assert_eq!(state.keystream, slow.keystream);
        }
    }

    #[test]
    fn gcm(
        key in key(),
        iv: [u8; 20],
        iv_length in select(vec![1_usize, 8, 12, 16, 20]),
        aad in data(),
        data in data(),
        tag_length in 4_usize..=16,
    ) {
        use aes_gcm::aead::consts::U1;
        let iv = &iv[..iv_length];
        let mut expected = data.clone();
        let tag = match iv_length {
            1 => gcm_oracle::<U1>(&key, iv, &aad, &mut expected),
            8 => gcm_oracle::<U8>(&key, iv, &aad, &mut expected),
            12 => gcm_oracle::<U12>(&key, iv, &aad, &mut expected),
            16 => gcm_oracle::<U16>(&key, iv, &aad, &mut expected),
            _ => gcm_oracle::<U20>(&key, iv, &aad, &mut expected),
        };
        let mut sealed = data.clone();
        let mut own = vec![0; tag_length];
        driver().gcm_seal(&key, iv, &aad, &mut sealed, &mut own).unwrap();
        prop_assert_eq!(&sealed, &expected);
        prop_assert_eq!(&own, &tag[..tag_length]);
        driver().gcm_open(&key, iv, &aad, &mut sealed, &own).unwrap();
        prop_assert_eq!(sealed, data);
    }

    #[test]
    fn gcm_tampering(
        key in key(), iv: [u8; 12], aad in data(), data in data(), place: usize, bit in 0_u32..8
    ) {
        let mut sealed = data.clone();
        let mut tag = [0; 16];
        driver().gcm_seal(&key, &iv, &aad, &mut sealed, &mut tag).unwrap();
        let (mut iv, mut aad) = (iv, aad);
        let total = sealed.len() + aad.len() + iv.len();
        let place = place % total;
        let byte = sealed.iter_mut().chain(&mut aad).chain(&mut iv).nth(place).unwrap();
        *byte ^= 1 << bit;
        let before = sealed.clone();
        prop_assert_eq!(driver().gcm_open(&key, &iv, &aad, &mut sealed, &tag), Err(Error::Authentication));
        prop_assert_eq!(sealed, before);
    }

    #[test]
    fn ccm(key in key(), nonce: [u8; 13], shape in 0_usize..5, aad in data(), data in data()) {
        let mut expected = data.clone();
        let (nonce_length, tag) = match shape {
            0 => (7, ccm_oracle::<U4, U7>(&key, &nonce[..7], &aad, &mut expected)),
            1 => (8, ccm_oracle::<U8, U8>(&key, &nonce[..8], &aad, &mut expected)),
            2 => (12, ccm_oracle::<U10, U12>(&key, &nonce[..12], &aad, &mut expected)),
            3 => (13, ccm_oracle::<U14, U13>(&key, &nonce, &aad, &mut expected)),
            _ => (13, ccm_oracle::<U16, U13>(&key, &nonce, &aad, &mut expected)),
        };
        let nonce = &nonce[..nonce_length];
        let mut sealed = data.clone();
        let mut own = vec![0; tag.len()];
        driver().ccm_seal(&key, nonce, &aad, &mut sealed, &mut own).unwrap();
        prop_assert_eq!(&sealed, &expected);
        prop_assert_eq!(&own, &tag);
        driver().ccm_open(&key, nonce, &aad, &mut sealed, &own).unwrap();
        prop_assert_eq!(&sealed, &data);
        own[0] ^= 1;
        prop_assert_eq!(
            driver().ccm_open(&key, nonce, &aad, &mut expected, &own),
            Err(Error::Authentication)
        );
        prop_assert_eq!(expected, vec![0; data.len()]);
    }

    #[test]
    fn cmac_streamed(key in key(), data in data(), cuts in cuts(), length in 1_usize..=16) {
        let expected = cmac_oracle(&key, &data);
        let mut state = CmacState::default();
        let pieces = pieces(&data, &cuts);
        for piece in &pieces {
            driver().cmac_update(&key, &mut state, piece).unwrap();
            prop_assert!(state.pending_length <= 16);
        }
        // Lazy: only an empty message leaves nothing pending.
        prop_assert_eq!(state.pending_length == 0, data.is_empty());
        prop_assert_eq!(state.absorbed as usize + state.pending_length, data.len());
        let mut tag = vec![0; length];
        driver().cmac_finish(&key, &state, &mut tag).unwrap();
        prop_assert_eq!(&tag, &expected[..length]);
        cmac(&driver(), &key, &pieces, &mut tag).unwrap();
        prop_assert_eq!(&tag, &expected[..length]);
    }

    #[test]
    fn hash_streamed(algorithm in algorithm(), data in data(), cuts in cuts()) {
        let expected = hash_oracle(algorithm, &data);
        let driver = driver();
        let pieces = pieces(&data, &cuts);
        let mut output = vec![0; expected.len()];
        hash(&driver, algorithm, &pieces, &mut output).unwrap();
        prop_assert_eq!(&output, &expected);
        let mut hasher = Hasher::new(&driver, algorithm);
        for piece in &pieces {
            hasher.update(piece).unwrap();
        }
        output.fill(0);
        hasher.clone().finish(&mut output).unwrap();
        prop_assert_eq!(&output, &expected);
    }

    /// As a client does it: whole blocks, the state exported and imported before each, then the tail.
    #[test]
    fn hash_with_travelling_state(algorithm in algorithm(), data in data()) {
        let expected = hash_oracle(algorithm, &data);
        let mut blocks = data.chunks_exact(algorithm.block_size());
        let mut chain = HashState::new(algorithm).chain().clone();
        for block in &mut blocks {
            let mut state = HashState::from_chain(algorithm, chain).unwrap();
            driver().compress(&mut state, block).unwrap();
            chain = state.chain().clone();
        }
        let state = HashState::from_chain(algorithm, chain).unwrap();
        let mut output = vec![0; expected.len()];
        driver().finish(&state, blocks.remainder(), &mut output).unwrap();
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn hmac_parts(
        algorithm in select(vec![
            HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha3_512,
        ]),
        key in prop::collection::vec(any::<u8>(), 0..300),
        data in data(),
        cuts in cuts(),
        length: usize,
    ) {
        let expected = hmac_oracle(algorithm, &key, &data);
        let length = 1 + length % expected.len();
        let mut tag = vec![0; length];
        driver().hmac(algorithm, &key, &pieces(&data, &cuts), &mut tag).unwrap();
        prop_assert_eq!(&tag, &expected[..length]);
    }

    #[test]
    fn hkdf_against_oracle(
        salt in prop::collection::vec(any::<u8>(), 0..200),
        ikm in prop::collection::vec(any::<u8>(), 0..300),
        info in prop::collection::vec(any::<u8>(), 0..100),
        length in 0_usize..1000,
    ) {
        let mut expected = vec![0; length];
        hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &ikm).expand(&info, &mut expected).unwrap();
        let mut output = vec![0; length];
        hkdf(&driver(), HashAlgorithm::Sha256, &salt, &ikm, &info, &mut output).unwrap();
        prop_assert_eq!(&output, &expected);
        let mut expected = vec![0; length];
        hkdf::Hkdf::<sha2::Sha384>::new(Some(&salt), &ikm).expand(&info, &mut expected).unwrap();
        hkdf(&driver(), HashAlgorithm::Sha384, &salt, &ikm, &info, &mut output).unwrap();
        prop_assert_eq!(&output, &expected);
    }

    #[test]
    fn cmac_kdf_against_oracle(salt in key(), secret in data(), info in data(), length in 0_usize..200) {
        let key = cmac_oracle(&salt, &secret);
        let mut expected = vec![];
        for counter in 1_u32..=200_u32.div_ceil(16) {
            expected.extend(cmac_oracle(&key, &[&counter.to_be_bytes(), info.as_slice()].concat()));
        }
        let mut output = vec![0; length];
        cmac_kdf(&driver(), &salt, &secret, &info, &mut output).unwrap();
        prop_assert_eq!(&output, &expected[..length]);
    }

    /// Any arguments at all: an error or a result, never a panic.
    #[test]
    fn no_panic(
        key in prop::collection::vec(any::<u8>(), 0..40),
        iv in prop::collection::vec(any::<u8>(), 0..20),
        mut data in data(),
        mut tag in prop::collection::vec(any::<u8>(), 0..20),
        number: usize,
        small in 0_usize..40,
    ) {
        let driver = driver();
        let iv16 = [number as u8; 16];
        for number in [number, small] {
            let mut ctr = CtrState { counter: iv16, keystream: iv16, unused: number };
            let _ = driver.ctr(&key, &mut ctr, &mut data);
            let mut state =
                CmacState { pending: iv16, chain: iv16, pending_length: number, absorbed: u32::MAX };
            let _ = driver.cmac_update(&key, &mut state, &data);
            let _ = driver.cmac_finish(&key, &state, &mut tag);
        }
        let _ = driver.ecb(Direction::Encrypt, &key, &mut data);
        let _ = driver.cbc(Direction::Decrypt, &key, &mut iv16.clone(), &mut data);
        let _ = driver.gcm_seal(&key, &iv, &iv, &mut data, &mut tag);
        let _ = driver.gcm_open(&key, &iv, &iv, &mut data, &tag);
        let _ = driver.ccm_seal(&key, &iv, &iv, &mut data, &mut tag);
        let _ = driver.ccm_open(&key, &iv, &iv, &mut data, &tag);
        let _ = driver.hmac(HashAlgorithm::Sha256, &key, &[&data], &mut tag);
    }
}

/// Associated data of 65280 bytes and more takes another length encoding in CCM.
#[test]
fn ccm_with_long_associated_data() {
    for length in [0xfeff, 0xff00, 0xff01, 0x1_0000] {
        let aad: Vec<u8> = (0..length).map(|index| index as u8).collect();
        let mut expected = *b"some data";
        let tag = ccm_oracle::<U16, U13>(&[1; 16], &[2; 13], &aad, &mut expected);
        let mut data = *b"some data";
        let mut own = [0; 16];
        driver().ccm_seal(&[1; 16], &[2; 13], &aad, &mut data, &mut own).unwrap();
        assert_eq!((data, own.as_slice()), (expected, tag.as_slice()), "{length}");
    }
}
