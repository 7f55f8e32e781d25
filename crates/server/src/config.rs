//! What a server may be configured with at run time. Storage sizes are chosen by the types of [`crate::Platform`].

#[cfg(feature = "authentication")]
use crate::users::UserPolicy;
use casemate_protocol::{IdFeatures, MAX_DATA_LENGTH, MIN_DATA_LENGTH};
use core::fmt;

/// How far clients are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// INIT comes first; a session keeps its client identifier; no message reaches another client's keys, counters
    /// or SHE slots.
    #[default]
    Strict,
    /// As the original: requests before INIT run as client 0, INIT may be repeated with another identifier, and the
    /// object messages reach every object by its raw identifier, but for the records of the user database.
    Original,
}

/// Whose SHE state it is: identifier, secure boot and random generator.
#[cfg(feature = "she")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SheScope {
    /// The server's, as in the original: a client that connects later finds identifier and open gate.
    #[default]
    Server,
    /// Each session's own: every client gives the identifier and boots by itself, and loses both when it leaves.
    Session,
}

/// What a failed secure boot costs.
#[cfg(feature = "she")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SheBoot {
    /// As in the original: a failed boot may be tried again, a boot MAC key of a wrong length counts as none and opens
    /// the gate, and a boot command after a success closes it again.
    #[default]
    Repeatable,
    /// The outcome stays until the server restarts: a MAC that does not match closes the gate for good (status
    /// register 0x0A), so does a boot MAC key of a wrong length (KEY_INVALID), and commands that come after the
    /// outcome are refused without effect.
    Final,
}

/// Who reads the flags of SHE keys, and how.
#[cfg(feature = "she")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SheRules {
    /// As in the original (document 06, §2 and §12): an update's WILDCARD protects against writing, its KEY_USAGE admits
    /// the all-zero identifier, nothing else counts; every key does everything and authorizes every update.
    #[default]
    Original,
    /// As in the standard: WRITE_PROTECTION, BOOT_PROTECTION, KEY_USAGE and WILDCARD mean what they say, keys serve and
    /// authorize only what the standard lets them, and a RAM key that came encrypted is not exported.
    Standard,
}

/// The options of the SHE group (document 06, §13). The defaults behave as the original does.
#[cfg(feature = "she")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheOptions {
    /// All clients share the key slots; needs [`IdFeatures::global_keys`]. Else each client has its own.
    pub global_keys: bool,
    /// The unique identifier, if the device has one by itself; clients cannot set it then.
    pub uid: Option<[u8; 15]>,
    /// Whose state it is.
    pub scope: SheScope,
    /// What a failed secure boot costs.
    pub boot: SheBoot,
    /// How flags are read.
    pub rules: SheRules,
    /// The shortest MAC that VERIFY_MAC lets match, 4 to 16 bytes.
    pub min_mac_length: u8,
}

#[cfg(feature = "she")]
impl Default for SheOptions {
    fn default() -> Self {
        Self {
            global_keys: false,
            uid: None,
            scope: SheScope::Server,
            boot: SheBoot::Repeatable,
            rules: SheRules::Original,
            min_mac_length: 4,
        }
    }
}

/// Whose requests share a verify cache.
#[cfg(feature = "certificates")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyCacheScope {
    /// There is none: each signature is verified each time.
    Off,
    /// Each session has its own.
    #[default]
    Session,
    /// All sessions share one. A client can then tell by the time that verification takes what others have verified.
    Server,
}

/// What the certificate manager demands (document 07, §A.5 and §A.8). By default, what the original does.
#[cfg(feature = "certificates")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CertificateOptions {
    /// An authority whose certificate has a key usage must have keyCertSign in it.
    pub require_key_cert_sign: bool,
    /// A trusted root must be marked as an authority by its basic constraints.
    pub require_authority_anchors: bool,
    /// Shortest RSA modulus that is accepted, in bits. Below 1024 bits none is.
    pub minimum_rsa_bits: usize,
    /// An attribute certificate must be valid now and be issued by the subject of the root.
    pub strict_attributes: bool,
    /// Bytes that are no certificate are refused when they are to be stored as a root, not only when a chain is verified
    /// with them.
    pub check_when_added: bool,
    /// Whose requests share a verify cache.
    pub verify_cache: VerifyCacheScope,
}

