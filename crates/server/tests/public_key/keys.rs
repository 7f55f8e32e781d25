//! Keys from published vectors, and one message of each kind that succeeds with them.

use super::{DECRYPT, DERIVE, ENCRYPT, SIGN, VERIFY, bytes, set_word};
use casemate_testkit::server::VirtualServer;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// A key that can be generated.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// The algorithm of the generation message.
    pub(crate) generation: u32,
    /// Its body, with `FFFFFFFF` for flags and `EEEEEEEE` for the number.
    body: &'static str,
    /// Sizes that the private form can have, and the first bytes of it.
    pub(crate) private: RangeInclusive<usize>,
    pub(crate) private_start: &'static str,
    /// The size of the public form and its first bytes.
    pub(crate) public: usize,
    pub(crate) public_start: &'static str,
    /// The algorithm of public export.
    pub(crate) export: u16,
}

impl Family {
    pub(crate) fn generation_body(&self, flags: u32, id: u32) -> Vec<u8> {
        let flags = hex::encode(flags.to_le_bytes());
        let id = hex::encode(id.to_le_bytes());
        bytes(&self.body.replace("FFFFFFFF", &flags).replace("EEEEEEEE", &id))
    }
}

const fn elliptic(
    name: &'static str,
    body: &'static str,
    private: usize,
    private_start: &'static str,
    public: usize,
    public_start: &'static str,
) -> Family {
    let private = private..=private;
    Family { name, generation: 9, body, private, private_start, public, public_start, export: 2 }
}

const fn lattice(
    name: &'static str,
    body: &'static str,
    private: usize,
    public: usize,
    export: u16,
) -> Family {
    let private = private..=private;
    let generation = if export == 5 { 21 } else { 18 };
    Family { name, generation, body, private, private_start: "", public, public_start: "", export }
}

