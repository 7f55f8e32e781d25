//! Opening a client, and what can be asked without one.

use crate::ffi::{self, In, Link, PacketFunctions, StreamFunctions};
use crate::types::{CurveName, HashName, MlDsaName, MlKemName};
use core::ffi::c_char;

/// Major and minor version of the interface: the major one counts changes that break programs, the minor one additions.
pub(crate) const VERSION: (u32, u32) = (0, 1);

ffi::values! { "The library, and sizes"
    /// The version of the library at run time: 65536 times the major number, plus the minor one, as
    /// CASEMATE_API_VERSION is that of the header.
    fn casemate_api_version() -> u32 = "uint32_t" {
        (VERSION.0 << 16) | VERSION.1
    }

    /// How many bytes a client takes in this library; at most CASEMATE_CLIENT_SIZE of the header that it came with.
    fn casemate_client_size() -> usize = "size_t" {
        size_of::<ffi::Object>()
    }

    /// What a status means, in a sentence. Never null; the text stays.
    fn casemate_status_text(status: i32 = "casemate_status status") -> *const c_char = "const char *" {
        crate::status::text(status).as_ptr()
    }

    /// The length of a hash's digest in bytes; 0 for a number that is no hash.
    fn casemate_digest_size(algorithm: u32 = "casemate_hash_algorithm algorithm") -> usize = "size_t" {
        HashName::find(algorithm).map_or(0, |algorithm| algorithm.digest_size())
    }

    /// The length of a field element of a curve, and of an agreed secret, in bytes; 0 for a number that is no curve.
    fn casemate_ec_field_size(curve: u32 = "casemate_curve curve") -> usize = "size_t" {
        CurveName::find(curve).map_or(0, |curve| curve.field_size())
    }

    /// The longest encoded ECDSA signature in bytes; 0 for a number that is no curve.
    fn casemate_ecdsa_signature_size(curve: u32 = "casemate_curve curve") -> usize = "size_t" {
        CurveName::find(curve).map_or(0, |curve| curve.signature_size())
    }

    /// The length of an ML-DSA signature in bytes; 0 for a number that is no parameter set.
    fn casemate_ml_dsa_signature_size(parameters: u32 = "casemate_ml_dsa parameters") -> usize = "size_t" {
        MlDsaName::find(parameters).map_or(0, |parameters| parameters.signature_size())
    }

    /// The length of an ML-KEM ciphertext in bytes; 0 for a number that is no parameter set.
    fn casemate_ml_kem_ciphertext_size(parameters: u32 = "casemate_ml_kem parameters") -> usize = "size_t" {
        MlKemName::find(parameters).map_or(0, |parameters| parameters.ciphertext_size())
    }
}

ffi::openings! { "Opening a client"
    /// Opens a client over the caller's functions that move whole packets. No message is sent. `transport` is copied;
    /// its context, and the packet buffer, belong to the client until it is released.
    fn casemate_open_transport(options, hooks, size; transport: In<PacketFunctions>) {
        Link::packets(transport, hooks)
    }

    /// Opens a client over the caller's functions that move bytes, such as a serial line's: the library puts a length in
    /// front of each packet. Otherwise as casemate_open_transport.
    fn casemate_open_stream(options, hooks, size; stream: In<StreamFunctions>) {
        Link::stream(stream, hooks)
    }

    /// Opens a client over two blocks of memory that the server on another core or in another process uses too, each
    /// aligned to 4: the one for requests, then the one for responses. Both belong to the client until it is released.
    fn casemate_open_memory(options, hooks, size; request[request_size]: ffi::Memory, response[response_size]: ffi::Memory) {
        Link::memory(request, response, hooks)
    }

    /// Opens a client at an address: tcp://HOST:PORT, unix:///PATH, shm://NAME or tls://HOST:PORT. Only in a library for
    /// an operating system (CASEMATE_CONNECT_FAILED in others), which allocates for the connection. The options' timeout
    /// also bounds connecting, 10 seconds without. After CASEMATE_CONNECT_FAILED, casemate_error_text says why, and the
    /// client is to be released.
    fn casemate_open(options, hooks, size; address: ffi::Text) {
        #[cfg(feature = "std")]
        {
            let address = core::str::from_utf8(address).map_err(|_| crate::status::Own::BAD_ARGUMENT)?;
            options.connect(address, size)
        }
        #[cfg(not(feature = "std"))]
        {
            let _ = address;
            Err(crate::status::Own::CONNECT_FAILED.into())
        }
    }
}