#[cfg(feature = "certificates")]
impl CertificateOptions {
    /// What RFC 5280 and NIST SP 800-131A demand.
    pub const STRICT: Self = Self {
        require_key_cert_sign: true,
        require_authority_anchors: true,
        minimum_rsa_bits: 2048,
        strict_attributes: true,
        check_when_added: true,
        verify_cache: VerifyCacheScope::Session,
    };
}

/// A server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server's identifier, which INIT reports.
    pub server_id: u8,
    /// Largest payload in bytes; clients of the original must be built with the same number.
    pub data_length: usize,
    /// Which kinds of keys the server offers.
    pub features: IdFeatures,
    /// How far clients are kept apart.
    pub isolation: Isolation,
    /// Largest key that may be wrapped, in bytes (document 03, §7).
    pub wrap_key_limit: usize,
    /// Largest data that may be wrapped, in bytes (document 03, §7).
    pub wrap_data_limit: usize,
    /// What the certificate manager demands.
    #[cfg(feature = "certificates")]
    pub certificates: CertificateOptions,
    /// Largest stateful signature key (LMS, XMSS) as it is stored, in bytes. Each signature writes it anew; a larger one
    /// keeps more of the tree and signs faster.
    pub stateful_key_limit: usize,
    /// Whether the server has users, and what holds for them. With users, [`crate::Server::load_users`] must be called
    /// before clients are served; until then nobody can log in.
    #[cfg(feature = "authentication")]
    pub users: Option<UserPolicy>,
    /// Version text that INFO reports, padded with zeros.
    pub version: [u8; 9],
    /// Build text that INFO reports, padded with zeros.
    pub build: [u8; 9],
    /// The options of the SHE group.
    #[cfg(feature = "she")]
    pub she: SheOptions,
}

impl Default for Config {
    /// The values of the original's POSIX example server.
    fn default() -> Self {
        Self {
            server_id: 57,
            data_length: 8192,
            features: IdFeatures { global_keys: true, wrapped_keys: true, hardware_keys: false },
            isolation: Isolation::Strict,
            wrap_key_limit: 5000,
            wrap_data_limit: 2000,
            #[cfg(feature = "certificates")]
            certificates: CertificateOptions::default(),
            stateful_key_limit: 3100,
            #[cfg(feature = "authentication")]
            users: None,
            version: *b"01.01.01\0",
            build: *b"12345678\0",
            #[cfg(feature = "she")]
            she: SheOptions::default(),
        }
    }
}

impl Config {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the value that is out of range.
    pub const fn check(&self) -> Result<(), ConfigError> {
        if self.data_length < MIN_DATA_LENGTH || self.data_length > MAX_DATA_LENGTH {
            return Err(ConfigError::DataLength(self.data_length));
        }
        #[cfg(feature = "she")]
        {
            if self.she.global_keys && !self.features.global_keys {
                return Err(ConfigError::SheGlobalKeys);
            }
            if self.she.min_mac_length < 4 || self.she.min_mac_length > 16 {
                return Err(ConfigError::SheMacLength(self.she.min_mac_length));
            }
        }
        Ok(())
    }
}

/// A configuration that no server can run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// [`Config::data_length`] is out of range.
    DataLength(usize),
    /// [`SheOptions::global_keys`] without [`IdFeatures::global_keys`].
    #[cfg(feature = "she")]
    SheGlobalKeys,
    /// [`SheOptions::min_mac_length`] is out of range.
    #[cfg(feature = "she")]
    SheMacLength(u8),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLength(length) => write!(
                f,
                "the packet data length is {length} bytes; choose one from {MIN_DATA_LENGTH} to {MAX_DATA_LENGTH}"
            ),
            #[cfg(feature = "she")]
            Self::SheGlobalKeys => {
                f.write_str("SHE keys for all clients need global keys; switch those on too")
            }
            #[cfg(feature = "she")]
            Self::SheMacLength(length) => {
                write!(f, "the shortest SHE MAC is {length} bytes; choose 4 to 16")
            }
        }
    }
}

impl core::error::Error for ConfigError {}
