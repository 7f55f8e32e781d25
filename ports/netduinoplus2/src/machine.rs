//! The Cortex-M4 without an operating system: start-up, vector table, and what lies at fixed addresses. The
//! only module of this port with unsafe code.
#![allow(unsafe_code)]

use crate::flash::FLASH_SIZE;
use casemate_device::semihosting::{self, File};
use core::arch::global_asm;
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
    semihosting::exit(false)
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    semihosting::exit(false)
}

/// The cells that stand in for the flash of the store.
#[unsafe(link_section = ".cells")]
pub(crate) static CELLS: [AtomicU32; FLASH_SIZE / 4] = [const { AtomicU32::new(0) }; FLASH_SIZE / 4];

/// Noise from the machine that the emulator runs on: the emulated board has no random number generator.
#[derive(Debug)]
pub(crate) struct Source(Option<File>);

impl Source {
    pub(crate) fn new() -> Self {
        Self(File::read_only(c"/dev/urandom"))
    }

    /// Fills `bytes`; false if there is no noise.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> bool {
        self.0.is_some_and(|file| file.read(bytes))
    }
}
