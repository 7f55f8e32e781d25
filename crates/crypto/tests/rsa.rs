//! RSA against keys of OpenSSL and the `rsa` crate.

use casemate_crypto::encoding::{EncodingError, RsaKey, encode_rsa_private, encode_rsa_public};
use casemate_crypto::{
    Drbg, Entropy, Error, Random, Rsa, RsaComponents, RsaPrivateKey, RsaPublicKey, Software,
};
use core::cell::{Cell, RefCell};
use num_bigint::BigUint;
use proptest::prelude::*;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePublicKey;

/// No noise: the tests are to be repeatable.
struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for (index, byte) in output.iter_mut().enumerate() {
            *byte = (index as u8).wrapping_mul(0x9d) ^ 0x5a;
        }
        Ok(())
    }
}

fn driver(name: &[u8]) -> Software<RefCell<Drbg<Constant>>> {
    Software::new(RefCell::new(Drbg::new(Constant, name).expect("seeding")))
}

const KEYS: [&[u8]; 6] = [
    include_bytes!("data/rsa/private-1024.der"),
    include_bytes!("data/rsa/private-1536-e3.der"),
    include_bytes!("data/rsa/private-2048.der"),
    include_bytes!("data/rsa/private-2056.der"),
    include_bytes!("data/rsa/private-3072.der"),
    include_bytes!("data/rsa/private-4096.der"),
];
const KEY_2048: &[u8] = KEYS[2];

fn private(der: &[u8]) -> RsaPrivateKey<'_> {
    RsaKey::decode(der).expect("a key").private().expect("a private key")
}

/// A prime of 1100 bits.
const PRIME_1100: &str = concat!(
    "0dd794772fddffafa3b3f7e0676d1407af3271c0d507e328e1c3dbdfe4a8e12402936f9465a3c50bfb4c237751952df0",
    "a92d0c9f049d48412d559b6efd0047d39cc444fdbed22c21d07760b9f7e2835ecad3b2aff1d09a4ec07db9179742b1c3",
    "3cfa2dc228367e42abe94cc32067fb64567ff8aecbf151f5745eed8861e8482a68796e50d84158e1af97",
);
/// A prime of 948 bits.
const PRIME_948: &str = concat!(
    "0c3e4a6dfe5e0c5a2af5e553e1fe0fd8cda262398f7cc8b67eb3a81fc9624329dcc0abdd9f8ee34f5b6704f6dbe8d270",
    "4a4eb4497600e8c48ccb61c1a14c8795359bb07ee4a5d2b66e2298dc5d04ad9f31e9c3c54052dd2e90bc4ccaf5a8acec",
    "bca5e06d4f380aa0eb4cc7e72bd77ef44e21f6555383e9",
);
/// A prime of 1480 bits.
const PRIME_1480: &str = concat!(
    "dd2ab891e0a9a6ed8d4f279d9e4d5f0073782aec6675df40596d2fd45ed8d99b7da5c7d365e4e11bf6305e779c905212",
    "27b0f90260ee582b0235326c4b4a57b5ef9378106a6b407d18019f066499ac93dd7bcfe49e25decf8f444ae9b190fd88",
    "6dc7f3b7016de778a083bb44bbe0324ac2965d3d6590b7c55c78e0120f0a6b774c47d3b05239f588cb897506da084db5",
    "da3e0e742f6fd91b18f45d3038bc4b113711041f19a912e51ef80b85247d0e5c839618033aa63521db",
);
/// A prime of 568 bits.
const PRIME_568: &str = concat!(
    "da1d1b9d301d248df6f14cdedf96586811759973525482f105e7c2c5559d5bdf2fd9def9589dcf2ea4627754c393360a",
    "733fa4514e520cc987b9487532482a3dc4dbbdde3ba613",
);

/// value^exponent mod modulus by another implementation, in the length of the modulus.
fn power(value: &[u8], exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let number = BigUint::from_bytes_be;
    let result = number(value).modpow(&number(exponent), &number(modulus)).to_bytes_be();
    [vec![0; modulus.len() - result.len()], result].concat()
}

