//! The board of the emulation: serial lines, noise from the emulator's host, and the firmware on top.

mod measure;
mod uart;

use casemate_device::semihosting::{self, File};
use casemate_device::{AfterFault, Room, SerialServer};
use casemate_port::{Firmware, Progress, Reason, Step};
use casemate_protocol::ClientId;
use casemate_tc3xx::bare_metal::{self, Owned, UART0, UART1};
use casemate_tc3xx::port::{Board, Cache, Memory, PACKET, Tc3xx};
use casemate_tc3xx::{Host, Model, Surroundings};
use casemate_transport::{FrameError, LENGTH_PREFIX_SIZE, ServerTransport, TransportError};
use core::cell::RefCell;
use measure::Meter;
use uart::Uart;

/// Clients: one on each serial port; as many as the HSM of a TC39x has RAM for.
const LINKS: usize = if cfg!(all(feature = "config-d", not(feature = "everything"))) { 1 } else { 2 };
const FRAME: usize = PACKET + LENGTH_PREFIX_SIZE;

type Serial = SerialServer<Uart, &'static mut [u8; FRAME]>;
type Registers = &'static Model<'static, Noise>;

/// Noise from the machine that the emulator runs on, in pieces.
#[derive(Debug)]
struct Noise {
    source: Option<File>,
    pieces: RefCell<([u32; 32], usize)>,
}

impl Surroundings for Noise {
    fn noise(&self) -> Option<u32> {
        let (words, next) = &mut *self.pieces.borrow_mut();
        if *next >= words.len() {
            let mut bytes = [0; 128];
            if !self.source?.read(&mut bytes) {
                return None;
            }
            for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes);
            }
            *next = 0;
        }
        let word = words.get(*next).copied();
        *next += 1;
        word
    }

    #[cfg(feature = "images")]
    fn hosts(&self, running: bool) {
        if let Some(console) = File::console() {
            console.write(if running {
                b"application cores released\n".as_slice()
            } else {
                b"application cores held\n"
            });
        }
    }
}

/// What lies in statics: the HSM's memory, then what only the emulation has.
static MEMORY: Owned<Memory<LINKS>> = Owned::new(Memory::new());
static FRAMES: Owned<[[[u8; FRAME]; 2]; LINKS]> = Owned::new([[[0; FRAME]; 2]; LINKS]);
static SERIALS: Owned<[Option<RefCell<Serial>>; LINKS]> = Owned::new([const { None }; LINKS]);
static MODEL: Owned<Room<Model<'static, Noise>>> = Owned::new(Room::Empty);
static FIRMWARE: Owned<Room<Hsm>> = Owned::new(Room::Empty);
static HOST: Owned<Option<Host<Registers>>> = Owned::new(None);
static METER: Owned<Meter> = Owned::new(Meter::new());

/// A client's line, as long as a session lasts.
struct Link {
    serial: &'static RefCell<Serial>,
    meter: &'static Meter,
}

impl ServerTransport for Link {
    type Error = FrameError;

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, TransportError<FrameError>> {
        let length = self.serial.borrow_mut().receive(buffer)?;
        self.meter.begin(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), TransportError<FrameError>> {
        self.meter.end(packet.len());
        self.serial.borrow_mut().send(packet)
    }
}

/// The engine, unless what is measured is the software: the figures of the engine would be those of its model.
#[cfg(not(feature = "figures"))]
type Engines = casemate_device::Aes128Driver<casemate_tc3xx::Engine<Registers>>;
#[cfg(feature = "figures")]
type Engines = casemate_port::NoHardware;

type Hsm = Firmware<Tc3xx<Registers, Emulated, LINKS>, LINKS>;

struct Emulated {
    #[cfg_attr(feature = "figures", expect(dead_code, reason = "no engine"))]
    model: Registers,
    serials: &'static [Option<RefCell<Serial>>; LINKS],
    meter: &'static Meter,
    console: Option<File>,
}

impl Board for Emulated {
    type Transport = Link;
    type Engines = Engines;

    fn engines(&mut self) -> Engines {
        #[cfg(feature = "figures")]
        return casemate_port::NoHardware;
        #[cfg(not(feature = "figures"))]
        casemate_device::Aes128Driver::new(casemate_tc3xx::Engine::new(self.model))
    }

    fn open(&mut self, link: usize) -> Option<Link> {
        let serial = self.serials.get(link)?.as_ref()?;
        serial.borrow_mut().begin();
        Some(Link { serial, meter: self.meter })
    }

    /// Anyone: the emulator's serial lines are ports of its host's network.
    fn known_client(&self, _: usize) -> Option<ClientId> {
        None
    }

    fn sleep(&mut self) {
        if self.serials.iter().flatten().all(|serial| serial.borrow().is_at_rest()) {
            bare_metal::sleep();
        }
    }

    #[cfg(feature = "images")]
    fn images(&self) -> &'static [casemate_server::image::Image<'static>] {
        casemate_tc3xx::images::IMAGES
    }

    #[cfg(not(feature = "images"))]
    fn entered_safe_state(&mut self, _: &Reason) {
        if let Some(console) = self.console {
            console.write(b"safe state\n");
        }
    }

    /// Says why, which costs more flash than all the rest of the emulation.
    #[cfg(feature = "images")]
    fn entered_safe_state(&mut self, reason: &Reason) {
        use core::fmt::Write;
        if let Some(console) = &mut self.console {
            // There is no one to tell that nothing can be told.
            let _ = writeln!(console, "safe state: {reason}");
        }
    }
}

/// Called by the start-up code, once.
#[unsafe(no_mangle)]
extern "C" fn tc3xx_main() -> ! {
    if let Some((firmware, meter)) = assemble() {
        serve(firmware, meter)
    }
    semihosting::exit(false)
}

/// Puts the firmware together. Not inlined: what it needs of the stack is given back before anything is served.
#[inline(never)]
fn assemble() -> Option<(&'static mut Hsm, &'static Meter)> {
    bare_metal::start_cycle_counter();
    let console = File::console();
    let noise = Noise { source: File::read_only(c"/dev/urandom"), pieces: RefCell::new(([0; 32], 32)) };
    let model: Registers = MODEL.take()?.insert(
        Model::new(noise, bare_metal::emulated_data_flash()?)
            .with_applications(bare_metal::emulated_applications()),
    )?;
    bare_metal::on_fault(Some(HOST.take()?.insert(Host::new(model))), AfterFault::Report);
    let serials = SERIALS.take()?;
    let uarts = [Uart::new(UART0, 0), Uart::new(UART1, 2)];
    for ((serial, uart), [incoming, outgoing]) in serials.iter_mut().zip(uarts).zip(FRAMES.take()?) {
        *serial = Some(RefCell::new(SerialServer::new(uart, incoming, outgoing)));
    }
    let meter: &'static Meter = METER.take()?;
    meter.attach(console);
    let board = Emulated { model, serials, meter, console };
    let firmware = FIRMWARE.take()?.insert(Firmware::new(Tc3xx::new(model, board, MEMORY.take()?)))?;
    Some((firmware, meter))
}

#[inline(never)]
fn serve(firmware: &mut Hsm, meter: &Meter) -> ! {
    let one_client = size_of::<Memory<1>>() + size_of::<Firmware<Tc3xx<Registers, Emulated, 1>, 1>>();
    meter.sizes(one_client, size_of::<Cache>());
    loop {
        match firmware.poll() {
            Progress::Booted(Step::Release) => meter.booted(),
            Progress::Safe(_) => bare_metal::sleep(),
            _ => {}
        }
    }
}
