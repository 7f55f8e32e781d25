//! The numbers that calls return. Those of the server cross the wire as they are; the others are of this library.

use casemate_protocol::Status;
use core::ffi::CStr;

/// A status of this library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own(pub(crate) i32);

/// A status in the header, and its text.
pub(crate) struct Entry {
    /// The constant's name.
    #[cfg_attr(not(test), allow(dead_code, reason = "only the header needs it"))]
    pub(crate) name: &'static str,
    pub(crate) code: i32,
    /// Ends with a zero.
    pub(crate) text: &'static str,
}

macro_rules! own {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl Own {
            $( pub(crate) const $name: Self = Self($code); )*
        }

        pub(crate) const OWN: &[Entry] = &[
            $( Entry { name: concat!("CASEMATE_", stringify!($name)), code: $code, text: concat!($text, "\0") }, )*
        ];
    };
}

own! {
    OK = 0, "Success";
    PENDING = 1, "The response has not come yet: make the same call again";
    END = 2, "There is nothing more";
    BAD_ARGUMENT = -3001, "An argument is wrong: a null pointer, a length, an overlap, an unknown number";
    NOT_OPEN = -3002, "The client or the state was not made, or has been released";
    ALREADY_OPEN = -3003, "The client is open; release it first";
    BUSY = -3004, "Another call with this client has not returned: one thread at a time";
    OTHER_CALL = -3005, "Another call is pending: make that one again, or abandon it";
    SEVERAL_REQUESTS = -3006, "The call takes several requests, which a client that does not block cannot make";
    TOO_LONG = -3007, "The request or its response does not fit a packet";
    BUFFER_TOO_SMALL = -3008, "The buffer for the outcome is too small; its length was set to what it takes";
    TIMEOUT = -3009, "No response came within the timeout";
    NOT_READY = -3010, "The transport would have to wait";
    CLOSED = -3011, "The connection is closed; release the client and open it again";
    TRANSPORT_FAILED = -3012, "The transport failed";
    BAD_PACKET = -3013, "A packet is shorter than its header or longer than its buffer";
    PROTOCOL = -3014, "The response breaks the protocol";
    REFUSED = -3015, "The server refuses the request without a status, or does not know it";
    MAC_MISMATCH = -3016, "The message authentication code does not match: reject the data";
    SIGNATURE_INVALID = -3017, "The signature is not valid: reject the data";
    CONNECT_FAILED = -3018, "There is no connection to the server";
    NO_SHARED_MEMORY = -3019, "Client and server share no memory, or not so much";
    INTERNAL = -3020, "A fault of the library";
    WRONG_SIZE = -3021, "The memory for the client is too small for this library: header and library differ";
}

impl Own {
    /// Whether `code` is a number of this library's.
    pub(crate) const fn is_own(code: i32) -> bool {
        matches!(code, -3099..=-3000)
    }

    /// What it means.
    pub(crate) fn text(self) -> &'static str {
        let entry = OWN.iter().find(|entry| entry.code == self.0);
        entry.map_or("an unknown status", |entry| entry.text.trim_end_matches('\0'))
    }
}

/// A text with a zero behind it.
const fn terminated<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut rest, mut to) = (text.as_bytes(), bytes.as_mut_slice());
    while let ([from, more @ ..], [slot, slots @ ..]) = (rest, to) {
        *slot = *from;
        (rest, to) = (more, slots);
    }
    bytes
}

const fn meaning(status: Status) -> &'static str {
    match status.describe() {
        Some((_, text)) => text,
        None => "",
    }
}

/// The server's statuses; a test sees to it that none is missing.
macro_rules! server {
    ($($name:ident)*) => {
        pub(crate) const SERVER: &[Entry] = &[
            $( Entry {
                name: concat!("CASEMATE_SERVER_", stringify!($name)),
                code: Status::$name.0,
                text: {
                    const TEXT: &str = meaning(Status::$name);
                    const BYTES: [u8; TEXT.len() + 1] = terminated(TEXT);
                    match core::str::from_utf8(&BYTES) {
                        Ok(text) => text,
                        Err(_) => "\0",
                    }
                },
            }, )*
        ];
    };
}

server! {
    BAD_ARGUMENTS NOT_READY ABORTED CERTIFICATE_VERIFICATION BUFFER_SIZE NO_HANDLER NOT_IMPLEMENTED USAGE TIMEOUT
    REQUEST_PENDING LOCKED ACCESS NOT_VERIFIED NOT_BLANK NOT_FOUND NO_SPACE SHE_SEQUENCE_ERROR SHE_KEY_NOT_AVAILABLE
    SHE_KEY_INVALID SHE_KEY_EMPTY SHE_NO_SECURE_BOOT SHE_WRITE_PROTECTED SHE_KEY_UPDATE_ERROR SHE_RNG_SEED
    SHE_NO_DEBUGGING SHE_BUSY SHE_MEMORY_FAILURE SHE_GENERAL_ERROR AUTH_LOGIN_FAILED AUTH_PERMISSION AUTH_NOT_ENABLED
    NUMBER_ZERO KEY_EXHAUSTED RSA_BUFFER BUFFER PUBLIC_KEY ASN_PARSE ASN_OBJECT_ID ECC_ARGUMENT ASN_ECC_KEY ECC_CURVE
    CRYPTO_ARGUMENT NOT_COMPILED_IN AES_GCM_AUTHENTICATION AES_CCM_AUTHENTICATION BAD_STATE RNG_FAILURE RSA_PADDING
    MAC_COMPARE_FAILED POINT ECC_PRIVATE_KEY ECC_OUT_OF_RANGE SIGNATURE_VERIFICATION HASH_TYPE KEY_SIZE MISSING_RNG
    HARDWARE CRYPTO_CALLBACK_UNAVAILABLE BAD_LENGTH IO_FAILED
}

/// What a status means, for C.
pub(crate) fn text(code: i32) -> &'static CStr {
    OWN.iter()
        .chain(SERVER)
        .find(|entry| entry.code == code)
        .and_then(|entry| CStr::from_bytes_with_nul(entry.text.as_bytes()).ok())
        .unwrap_or(c"An unknown status")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_status_has_a_number_of_its_own_and_a_text() {
        for (index, entry) in OWN.iter().chain(SERVER).enumerate() {
            let earlier = OWN.iter().chain(SERVER).take(index);
            assert!(earlier.clone().all(|other| other.code != entry.code), "{} twice", entry.name);
            assert!(text(entry.code).to_bytes().len() > 4, "{}", entry.name);
        }
        assert_eq!(text(-2104), c"No such object or key");
        assert_eq!(text(0), c"Success");
        assert_eq!(text(12345), c"An unknown status");
    }

    #[test]
    fn no_status_of_the_server_is_missing() {
        for code in -9999..0 {
            let known = Status(code).describe();
            let here = SERVER.iter().find(|entry| entry.code == code);
            assert_eq!(known.is_some(), here.is_some(), "{code}: {known:?}");
            if let (Some((name, _)), Some(here)) = (known, here) {
                assert_eq!(here.name, std::format!("CASEMATE_SERVER_{name}"));
            }
            assert!(!(known.is_some() && Own::is_own(code)), "{}", code.to_string());
        }
    }
}