/// Numbers of the length of the modulus: 0, 1, 2, n - 1, n, n + 1, and the largest.
fn corner_cases(modulus: &[u8]) -> Vec<Vec<u8>> {
    let size = modulus.len();
    let small = |value: u8| [vec![0; size - 1], vec![value]].concat();
    let near = |add: u32| {
        let number = (BigUint::from_bytes_be(modulus) + add - 1_u32).to_bytes_be();
        [vec![0; size.saturating_sub(number.len())], number].concat()
    };
    vec![small(0), small(1), small(2), near(0), near(1), near(2), vec![0xff; size]]
}

/// Both operations on `data`, against the oracle and against each other.
fn check(driver: &impl Rsa, key: &RsaPrivateKey<'_>, data: &[u8]) {
    let modulus = key.public.modulus;
    let mut output = data.to_vec();
    driver.rsa_private(key, &mut output).expect("private operation");
    assert_eq!(output, power(data, key.exponent, modulus), "private");
    driver.rsa_public(&key.public, &mut output).expect("public operation");
    assert_eq!(output, power(data, &[1], modulus), "public after private");

    let mut output = data.to_vec();
    driver.rsa_public(&key.public, &mut output).expect("public operation");
    assert_eq!(output, power(data, key.public.exponent, modulus), "public");
    driver.rsa_private(key, &mut output).expect("private operation");
    assert_eq!(output, power(data, &[1], modulus), "private after public");
}

