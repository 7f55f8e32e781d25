//! The status codes that cross the wire (document 01, §11).

use crate::codec::{Field, Overflow, Reader, Writer};
use core::fmt;

/// The outcome of a request: 0 for success, a negative code otherwise. Codes of -2000 and below are the protocol's
/// own; codes above that are of the cryptographic library that the protocol grew up with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

macro_rules! statuses {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl Status {
            $( #[doc = concat!($text, ".")] pub const $name: Self = Self($code); )*

            /// The code's name and meaning, if it is assigned.
            pub const fn describe(self) -> Option<(&'static str, &'static str)> {
                match self {
                    $( Self::$name => Some((stringify!($name), $text)), )*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        const ALL: &[Status] = &[$( Status::$name ),*];
    };
}

statuses! {
    OK = 0, "Success";
    BAD_ARGUMENTS = -2000, "An argument or a length is wrong";
    NOT_READY = -2001, "Nothing to receive yet, or the peer cannot take more";
    ABORTED = -2002, "The exchange failed: wrong size, wrong kind, lost connection";
    CERTIFICATE_VERIFICATION = -2005, "A certificate chain does not verify";
    BUFFER_SIZE = -2006, "A buffer is too small";
    NO_HANDLER = -2007, "No handler is registered for the request";
    NOT_IMPLEMENTED = -2008, "The server does not offer the operation";
    USAGE = -2009, "The key's usage flags forbid the operation";
    TIMEOUT = -2010, "No response came in time";
    REQUEST_PENDING = -2011, "The previous request has not been answered yet";
    LOCKED = -2100, "The flash range is locked";
    ACCESS = -2101, "A policy forbids the operation on this object";
    NOT_VERIFIED = -2102, "Data read back differs from what was written, or a checksum is wrong";
    NOT_BLANK = -2103, "Flash to be programmed is not erased";
    NOT_FOUND = -2104, "No such object or key";
    NO_SPACE = -2105, "The store or the key cache is full";
    SHE_SEQUENCE_ERROR = -2200, "SHE: commands out of sequence";
    SHE_KEY_NOT_AVAILABLE = -2201, "SHE: the key is locked or may not be used so";
    SHE_KEY_INVALID = -2202, "SHE: the key may not be used for this";
    SHE_KEY_EMPTY = -2203, "SHE: the key slot is empty";
    SHE_NO_SECURE_BOOT = -2204, "SHE: secure boot is not configured";
    SHE_WRITE_PROTECTED = -2205, "SHE: the key is write-protected";
    SHE_KEY_UPDATE_ERROR = -2206, "SHE: the key update messages do not verify";
    SHE_RNG_SEED = -2207, "SHE: the random generator is not seeded";
    SHE_NO_DEBUGGING = -2208, "SHE: debugging is not allowed";
    SHE_BUSY = -2209, "SHE: another command is running";
    SHE_MEMORY_FAILURE = -2210, "SHE: memory failed";
    SHE_GENERAL_ERROR = -2211, "SHE: any other failure";
    AUTH_LOGIN_FAILED = -2300, "The login was refused";
    AUTH_PERMISSION = -2301, "The logged-in user may not do this";
    AUTH_NOT_ENABLED = -2302, "The server has no users";
    NUMBER_ZERO = -121, "A number in a signature is zero";
    KEY_EXHAUSTED = -123, "The stateful signature key has no signatures left";
    RSA_BUFFER = -131, "An RSA buffer is too small or the input too large";
    BUFFER = -132, "A buffer has the wrong size";
    PUBLIC_KEY = -134, "The public key is missing or wrong";
    ASN_PARSE = -140, "The encoded key cannot be parsed";
    ASN_OBJECT_ID = -144, "The encoded key names an unknown object identifier";
    ECC_ARGUMENT = -170, "An elliptic-curve argument is wrong";
    ASN_ECC_KEY = -171, "The elliptic-curve key or signature is malformed";
    ECC_CURVE = -172, "The elliptic curve is not supported";
    CRYPTO_ARGUMENT = -173, "A cryptographic argument or length is wrong";
    NOT_COMPILED_IN = -174, "The server does not have this algorithm";
    AES_GCM_AUTHENTICATION = -180, "The GCM tag does not match";
    AES_CCM_AUTHENTICATION = -181, "The CCM tag does not match";
    BAD_STATE = -192, "The operation's state does not allow this";
    RNG_FAILURE = -199, "The random generator failed";
    RSA_PADDING = -201, "The RSA padding is wrong";
    MAC_COMPARE_FAILED = -213, "The MAC does not match";
    POINT = -214, "The point is not on the curve";
    ECC_PRIVATE_KEY = -216, "The elliptic-curve private key is wrong";
    ECC_OUT_OF_RANGE = -217, "The public key is a point of small order";
    SIGNATURE_VERIFICATION = -229, "The signature does not verify";
    HASH_TYPE = -232, "The hash is unknown here";
    KEY_SIZE = -234, "The key size is not allowed";
    MISSING_RNG = -236, "No random generator is configured";
    HARDWARE = -248, "The cryptographic hardware failed";
    CRYPTO_CALLBACK_UNAVAILABLE = -271, "No driver offers the operation";
    BAD_LENGTH = -279, "The data or digest length is not allowed";
    IO_FAILED = -291, "The state of a stateful signature key could not be stored";
}

impl Status {
    /// Success as `Ok`, everything else as `Err`.
    ///
    /// # Errors
    /// The status itself, unless it is [`Status::OK`].
    pub const fn into_result(self) -> Result<(), Self> {
        match self {
            Self::OK => Ok(()),
            other => Err(other),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.describe() {
            Some((name, text)) => write!(f, "{text} ({name}, {})", self.0),
            None => write!(f, "status {}", self.0),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.describe() {
            Some((name, _)) => write!(f, "{name}({})", self.0),
            None => write!(f, "Status({})", self.0),
        }
    }
}

impl core::error::Error for Status {}

impl Field for Status {
    const SIZE: usize = 4;
    fn read(reader: &mut Reader<'_>) -> Self {
        Self(reader.read())
    }
    fn put(self, writer: &mut Writer<'_>) -> Result<(), Overflow> {
        writer.put(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ByteOrder;

    #[test]
    fn codes_on_the_wire() {
        for (status, bytes) in [
            (Status::BAD_ARGUMENTS, [0x30, 0xF8, 0xFF, 0xFF]),
            (Status::ABORTED, [0x2E, 0xF8, 0xFF, 0xFF]),
            (Status::NOT_FOUND, [0xC8, 0xF7, 0xFF, 0xFF]),
            (Status::AUTH_PERMISSION, [0x03, 0xF7, 0xFF, 0xFF]),
            (Status::NOT_COMPILED_IN, [0x52, 0xFF, 0xFF, 0xFF]),
        ] {
            let mut out = [0; 4];
            status.put(&mut Writer::new(&mut out, ByteOrder::Little)).unwrap();
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn codes_are_unique() {
        for (index, status) in ALL.iter().enumerate() {
            assert!(!ALL[..index].contains(status), "{status:?} twice");
        }
    }
}