/// Document 05, §3.1, §4.2, §5.1, §6.1, §7.1, §8 and §11.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "RSA-1024",
        generation: 8,
        body: "FFFFFFFF EEEEEEEE 00040000 01000100 64656D6F 00*20",
        private: 604..=611,
        private_start: "3082",
        public: 162,
        public_start: "30819F300D06092A864886F70D010101050003818D0030818902818100",
        export: 1,
    },
    elliptic(
        "P-224",
        "1C000000 0E000000 EEEEEEEE FFFFFFFF 00*4 00*24",
        106,
        "3068020101041C",
        80,
        "304E301006072A8648CE3D020106052B81040021033A0004",
    ),
    elliptic(
        "P-256",
        "20000000 07000000 EEEEEEEE FFFFFFFF 00*4 65632D64656D6F 00*17",
        121,
        "30770201010420",
        91,
        "3059301306072A8648CE3D020106082A8648CE3D03010703420004",
    ),
    elliptic(
        "P-384 by size",
        "30000000 00000000 EEEEEEEE FFFFFFFF 00*4 00*24",
        167,
        "3081A40201010430",
        120,
        "3076301006072A8648CE3D020106052B8104002203620004",
    ),
    elliptic(
        "P-521",
        "42000000 10000000 EEEEEEEE FFFFFFFF 00*4 00*24",
        223,
        "3081DC0201010442",
        158,
        "30819B301006072A8648CE3D020106052B810400230381860004",
    ),
    Family {
        name: "X25519",
        generation: 16,
        body: "20000000 FFFFFFFF EEEEEEEE 00*24",
        private: 82..=82,
        private_start: "3050020101300506032B656E04220420",
        public: 44,
        public_start: "302A300506032B656E032100",
        export: 3,
    },
    Family {
        name: "Ed25519",
        generation: 15,
        body: "FFFFFFFF EEEEEEEE FFFF0000 00*24",
        private: 82..=82,
        private_start: "3050020101300506032B657004220420",
        public: 44,
        public_start: "302A300506032B6570032100",
        export: 4,
    },
    lattice("ML-DSA-44", "00*4 02000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 3904, 1334, 5),
    lattice("ML-DSA-65", "00*4 03000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 6016, 1974, 5),
    lattice("ML-DSA-87", "00*4 05000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 7520, 2614, 5),
    lattice("ML-KEM-512", "00000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 1632, 800, 6),
    lattice("ML-KEM-768", "01000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 2400, 1184, 6),
    lattice("ML-KEM-1024", "02000000 EEEEEEEE FFFFFFFF FFFF0000 00*24", 3168, 1568, 6),
];

/// A message that works with a key, here one that succeeds with key 5 (and key 6 as its other key).
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) family: &'static str,
    pub(crate) algorithm: u32,
    /// Size of the fixed part of the body.
    pub(crate) fixed: usize,
    body: fn() -> Vec<u8>,
    /// Where the key's number stands.
    key_at: usize,
    /// Where the options stand, and the one that evicts the key.
    options_at: usize,
    pub(crate) evict: u32,
    /// The usage flags each of which is enough; none if none is needed.
    pub(crate) usage: &'static [u32],
}

impl Operation {
    pub(crate) fn body(&self, id: u32, options: u32) -> Vec<u8> {
        let mut body = (self.body)();
        set_word(&mut body, self.key_at, id);
        set_word(&mut body, self.options_at, options);
        body
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        match self.family {
            "RSA" => rsa_key(),
            "ECC" => ec_key(),
            "X25519" => x25519_key(),
            "Ed25519" => ed25519_key(),
            "ML-DSA" => ML_DSA_KEY.clone(),
            _ => ML_KEM_KEY.clone(),
        }
    }

    /// The peer's key needs no usage flag.
    pub(crate) const fn other_usage(&self) -> u32 {
        if self.key_at == 8 { DERIVE } else { 0 }
    }

    pub(crate) fn other_key(&self) -> Option<Vec<u8>> {
        matches!(self.algorithm, 3 | 7).then(|| self.key())
    }
}

pub(crate) fn export_number(family: &str) -> u16 {
    ["RSA", "ECC", "X25519", "Ed25519", "ML-DSA", "ML-KEM"]
        .iter()
        .zip(1..)
        .find_map(|(name, number)| (*name == family).then_some(number))
        .unwrap()
}

pub(crate) const OPERATIONS: &[Operation] = &[
    rsa_operation("RSA public encrypt", 0, &[ENCRYPT]),
    rsa_operation("RSA public decrypt", 1, &[DECRYPT, VERIFY]),
    rsa_operation("RSA private encrypt", 2, &[ENCRYPT, SIGN]),
    rsa_operation("RSA private decrypt", 3, &[DECRYPT]),
    Operation { body: || bytes("00*8"), ..operation("RSA size", "RSA", 17, 8, &[]) },
    Operation {
        body: || [bytes("00*4 00*4 20000000"), vec![0x5A; 32]].concat(),
        ..operation("ECDSA sign", "ECC", 4, 12, &[SIGN])
    },
    Operation {
        body: || [bytes("00*4 00*4 48000000 20000000"), ecdsa_signature(), sample_digest()].concat(),
        ..operation("ECDSA verify", "ECC", 5, 16, &[VERIFY])
    },
    Operation {
        body: || bytes("00*4 00*4 06000000 10000000 00*4 00*24"),
        evict: 2,
        ..operation("ECDH", "ECC", 3, 44, &[DERIVE])
    },
    Operation {
        body: || bytes("00*4 06000000 00*4 10000000 00*4 00*24"),
        key_at: 8,
        ..operation("ECDH, peer", "ECC", 3, 44, &[])
    },
    Operation { body: || bytes("00*8"), ..operation("EC make public", "ECC", 34, 8, &[]) },
    Operation { body: || bytes("00*8 07000000 00*4"), ..operation("EC check public", "ECC", 35, 16, &[]) },
    Operation {
        body: || bytes("00*4 00*4 06000000 00*4 10000000 00*4 00*24"),
        evict: 2,
        ..operation("X25519", "X25519", 7, 48, &[DERIVE])
    },
    Operation {
        body: || bytes("00*4 06000000 00*4 00*4 10000000 00*4 00*24"),
        key_at: 8,
        ..operation("X25519, peer", "X25519", 7, 48, &[])
    },
    Operation {
        body: || bytes("00*4 00*4 03000000 FF000000 00*4 616263"),
        ..operation("Ed25519 sign", "Ed25519", 6, 20, &[SIGN])
    },
    Operation {
        body: || [bytes("00*4 00*4 40000000 00*4 FF000000 00*4"), ed25519_signature()].concat(),
        ..operation("Ed25519 verify", "Ed25519", 14, 24, &[VERIFY])
    },
    Operation {
        body: || bytes("00*4 02000000 00*4 03000000 02000000 00*4 616263 6378"),
        key_at: 8,
        ..operation("ML-DSA sign", "ML-DSA", 22, 24, &[SIGN])
    },
    Operation {
        body: || bytes("00*4 02000000 00*4 74090000 03000000 02000000 00*4 00*4 00*2420 616263 6378"),
        key_at: 8,
        ..operation("ML-DSA verify", "ML-DSA", 23, 32, &[VERIFY])
    },
    Operation {
        body: || bytes("00*4 00*4 00*4 00*4"),
        key_at: 8,
        ..operation("ML-KEM encapsulate", "ML-KEM", 19, 16, &[DERIVE])
    },
    Operation {
        body: || bytes("00*4 00*4 00*4 00030000 00*768"),
        key_at: 8,
        ..operation("ML-KEM decapsulate", "ML-KEM", 20, 16, &[DERIVE])
    },
];

const fn operation(
    name: &'static str,
    family: &'static str,
    algorithm: u32,
    fixed: usize,
    usage: &'static [u32],
) -> Operation {
    let body: fn() -> Vec<u8> = Vec::new;
    Operation { name, family, algorithm, fixed, body, key_at: 4, options_at: 0, evict: 1, usage }
}

const fn rsa_operation(name: &'static str, number: u8, usage: &'static [u32]) -> Operation {
    let body: fn() -> Vec<u8> = match number {
        0 => || bytes("00000000 00*4 00*4 04000000 80000000 00000005"),
        1 => || bytes("01000000 00*4 00*4 04000000 80000000 00000005"),
        2 => || bytes("02000000 00*4 00*4 04000000 80000000 00000005"),
        _ => || bytes("03000000 00*4 00*4 04000000 80000000 00000005"),
    };
    Operation { body, key_at: 8, options_at: 4, ..operation(name, "RSA", 1, 20, usage) }
}

/// A key of `crates/crypto/tests/data`, made by OpenSSL.
pub(crate) fn rsa_key() -> Vec<u8> {
    include_bytes!("../../../crypto/tests/data/rsa/private-1024.der").to_vec()
}

/// RFC 6979, A.2.5: x and U.
pub(crate) const EC_PRIVATE: &str = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
pub(crate) const EC_POINT: &str = "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
     7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";

/// The template of document 05, §11.
pub(crate) fn ec_key() -> Vec<u8> {
    bytes(&format!("30770201010420 {EC_PRIVATE} A00A06082A8648CE3D030107 A144034200 {EC_POINT}"))
}

pub(crate) fn ec_public() -> Vec<u8> {
    bytes(&format!("3059301306072A8648CE3D020106082A8648CE3D030107034200 {EC_POINT}"))
}

/// SHA-256 of "sample".
pub(crate) fn sample_digest() -> Vec<u8> {
    bytes("AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF")
}

/// RFC 6979, A.2.5, with SHA-256, message = "sample".
pub(crate) fn ecdsa_signature() -> Vec<u8> {
    bytes(
        "3046 0221 00 EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
              0221 00 F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    )
}

/// RFC 7748, §6.1: Bob's keys and Alice's public one, in the byte order of the wire, which is the reverse.
pub(crate) const BOB_PRIVATE: &str = "EBE088FF278B2F1CFDB6182629B13B6FE60E80838B7FE1794B8A4A627E08AB5D";
pub(crate) const BOB_PUBLIC: &str = "4F2B886F147EFCAD4D67785BC843833F3735E4ECC2615BD3B4C17D7B7DDB9EDE";
pub(crate) const ALICE_PUBLIC: &str = "6A4E9BAA8EA9A4EBF41A38260D3ABF0D5AF73EB4DC7D8B7454A7308909F02085";

/// The template of document 05, §11, with the last arc of the algorithm's object identifier.
pub(crate) fn pair(arc: &str, private: &str, public: &str) -> Vec<u8> {
    bytes(&format!("30500201013005 06032B65{arc} 04220420 {private} 8120 {public}"))
}

pub(crate) fn public(arc: &str, public: &str) -> Vec<u8> {
    bytes(&format!("302A3005 06032B65{arc} 032100 {public}"))
}

pub(crate) fn x25519_key() -> Vec<u8> {
    pair("6E", BOB_PRIVATE, BOB_PUBLIC)
}

/// RFC 8032, §7.1, test 1: seed and public key.
pub(crate) const SEED: &str = "9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60";
pub(crate) const ED25519_PUBLIC: &str = "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A";

pub(crate) fn ed25519_key() -> Vec<u8> {
    pair("70", SEED, ED25519_PUBLIC)
}

/// Of the empty message.
pub(crate) fn ed25519_signature() -> Vec<u8> {
    bytes(
        "E5564300C360AC729086E2CC806E828A84877F1EB8E5D974D873E06522490155
         5FB8821590A33BACC61E39701CF9B46BD25BF5F0595BBE24655141438E7A100B",
    )
}

/// Keys of sizes that need no literal here: they are generated once.
fn generated(name: &str) -> Vec<u8> {
    let server = VirtualServer::default();
    let mut client = super::Client::new(&server, 3);
    let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
    super::generate(&mut client, family, super::EPHEMERAL, 0).unwrap().1
}

/// ML-DSA-44.
pub(crate) static ML_DSA_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| generated("ML-DSA-44"));
/// ML-KEM-512.
pub(crate) static ML_KEM_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| generated("ML-KEM-512"));
