//! The machine as a C program offers it to the firmware when the firmware is C source itself, made from WebAssembly: five
//! functions over numbers.
#![allow(unsafe_code)]

use crate::FlashArray;
use casemate_device::Line;
pub use casemate_device::Owned;
use casemate_transport::SharedRegion;
use core::fmt;
use core::sync::atomic::AtomicU32;

#[link(wasm_import_module = "casemate")]
// SAFETY: these are the names and signatures that the program around the module offers; all arguments and results are numbers.
unsafe extern "C" {
    /// The next byte that has arrived from the client, or a negative number.
    safe fn receive() -> i32;
    /// Takes a byte to be sent; 0 if there is no room for it now.
    safe fn send(byte: u32) -> u32;
    /// 32 bits of noise.
    safe fn noise() -> u32;
    /// Takes a byte of a report.
    #[link_name = "say"]
    safe fn say_byte(byte: u32);
    /// Waits until there may be something to do.
    #[link_name = "wait"]
    safe fn wait_for_work();
}

/// The client's line.
#[derive(Debug)]
pub struct SerialPort(());

impl SerialPort {
    /// The line for clients.
    #[must_use]
    pub const fn first() -> Self {
        Self(())
    }
}

impl Line for SerialPort {
    fn receive(&mut self) -> Option<u8> {
        u8::try_from(receive()).ok()
    }

    fn send(&mut self, byte: u8) -> bool {
        send(byte.into()) != 0
    }
}

/// Noise of the C program.
#[derive(Debug, Default)]
pub struct EmulatedNoise(());

impl EmulatedNoise {
    /// All of it.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }

    /// The next word.
    #[must_use]
    pub fn word(&self) -> Option<u32> {
        Some(noise())
    }
}

/// Where reports go.
#[derive(Debug)]
pub struct Report;

impl fmt::Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| say_byte(byte.into()));
        Ok(())
    }
}

/// Writes a report.
pub fn say(text: fmt::Arguments<'_>) {
    // Writing to the C program does not fail.
    let _ = fmt::Write::write_fmt(&mut Report, text);
}

/// Says that clients are served. Sizes are those of the C program, which its compiler tells.
pub fn say_ready(firmware: usize, _: u64) {
    say(format_args!("READY firmware {firmware}\n"));
}

/// Waits until there may be something to do.
pub fn wait() {
    wait_for_work();
}

/// There is no clock.
#[must_use]
pub const fn time_base() -> u64 {
    0
}

/// The stack is not measured here.
pub const fn paint_stack() {}

/// The stack is not measured here.
#[must_use]
pub const fn stack_used() -> usize {
    0
}

/// How many blocks of data flash the emulation has.
pub const EMULATED_BLOCKS: usize = if cfg!(feature = "everything") { 32 } else { 2 };

/// Stands in for the data flash in emulation.
pub static EMULATED_FLASH: Owned<FlashArray<EMULATED_BLOCKS>> = Owned::new(FlashArray::new());

/// Stands in for the memory that application cores share with the HSM.
static BRIDGE: [AtomicU32; 2048] = [const { AtomicU32::new(0) }; 2048];

/// Bytes that the application cores share with the HSM.
#[must_use]
pub fn bridge_memory() -> SharedRegion<'static> {
    SharedRegion::new(&BRIDGE)
}

/// There is no image of the data flash.
#[must_use]
pub const fn emulated_objects() -> &'static [u8] {
    &[]
}

/// There is no flash of application cores.
#[must_use]
pub const fn emulated_applications() -> &'static [u8] {
    &[]
}

#[panic_handler]
fn panicked(information: &core::panic::PanicInfo<'_>) -> ! {
    say(format_args!("FAULT {information}\n"));
    core::arch::wasm32::unreachable()
}
