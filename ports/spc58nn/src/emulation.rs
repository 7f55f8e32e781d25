//! The board of the emulation: a serial line, noise from the emulator's host, and the firmware on top. The machine below is
//! QEMU's, or a C program that holds the firmware as a module.

#[cfg(target_arch = "powerpc")]
use casemate_device::AfterFault;
use casemate_device::SerialServer;
use casemate_port::{Firmware, Progress, Reason};
use casemate_protocol::ClientId;
#[cfg(target_arch = "powerpc")]
use casemate_spc58nn::Host;
use casemate_spc58nn::machine::{self, EMULATED_FLASH, EmulatedNoise, Owned, SerialPort, say};
use casemate_spc58nn::port::{Board, Memory, PACKET, Spc58nn};
use casemate_spc58nn::{Model, Surroundings};
use casemate_transport::{FrameError, LENGTH_PREFIX_SIZE, ServerTransport, TransportError};
use core::cell::RefCell;

/// Clients: one on the first serial port.
const LINKS: usize = 1;
const FRAME: usize = PACKET + LENGTH_PREFIX_SIZE;

type Serial = SerialServer<SerialPort, &'static mut [u8; FRAME]>;

#[derive(Debug)]
struct Noise(EmulatedNoise);

impl Surroundings for Noise {
    fn noise(&self) -> Option<u32> {
        self.0.word()
    }

    fn held(&self, cores: u32) {
        say(format_args!("cores held: {:#05b}\n", cores & 0b111));
    }
}

/// What lies in statics: the HSM's memory, then what only the emulation has.
static MEMORY: Owned<Memory<LINKS>> = Owned::new(Memory::new());
static FRAMES: Owned<[[u8; FRAME]; 2]> = Owned::new([[0; FRAME]; 2]);
static SERIAL: Owned<Option<RefCell<Serial>>> = Owned::new(None);
static MODEL: Owned<Option<Model<'static, Noise>>> = Owned::new(None);
#[cfg(target_arch = "powerpc")]
static HOST: Owned<Option<Host<&'static Model<'static, Noise>>>> = Owned::new(None);

/// The client's line, as long as a session lasts.
struct Link(&'static RefCell<Serial>);

impl ServerTransport for Link {
    type Error = FrameError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<FrameError>> {
        self.0.borrow_mut().receive(buffer)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<FrameError>> {
        self.0.borrow_mut().send(packet)
    }
}

struct Emulated(&'static RefCell<Serial>);

impl Board for Emulated {
    type Transport = Link;

    fn open(&mut self, _: usize) -> Option<Link> {
        self.0.borrow_mut().begin();
        Some(Link(self.0))
    }

    /// Anyone: the emulator's serial line is a port of its host's network.
    fn known_client(&self, _: usize) -> Option<ClientId> {
        None
    }

    #[cfg(feature = "images")]
    fn images(&self) -> &'static [casemate_server::image::Image<'static>] {
        casemate_spc58nn::images::IMAGES
    }

    fn entered_safe_state(&mut self, reason: &Reason) {
        say(format_args!("SAFE STATE {reason}\n"));
    }
}

/// Serves for ever; comes back only if the firmware cannot be put together, or in the safe state.
pub(crate) fn run() -> Option<()> {
    let start = machine::time_base();
    let flash = EMULATED_FLASH.take()?.start_with(machine::emulated_objects());
    let model: &'static _ = MODEL.take()?.insert(
        Model::new(Noise(EmulatedNoise::new()), flash).with_applications(machine::emulated_applications()),
    );
    #[cfg(target_arch = "powerpc")]
    machine::on_fault(Some(HOST.take()?.insert(Host::new(model))), AfterFault::Report);
    let [incoming, outgoing] = FRAMES.take()?;
    let serial = SerialServer::new(SerialPort::first(), incoming, outgoing);
    let serial: &'static _ = SERIAL.take()?.insert(RefCell::new(serial));
    let mut firmware = Firmware::<_, LINKS>::new(Spc58nn::new(model, Emulated(serial), MEMORY.take()?));
    if firmware.boot_all().is_ok() {
        machine::say_ready(size_of_val(&firmware), start);
    }
    machine::paint_stack();
    let mut requests = 0_u32;
    loop {
        match firmware.poll() {
            Progress::Answered(_) | Progress::Handled(_) => requests = requests.wrapping_add(1),
            Progress::SessionEnded(_, why) => {
                let stack = machine::stack_used();
                say(format_args!("ENDED {why}; requests {requests} stack {stack}\n"));
            }
            Progress::Safe(_) => return None,
            Progress::Idle if serial.borrow().is_at_rest() => machine::wait(),
            _ => {}
        }
    }
}
