//! What joins the HSM and the application cores: the bells, and the cores' reset.

use crate::Engine;
use crate::port::{Board, PACKET};
use crate::registers::{HELD, PATIENCE, RELEASE, RESET, RESTARTED, Register, Registers};
use casemate_device::{Aes128Driver, Bells, Bridge, BridgeServer, HoldCores};
use casemate_port::Reason;
#[cfg(feature = "images")]
use casemate_server::image::Image;
use casemate_transport::SharedRegion;

/// The bells in the module's registers.
#[derive(Debug, Clone, Copy)]
pub struct ModuleBells<R>(R);

impl<R: Registers> Bells for ModuleBells<R> {
    fn rung(&self) -> u32 {
        self.0.read(Register::BellIn)
    }

    fn silence(&self, clients: u32) {
        self.0.write(Register::BellIn, clients);
    }

    fn ring(&self, clients: u32) {
        self.0.write(Register::BellOut, clients);
    }
}

/// Bytes of bridge memory for one direction of one client.
pub const BLOCK: usize = Bridge::<PACKET>::BLOCK;

/// A board whose clients are the application cores, in the memory of the bridge: link `n` has the blocks `2n` for requests
/// and `2n + 1` for responses, and bell `n`. It is the application core that reaches these blocks and no others (which the
/// chip's memory protection has to see to), so it can only be client identifier `n` + 1.
#[derive(Debug)]
pub struct BridgeBoard<R> {
    registers: R,
    bridge: Bridge<PACKET>,
    wait: fn(),
    #[cfg(feature = "images")]
    images: &'static [Image<'static>],
}

impl<R: Registers + Copy> BridgeBoard<R> {
    /// A board on `memory`; `wait` sleeps until an interrupt.
    pub const fn new(registers: R, memory: SharedRegion<'static>, wait: fn()) -> Self {
        Self {
            registers,
            bridge: Bridge::new(memory),
            wait,
            #[cfg(feature = "images")]
            images: &[],
        }
    }

    /// The same board, whose application cores are released for these images only.
    #[cfg(feature = "images")]
    #[must_use]
    pub const fn with_images(mut self, images: &'static [Image<'static>]) -> Self {
        self.images = images;
        self
    }

    /// The memory that application cores reach.
    pub const fn bridge(&self) -> Bridge<PACKET> {
        self.bridge
    }
}

impl<R: Registers + Copy> Board for BridgeBoard<R> {
    type Transport = BridgeServer<SharedRegion<'static>, ModuleBells<R>>;
    type Engines = Aes128Driver<Engine<R>>;

    fn engines(&mut self) -> Self::Engines {
        Aes128Driver::new(Engine::new(self.registers))
    }

    fn open(&mut self, link: usize) -> Option<Self::Transport> {
        // There are no more client identifiers than that.
        self.known_client(link)?;
        self.bridge.server(ModuleBells(self.registers), u8::try_from(link).ok()?)
    }

    fn sleep(&mut self) {
        (self.wait)();
    }

    #[cfg(feature = "images")]
    fn images(&self) -> &'static [Image<'static>] {
        self.images
    }

    /// Packets have carried keys; the application cores are held.
    fn entered_safe_state(&mut self, _: &Reason) {
        self.bridge.wipe();
    }
}

/// The application cores, as far as the HSM governs them.
///
/// On a TC3xx the first application core starts from its boot ROM beside the HSM. The HSM's configuration block has it
/// wait there for the HSM (public: the bit SSWWAIT); that core then starts the others. So holding means not yet letting
/// the start-up software go on, and resetting means the reset of the application cores that the HSM can ask for.
#[derive(Debug, Clone, Copy)]
pub struct Host<R>(R);

/// The application cores did not do what they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFault;

impl core::fmt::Display for HostFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the application cores did not leave, or did not enter, their reset")
    }
}

impl core::error::Error for HostFault {}

impl<R: Registers> Host<R> {
    /// The application cores behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self(registers)
    }

    /// Whether they are held in reset.
    pub fn is_held(&self) -> bool {
        self.0.read(Register::HostControl) & HELD != 0
    }

    /// Lets them run.
    ///
    /// # Errors
    /// [`HostFault`] if they stay in reset.
    pub fn release(&self) -> Result<(), HostFault> {
        self.0.write(Register::HostControl, RELEASE);
        self.until(false)
    }

    /// Resets them and holds them.
    ///
    /// # Errors
    /// [`HostFault`] if they go on running.
    pub fn reset(&self) -> Result<(), HostFault> {
        self.0.write(Register::HostControl, RESET);
        self.until(true)
    }

    /// Whether they have reset by themselves since the last call.
    pub fn has_restarted(&self) -> bool {
        let restarted = self.0.read(Register::HostControl) & RESTARTED != 0;
        if restarted {
            self.0.write(Register::HostControl, RESTARTED);
        }
        restarted
    }

    fn until(&self, held: bool) -> Result<(), HostFault> {
        (0..PATIENCE).any(|_| self.is_held() == held).then_some(()).ok_or(HostFault)
    }
}

impl<R: Registers> HoldCores for Host<R> {
    fn hold_cores(&self) {
        // There is nothing left to do about cores that do not obey.
        let _ = self.reset();
    }
}
