//! Data longer than a packet, against servers that compute: hashes for real, ciphers with a toy block function, so
//! that what is checked is how the client splits the data and carries the state.

use casemate_client::{Client, Cmac, CtrState, Direction, Error, Hash, HashAlgorithm, Key};
use casemate_protocol::message::crypto::{
    CbcResponse, CipherMode, CipherRequest, CmacRequest, CmacResponse, CmacState, CtrResponse, EcbResponse,
    RandomRequest, RandomResponse, RequestHeader, ResponseHeader, Sha2DigestResponse, Sha3Request,
    Sha3Response, Sha256Request, Sha256StateResponse, Sha512Request, Sha512StateResponse, action, hash,
};
use casemate_protocol::message::nvm;
use casemate_protocol::{ByteOrder, Field, Group, Header, KeyId, Layout, Metadata, ObjectId, Status, Writer};
use casemate_transport::{ClientTransport, TransportError};
use sha2::Digest as _;
use std::convert::Infallible;

/// A server that is a function from the request's header and payload to the response's payload.
struct Server<F> {
    answer: F,
    response: Option<Vec<u8>>,
    requests: usize,
}

impl<F: FnMut(Header, &[u8]) -> Vec<u8>> Server<F> {
    fn new(answer: F) -> Self {
        Self { answer, response: None, requests: 0 }
    }
}