#[test]
fn keys_of_openssl_on_corner_cases() {
    let driver = driver(b"corner cases");
    for der in KEYS {
        let key = private(der);
        for data in corner_cases(key.public.modulus) {
            check(&driver, &key, &data);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn operations_on_random_numbers(index in 0..4_usize, seed in any::<[u8; 32]>()) {
        let driver = driver(&seed);
        let key = private(KEYS[index]);
        let mut data = vec![0; key.public.modulus.len()];
        driver.fill(&mut data).expect("random");
        check(&driver, &key, &data);
    }

    #[test]
    fn public_operation_with_any_exponent(exponent in any::<[u8; 9]>(), data in any::<[u8; 128]>()) {
        let key = private(KEYS[0]);
        let odd: Vec<u8> = [&exponent[..8], &[exponent[8] | 1]].concat();
        prop_assume!(odd[0] != 0);
        let public = RsaPublicKey { modulus: key.public.modulus, exponent: &odd };
        let mut output = data.to_vec();
        driver(b"any exponent").rsa_public(&public, &mut output).expect("public operation");
        prop_assert_eq!(output, power(&data, &odd, key.public.modulus));
    }
}

/// Primes whose lengths differ, and which may stand in either order.
#[test]
fn primes_of_different_lengths() {
    let driver = driver(b"unequal");
    for (p, q) in
        [(PRIME_1100, PRIME_948), (PRIME_948, PRIME_1100), (PRIME_1480, PRIME_568), (PRIME_568, PRIME_1480)]
    {
        let components =
            RsaComponents::derive(&hex::decode(p).expect("digits"), &hex::decode(q).expect("digits"), 65537)
                .expect("a key");
        let key = components.private_key();
        assert_eq!(key.public.modulus.len(), 256);
        for data in corner_cases(key.public.modulus) {
            check(&driver, &key, &data);
        }
    }
}

/// The numbers that OpenSSL stores follow from the primes, and our encoding is byte for byte its.
#[test]
fn derives_and_encodes_what_openssl_does() {
    for der in KEYS {
        let key = private(der);
        let exponent = key.public.exponent.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
        let components = RsaComponents::derive(key.prime_p, key.prime_q, exponent).expect("a key");
        let mut output = [0; RsaKey::MAX_ENCODING];
        let mut derived = components.private_key();
        // Below 2048 bits, OpenSSL's d is the inverse modulo (p - 1) · (q - 1), which is as good.
        if key.public.modulus.len() < 256 {
            derived.exponent = key.exponent;
        }
        let size = encode_rsa_private(&derived, &mut output).expect("encodable");
        assert_eq!(hex::encode(&output[..size]), hex::encode(der));
        let size = encode_rsa_private(&key, &mut output).expect("encodable");
        assert_eq!(output[..size], *der);
        assert_eq!(
            encode_rsa_private(&key, &mut output[..size - 1]),
            Err(EncodingError::OutputLength { needed: size })
        );
    }
}

#[test]
fn every_form_of_a_key_is_decoded() {
    let key = private(KEY_2048);
    assert_eq!(RsaKey::decode(include_bytes!("data/rsa/pkcs8-2048.der")), Ok(RsaKey::Private(key)));
    let spki = include_bytes!("data/rsa/spki-2048.der");
    assert_eq!(RsaKey::decode(spki), Ok(RsaKey::Public(key.public)));
    assert_eq!(RsaKey::decode(include_bytes!("data/rsa/public-2048.der")), Ok(RsaKey::Public(key.public)));
    // Bytes after the end do not matter.
    let long = [&spki[..], b"stored with something after it"].concat();
    assert_eq!(RsaKey::decode(&long), Ok(RsaKey::Public(key.public)));

    let mut output = [0; 600];
    let size = encode_rsa_public(&key.public, &mut output).expect("encodable");
    assert_eq!(output[..size], *spki);
    for (key, size) in [(0, 162), (2, 294), (4, 422), (5, 550)] {
        assert_eq!(encode_rsa_public(&private(KEYS[key]).public, &mut output), Ok(size));
    }
    assert_eq!(RsaKey::Public(key.public).private(), Err(EncodingError::Missing));
    assert_eq!(RsaKey::Private(key).check(), Ok(()));
}

/// DER of a key with one number replaced: 0 is the version, 1 n, 2 e, 3 d, 4 p, 5 q, 6 dP, 7 dQ, 8 qInv.
fn with_number(index: usize, content: &[u8]) -> Vec<u8> {
    let key = private(KEYS[0]);
    let mut numbers: Vec<Vec<u8>> = [
        &[][..],
        key.public.modulus,
        key.public.exponent,
        key.exponent,
        key.prime_p,
        key.prime_q,
        key.exponent_p,
        key.exponent_q,
        key.coefficient,
    ]
    .iter()
    .map(|number| {
        if number.first().is_none_or(|first| *first >= 0x80) {
            [&[0], *number].concat()
        } else {
            number.to_vec()
        }
    })
    .collect();
    numbers[index] = content.to_vec();
    let element = |tag: u8, content: &[u8]| {
        let size = content.len() as u16;
        [&[tag, 0x82], &size.to_be_bytes()[..], content].concat()
    };
    let short = |content: &[u8]| match content.len() {
        size @ 0..=0x7f => [&[2, size as u8], content].concat(),
        size @ 0x80..=0xff => [&[2, 0x81, size as u8], content].concat(),
        _ => element(2, content),
    };
    element(0x30, &numbers.iter().flat_map(|number| short(number)).collect::<Vec<_>>())
}

#[test]
fn malformed_keys_are_refused() {
    let n = [&[0], private(KEYS[0]).public.modulus].concat();
    assert_eq!(with_number(0, &[0]), KEYS[0]);
    let even = [&n[..n.len() - 1], &[n[n.len() - 1] ^ 1]].concat();
    let cases: Vec<(usize, Vec<u8>)> = vec![
        (0, vec![1]),
        (0, vec![]),
        (1, even),
        (1, vec![0]),
        (1, n[1..].to_vec()),                      // negative
        (1, [&[0], &n[..]].concat()),              // not minimal
        (1, vec![0x7f; 64]),                       // 511 bits
        (1, [&[1][..], &[0; 511], &[1]].concat()), // 4097 bits
        (2, vec![0]),
        (2, vec![1]),
        (2, vec![2]),
        (2, vec![1, 0, 0]),
        (2, vec![0x81]),
        (2, n.clone()),
        (3, vec![0]),
        (4, vec![0]),
        (5, vec![0xff]),
        (6, [&[1][..], &[0; 128]].concat()),
        (7, vec![]),
        (8, vec![0]),
    ];
    for (index, content) in cases {
        let der = with_number(index, &content);
        assert_eq!(RsaKey::decode(&der), Err(EncodingError::Malformed), "{index} {content:02x?}");
    }
    for size in 0..KEYS[0].len() {
        let error = if size < 4 { EncodingError::Malformed } else { EncodingError::Truncated };
        assert_eq!(RsaKey::decode(&KEYS[0][..size]), Err(error), "{size}");
    }
    // Another algorithm, in PKCS#8 and in SubjectPublicKeyInfo.
    let mut other = *include_bytes!("data/rsa/pkcs8-2048.der");
    other[19] ^= 1;
    assert_eq!(RsaKey::decode(&other), Err(EncodingError::Malformed));
    let mut other = *include_bytes!("data/rsa/spki-2048.der");
    other[16] ^= 1;
    assert_eq!(RsaKey::decode(&other), Err(EncodingError::Malformed));
    // Primes of another modulus.
    let wrong = with_number(4, &[3]);
    assert_eq!(RsaKey::decode(&wrong).expect("the form is right").check(), Err(EncodingError::Mismatch));
}

#[test]
fn damaged_keys_are_found_and_leave_the_data() {
    let driver = driver(b"damaged");
    let good = private(KEYS[0]);
    let data = vec![0x33; 128];
    let damaged = |index: usize| {
        let number = [good.prime_p, good.prime_q, good.exponent_p, good.exponent_q, good.coefficient][index];
        let mut copy = number.to_vec();
        copy[20] ^= 4;
        copy
    };
    for index in 0..5 {
        let number = damaged(index);
        let mut key = good;
        *[
            &mut key.prime_p,
            &mut key.prime_q,
            &mut key.exponent_p,
            &mut key.exponent_q,
            &mut key.coefficient,
        ][index] = &number;
        let mut output = data.clone();
        assert_eq!(driver.rsa_private(&key, &mut output), Err(Error::Key), "{index}");
        assert_eq!(output, data, "{index}");
    }
    let one = RsaPrivateKey { prime_p: &[1], prime_q: good.public.modulus, exponent_p: &[0], ..good };
    let none = RsaPrivateKey { prime_p: &[], ..good };
    let long = RsaPrivateKey { prime_p: &[0xff; 513], ..good };
    for key in [one, none, long] {
        assert_eq!(driver.rsa_private(&key, &mut data.clone()), Err(Error::Key));
    }
    for length in [0, 127, 129] {
        assert_eq!(driver.rsa_private(&good, &mut vec![0; length]), Err(Error::DataLength));
        assert_eq!(driver.rsa_public(&good.public, &mut vec![0; length]), Err(Error::DataLength));
    }
    // Leading zeros of private numbers do not matter.
    let padded = [&[0, 0, 0], good.prime_p].concat();
    let key = RsaPrivateKey { prime_p: &padded, ..good };
    check(&driver, &key, &data);
}

/// A generator that fails after a number of calls.
struct Failing {
    inner: Software<RefCell<Drbg<Constant>>>,
    calls: Cell<usize>,
}

impl Random for Failing {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        if self.calls.get() == 0 {
            return Err(Error::Entropy);
        }
        self.calls.set(self.calls.get() - 1);
        self.inner.fill(output)
    }
}

#[test]
fn failing_generators_are_reported() {
    let key = private(KEYS[0]);
    for calls in [0, 1, 2, 3, 8, 13, 20] {
        let failing = Software::new(Failing { inner: driver(b"failing"), calls: Cell::new(calls) });
        assert_eq!(failing.rsa_generate(1024, 65537, &mut [0; 128]), Err(Error::Entropy), "{calls}");
        let mut data = vec![5; 128];
        let answer = failing.rsa_private(&key, &mut data);
        assert_eq!((answer, data), (Err(Error::Entropy), vec![5; 128]));
    }
    // Generators that are stuck find nothing, and come to an end.
    struct Stuck(u8);
    impl Random for Stuck {
        fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
            output.fill(self.0);
            Ok(())
        }
    }
    for value in [0, 0xff] {
        assert_eq!(
            Software::new(Stuck(value)).rsa_generate(1024, 65537, &mut [0; 128]),
            Err(Error::Entropy),
            "{value}"
        );
    }
}

