//! What a port answers when it cannot do something, and why a device is in its safe state.

use crate::{Core, SelfTest, StoreFault};
use casemate_crypto::Error as CryptoError;
use casemate_nvm::MountError;
use casemate_server::ConfigError;
use core::fmt;
use embedded_storage::nor_flash::NorFlashErrorKind;

/// Why a port did not do what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This part of the port is not written yet.
    NotImplemented,
    /// The part has been handed out before: a device has one of it.
    Taken,
    /// There is no such application core, link or part on this device.
    NoSuchPart,
    /// The device reports a fault. The number is the port's: a register's value, for instance.
    Device(u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotImplemented => f.write_str("the port does not implement this yet"),
            Self::Taken => f.write_str("the port has handed this part out before"),
            Self::NoSuchPart => f.write_str("the device has no such part"),
            Self::Device(code) => write!(f, "the device reports fault {code:#x}"),
        }
    }
}

impl core::error::Error for Fault {}

/// A step of the boot, in this order. The last one lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Clocks, memory protection, bus access; application cores held in reset.
    Hardware,
    /// The noise source passes its start-up tests and seeds the generator.
    Entropy,
    /// Engines are made ready and pass their known-answer tests.
    Crypto,
    /// Flash is made ready and the object store mounted.
    Flash,
    /// The server is made.
    Server,
    /// The images of the application cores are verified.
    Images,
    /// The application cores are released.
    Release,
    /// Clients are served.
    Serve,
}

impl Step {
    /// All steps in their order.
    pub const ALL: [Self; 8] = [
        Self::Hardware,
        Self::Entropy,
        Self::Crypto,
        Self::Flash,
        Self::Server,
        Self::Images,
        Self::Release,
        Self::Serve,
    ];

    /// The step after this one; serving is followed by serving.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Hardware => Self::Entropy,
            Self::Entropy => Self::Crypto,
            Self::Crypto => Self::Flash,
            Self::Flash => Self::Server,
            Self::Server => Self::Images,
            Self::Images => Self::Release,
            Self::Release | Self::Serve => Self::Serve,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hardware => "hardware",
            Self::Entropy => "entropy",
            Self::Crypto => "crypto",
            Self::Flash => "flash",
            Self::Server => "server",
            Self::Images => "images",
            Self::Release => "release",
            Self::Serve => "serve",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The port could not do its part.
    Port(Fault),
    /// An application core could not be held or released.
    Core(Core, Fault),
    /// The noise source or the generator failed.
    Entropy(CryptoError),
    /// A known-answer test failed, or the driver reported a fault in it.
    SelfTest(SelfTest),
    /// The flash holds no store that can be mounted, or failed.
    Mount(MountError<NorFlashErrorKind>),
    /// The store no longer knows what the flash holds.
    Store(StoreFault),
    /// The configuration is out of range.
    Config(ConfigError),
    /// A packet buffer is smaller than a packet.
    Buffer {
        /// What a packet needs, in bytes.
        needed: usize,
        /// What the port supplied, in bytes.
        supplied: usize,
    },
    /// This image, counted from 0, is not what its owner has signed.
    Image(usize),
    /// The server's lock cannot be had: a handler has failed while it held it.
    Lock,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(fault) => fault.fmt(f),
            Self::Core(core, fault) => write!(f, "application core {}: {fault}", core.0),
            Self::Entropy(error) => error.fmt(f),
            Self::SelfTest(test) => write!(f, "the known-answer test of {test} failed: replace the engine"),
            Self::Mount(error) => error.fmt(f),
            Self::Store(fault) => fault.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Buffer { needed, supplied } => {
                write!(f, "a packet buffer has {supplied} bytes; a packet needs {needed}")
            }
            Self::Image(index) => write!(f, "image {index} was refused"),
            Self::Lock => f.write_str("the server's lock cannot be had"),
        }
    }
}

/// Why the device is in its safe state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The step in which it happened.
    pub step: Step,
    /// What happened.
    pub cause: Cause,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.cause)
    }
}

impl core::error::Error for Reason {}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        Self::Port(fault)
    }
}

impl From<ConfigError> for Cause {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
