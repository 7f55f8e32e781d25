//! Known answers from the standards themselves: FIPS 180-4, FIPS 202, NIST SP 800-38A to 38D, RFC 5869.

mod common;

use casemate_crypto::{
    Aead, Cipher, CtrState, Direction, HashAlgorithm, Hasher, cmac, hash, hkdf, hkdf_expand, hkdf_extract,
};
use common::driver;

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

const KEYS: [&str; 3] = [
    "2b7e151628aed2a6abf7158809cf4f3c",
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
];

/// The plaintext of SP 800-38A, appendix F, and SP 800-38B, appendix D.
const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
                     30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710";

/// SP 800-38A, F.1.
#[test]
fn ecb() {
    let expected = [
        "3ad77bb40d7a3660a89ecaf32466ef97 f5d3d58503b9699de785895a96fdbaaf
         43b1cd7f598ece23881b00e3ed030688 7b0c785e27e8ad3f8223207104725dd4",
        "bd334f1d6e45f25ff712a214571fa5cc 974104846d0ad3ad7734ecb3ecee4eef
         ef7afd2270e2e60adce0ba2face6444e 9a4b41ba738d6c72fb16691603c18e0e",
        "f3eed1bdb5d2a03c064b5a7e3db181f8 591ccb10d410ed26dc5ba74a31362870
         b6ed21b99ca6f4f9f153e7b1beafed1d 23304b7a39f9f3ff067d8d8f9e24ecc7",
    ];
    for (key, expected) in KEYS.iter().zip(expected) {
        let mut data = bytes(PLAIN);
        driver().ecb(Direction::Encrypt, &bytes(key), &mut data).unwrap();
        assert_eq!(data, bytes(expected));
        driver().ecb(Direction::Decrypt, &bytes(key), &mut data).unwrap();
        assert_eq!(data, bytes(PLAIN));
    }
}

