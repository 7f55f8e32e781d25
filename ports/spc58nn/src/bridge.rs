//! What joins the HSM and the application cores: the bells, and the cores' reset.

use crate::memory_map::APPLICATION_CORES;
use crate::port::{Board, PACKET};
use crate::registers::{PATIENCE, Register, Registers};
use casemate_device::{Bells, Bridge, BridgeServer, HoldCores};
use casemate_port::{Core, Fault, Reason};
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
///
/// The application cores have the byte order of the HSM core, so the words that announce packets need no translation.
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

/// The application cores, as far as the HSM governs them: each can be held in reset and released.
#[derive(Debug, Clone, Copy)]
pub struct Host<R>(R);

impl<R: Registers> Host<R> {
    /// The application cores behind `registers`.
    pub const fn new(registers: R) -> Self {
        Self(registers)
    }

    /// Whether a core is held in reset.
    pub fn is_held(&self, core: Core) -> bool {
        self.0.read(Register::HostHold) & bit(core) != 0
    }

    /// Lets a core run.
    ///
    /// # Errors
    /// [`Fault::NoSuchPart`] if there is no such core, [`Fault::Device`] if it stays in reset.
    pub fn release(&self, core: Core) -> Result<(), Fault> {
        exists(core)?;
        let held = self.0.read(Register::HostHold);
        self.0.write(Register::HostHold, held & !bit(core));
        self.until(core, false)
    }

    /// Resets a core and holds it. One that is held already stays so.
    ///
    /// # Errors
    /// [`Fault::NoSuchPart`] if there is no such core, [`Fault::Device`] if it goes on running.
    pub fn hold(&self, core: Core) -> Result<(), Fault> {
        exists(core)?;
        let held = self.0.read(Register::HostHold);
        if held & bit(core) == 0 {
            self.0.write(Register::HostHold, held | bit(core));
        }
        self.until(core, true)
    }

    /// Whether a core has reset by itself since the last call for it.
    pub fn has_restarted(&self, core: Core) -> bool {
        let restarted = self.0.read(Register::HostRestarted) & bit(core) != 0;
        if restarted {
            self.0.write(Register::HostRestarted, bit(core));
        }
        restarted
    }

    fn until(&self, core: Core, held: bool) -> Result<(), Fault> {
        let done = (0..PATIENCE).any(|_| self.is_held(core) == held);
        done.then_some(()).ok_or_else(|| Fault::Device(self.0.read(Register::HostHold)))
    }
}

const fn exists(core: Core) -> Result<(), Fault> {
    if core.0 < APPLICATION_CORES { Ok(()) } else { Err(Fault::NoSuchPart) }
}

const fn bit(core: Core) -> u32 {
    1_u32.wrapping_shl(core.0 as u32)
}

impl<R: Registers> HoldCores for Host<R> {
    fn hold_cores(&self) {
        for core in (0..APPLICATION_CORES).map(Core) {
            // There is nothing left to do about a core that does not obey.
            let _ = self.hold(core);
        }
    }
}