#[test]
fn generated_keys_hold_what_is_promised() {
    let driver = driver(b"generation");
    // Sizes on and between the widths, exponents that are primes, composites and the largest.
    let cases = [(1024, 65537), (1024, 3), (1040, 0xffff_ffff), (1536, 15), (1552, 65537), (2048, 65537)];
    for (bits, exponent) in cases {
        let mut primes = vec![0; bits / 8];
        driver.rsa_generate(bits, exponent, &mut primes).expect("a key");
        let (p, q) = primes.split_at(bits / 16);
        assert!(p > q);
        let components = RsaComponents::derive(p, q, exponent).expect("a key");
        let key = components.private_key();
        assert_eq!(key.public.modulus.len(), bits / 8);
        assert!(key.public.modulus[0] >= 0x80, "{bits}");
        let number = BigUint::from_bytes_be;
        assert!(number(p) - number(q) >= BigUint::from(1_u32) << (bits / 2 - 100));
        // FIPS 186-5, §A.1.1: d is above 2^(bits / 2).
        assert!(number(key.exponent).bits() > bits as u64 / 2);

        let mut der = [0; RsaKey::MAX_ENCODING];
        let size = encode_rsa_private(&key, &mut der).expect("encodable");
        let parsed = rsa::RsaPrivateKey::from_pkcs1_der(&der[..size]).expect("readable");
        parsed.validate().expect("valid");
        let size = encode_rsa_public(&key.public, &mut der).expect("encodable");
        rsa::RsaPublicKey::from_public_key_der(&der[..size]).expect("readable");
        check(&driver, &key, &vec![0x77; bits / 8]);
    }
}

