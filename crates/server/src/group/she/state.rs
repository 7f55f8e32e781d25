//! What SHE commands leave behind for each other.

use crate::config::SheOptions;
use casemate_crypto::she::{Prng, Uid};
use casemate_crypto::{CmacState, Secret};
use casemate_protocol::Status;
use casemate_protocol::message::she::{StatusRegister, action};

/// What the commands leave behind for each other: one record for the server, or one for each session.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) uid: Option<Uid>,
    pub(super) boot: SecureBoot,
    /// Of the image; empty while none is measured.
    pub(super) measurement: Measurement,
    /// Whether the RAM key may be exported: it entered as plain text, or the rules do not care.
    pub(super) ram_key_exportable: bool,
    pub(super) prng: Option<Prng>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            uid: None,
            boot: SecureBoot::Init,
            measurement: Measurement::new(),
            ram_key_exportable: false,
            prng: None,
        }
    }

    pub(super) const fn uid<'a>(&'a self, options: &'a SheOptions) -> Option<&'a Uid> {
        match &options.uid {
            Some(uid) => Some(uid),
            None => self.uid.as_ref(),
        }
    }

    /// The gate before every command (document 06, §3.1).
    pub(super) fn gate(&self, options: &SheOptions, action: u8) -> Result<(), Status> {
        let has_uid = self.uid(options).is_some();
        let passes = match action {
            action::GET_STATUS => true,
            action::SET_UID => !has_uid,
            action::SECURE_BOOT_INIT | action::SECURE_BOOT_UPDATE | action::SECURE_BOOT_FINISH => has_uid,
            _ => has_uid && self.boot.is_success(),
        };
        if passes { Ok(()) } else { Err(Status::SHE_SEQUENCE_ERROR) }
    }

    /// Ends a measurement, whose key is wiped.
    #[inline(never)]
    pub(super) fn end_boot(&mut self, boot: SecureBoot) {
        self.boot = boot;
        self.measurement = Measurement::new();
    }

    /// The status register (document 06, §4.2).
    pub(super) fn register(&self) -> StatusRegister {
        let random =
            if self.prng.is_some() { StatusRegister::RANDOM_INIT } else { StatusRegister::default() };
        self.boot.register().with(random)
    }
}

/// How far secure boot has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum SecureBoot {
    /// Nothing was begun.
    Init,
    /// The image arrives.
    Update,
    /// The image is there.
    Finish,
    /// The gate is open: the MAC matched, or there is no boot MAC key.
    Success { verified: bool },
    /// The MAC did not match. Only where that is final.
    Failure,
}

/// An image under measurement.
pub(super) struct Measurement {
    pub(super) length: u32,
    pub(super) received: u32,
    pub(super) key: Secret<16>,
    pub(super) mac: CmacState,
}

impl Measurement {
    const fn new() -> Self {
        let mac = CmacState { pending: [0; 16], chain: [0; 16], pending_length: 0, absorbed: 0 };
        Self { length: 0, received: 0, key: Secret::zero(), mac }
    }
}

impl core::fmt::Debug for Measurement {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Measurement")
            .field("length", &self.length)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl SecureBoot {
    pub(super) const fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }

    pub(super) const fn is_verified(&self) -> bool {
        matches!(self, Self::Success { verified: true })
    }

    pub(super) const fn register(&self) -> StatusRegister {
        match self {
            Self::Init => StatusRegister(0),
            Self::Update | Self::Finish => StatusRegister::SECURE_BOOT,
            Self::Success { verified } => {
                let end = StatusRegister::BOOT_FINISHED.with(StatusRegister::BOOT_OK);
                if *verified { end.with(StatusRegister::SECURE_BOOT) } else { end }
            }
            Self::Failure => StatusRegister::SECURE_BOOT.with(StatusRegister::BOOT_FINISHED),
        }
    }
}
