//! What the server is given of a port, and the parts of a port that may be left empty.

use crate::{Port, SoftwareDriver, WatchedStore};
use casemate_crypto::{
    Aead, Cipher, Curve25519, Driver, EllipticCurve, Hash, Mac, MlDsa, MlKem, Prefer, Random, Rsa,
};
use casemate_server::audit::Record;
use casemate_server::{Affinity, Platform};

/// What a device may offer its server besides storage and cryptography. Everything has a default, which is to offer
/// nothing.
///
/// Methods are called while a request is handled; they must return soon and must not call the server.
pub trait Services {
    /// The time in seconds since the Unix epoch, if the device has a clock that is right. Without one, validity periods
    /// of certificates are not checked, and failed logins do not cost waiting.
    fn now(&self) -> Option<u64> {
        None
    }

    /// Takes note of a security record: see [`casemate_server::audit`]. It cannot fail; a port whose records can get
    /// lost counts them.
    fn record(&self, record: &Record) {
        let _ = record;
    }

    /// A key was evicted, erased or revoked, or a session has ended: an engine that keeps forms of keys between
    /// operations wipes them now.
    fn forget_keys(&self) {}

    /// The key store in the device's hardware, if there is one: key-encryption keys that no message can read.
    fn hardware_keys(&self) -> Option<&dyn casemate_server::HardwareKeyStore> {
        None
    }

    /// How many numbers custom callbacks can have: 0 to this less 1.
    #[cfg(feature = "custom")]
    fn custom_callback_count(&self) -> u8 {
        0
    }

    /// The custom callback with this number, if there is one.
    #[cfg(feature = "custom")]
    fn custom_callback(&self, number: u8) -> Option<&dyn casemate_server::CustomCallback> {
        let _ = number;
        None
    }

    /// Whether a certificate of a chain that passed all checks is accepted.
    #[cfg(feature = "certificates")]
    fn accepts_certificate(&self, certificate: &casemate_x509::Certificate<'_>) -> bool {
        let _ = certificate;
        true
    }

    /// A key of 256 bits that is secret, belongs to this device alone and is the same after every restart; the user
    /// database is sealed with it. It should come from where the flash's content does not reveal it: fuses, a hardware
    /// key slot, a physically unclonable function.
    #[cfg(feature = "authentication")]
    fn device_key(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        None
    }
}

/// No clock, no records, no callbacks, no keys in hardware.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

impl Services for NoServices {}

/// Crypto hardware of a device that has none: declines everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHardware;

impl Random for NoHardware {}
impl Hash for NoHardware {}
impl Mac for NoHardware {}
impl Cipher for NoHardware {}
impl Aead for NoHardware {}
impl EllipticCurve for NoHardware {}
impl Curve25519 for NoHardware {}
impl Rsa for NoHardware {}
impl MlDsa for NoHardware {}
impl MlKem for NoHardware {}

/// A port as its server sees it.
pub struct PortPlatform<P: Port> {
    driver: Prefer<P::Crypto, P::Software>,
    services: P::Services,
}

impl<P: Port> PortPlatform<P> {
    pub(crate) const fn new(driver: Prefer<P::Crypto, P::Software>, services: P::Services) -> Self {
        Self { driver, services }
    }

    /// The device's services.
    pub const fn services(&self) -> &P::Services {
        &self.services
    }

    /// The crypto hardware.
    pub const fn hardware(&self) -> &P::Crypto {
        self.driver.first()
    }

    /// The software behind it.
    pub const fn software(&self) -> &P::Software {
        self.driver.second()
    }

    /// Whether the noise source has failed since the start.
    pub fn entropy_has_failed(&self) -> bool {
        self.driver.second().generator().has_failed()
    }
}

impl<P: Port> core::fmt::Debug for PortPlatform<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PortPlatform").field("port", &P::NAME).finish_non_exhaustive()
    }
}

impl<P: Port> Platform for PortPlatform<P> {
    type Store = WatchedStore<P::Store>;
    type Cache = P::Cache;
    type Lock<T> = P::Lock<T>;

    fn crypto(&self, affinity: Affinity) -> &dyn Driver {
        match affinity {
            Affinity::Accelerated => &self.driver,
            Affinity::Software => self.driver.second(),
        }
    }

    fn forget_keys(&self) {
        self.services.forget_keys();
    }

    fn hardware_keys(&self) -> Option<&dyn casemate_server::HardwareKeyStore> {
        self.services.hardware_keys()
    }

    fn record(&self, record: &Record) {
        self.services.record(record);
    }

    fn now(&self) -> Option<u64> {
        self.services.now()
    }

    #[cfg(feature = "custom")]
    fn custom_callback_count(&self) -> u8 {
        self.services.custom_callback_count()
    }

    #[cfg(feature = "custom")]
    fn custom_callback(&self, number: u8) -> Option<&dyn casemate_server::CustomCallback> {
        self.services.custom_callback(number)
    }

    #[cfg(feature = "certificates")]
    fn accepts_certificate(&self, certificate: &casemate_x509::Certificate<'_>) -> bool {
        self.services.accepts_certificate(certificate)
    }

    #[cfg(feature = "authentication")]
    fn device_key(&self) -> Option<zeroize::Zeroizing<[u8; 32]>> {
        self.services.device_key()
    }
}