#[test]
fn generation_refuses_what_it_cannot_do() {
    let driver = driver(b"refusals");
    for (bits, size) in
        [(1008, 126), (1025, 128), (1032, 129), (4112, 514), (1024, 127), (0, 0), (usize::MAX, 1)]
    {
        assert_eq!(driver.rsa_generate(bits, 65537, &mut vec![0; size]), Err(Error::KeyLength), "{bits}");
    }
    for exponent in [0, 1, 2, 65536] {
        assert_eq!(driver.rsa_generate(1024, exponent, &mut [0; 128]), Err(Error::Key), "{exponent}");
    }
    let key = private(KEYS[0]);
    let derive = |p: &[u8], q: &[u8], exponent| RsaComponents::derive(p, q, exponent).map(|_| ());
    assert_eq!(derive(key.prime_p, key.prime_p, 65537), Err(Error::Key));
    assert_eq!(derive(key.prime_p, key.prime_q, 65536), Err(Error::Key));
    assert_eq!(derive(key.prime_p, &[], 65537), Err(Error::Key));
    assert_eq!(derive(key.prime_p, &[1], 65537), Err(Error::KeyLength));
    assert_eq!(derive(key.prime_p, &[0xff; 257], 65537), Err(Error::KeyLength));
    assert_eq!(derive(key.prime_p, &[0x55; 40], 65537), Err(Error::KeyLength));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is in a key: an error or a result, never a panic.
    #[test]
    fn damaged_encodings_do_not_panic(
        source in 0..4_usize,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<u16>()),
    ) {
        let sources: [&[u8]; 4] = [
            KEYS[0],
            include_bytes!("data/rsa/pkcs8-2048.der"),
            include_bytes!("data/rsa/spki-2048.der"),
            include_bytes!("data/rsa/public-2048.der"),
        ];
        let mut der = sources[source].to_vec();
        for (position, value) in changes {
            // Half of the changes go where the structure is.
            let range = if value & 1 == 0 { der.len() } else { 40 };
            der[usize::from(position) % range] = value;
        }
        if let Some(cut) = cut {
            der.truncate(usize::from(cut) % der.len());
        }
        if let Ok(key) = RsaKey::decode(&der) {
            let _ = key.check();
            let mut data = vec![0x42; key.public().modulus.len()];
            let _ = driver(b"damaged").rsa_public(&key.public(), &mut data);
            if let Ok(key) = key.private() {
                let _ = driver(b"damaged").rsa_private(&key, &mut data);
            }
        }
    }

    #[test]
    fn other_bytes_do_not_panic(der in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = RsaKey::decode(&der);
    }
}
