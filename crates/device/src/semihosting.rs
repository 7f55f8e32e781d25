//! Calls of a Cortex-M to a debugger or an emulator (Arm, "Semihosting for AArch32 and AArch64"). Its unsafe code is the
//! call.
#![allow(unsafe_code)]

use core::arch::asm;
use core::fmt;

const OPEN: usize = 0x01;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const COMMAND_LINE: usize = 0x15;
const EXIT: usize = 0x18;
const FAILED: usize = usize::MAX;

/// # Safety
/// `argument` is what the operation expects: a number, or the address of a block of arguments whose addresses in
/// turn are valid for what the operation does with them.
unsafe fn call(operation: usize, argument: usize) -> usize {
    let result;
    // SAFETY: whoever listens reads and writes only what the arguments name, by the caller's promise.
    unsafe {
        asm!("bkpt 0xAB", inout("r0") operation => result, in("r1") argument, options(nostack, preserves_flags));
    }
    result
}

/// An open file of the machine that the emulator runs on.
#[derive(Debug, Clone, Copy)]
pub struct File(usize);

impl File {
    /// The emulator's own output.
    #[must_use]
    pub fn console() -> Option<Self> {
        Self::open(c":tt", 4)
    }

    /// A file to read.
    #[must_use]
    pub fn read_only(path: &core::ffi::CStr) -> Option<Self> {
        Self::open(path, 1)
    }

    fn open(path: &core::ffi::CStr, mode: usize) -> Option<Self> {
        let block = [path.as_ptr().expose_provenance(), mode, path.count_bytes()];
        // SAFETY: path, mode and length as SYS_OPEN expects; the path is valid.
        let handle = unsafe { call(OPEN, block.as_ptr().expose_provenance()) };
        (handle != FAILED).then_some(Self(handle))
    }

    /// Writes all of `bytes`; false if that failed.
    pub fn write(self, bytes: &[u8]) -> bool {
        let block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: handle, address and length as SYS_WRITE expects; the bytes are valid.
        unsafe { call(WRITE, block.as_ptr().expose_provenance()) == 0 }
    }

    /// Fills all of `bytes`; false if that failed.
    pub fn read(self, bytes: &mut [u8]) -> bool {
        let block = [self.0, bytes.as_mut_ptr().expose_provenance(), bytes.len()];
        // SAFETY: handle, address and length as SYS_READ expects; the bytes are valid and may be written.
        unsafe { call(READ, block.as_ptr().expose_provenance()) == 0 }
    }
}

impl fmt::Write for File {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.write(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}

/// What the emulator was given as the program's arguments; empty if that cannot be had or is longer than 31 bytes.
#[must_use]
pub fn command_line(line: &mut [u8; 32]) -> &[u8] {
    let mut block = [line.as_mut_ptr().expose_provenance(), line.len()];
    // SAFETY: address and length as SYS_GET_CMDLINE expects, which writes the length of the line in place of the second.
    let result = unsafe { call(COMMAND_LINE, block.as_mut_ptr().expose_provenance()) };
    if result == 0 { line.get(..block[1]).unwrap_or_default() } else { &[] }
}

/// Ends the emulator with status 0 or 1. On silicon, where nobody listens, the core stops for good.
pub fn exit(success: bool) -> ! {
    let reason = if success { 0x20026 } else { 0x20023 };
    // SAFETY: the reason is a number.
    unsafe { call(EXIT, reason) };
    loop {
        // SAFETY: waits; touches no memory.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}
