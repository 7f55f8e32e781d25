//! What holds for users: [`UserPolicy`].

use casemate_protocol::message::authentication::method;

/// What holds for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPolicy {
    /// Iterations of PBKDF2-HMAC-SHA-256 for a PIN. Users whose PIN was stored with fewer are moved up when they log
    /// in. Each takes two compressions of SHA-256: choose the number so that a login takes as long as can be waited.
    pub pin_iterations: u32,
    /// Shortest new PIN in bytes, at least 1. PINs that exist stay valid.
    pub minimum_pin_length: u8,
    /// What failed logins lead to.
    pub lockout: Lockout,
    /// Whether a user whose permissions list keys can use no others. The original keeps the lists and does not look
    /// at them.
    pub key_lists: bool,
    /// Whether users can log in with a certificate.
    #[cfg(feature = "certificates")]
    pub certificates: CertificateLogin,
}

/// Whether users can log in with a certificate (document 07, C.5). A user's credential is then the certificate of an
/// authority, and whoever shows a certificate that it has issued, or that very certificate, logs in as the user. The
/// dates count if there is a clock, and [`Platform::accepts_certificate`](crate::Platform::accepts_certificate) is asked.
///
/// The message carries nothing but the certificate, which is public: it proves nothing by itself.
#[cfg(feature = "certificates")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CertificateLogin {
    /// Not at all, and no user gets a certificate.
    #[default]
    Off,
    /// If the transport has proven that the client has the certificate's private key, as TLS does: it must be the very
    /// certificate that [`Session::with_certificate`](crate::Session::with_certificate) names.
    Proven,
    /// Always, as in the original: whoever has seen the certificate, on the wire or elsewhere, can log in. For clients of
    /// the original on transports where nobody else can listen or connect.
    Replayable,
}

impl UserPolicy {
    /// Whether credentials of this kind can be stored and used.
    #[cfg(feature = "certificates")]
    pub(crate) fn knows(&self, method: u16) -> bool {
        method == method::PIN || method == method::CERTIFICATE && self.certificates != CertificateLogin::Off
    }

    /// Whether credentials of this kind can be stored and used.
    #[cfg(not(feature = "certificates"))]
    pub(crate) const fn knows(&self, method: u16) -> bool {
        method == method::PIN
    }
}

impl Default for UserPolicy {
    /// For a server on a general-purpose computer.
    fn default() -> Self {
        Self {
            pin_iterations: 600_000,
            minimum_pin_length: 1,
            lockout: Lockout::default(),
            key_lists: true,
            #[cfg(feature = "certificates")]
            certificates: CertificateLogin::Off,
        }
    }
}

/// What failed logins lead to. They are counted for each user, and a successful login sets the count to zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockout {
    /// So many failures cost nothing.
    pub free: u8,
    /// Seconds to wait after the first failure beyond that; each further one doubles it. A platform without a
    /// clock ([`Platform::now`](crate::Platform::now)) does not wait.
    pub first_delay: u32,
    /// Longest wait in seconds.
    pub longest_delay: u32,
    /// After so many failures the user cannot log in until an administrator sets its permissions.
    pub limit: u8,
    /// Whether an attempt is counted in the store before the PIN is compared, so that cutting the power in between
    /// gains nothing. The price is two writes for each login. Otherwise only failed logins write, and those whose
    /// failures were counted. In memory every attempt counts at once, in either case.
    pub count_first: bool,
}

impl Default for Lockout {
    /// 5 failures are free; then 1 second, doubling up to 15 minutes; after 20 failures the user is locked. Attempts
    /// are counted first.
    fn default() -> Self {
        Self { free: 5, first_delay: 1, longest_delay: 900, limit: 20, count_first: true }
    }
}
