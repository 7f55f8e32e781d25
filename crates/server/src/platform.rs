//! What a port supplies.

use crate::audit::Record;
use crate::cache::CacheStorage;
use crate::lock::Lock;
use casemate_crypto::Driver;
use casemate_nvm::ObjectStore;
#[cfg(feature = "authentication")]
use zeroize::Zeroizing;

/// Which chain of drivers a client asks for (document 04, §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// The accelerated chain, which falls back to software.
    Accelerated,
    /// The portable software.
    Software,
}

/// What a port supplies. One implementation serves all sessions of a server.
pub trait Platform {
    /// The object store.
    type Store: ObjectStore;
    /// Memory of a key cache: one for each session and one for global keys.
    type Cache: CacheStorage;
    /// The lock over what sessions share.
    type Lock<T>: Lock<T>;

    /// The drivers for cryptography. They are called by several sessions at once where the port runs several threads,
    /// and without the lock held, except for the random bytes of a key that is made in its cache slot, and for SHE
    /// updates.
    fn crypto(&self, affinity: Affinity) -> &dyn Driver;

    /// How many numbers custom callbacks can have: 0 to this less 1. INFO reports it. None unless the port says so.
    #[cfg(feature = "custom")]
    fn custom_callback_count(&self) -> u8 {
        0
    }

    /// The custom callback with this number, if there is one.
    #[cfg(feature = "custom")]
    fn custom_callback(&self, number: u8) -> Option<&dyn crate::custom::CustomCallback> {
        let _ = number;
        None
    }

    /// A key was evicted, erased or revoked, or a session has ended: a driver that keeps forms of keys between operations
    /// wipes them now. Does nothing unless the port implements it. It must not call the server.
    fn forget_keys(&self) {}

    /// Where leaves of LMS and XMSS trees are kept between signatures, which then take a fraction of the time; see
    /// [`LeafMemory`](crate::LeafMemory). None unless the port implements it.
    #[cfg(feature = "hash-signatures")]
    fn leaves(&self) -> Option<&dyn crate::LeafMemory> {
        None
    }

    /// The key store in the device's hardware, if there is one. None unless the port implements it.
    fn hardware_keys(&self) -> Option<&dyn crate::HardwareKeyStore> {
        None
    }

    /// Takes note of a security record: see [`audit`](crate::audit). Does nothing unless the port implements it.
    ///
    /// It is called by several sessions at once where the port runs several threads, often while the server's lock is
    /// held: it must not call the server, should be quick, and cannot fail. A port whose records can get lost counts
    /// them.
    fn record(&self, record: &Record) {
        let _ = record;
    }

    /// The time in seconds since the Unix epoch. Without one, validity periods of certificates are not checked, and
    /// failed logins do not cost waiting.
    fn now(&self) -> Option<u64> {
        None
    }

    /// Whether a certificate of a chain that passed all checks is accepted: a port that knows of revoked certificates
    /// refuses them here. What did not pass the checks cannot be accepted.
    #[cfg(feature = "certificates")]
    fn accepts_certificate(&self, certificate: &casemate_x509::Certificate<'_>) -> bool {
        let _ = certificate;
        true
    }

    /// A key of 256 bits that is secret, belongs to this device alone and is the same after every restart. The user
    /// database is sealed with it. It should come from where the flash's content does not reveal it: fuses, a
    /// hardware key slot, a physically unclonable function.
    ///
    /// Without one (`None`) the user database lies open: PINs are still hashed slowly with a salt, but whoever can
    /// write the flash can make itself an administrator.
    #[cfg(feature = "authentication")]
    fn device_key(&self) -> Option<Zeroizing<[u8; 32]>> {
        None
    }
}
