//! The structures and numbers that C knows, and what Rust makes of them.

use crate::failure::Failure;
use crate::ffi::{ByValue, Parameter, Span, StateOf};
use crate::status::Own;
use casemate_client::she::SlotFlags;
use casemate_client::stateful::Stateful;
use casemate_client::{
    Affinity, Curve, Direction, Endianness, Hash, HashAlgorithm, Hmac, MlDsa, MlKem, Prehash, RsaOperation,
};
use casemate_protocol::message::authentication;
use casemate_protocol::message::comm::InfoResponse;
use casemate_protocol::message::custom::{CustomMessage, Dma32, Dma64, custom_type};
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_protocol::message::nvm::AvailableResponse;
use casemate_protocol::{DmaBuffer, Flags, KeyId, Label, Metadata, ObjectId, ObjectType};

/// A structure in the header.
#[cfg(test)]
pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) documentation: &'static [&'static str],
    pub(crate) size: usize,
    pub(crate) fields: &'static [Member],
}

#[cfg(test)]
pub(crate) struct Member {
    pub(crate) documentation: &'static [&'static str],
    /// Type and name in C.
    pub(crate) declaration: &'static str,
    pub(crate) offset: usize,
}

/// Numbers with names in the header.
#[cfg(test)]
pub(crate) struct Numbers {
    pub(crate) name: &'static str,
    pub(crate) documentation: &'static [&'static str],
    pub(crate) entries: &'static [(&'static str, u32, &'static str)],
}