/// SP 800-38A, F.2.
#[test]
fn cbc() {
    let expected = [
        "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2
         73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7",
        "4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a
         571b242012fb7ae07fa9baac3df102e0 08b0e27988598881d920a9e64f5615cd",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d
         39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
    ];
    let iv: [u8; 16] = bytes("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
    for (key, expected) in KEYS.iter().zip(expected) {
        let expected = bytes(expected);
        let mut data = bytes(PLAIN);
        let mut chain = iv;
        driver().cbc(Direction::Encrypt, &bytes(key), &mut chain, &mut data).unwrap();
        assert_eq!((data.as_slice(), chain.as_slice()), (expected.as_slice(), &expected[48..]));
        // In two calls, chained.
        let mut chain = iv;
        let (first, second) = data.split_at_mut(16);
        driver().cbc(Direction::Decrypt, &bytes(key), &mut chain, first).unwrap();
        driver().cbc(Direction::Decrypt, &bytes(key), &mut chain, second).unwrap();
        assert_eq!((data, chain.as_slice()), (bytes(PLAIN), &expected[48..]));
    }
}

/// SP 800-38A, F.5.
#[test]
fn ctr() {
    let expected = [
        "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
         5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee",
        "1abc932417521ca24f2b0459fe7e6e0b 090339ec0aa6faefd5ccc2c6f4ce8e94
         1e36b26bd1ebc670d1bd1d665620abf7 4f78a7f6d29809585a97daec58c6b050",
        "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
         2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
    ];
    let counter = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
    for (key, expected) in KEYS.iter().zip(expected) {
        let mut state = CtrState::new(counter);
        let mut data = bytes(PLAIN);
        driver().ctr(&bytes(key), &mut state, &mut data).unwrap();
        assert_eq!(data, bytes(expected));
        assert_eq!(hex::encode(state.counter), "f0f1f2f3f4f5f6f7f8f9fafbfcfdff03");
    }
}

/// SP 800-38B, appendix D, and RFC 4493.
#[test]
fn cmac_examples() {
    let expected: [[(usize, &str); 4]; 3] = [
        [
            (0, "bb1d6929e95937287fa37d129b756746"),
            (16, "070a16b46b4d4144f79bdd9dd04a287c"),
            (40, "dfa66747de9ae63030ca32611497c827"),
            (64, "51f0bebf7e3b9d92fc49741779363cfe"),
        ],
        [
            (0, "d17ddf46adaacde531cac483de7a9367"),
            (16, "9e99a7bf31e710900662f65e617c5184"),
            (40, "8a1de5be2eb31aad089a82e6ee908b0e"),
            (64, "a1d5df0eed790f794d77589659f39a11"),
        ],
        [
            (0, "028962f61b7bf89efc6b551f4667d983"),
            (16, "28a7023f452e8f82bd4bf28d8c37c35c"),
            (40, "aaf3d8f1de5640c232f5b169b9c911e6"),
            (64, "e1992190549f6ed5696a2c056c315410"),
        ],
    ];
    for (key, expected) in KEYS.iter().zip(expected) {
        for (length, expected) in expected {
            let mut tag = [0; 16];
            cmac(&driver(), &bytes(key), &[&bytes(PLAIN)[..length]], &mut tag).unwrap();
            assert_eq!(hex::encode(tag), expected, "{length} bytes");
        }
    }
}

/// SP 800-38C, appendix C.
#[test]
fn ccm() {
    let key = bytes("404142434445464748494a4b4c4d4e4f");
    let aad: Vec<u8> = (0..=255).cycle().take(65536).collect();
    let cases = [
        ("10111213141516", 8, 4, "7162015b", "4dac255d"),
        ("1011121314151617", 16, 16, "d2a1f0e051ea5f62081a7792073d593d", "1fc64fbfaccd"),
        (
            "101112131415161718191a1b",
            20,
            24,
            "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5",
            "484392fbc1b09951",
        ),
        (
            "101112131415161718191a1b1c",
            65536,
            32,
            "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72",
            "b4ac6bec93e8598e7f0dadbcea5b",
        ),
    ];
    for (nonce, aad_length, length, ciphertext, expected) in cases {
        let plain: Vec<u8> = (0x20..0x20 + length).collect();
        let mut data = plain.clone();
        let mut tag = vec![0; expected.len() / 2];
        driver().ccm_seal(&key, &bytes(nonce), &aad[..aad_length], &mut data, &mut tag).unwrap();
        assert_eq!((hex::encode(&data), hex::encode(&tag)), (ciphertext.into(), expected.into()));
        driver().ccm_open(&key, &bytes(nonce), &aad[..aad_length], &mut data, &tag).unwrap();
        assert_eq!(data, plain);
    }
}

/// Key, initialisation vector, associated data, plaintext; ciphertext and tag.
type GcmCase<'a> = (&'a str, &'a str, &'a [u8], &'a [u8], &'a str, &'a str);

/// The test cases 1 to 6 and 13 to 18 of the GCM specification submitted to NIST.
#[test]
fn gcm() {
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let short = &bytes(plain)[..60];
    let plain = bytes(plain);
    let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let key = "feffe9928665731c6d6a8f9467308308";
    let long_key = format!("{key}{key}");
    let zero = "00000000000000000000000000000000";
    let long_zero = format!("{zero}{zero}");
    let (iv8, iv12) = ("cafebabefacedbad", "cafebabefacedbaddecaf888");
    let iv60 = "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728
                c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b";
    let zero12 = "000000000000000000000000";
    let cases: [GcmCase; 12] = [
        (zero, zero12, &[], &[], "", "58e2fccefa7e3061367f1d57a4e7455a"),
        (zero, zero12, &[], &[0; 16], "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"),
        (
            key,
            iv12,
            &[],
            &plain,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
            "4d5c2af327cd64a62cf35abd2ba6fab4",
        ),
        (
            key,
            iv12,
            &aad,
            short,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            key,
            iv8,
            &aad,
            short,
            "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423
             73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
            "3612d2e79e3b0785561be14aaca2fccb",
        ),
        (
            key,
            iv60,
            &aad,
            short,
            "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7
             01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
            "619cc5aefffe0bfa462af43c1699d050",
        ),
        (&long_zero, zero12, &[], &[], "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            &long_zero,
            zero12,
            &[],
            &[0; 16],
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            &long_key,
            iv12,
            &[],
            &plain,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
            "b094dac5d93471bdec1a502270e3cc6c",
        ),
        (
            &long_key,
            iv12,
            &aad,
            short,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        (
            &long_key,
            iv8,
            &aad,
            short,
            "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0
             feb582d33934a4f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
            "3a337dbf46a792c45e454913fe2ea8f2",
        ),
        (
            &long_key,
            iv60,
            &aad,
            short,
            "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4
             0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
            "a44a8266ee1c8eb0c8b5d4cf5ae9f19a",
        ),
    ];
    for (key, iv, aad, plain, ciphertext, expected) in cases {
        let (key, iv) = (bytes(key), bytes(iv));
        for length in 4..=16 {
            let mut data = plain.to_vec();
            let mut tag = vec![0; length];
            driver().gcm_seal(&key, &iv, aad, &mut data, &mut tag).unwrap();
            assert_eq!((&data, &tag), (&bytes(ciphertext), &bytes(expected)[..length].to_vec()));
            driver().gcm_open(&key, &iv, aad, &mut data, &tag).unwrap();
            assert_eq!(data, plain);
        }
    }
}

fn check_hash(algorithm: HashAlgorithm, message: &[u8], expected: &str) {
    let mut digest = vec![0; expected.len() / 2];
    hash(&driver(), algorithm, &[message], &mut digest).unwrap();
    assert_eq!(hex::encode(digest), expected, "{algorithm:?}");
}

/// The example messages of FIPS 180-4 ("abc" and the empty one).
#[test]
fn sha1_and_sha2() {
    use HashAlgorithm::*;
    let abc = [
        (Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
        (Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
             454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Sha512_224, "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
        (Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
    ];
    for (algorithm, expected) in abc {
        check_hash(algorithm, b"abc", expected);
    }
    check_hash(Sha1, b"", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check_hash(Sha224, b"", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f");
    check_hash(Sha256, b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/// The two-block messages of FIPS 180-4's examples.
#[test]
fn two_blocks() {
    use HashAlgorithm::*;
    let narrow = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check_hash(Sha1, narrow, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check_hash(Sha256, narrow, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    let wide = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
                 hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    check_hash(
        Sha512,
        wide,
        "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433a\
         c7d329eeb6dd26545e96e55b874be909",
    );
}

/// One million times "a", streamed in uneven pieces.
#[test]
fn a_million_letters() {
    use HashAlgorithm::*;
    let cases = [
        (Sha1, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (Sha256, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        (
            Sha512,
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31b\
             eb009c5c2c49aa2e4eadb217ad8cc09b",
        ),
        (Sha3_256, "5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1"),
    ];
    let letters = vec![b'a'; 1_000_000];
    for (algorithm, expected) in cases {
        let driver = driver();
        let mut hasher = Hasher::new(&driver, algorithm);
        for piece in letters.chunks(997) {
            hasher.update(piece).unwrap();
        }
        let mut digest = vec![0; expected.len() / 2];
        hasher.finish(&mut digest).unwrap();
        assert_eq!(hex::encode(digest), expected, "{algorithm:?}");
    }
}

/// FIPS 202 examples: the empty message and 1600 bits of 0xa3.
#[test]
fn sha3() {
    use HashAlgorithm::*;
    let empty = [
        (Sha3_224, "6b4e03423667dbb73b6e15454f0eb1abd4597f9a1b078e3f5b5a6bc7"),
        (Sha3_256, "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
        (
            Sha3_384,
            "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61995e71bbee983a2ac3713831264adb47fb6bd1e058d5f004",
        ),
        (
            Sha3_512,
            "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558\
             f500199d95b6d3e301758586281dcd26",
        ),
        (Shake128, "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"),
        (
            Shake256,
            "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762fd75dc4ddd8c0f200cb05019d67b592f6\
             fc821c49479ab48640292eacb3b7c4be",
        ),
    ];
    for (algorithm, expected) in empty {
        check_hash(algorithm, b"", expected);
    }
    let message = [0xa3; 200];
    check_hash(Sha3_224, &message, "9376816aba503f72f96ce7eb65ac095deee3be4bf9bbc2a1cb7e11e0");
    check_hash(Sha3_256, &message, "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787");
    check_hash(Shake128, &message, "131ab8d2b594946b9c81333f9bb6e0ce75c3b93104fa3469d3917457385da037");
}

/// RFC 5869, appendix A, cases 1 to 3.
#[test]
fn hkdf_examples() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            range(0x00, 0x0c),
            range(0xf0, 0xf9),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            range(0x00, 0x4f),
            range(0x60, 0xaf),
            range(0xb0, 0xff),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
             da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (ikm, salt, info, key, expected) in cases {
        let mut output = vec![0; expected.len() / 2];
        hkdf(&driver(), HashAlgorithm::Sha256, &salt, &ikm, &info, &mut output).unwrap();
        assert_eq!(hex::encode(&output), expected);
        let mut extracted = [0; 32];
        hkdf_extract(&driver(), HashAlgorithm::Sha256, &salt, &ikm, &mut extracted).unwrap();
        assert_eq!(hex::encode(extracted), key);
        hkdf_expand(&driver(), HashAlgorithm::Sha256, &extracted, &info, &mut output).unwrap();
        assert_eq!(hex::encode(&output), expected);
    }
}