impl<F: FnMut(Header, &[u8]) -> Vec<u8>> ClientTransport for Server<F> {
    type Error = Infallible;

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<Infallible>> {
        let (header, payload) = packet.split_first_chunk().unwrap();
        let mut response = header.to_vec();
        response.extend((self.answer)(Header::decode(header).unwrap(), payload));
        self.response = Some(response);
        self.requests += 1;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<Infallible>> {
        let packet = self.response.take().ok_or(TransportError::NotReady)?;
        buffer.get_mut(..packet.len()).ok_or(TransportError::BadLength)?.copy_from_slice(&packet);
        Ok(packet.len())
    }
}

fn encoded<L: Layout>(message: &L) -> Vec<u8> {
    let mut bytes = vec![0; L::SIZE];
    message.encode(ByteOrder::Little, &mut bytes).unwrap();
    bytes
}

fn response<L: Layout>(algorithm: u32, body: &L, tails: &[&[u8]]) -> Vec<u8> {
    let mut bytes = encoded(&ResponseHeader { algorithm, status: Status::OK });
    bytes.extend(encoded(body));
    bytes.extend(tails.concat());
    bytes
}

fn request<R: Layout>(body: &[u8]) -> (R, &[u8]) {
    R::decode(body, ByteOrder::Little).unwrap()
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

/// Pads the last block and returns its blocks: 0x80, zeros, the bit length in `length_size` bytes.
fn padded<const B: usize>(total: u64, last: &[u8], length_size: usize) -> Vec<[u8; B]> {
    let mut bytes = last.to_vec();
    bytes.push(0x80);
    while bytes.len() % B != B - length_size {
        bytes.push(0);
    }
    bytes.extend(vec![0; length_size - 8]);
    bytes.extend((total * 8).to_be_bytes());
    bytes.as_chunks::<B>().0.to_vec()
}

fn hash_server(header: Header, payload: &[u8]) -> Vec<u8> {
    assert_eq!((header.kind.group, header.kind.action), (Group::CRYPTO, action::HASH));
    assert!(payload.len() <= 1280);
    let (RequestHeader { algorithm, .. }, body) = request(payload);
    match algorithm {
        hash::SHA224 | hash::SHA256 => {
            let (request, input): (Sha256Request, _) = request(body);
            let mut state = request.state;
            let compressed = u64::from(request.length_high) << 32 | u64::from(request.length_low);
            assert_eq!(input.len(), request.length as usize);
            if request.last == 0 {
                let (blocks, rest) = input.as_chunks();
                assert!(rest.is_empty());
                sha2::block_api::compress256(&mut state, blocks);
                let compressed = compressed + input.len() as u64;
                let (length_high, length_low) = ((compressed >> 32) as u32, compressed as u32);
                let body = Sha256StateResponse { length_high, length_low, state, variant: algorithm };
                return response(algorithm, &body, &[]);
            }
            assert!(input.len() < 64);
            let total = compressed + input.len() as u64;
            sha2::block_api::compress256(&mut state, &padded(total, input, 8));
            let mut digest = [0; 64];
            let size = if algorithm == hash::SHA224 { 28 } else { 32 };
            let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
            digest[..size].copy_from_slice(&bytes[..size]);
            let body = Sha2DigestResponse { length_high: 0, length_low: 0, digest, variant: algorithm };
            response(algorithm, &body, &[])
        }
        hash::SHA384 | hash::SHA512 => {
            let (request, input): (Sha512Request, _) = request(body);
            let mut state = request.state;
            let compressed = u64::from(request.length_high) << 32 | u64::from(request.length_low);
            assert_eq!(input.len(), request.length as usize);
            let variant = request.variant;
            if request.last == 0 {
                let (blocks, rest) = input.as_chunks();
                assert!(rest.is_empty());
                sha2::block_api::compress512(&mut state, blocks);
                let length_low = (compressed + input.len() as u64) as u32;
                // As the original: no carry.
                let body = Sha512StateResponse { length_high: 0, length_low, state, variant };
                return response(algorithm, &body, &[]);
            }
            assert!(input.len() < 128);
            let total = compressed + input.len() as u64;
            sha2::block_api::compress512(&mut state, &padded(total, input, 16));
            let size = match (algorithm, variant) {
                (hash::SHA384, hash::SHA384) => 48,
                (hash::SHA512, hash::SHA512) => 64,
                (hash::SHA512, hash::SHA512_224) => 28,
                (hash::SHA512, hash::SHA512_256) => 32,
                other => panic!("{other:?}"),
            };
            let mut digest = [0; 64];
            let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
            digest[..size].copy_from_slice(&bytes[..size]);
            let body = Sha2DigestResponse { length_high: 0, length_low: 0, digest, variant };
            response(algorithm, &body, &[])
        }
        _ => {
            let (block, size) = match algorithm {
                hash::SHA3_224 => (144, 28),
                hash::SHA3_256 => (136, 32),
                hash::SHA3_384 => (104, 48),
                hash::SHA3_512 => (72, 64),
                other => panic!("{other}"),
            };
            let (request, input): (Sha3Request, _) = request(body);
            assert_eq!(input.len(), request.length as usize);
            let mut state = request.state;
            let mut absorb = |part: &[u8]| {
                for (lane, bytes) in state.iter_mut().zip(part.as_chunks().0) {
                    *lane ^= u64::from_le_bytes(*bytes);
                }
                keccak::Keccak::new().with_f1600(|f| f(&mut state));
            };
            let mut digest = [0; 64];
            if request.last == 0 {
                assert_eq!(input.len() % block, 0);
                input.chunks(block).for_each(absorb);
            } else {
                let mut last = input.to_vec();
                assert!(last.len() < block);
                last.push(6);
                last.resize(block, 0);
                last[block - 1] |= 0x80;
                absorb(&last);
                let bytes: Vec<u8> = state.iter().flat_map(|lane| lane.to_le_bytes()).collect();
                digest[..size].copy_from_slice(&bytes[..size]);
                state = [0; 25];
            }
            response(algorithm, &Sha3Response { state, digest }, &[])
        }
    }
}

fn expected(algorithm: HashAlgorithm, data: &[u8]) -> Vec<u8> {
    match algorithm {
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
        other => panic!("{other}"),
    }
}

/// Every algorithm, every length around a block and around a packet, in one piece and in several.
#[test]
fn hashes() {
    let mut client = Client::new(Server::new(hash_server), [0; 1288]);
    for algorithm in HashAlgorithm::ALL {
        let block = algorithm.block_size();
        let packet = Hash::new(algorithm).capacity(1280);
        for around in [1, block, 2 * block, packet, packet + block, 2 * packet] {
            for length in around - 1..=around + 1 {
                let data = data(length);
                let digest = client.hash(algorithm, &data).unwrap();
                assert_eq!(digest.as_bytes(), expected(algorithm, &data), "{algorithm}, {length} bytes");
            }
        }
        let data = data(3000);
        for piece in [1, 7, block - 1, block, block + 1, 1000] {
            let mut hasher = client.hasher(algorithm);
            data.chunks(piece).for_each(|piece| hasher.update(piece).unwrap());
            assert_eq!(
                hasher.finish().unwrap().as_bytes(),
                expected(algorithm, &data),
                "{algorithm}, {piece}"
            );
        }
    }
}

#[test]
fn a_hash_takes_as_few_requests_as_it_can() {
    let mut server = Server::new(hash_server);
    let mut client = Client::new(&mut server, [0; 1288]);
    client.hash(HashAlgorithm::Sha256, &data(2 * 1216)).unwrap();
    assert_eq!(client.transport_mut().requests, 3);
    let mut hash = Hash::new(HashAlgorithm::Sha256);
    client.hash_update(&mut hash, &data(63)).unwrap();
    assert_eq!(client.transport_mut().requests, 3);
    client.hash_update(&mut hash, &data(1216)).unwrap();
    assert_eq!(client.transport_mut().requests, 4);
}

/// RFC 4231, test cases 1, 2, 3 and 6.
#[test]
fn hmac() {
    let mut client = Client::new(Server::new(hash_server), [0; 1288]);
    for (key, data, sha256, sha512) in [
        (
            vec![0x0B; 20],
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914e\
             eb61f1702e696c203a126854",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a3\
             4d4a6b4b636e070a38bce737",
        ),
        (
            vec![0xAA; 20],
            vec![0xDD; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337\
             bee8942674278859e13292fb",
        ),
        (
            vec![0xAA; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73\
             f63f0aec8b915a985d786598",
        ),
    ] {
        for (algorithm, expected) in [(HashAlgorithm::Sha256, sha256), (HashAlgorithm::Sha512, sha512)] {
            let mac = client.hmac(algorithm, &key, &data).unwrap();
            assert_eq!(hex::encode(&mac), expected);
            client.hmac_verify(algorithm, &key, &data, &mac.as_bytes()[..16]).unwrap();
            let mut wrong = mac.as_bytes().to_vec();
            *wrong.last_mut().unwrap() ^= 1;
            assert!(matches!(client.hmac_verify(algorithm, &key, &data, &wrong), Err(Error::MacMismatch)));
        }
    }
}

/// The toy block function: enough to notice a wrong order, a wrong state or a wrong direction.
fn toy(block: [u8; 16], key: u8) -> [u8; 16] {
    let mut out = block.map(|byte| byte.wrapping_add(key).rotate_left(3));
    out.rotate_left(5);
    out
}

fn untoy(block: [u8; 16], key: u8) -> [u8; 16] {
    let mut out = block;
    out.rotate_right(5);
    out.map(|byte| byte.rotate_right(3).wrapping_sub(key))
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// The toy key: the first inline byte, or the identifier.
fn toy_key(inline: &[u8], id: KeyId) -> u8 {
    inline.first().copied().unwrap_or(id.number())
}

fn cbc(encrypt: bool, key: u8, iv: &mut [u8; 16], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in data.as_chunks::<16>().0 {
        if encrypt {
            *iv = toy(xor(*block, *iv), key);
            out.extend(*iv);
        } else {
            out.extend(xor(untoy(*block, key), *iv));
            *iv = *block;
        }
    }
    out
}

fn keystream(counter: &mut [u8; 16], key: u8) -> [u8; 16] {
    let block = toy(*counter, key);
    *counter = u128::from_be_bytes(*counter).wrapping_add(1).to_be_bytes();
    block
}

fn cipher_server(header: Header, payload: &[u8]) -> Vec<u8> {
    assert_eq!((header.kind.group, header.kind.action), (Group::CRYPTO, action::CIPHER));
    assert!(payload.len() <= 1280);
    let (RequestHeader { algorithm, .. }, body) = request(payload);
    let request = CipherRequest::decode(algorithm, body, ByteOrder::Little).unwrap().unwrap();
    let CipherRequest { mode, encrypt, input, number, tails: [first, second, _], .. } = request;
    let key = toy_key(request.inline_key, request.key);
    let length = input.len() as u32;
    match mode {
        CipherMode::Ecb => {
            let out: Vec<u8> = input.as_chunks().0.iter().flat_map(|&block| toy(block, key)).collect();
            response(algorithm, &EcbResponse { length }, &[&out])
        }
        CipherMode::Cbc => {
            let mut iv = first.try_into().unwrap();
            let out = cbc(encrypt != 0, key, &mut iv, input);
            response(algorithm, &CbcResponse { length }, &[&out, &iv])
        }
        CipherMode::Ctr => {
            assert_eq!(encrypt, 1);
            let (mut counter, mut partial): ([u8; 16], [u8; 16]) =
                (first.try_into().unwrap(), second.try_into().unwrap());
            let mut unused = number as usize;
            let mut out = Vec::new();
            for &byte in input {
                if unused == 0 {
                    partial = keystream(&mut counter, key);
                    unused = 16;
                }
                out.push(byte ^ partial[16 - unused]);
                unused -= 1;
            }
            let body = CtrResponse { length, unused: unused as u32 };
            response(algorithm, &body, &[&out, &counter, &partial])
        }
        CipherMode::Gcm => panic!("GCM"),
    }
}

#[test]
fn ciphers() {
    let mut client = Client::new(Server::new(cipher_server), [0; 1288]);
    let inline = [9; 32];
    for (key, toy_key) in [(Key::Id(KeyId(4)), 4), (Key::Inline(&inline), 9)] {
        let plain = data(16 * 300);
        let mut buffer = plain.clone();
        client.aes_ecb(Direction::Encrypt, key, &mut buffer).unwrap();
        assert!(
            buffer == plain.as_chunks().0.iter().flat_map(|&block| toy(block, toy_key)).collect::<Vec<_>>()
        );

        let (mut iv, mut expected_iv) = ([3; 16], [3; 16]);
        let mut buffer = plain.clone();
        client.aes_cbc(Direction::Encrypt, key, &mut iv, &mut buffer).unwrap();
        assert!(buffer == cbc(true, toy_key, &mut expected_iv, &plain) && iv == expected_iv);
        iv = [3; 16];
        client.aes_cbc(Direction::Decrypt, key, &mut iv, &mut buffer).unwrap();
        assert!(buffer == plain && iv == expected_iv);

        // Several calls on one stream, whose pieces end anywhere, across a counter that wraps.
        let start = (u128::MAX - 20).to_be_bytes();
        let (mut counter, plain) = (start, data(5001));
        let expected: Vec<u8> = plain
            .chunks(16)
            .flat_map(|block| {
                let stream = keystream(&mut counter, toy_key);
                block.iter().zip(stream).map(|(a, b)| a ^ b).collect::<Vec<_>>()
            })
            .collect();
        let mut state = CtrState::new(start);
        let mut buffer = plain.clone();
        let (first, rest) = buffer.split_at_mut(7);
        let (second, third) = rest.split_at_mut(2001);
        for part in [first, second, &mut [], third] {
            client.aes_ctr(key, &mut state, part).unwrap();
        }
        assert!(buffer == expected);
        assert_eq!(*state.counter(), counter);
    }
}

/// CMAC over the toy block function, without subkeys: what matters is what is absorbed, and when.
#[test]
fn cmac() {
    fn absorb(state: &mut CmacState, key: u8, data: &[u8]) {
        for &byte in data {
            if state.buffered == 16 {
                state.digest = toy(xor(state.digest, state.buffer), key);
                state.buffered = 0;
                state.total += 16;
            }
            state.buffer[state.buffered as usize] = byte;
            state.buffered += 1;
        }
    }
    fn mac(state: &CmacState, key: u8) -> [u8; 16] {
        let mut last = state.buffer;
        last[state.buffered as usize..].fill(0x80);
        toy(xor(state.digest, last), key)
    }
    let answer = |header: Header, payload: &[u8]| {
        assert_eq!(header.kind.action, action::CMAC);
        assert!(payload.len() <= 1280);
        let (RequestHeader { algorithm, .. }, body) = request(payload);
        let (request, tail): (CmacRequest, _) = request(body);
        let tails = request.tails(tail).unwrap();
        let key = toy_key(tails.key, request.key);
        let mut state =
            if request.mac_length > 0 && request.length > 0 { CmacState::INITIAL } else { request.state };
        absorb(&mut state, key, tails.input);
        if request.mac_length == 0 {
            let body = CmacResponse { state, mac_length: 0, key: request.key };
            return response(algorithm, &body, &[]);
        }
        let mac = mac(&state, key);
        let body =
            CmacResponse { state: CmacState::INITIAL, mac_length: request.mac_length, key: KeyId::NONE };
        response(algorithm, &body, &[&mac[..request.mac_length as usize]])
    };
    let mut client = Client::new(Server::new(answer), [0; 1288]);
    let key = Key::Id(KeyId(4));
    for length in [0, 1, 16, 17, 1211, 1212, 1213, 5000] {
        let data = data(length);
        let mut state = CmacState::INITIAL;
        absorb(&mut state, 4, &data);
        let expected = mac(&state, 4);
        let mut out = [0; 16];
        client.cmac(key, &data, &mut out).unwrap();
        assert_eq!(out, expected, "{length}");
        client.cmac_verify(key, &data, &expected[..8]).unwrap();
        let mut wrong = expected;
        wrong[15] ^= 1;
        assert!(matches!(client.cmac_verify(key, &data, &wrong), Err(Error::MacMismatch)));
        let mut stream = Cmac::new(key);
        for piece in data.chunks(7) {
            client.cmac_update(&mut stream, piece).unwrap();
        }
        client.cmac_finish(&stream, &mut out).unwrap();
        assert_eq!(out, expected, "{length}");
    }
    let before = client.transport_mut().requests;
    client.cmac(key, &data(1212), &mut [0; 16]).unwrap();
    assert_eq!(client.transport_mut().requests, before + 1, "what fits goes in one request");
}

#[test]
fn random_numbers_may_come_short() {
    let mut next = 0;
    let server = Server::new(|_, payload: &[u8]| {
        let (RequestHeader { algorithm, .. }, body) = request(payload);
        let (RandomRequest { length }, _) = request(body);
        assert!(length <= 1264);
        let length = length.min(500);
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                next += 1;
                (next % 256) as u8
            })
            .collect();
        response(algorithm, &RandomResponse { length }, &[&bytes])
    });
    let mut out = [0; 3000];
    Client::new(server, [0; 1288]).random(&mut out).unwrap();
    assert!(out.iter().zip(1..).all(|(&byte, count)| byte == (count % 256) as u8));
}

fn field<F: Field>(field: F) -> Vec<u8> {
    let mut bytes = vec![0; F::SIZE];
    field.put(&mut Writer::new(&mut bytes, ByteOrder::Little)).unwrap();
    bytes
}

#[test]
fn objects() {
    let object = data(3000);
    let mut destroyed = Vec::new();
    let ids: Vec<u16> = vec![7, 3, 0x1305, 9];
    let mut server = Server::new(|header: Header, payload: &[u8]| {
        let ok = encoded(&nvm::StatusResponse { status: Status::OK });
        match header.kind.action {
            nvm::action::METADATA => {
                let (nvm::MetadataRequest { id }, _) = request(payload);
                let status = Status::OK;
                let length = if id.0 == 8 { 0 } else { 3000 };
                encoded(&nvm::MetadataResponse {
                    status,
                    metadata: Metadata { id, length, ..Metadata::default() },
                })
            }
            nvm::action::READ => {
                let (nvm::ReadRequest { id, offset, length }, _) = request(payload);
                assert_eq!(id, ObjectId(7));
                let (offset, length) = (usize::from(offset), usize::from(length));
                assert!(length <= 1276 && offset < 3000);
                [ok, object[offset..(offset + length).min(3000)].to_vec()].concat()
            }
            nvm::action::DESTROY => {
                let (destroy, _): (nvm::DestroyRequest, _) = request(payload);
                assert!(destroy.count > 0, "not a compaction");
                destroyed.extend_from_slice(destroy.ids().unwrap());
                ok
            }
            nvm::action::LIST => {
                let (nvm::ListRequest { start, .. }, _) = request(payload);
                let next = ids.iter().position(|&id| id == start.0).map_or(0, |at| at + 1);
                let count = u16::try_from(ids.len() - next).unwrap();
                [ok, field(count), field(ids.get(next).copied().unwrap_or(0))].concat()
            }
            other => panic!("{other}"),
        }
    });
    let mut client = Client::new(&mut server, [0; 1288]);
    let mut out = [0; 4000];
    assert_eq!(client.nvm_read(ObjectId(7), &mut out).unwrap(), 3000);
    assert_eq!(out[..3000], data(3000));
    assert_eq!(out[3000..], [0; 1000]);
    assert_eq!(client.transport_mut().requests, 1 + 3);
    assert!(matches!(
        client.nvm_read(ObjectId(7), &mut out[..2999]),
        Err(Error::OutputTooSmall { needed: 3000, available: 2999 })
    ));
    assert_eq!(client.nvm_read(ObjectId(8), &mut out).unwrap(), 0, "an empty object is read without READ");
    assert!(client.nvm_read_at(ObjectId(7), 2990, &mut out[..11]).is_err(), "beyond the end");
    client.nvm_read_at(ObjectId(7), 2990, &mut out[..10]).unwrap();
    assert_eq!(out[..10], data(3000)[2990..]);

    let listed: Vec<u16> = client.nvm_list().map(|id| id.unwrap().0).collect();
    assert_eq!(listed, [7, 3, 0x1305, 9]);
    let many: Vec<ObjectId> = (1..=40).map(ObjectId).collect();
    client.nvm_destroy(&many).unwrap();
    drop(client);
    assert_eq!(destroyed, many);
}

/// A list that never ends does not hold the client for ever.
#[test]
fn a_list_that_goes_round_ends() {
    let mut flip = 1;
    let server = Server::new(move |_, _: &[u8]| {
        flip = 3 - flip;
        encoded(&nvm::ListResponse { status: Status::OK, count: 5, id: ObjectId(flip) })
    });
    let mut client = Client::new(server, [0; 1288]);
    assert_eq!(client.nvm_list().count(), 65_535);
}
