//! The Cortex-M4 without an operating system: start-up, vector table, semihosting, and what lies at fixed addresses. The
//! only module of this port with unsafe code.
#![allow(unsafe_code)]

use crate::flash::FLASH_SIZE;
use core::arch::{asm, global_asm};
use core::fmt;
use core::sync::atomic::AtomicU32;

// The vector table: initial stack pointer, reset, and the 14 other system exceptions, which nothing should cause.
// Interrupts are not enabled.
//
// The start: variables get their initial values, and `netduinoplus2_main` is called, which never returns.
global_asm!(
    ".section .vectors, \"a\"",
    ".word __stack_top",
    ".word netduinoplus2_reset",
    ".rept 14",
    ".word {trapped}",
    ".endr",
    ".section .text.netduinoplus2_reset, \"ax\"",
    ".global netduinoplus2_reset",
    ".type netduinoplus2_reset, %function",
    ".thumb_func",
    "netduinoplus2_reset:",
    "cpsid i",
    "ldr r0, =__data_start",
    "ldr r1, =__data_end",
    "ldr r2, =__data_load",
    "1: cmp r0, r1",
    "bhs 2f",
    "ldr r3, [r2], #4",
    "str r3, [r0], #4",
    "b 1b",
    "2: ldr r0, =__bss_start",
    "ldr r1, =__bss_end",
    "movs r2, #0",
    "3: cmp r0, r1",
    "bhs 4f",
    "str r2, [r0], #4",
    "b 3b",
    "4: bl netduinoplus2_main",
    "5: b 5b",
    ".ltorg",
    trapped = sym trapped,
);

/// An exception that nothing should have caused. In emulation it ends the emulator; what it has to do on silicon says
/// docs/porting.md, "The safe state".
extern "C" fn trapped() -> ! {
    exit(false)
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(false)
}

/// The cells that stand in for the flash of the store.
#[unsafe(link_section = ".cells")]
pub(crate) static CELLS: [AtomicU32; FLASH_SIZE / 4] = [const { AtomicU32::new(0) }; FLASH_SIZE / 4];

const OPEN: usize = 0x01;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const EXIT: usize = 0x18;
const FAILED: usize = usize::MAX;

/// A call to the emulator (Arm, "Semihosting for AArch32 and AArch64").
///
/// # Safety
/// `argument` is what the operation expects: a number, or the address of a block of arguments whose addresses in turn are
/// valid for what the operation does with them.
unsafe fn call(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: whoever listens reads and writes only what the arguments name, by the caller's promise.
    unsafe {
        asm!("bkpt 0xAB", inout("r0") operation => result, in("r1") argument, options(nostack, preserves_flags));
    }
    result
}

fn open(path: &core::ffi::CStr, mode: usize) -> Option<usize> {
    let block = [path.as_ptr().expose_provenance(), mode, path.count_bytes()];
    // SAFETY: path, mode and length as SYS_OPEN expects; the path is valid.
    let handle = unsafe { call(OPEN, block.as_ptr().expose_provenance()) };
    (handle != FAILED).then_some(handle)
}

/// Noise from the machine that the emulator runs on: the emulated board has no random number generator.
#[derive(Debug)]
pub(crate) struct Source(Option<usize>);

impl Source {
    pub(crate) fn new() -> Self {
        Self(open(c"/dev/urandom", 1))
    }

    /// Fills `bytes`; false if there is no noise.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> bool {
        let Some(handle) = self.0 else { return false };
        let block = [handle, bytes.as_mut_ptr().expose_provenance(), bytes.len()];
        // SAFETY: handle, address and length as SYS_READ expects; the bytes are valid and may be written.
        unsafe { call(READ, block.as_ptr().expose_provenance()) == 0 }
    }
}

/// The emulator's own output.
#[derive(Debug)]
pub struct Console(Option<usize>);

impl Console {
    /// Opens it.
    #[must_use]
    pub fn new() -> Self {
        Self(open(c":tt", 4))
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let handle = self.0.ok_or(fmt::Error)?;
        let block = [handle, text.as_ptr().expose_provenance(), text.len()];
        // SAFETY: handle, address and length as SYS_WRITE expects; the bytes are valid.
        let left = unsafe { call(WRITE, block.as_ptr().expose_provenance()) };
        if left == 0 { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Ends the emulator with status 0 or 1.
pub fn exit(success: bool) -> ! {
    let reason = if success { 0x20026 } else { 0x20023 };
    // SAFETY: the reason is a number.
    unsafe { call(EXIT, reason) };
    loop {
        core::hint::spin_loop();
    }
}