macro_rules! structures {
    ($(
        $(#[doc = $documentation:literal])*
        struct $name:ident = $c:literal {
            $( $(#[doc = $field_documentation:literal])* $field:ident: $type:ty = $declaration:literal, )*
        }
    )*) => {
        $(
            $(#[doc = $documentation])*
            #[derive(Clone, Copy)]
            #[repr(C)]
            pub(crate) struct $name {
                $( $(#[doc = $field_documentation])* pub(crate) $field: $type, )*
            }

            impl crate::ffi::Named for $name {
                const NAME: &'static str = $c;
            }
        )*

        #[cfg(test)]
        pub(crate) const STRUCTURES: &[Structure] = &[$( Structure {
            name: $c,
            documentation: &[$($documentation),*],
            size: size_of::<$name>(),
            fields: &[$( Member {
                documentation: &[$($field_documentation),*],
                declaration: $declaration,
                offset: core::mem::offset_of!($name, $field),
            } ),*],
        } ),*];
    };
}

structures! {
    /// What a key that is about to enter the server's cache shall be.
    struct NewKey = "casemate_new_key" {
        /// Its identifier, with flags such as CASEMATE_KEY_GLOBAL; number 0 lets the server choose.
        id: u16 = "casemate_key_id id",
        /// What it may be used for, and how it is protected: CASEMATE_FLAG_... Without a usage flag it can do nothing.
        flags: u16 = "uint16_t flags",
        /// Its label: text padded with zeros; casemate_label_set fills it.
        label: [u8; 24] = "uint8_t label[24]",
    }

    /// What is known of an object besides its data.
    struct ObjectMetadata = "casemate_metadata" {
        /// Its identifier.
        id: u16 = "casemate_object_id id",
        /// Stored and returned, never checked; 0xFFFF by custom.
        access: u16 = "uint16_t access",
        /// CASEMATE_FLAG_...
        flags: u16 = "uint16_t flags",
        /// Length of the data in bytes; ignored where the data is passed along.
        length: u16 = "uint16_t length",
        /// Label: text padded with zeros.
        label: [u8; 24] = "uint8_t label[24]",
    }

    /// The server's configuration.
    struct Info = "casemate_info" {
        /// Largest payload of a packet in bytes.
        data_length: u32 = "uint32_t data_length",
        /// Objects that the store can hold.
        nvm_object_count: u32 = "uint32_t nvm_object_count",
        /// Small slots of a key cache.
        cache_slots: u32 = "uint32_t cache_slots",
        /// Size of a small slot in bytes.
        cache_slot_size: u32 = "uint32_t cache_slot_size",
        /// Big slots of a key cache.
        big_cache_slots: u32 = "uint32_t big_cache_slots",
        /// Size of a big slot in bytes.
        big_cache_slot_size: u32 = "uint32_t big_cache_slot_size",
        /// Custom callbacks.
        custom_callbacks: u32 = "uint32_t custom_callbacks",
        /// Entries of a DMA address list.
        dma_addresses: u32 = "uint32_t dma_addresses",
        /// Debug state.
        debug_state: u32 = "uint32_t debug_state",
        /// Boot state.
        boot_state: u32 = "uint32_t boot_state",
        /// Life-cycle state.
        lifecycle_state: u32 = "uint32_t lifecycle_state",
        /// State of the object store.
        nvm_state: u32 = "uint32_t nvm_state",
        /// Protocol version, a text that ends with a zero.
        version: [u8; 12] = "char version[12]",
        /// Build, a text that ends with a zero.
        build: [u8; 12] = "char build[12]",
    }

    /// Space in the server's object store.
    struct Available = "casemate_available" {
        /// Free bytes.
        free_size: u32 = "uint32_t free_size",
        /// Bytes that casemate_nvm_compact would free.
        reclaimable_size: u32 = "uint32_t reclaimable_size",
        /// Objects that can still be stored.
        free_objects: u16 = "uint16_t free_objects",
        /// Objects that could be stored in addition after casemate_nvm_compact.
        reclaimable_objects: u16 = "uint16_t reclaimable_objects",
    }

    /// Where an AES-CTR stream stands. To begin: the first counter block, and zeros. Wipe it after use.
    struct CtrStream = "casemate_ctr" {
        /// The next counter block, which counts up as one big-endian number.
        counter: [u8; 16] = "uint8_t counter[16]",
        /// The keystream of the last block.
        keystream: [u8; 16] = "uint8_t keystream[16]",
        /// How many bytes at the end of the keystream are unused, at most 16.
        unused: u32 = "uint32_t unused",
    }

    /// A CMAC under way. All zeros to begin. Wipe it after use.
    struct CmacStream = "casemate_cmac_state" {
        /// Bytes not absorbed yet.
        buffer: [u8; 16] = "uint8_t buffer[16]",
        /// Running value.
        digest: [u8; 16] = "uint8_t digest[16]",
        /// How many bytes of the buffer count, at most 16.
        buffered: u32 = "uint32_t buffered",
        /// Bytes absorbed.
        total: u32 = "uint32_t total",
    }

    /// What a user may do, as the server keeps it; casemate_permissions_... write it.
    struct UserPermissions = "casemate_permissions" {
        /// The block.
        bytes: [u8; 473] = "uint8_t bytes[473]",
    }

    /// The messages that load a SHE key.
    struct SheLoad = "casemate_she_load" {
        /// M1.
        m1: [u8; 16] = "uint8_t m1[16]",
        /// M2.
        m2: [u8; 32] = "uint8_t m2[32]",
        /// M3.
        m3: [u8; 16] = "uint8_t m3[16]",
    }

    /// The server's proof that it took a SHE key.
    struct SheProof = "casemate_she_proof" {
        /// M4.
        m4: [u8; 32] = "uint8_t m4[32]",
        /// M5.
        m5: [u8; 16] = "uint8_t m5[16]",
    }

    /// That the public key of a chain's leaf is to be cached, and how.
    struct LeafKeyWanted = "casemate_leaf_key" {
        /// Where; number 0 lets the server choose.
        id: u16 = "casemate_key_id id",
        /// Flags of the key.
        flags: u16 = "uint16_t flags",
    }

    /// A range of memory that client and server share, as a message names it.
    struct SharedBuffer = "casemate_dma_buffer" {
        /// Where it begins: what the number means is an agreement between client and server.
        address: u64 = "uint64_t address",
        /// Its length in bytes.
        size: u64 = "uint64_t size",
    }

    /// What a custom callback gets or answers. Types below 8 are: 0 a query, 1 four 32-bit numbers, 2 four 64-bit
    /// numbers (client address, client size, server address, server size, in this machine's byte order), the others
    /// nothing; from 8 on the data is the callback's own affair.
    struct CustomData = "casemate_custom_message" {
        /// The type.
        kind: u32 = "uint32_t type",
        /// Zero.
        reserved: u32 = "uint32_t reserved",
        /// The data.
        data: [u8; 256] = "uint8_t data[256]",
    }

    /// A kind of key pair; casemate_pair_... make one.
    struct PairKind = "casemate_pair" {
        /// CASEMATE_FAMILY_...
        family: u32 = "uint32_t family",
        /// The curve, the parameter set, or the size of an RSA modulus in bits.
        parameter: u32 = "uint32_t parameter",
        /// The public exponent of RSA, else 0.
        exponent: u32 = "uint32_t exponent",
    }
}

/// Numbers that stand for a choice.
macro_rules! choices {
    ($(
        $(#[doc = $documentation:literal])*
        $name:ident = $c:literal => $value:ty {
            $( $constant:literal = $number:literal => $choice:expr, $text:literal; )*
        }
    )*) => {
        $(
            $(#[doc = $documentation])*
            pub(crate) enum $name {}

            impl $name {
                /// The choice that a number stands for.
                pub(crate) fn find(number: u32) -> Result<$value, Failure> {
                    match number {
                        $( $number => Ok($choice), )*
                        _ => Err(Own::BAD_ARGUMENT.into()),
                    }
                }
            }

            impl Parameter for $name {
                type Raw = u32;
                type Second = ();
                type Third = ();
                type Value<'a> = $value;

                #[allow(unsafe_code, reason = "the trait's function is; this one asks for nothing")]
                unsafe fn spans(_: u32, (): (), (): ()) -> [Span; 2] {
                    [Span::NONE; 2]
                }

                #[allow(unsafe_code, reason = "the trait's function is; this one asks for nothing")]
                unsafe fn take<'a>(number: u32, (): (), (): ()) -> Result<Self::Value<'a>, Failure> {
                    Self::find(number)
                }

                #[cfg(test)]
                fn declare(name: &str, _: &str, _: &str) -> std::string::String {
                    std::format!("{} {name}", $c)
                }
            }
        )*

        #[cfg(test)]
        pub(crate) const CHOICES: &[Numbers] = &[$( Numbers {
            name: $c,
            documentation: &[$($documentation),*],
            entries: &[$( ($constant, $number, $text) ),*],
        } ),*];
    };
}

/// How a user proves who it is.
#[derive(Clone, Copy)]
pub(crate) enum CredentialKind {
    None,
    Pin,
    Certificate,
}

choices! {
    /// Which way a cipher goes.
    DirectionName = "casemate_direction" => Direction {
        "CASEMATE_DECRYPT" = 0 => Direction::Decrypt, "ciphertext to plaintext";
        "CASEMATE_ENCRYPT" = 1 => Direction::Encrypt, "plaintext to ciphertext";
    }
    /// Which of the server's drivers shall compute. It never changes a result.
    AffinityName = "casemate_affinity" => Affinity {
        "CASEMATE_AFFINITY_HARDWARE" = 0 => Affinity::Hardware, "the accelerated one, where there is one";
        "CASEMATE_AFFINITY_SOFTWARE" = 1 => Affinity::Software, "the portable one";
    }
    /// A hash.
    HashName = "casemate_hash_algorithm" => HashAlgorithm {
        "CASEMATE_SHA224" = 1 => HashAlgorithm::Sha224, "SHA-224, digest of 28 bytes";
        "CASEMATE_SHA256" = 2 => HashAlgorithm::Sha256, "SHA-256, 32 bytes";
        "CASEMATE_SHA384" = 3 => HashAlgorithm::Sha384, "SHA-384, 48 bytes";
        "CASEMATE_SHA512" = 4 => HashAlgorithm::Sha512, "SHA-512, 64 bytes";
        "CASEMATE_SHA512_224" = 5 => HashAlgorithm::Sha512_224, "SHA-512/224, 28 bytes";
        "CASEMATE_SHA512_256" = 6 => HashAlgorithm::Sha512_256, "SHA-512/256, 32 bytes";
        "CASEMATE_SHA3_224" = 7 => HashAlgorithm::Sha3_224, "SHA3-224, 28 bytes";
        "CASEMATE_SHA3_256" = 8 => HashAlgorithm::Sha3_256, "SHA3-256, 32 bytes";
        "CASEMATE_SHA3_384" = 9 => HashAlgorithm::Sha3_384, "SHA3-384, 48 bytes";
        "CASEMATE_SHA3_512" = 10 => HashAlgorithm::Sha3_512, "SHA3-512, 64 bytes";
    }
    /// An elliptic curve.
    CurveName = "casemate_curve" => Curve {
        "CASEMATE_P224" = 1 => Curve::P224, "NIST P-224";
        "CASEMATE_P256" = 2 => Curve::P256, "NIST P-256";
        "CASEMATE_P384" = 3 => Curve::P384, "NIST P-384";
        "CASEMATE_P521" = 4 => Curve::P521, "NIST P-521";
        "CASEMATE_SECP256K1" = 5 => Curve::Secp256k1, "secp256k1";
        "CASEMATE_BRAINPOOL_P256R1" = 6 => Curve::BrainpoolP256r1, "brainpoolP256r1";
        "CASEMATE_BRAINPOOL_P384R1" = 7 => Curve::BrainpoolP384r1, "brainpoolP384r1";
    }
    /// A parameter set of ML-DSA (FIPS 204).
    MlDsaName = "casemate_ml_dsa" => MlDsa {
        "CASEMATE_ML_DSA_44" = 44 => MlDsa::MlDsa44, "signature of 2420 bytes, public key of 1334";
        "CASEMATE_ML_DSA_65" = 65 => MlDsa::MlDsa65, "signature of 3309 bytes, public key of 1974";
        "CASEMATE_ML_DSA_87" = 87 => MlDsa::MlDsa87, "signature of 4627 bytes, public key of 2614";
    }
    /// A parameter set of ML-KEM (FIPS 203).
    MlKemName = "casemate_ml_kem" => MlKem {
        "CASEMATE_ML_KEM_512" = 512 => MlKem::MlKem512, "ciphertext of 768 bytes, public key of 800";
        "CASEMATE_ML_KEM_768" = 768 => MlKem::MlKem768, "ciphertext of 1088 bytes, public key of 1184";
        "CASEMATE_ML_KEM_1024" = 1024 => MlKem::MlKem1024, "ciphertext of 1568 bytes, public key of 1568";
    }
    /// What ML-DSA signs: the message, or its digest by a hash (HashML-DSA). Numbers of casemate_hash_algorithm serve
    /// too.
    PrehashName = "casemate_prehash" => Option<Prehash> {
        "CASEMATE_PREHASH_NONE" = 0 => None, "the message itself";
        "CASEMATE_PREHASH_SHA224" = 1 => Some(Prehash::Hash(HashAlgorithm::Sha224)), "its SHA-224";
        "CASEMATE_PREHASH_SHA256" = 2 => Some(Prehash::Hash(HashAlgorithm::Sha256)), "its SHA-256";
        "CASEMATE_PREHASH_SHA384" = 3 => Some(Prehash::Hash(HashAlgorithm::Sha384)), "its SHA-384";
        "CASEMATE_PREHASH_SHA512" = 4 => Some(Prehash::Hash(HashAlgorithm::Sha512)), "its SHA-512";
        "CASEMATE_PREHASH_SHA512_224" = 5 => Some(Prehash::Hash(HashAlgorithm::Sha512_224)), "its SHA-512/224";
        "CASEMATE_PREHASH_SHA512_256" = 6 => Some(Prehash::Hash(HashAlgorithm::Sha512_256)), "its SHA-512/256";
        "CASEMATE_PREHASH_SHA3_224" = 7 => Some(Prehash::Hash(HashAlgorithm::Sha3_224)), "its SHA3-224";
        "CASEMATE_PREHASH_SHA3_256" = 8 => Some(Prehash::Hash(HashAlgorithm::Sha3_256)), "its SHA3-256";
        "CASEMATE_PREHASH_SHA3_384" = 9 => Some(Prehash::Hash(HashAlgorithm::Sha3_384)), "its SHA3-384";
        "CASEMATE_PREHASH_SHA3_512" = 10 => Some(Prehash::Hash(HashAlgorithm::Sha3_512)), "its SHA3-512";
        "CASEMATE_PREHASH_SHAKE128" = 18 => Some(Prehash::Shake128), "32 bytes of its SHAKE128";
        "CASEMATE_PREHASH_SHAKE256" = 19 => Some(Prehash::Shake256), "64 bytes of its SHAKE256";
    }
    /// The variants of Ed25519 (RFC 8032).
    Ed25519Name = "casemate_ed25519_mode" => u8 {
        "CASEMATE_ED25519_PURE" = 0 => 0, "Ed25519; no context";
        "CASEMATE_ED25519_CONTEXT" = 1 => 1, "Ed25519ctx, with a context of at most 255 bytes";
        "CASEMATE_ED25519_PREHASHED" = 2 => 2, "Ed25519ph, with a context or none; the message is the SHA-512 digest";
    }
    /// The order of a secret's bytes.
    EndiannessName = "casemate_endianness" => Endianness {
        "CASEMATE_LITTLE_ENDIAN" = 0 => Endianness::Little, "the order of RFC 7748";
        "CASEMATE_BIG_ENDIAN" = 1 => Endianness::Big, "the reverse";
    }
    /// What RSA does with a number below the modulus.
    RsaName = "casemate_rsa_operation" => RsaOperation {
        "CASEMATE_RSA_PUBLIC_ENCRYPT" = 0 => RsaOperation::PublicEncrypt, "public exponent, to encrypt";
        "CASEMATE_RSA_PUBLIC_DECRYPT" = 1 => RsaOperation::PublicDecrypt, "public exponent, to verify";
        "CASEMATE_RSA_PRIVATE_ENCRYPT" = 2 => RsaOperation::PrivateEncrypt, "private exponent, to sign";
        "CASEMATE_RSA_PRIVATE_DECRYPT" = 3 => RsaOperation::PrivateDecrypt, "private exponent, to decrypt";
    }
    /// Which algorithm a stored key is for.
    KeyAlgorithmName = "casemate_key_algorithm" => KeyAlgorithm {
        "CASEMATE_KEY_RSA" = 1 => KeyAlgorithm::RSA, "RSA";
        "CASEMATE_KEY_EC" = 2 => KeyAlgorithm::ECC, "an elliptic curve";
        "CASEMATE_KEY_X25519" = 3 => KeyAlgorithm::X25519, "X25519";
        "CASEMATE_KEY_ED25519" = 4 => KeyAlgorithm::ED25519, "Ed25519";
        "CASEMATE_KEY_ML_DSA" = 5 => KeyAlgorithm::ML_DSA, "ML-DSA";
        "CASEMATE_KEY_ML_KEM" = 6 => KeyAlgorithm::ML_KEM, "ML-KEM";
        "CASEMATE_KEY_LMS" = 7 => KeyAlgorithm::LMS, "LMS and HSS";
        "CASEMATE_KEY_XMSS" = 8 => KeyAlgorithm::XMSS, "XMSS and XMSS^MT";
    }
    /// The type of an object.
    ObjectTypeName = "casemate_object_type" => ObjectType {
        "CASEMATE_OBJECT_PLAIN" = 0 => ObjectType::OBJECT, "a plain object";
        "CASEMATE_OBJECT_KEY" = 1 => ObjectType::CRYPTO, "a key";
        "CASEMATE_OBJECT_SHE" = 2 => ObjectType::SHE, "a SHE key";
        "CASEMATE_OBJECT_COUNTER" = 3 => ObjectType::COUNTER, "a monotonic counter";
        "CASEMATE_OBJECT_WRAPPED" = 4 => ObjectType::WRAPPED, "a key that entered the cache wrapped";
    }
    /// A family of stateful signatures.
    StatefulName = "casemate_stateful" => Stateful {
        "CASEMATE_LMS" = 1 => Stateful::Lms, "LMS and HSS";
        "CASEMATE_XMSS" = 2 => Stateful::Xmss, "XMSS and XMSS^MT";
    }
    /// How a user proves who it is.
    CredentialName = "casemate_credential" => CredentialKind {
        "CASEMATE_CREDENTIAL_NONE" = 0 => CredentialKind::None, "not at all: only for a user that cannot log in";
        "CASEMATE_CREDENTIAL_PIN" = 1 => CredentialKind::Pin, "a PIN";
        "CASEMATE_CREDENTIAL_CERTIFICATE" = 2 => CredentialKind::Certificate, "a certificate in DER";
    }
    /// A family of key pairs.
    FamilyName = "casemate_family" => u8 {
        "CASEMATE_FAMILY_RSA" = 1 => 1, "RSA; the parameter is the size in bits";
        "CASEMATE_FAMILY_EC" = 2 => 2, "an elliptic curve; the parameter is a casemate_curve";
        "CASEMATE_FAMILY_X25519" = 3 => 3, "X25519";
        "CASEMATE_FAMILY_ED25519" = 4 => 4, "Ed25519";
        "CASEMATE_FAMILY_ML_DSA" = 5 => 5, "ML-DSA; the parameter is a casemate_ml_dsa";
        "CASEMATE_FAMILY_ML_KEM" = 6 => 6, "ML-KEM; the parameter is a casemate_ml_kem";
    }
}

/// A set of bits in the header: what it is for, and each bit's name, value and meaning.
#[cfg(test)]
type Bits = (&'static str, &'static [(&'static str, u16, &'static str)]);

/// Sets of bits in the header.
#[cfg(test)]
pub(crate) const BITS: &[Bits] = &[
    (
        "Flags of keys and objects.",
        &[
            ("CASEMATE_FLAG_NONMODIFIABLE", Flags::NONMODIFIABLE.0, "may not be replaced or erased"),
            ("CASEMATE_FLAG_SENSITIVE", Flags::SENSITIVE.0, "holds a secret (informative)"),
            ("CASEMATE_FLAG_NONEXPORTABLE", Flags::NONEXPORTABLE.0, "may not leave the server"),
            ("CASEMATE_FLAG_LOCAL", Flags::LOCAL.0, "was generated in the server (informative)"),
            ("CASEMATE_FLAG_ENCRYPT", Flags::USAGE_ENCRYPT.0, "may encrypt"),
            ("CASEMATE_FLAG_DECRYPT", Flags::USAGE_DECRYPT.0, "may decrypt"),
            ("CASEMATE_FLAG_SIGN", Flags::USAGE_SIGN.0, "may sign or compute a MAC"),
            ("CASEMATE_FLAG_VERIFY", Flags::USAGE_VERIFY.0, "may verify a signature or a MAC"),
            ("CASEMATE_FLAG_WRAP", Flags::USAGE_WRAP.0, "may wrap keys and data"),
            ("CASEMATE_FLAG_DERIVE", Flags::USAGE_DERIVE.0, "may be derived from, or agree on a secret"),
            ("CASEMATE_FLAG_NONDESTROYABLE", Flags::NONDESTROYABLE.0, "may not be erased"),
            ("CASEMATE_FLAG_ANY_USE", Flags::USAGE_ANY.0, "every use"),
        ],
    ),
    (
        "Flags in key identifiers, whose low byte is the key's number.",
        &[
            ("CASEMATE_KEY_GLOBAL", KeyId::GLOBAL, "the key belongs to all clients"),
            ("CASEMATE_KEY_WRAPPED", KeyId::WRAPPED, "the key entered the cache wrapped"),
            ("CASEMATE_KEY_HARDWARE", KeyId::HARDWARE, "the key lives in a hardware key store"),
        ],
    ),
];

impl NewKey {
    pub(crate) const fn get(&self) -> casemate_client::NewKey {
        casemate_client::NewKey { id: KeyId(self.id), flags: Flags(self.flags), label: Label(self.label) }
    }
}

impl ObjectMetadata {
    pub(crate) const fn get(&self) -> Metadata {
        Metadata {
            id: ObjectId(self.id),
            access: self.access,
            flags: Flags(self.flags),
            length: self.length,
            label: Label(self.label),
        }
    }
}

impl From<Metadata> for ObjectMetadata {
    fn from(found: Metadata) -> Self {
        let Metadata { id, access, flags, length, label } = found;
        Self { id: id.0, access, flags: flags.0, length, label: label.0 }
    }
}

/// Nine bytes, and zeros behind them.
const fn ended(text: [u8; 9]) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h, i] = text;
    [a, b, c, d, e, f, g, h, i, 0, 0, 0]
}

impl From<InfoResponse> for Info {
    fn from(found: InfoResponse) -> Self {
        Self {
            data_length: found.data_length,
            nvm_object_count: found.nvm_object_count,
            cache_slots: found.cache_slots,
            cache_slot_size: found.cache_slot_size,
            big_cache_slots: found.big_cache_slots,
            big_cache_slot_size: found.big_cache_slot_size,
            custom_callbacks: found.custom_callbacks,
            dma_addresses: found.dma_addresses,
            debug_state: found.debug_state,
            boot_state: found.boot_state,
            lifecycle_state: found.lifecycle_state,
            nvm_state: found.nvm_state,
            version: ended(found.version),
            build: ended(found.build),
        }
    }
}

impl From<AvailableResponse> for Available {
    fn from(found: AvailableResponse) -> Self {
        let AvailableResponse { free_size, reclaimable_size, free_objects, reclaimable_objects, .. } = found;
        Self { free_size, reclaimable_size, free_objects, reclaimable_objects }
    }
}

impl UserPermissions {
    pub(crate) const fn get(&self) -> authentication::Permissions {
        authentication::Permissions::from_bytes(self.bytes)
    }

    pub(crate) fn change(&mut self, work: impl FnOnce(&mut authentication::Permissions)) {
        let mut permissions = self.get();
        work(&mut permissions);
        self.bytes = *permissions.as_bytes();
    }
}

/// The numbers at the front of a custom message's data.
fn words<const N: usize, W>(data: &[u8; 256], read: impl Fn([u8; N]) -> W) -> Option<[W; 4]> {
    let (chunks, _) = data.as_chunks::<N>();
    let [a, b, c, d, ..] = chunks else { return None };
    Some([read(*a), read(*b), read(*c), read(*d)])
}

impl CustomData {
    pub(crate) fn get(&self) -> CustomMessage {
        let message = match self.kind {
            custom_type::DMA32 => words(&self.data, u32::from_ne_bytes).map(
                |[client_address, client_size, server_address, server_size]| {
                    CustomMessage::Dma32(Dma32 { client_address, client_size, server_address, server_size })
                },
            ),
            custom_type::DMA64 => words(&self.data, u64::from_ne_bytes).map(
                |[client_address, client_size, server_address, server_size]| {
                    CustomMessage::Dma64(Dma64 { client_address, client_size, server_address, server_size })
                },
            ),
            custom_type::FIRST_USER.. => {
                Some(CustomMessage::User { custom_type: self.kind, data: self.data })
            }
            _ => None,
        };
        message.unwrap_or(CustomMessage::Empty(self.kind))
    }
}

impl From<CustomMessage> for CustomData {
    fn from(message: CustomMessage) -> Self {
        let mut data = [0; 256];
        let mut fill = |bytes: &mut dyn Iterator<Item = u8>| {
            data.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        };
        match message {
            CustomMessage::Empty(_) => {}
            CustomMessage::Dma32(Dma32 { client_address, client_size, server_address, server_size }) => {
                let words = [client_address, client_size, server_address, server_size];
                fill(&mut words.into_iter().flat_map(u32::to_ne_bytes));
            }
            CustomMessage::Dma64(Dma64 { client_address, client_size, server_address, server_size }) => {
                let words = [client_address, client_size, server_address, server_size];
                fill(&mut words.into_iter().flat_map(u64::to_ne_bytes));
            }
            CustomMessage::User { data: bytes, .. } => data = bytes,
        }
        Self { kind: message.custom_type(), reserved: 0, data }
    }
}

impl ByValue for PairKind {}
impl ByValue for SharedBuffer {}

impl From<SharedBuffer> for DmaBuffer {
    fn from(buffer: SharedBuffer) -> Self {
        Self::new(buffer.address, buffer.size)
    }
}

impl From<SharedBuffer> for casemate_client::certificate::Shared {
    fn from(buffer: SharedBuffer) -> Self {
        // What does not fit the message's field is refused as nothing at all is.
        Self { address: buffer.address, length: u32::try_from(buffer.size).unwrap_or(0) }
    }
}

/// The flags of a provisioned SHE key.
pub(crate) const fn slot_flags(flags: u32) -> SlotFlags {
    SlotFlags(flags)
}

impl crate::ffi::Named for Hash {
    const NAME: &'static str = "casemate_hash_state";
}

impl StateOf for Hash {
    const KIND: u32 = 0x4A54_1001;
    const WORDS: usize = 56;
}

impl crate::ffi::Named for Hmac {
    const NAME: &'static str = "casemate_hmac_state";
}

impl StateOf for Hmac {
    const KIND: u32 = 0x4A54_2002;
    const WORDS: usize = 80;
}
