//! A Book E PowerPC core without an operating system: start-up, exceptions, time, serial lines.
//!
//! The start code is for QEMU's `ppce500`, whose e500 core has a memory management unit that maps only low memory at
//! first. The e200z0 of the HSM has none, and another instruction encoding: README.md, "VLE".
#![allow(unsafe_code)]

use crate::FlashArray;
use crate::data_flash::BLOCK_SIZE;
use casemate_device::{AfterFault, FaultPlan, HoldCores, Line, OneThread, Place, Taken, fault};
use casemate_transport::SharedRegion;
use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::fmt;
use core::ptr;
use core::sync::atomic::AtomicU32;

/// What unused stack is filled with.
const PAINT: u32 = 0xA5A5_5A5A;

// The start, in classic encoding:
//
// * two entries of the translation look-aside buffer TLB1: 64 MiB of memory from address 0 (entry 0, which is in use
//   already and only grows), and 1 MiB of device registers at 0xE000_0000, whose physical address is 0xF_E000_0000,
//   cache-inhibited and guarded. Special registers: 624 to 627 are MAS0 to MAS3, 944 is MAS7; the word is `tlbwe`, which
//   the assembler knows for other cores only;
// * every exception goes to `spc58nn_trap`: special registers 63 (IVPR), 400 to 415 (IVOR0 to IVOR15). Interrupts stay
//   masked: the machine state register is zero after reset;
// * variables get their initial values, the rest of the RAM up to the stack pointer is painted, so that `stack_used` can
//   tell how deep the stack went, and `spc58nn_main` is called, which never returns.
global_asm!(
    ".section .reset, \"ax\"",
    ".globl spc58nn_reset",
    "spc58nn_reset:",
    "lis 3, 0x1000",
    "mtspr 624, 3",
    "lis 3, 0xC000",
    "ori 3, 3, 0x0800",
    "mtspr 625, 3",
    "li 3, 0",
    "mtspr 626, 3",
    "mtspr 944, 3",
    "li 3, 0x15",
    "mtspr 627, 3",
    "isync",
    ".long 0x7C0007A4",
    "isync",
    "lis 3, 0x1001",
    "mtspr 624, 3",
    "lis 3, 0xC000",
    "ori 3, 3, 0x0500",
    "mtspr 625, 3",
    "lis 3, 0xE000",
    "ori 3, 3, 0x000A",
    "mtspr 626, 3",
    "lis 3, 0xE000",
    "ori 3, 3, 0x0005",
    "mtspr 627, 3",
    "li 3, 0xF",
    "mtspr 944, 3",
    "isync",
    ".long 0x7C0007A4",
    "isync",
    "lis 3, spc58nn_trap@h",
    "mtspr 63, 3",
    "lis 4, spc58nn_trap@h",
    "ori 4, 4, spc58nn_trap@l",
    ".irp vector, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415",
    "mtspr \\vector, 4",
    ".endr",
    "lis 3, __data_start@ha",
    "addi 3, 3, __data_start@l",
    "lis 4, __data_end@ha",
    "addi 4, 4, __data_end@l",
    "lis 5, __data_load@ha",
    "addi 5, 5, __data_load@l",
    "1: cmplw 3, 4",
    "bge 2f",
    "lwz 6, 0(5)",
    "stw 6, 0(3)",
    "addi 3, 3, 4",
    "addi 5, 5, 4",
    "b 1b",
    "2: lis 3, __bss_start@ha",
    "addi 3, 3, __bss_start@l",
    "lis 4, __bss_end@ha",
    "addi 4, 4, __bss_end@l",
    "li 5, 0",
    "3: cmplw 3, 4",
    "bge 4f",
    "stw 5, 0(3)",
    "addi 3, 3, 4",
    "b 3b",
    "4: lis 1, __stack_top@ha",
    "addi 1, 1, __stack_top@l",
    "lis 3, __stack_limit@ha",
    "addi 3, 3, __stack_limit@l",
    "lis 5, {paint_high}",
    "ori 5, 5, {paint_low}",
    "5: cmplw 3, 1",
    "bge 6f",
    "stw 5, 0(3)",
    "addi 3, 3, 4",
    "b 5b",
    // A frame whose back chain is zero ends the stack.
    "6: li 0, 0",
    "stwu 0, -16(1)",
    "bl spc58nn_main",
    "7: b 7b",
    // Cause, address and place of the fault, in the order of `trapped`'s arguments, on a fresh stack.
    ".p2align 4",
    ".globl spc58nn_trap",
    "spc58nn_trap:",
    "lis 1, __stack_top@ha",
    "addi 1, 1, __stack_top@l",
    "li 0, 0",
    "stwu 0, -16(1)",
    "mfspr 3, 62",
    "mfspr 4, 61",
    "mfspr 5, 26",
    "bl {trapped}",
    "8: b 8b",
    paint_high = const PAINT >> 16,
    paint_low = const PAINT & 0xFFFF,
    trapped = sym trapped,
);

unsafe extern "C" {
    static mut __stack_limit: u32;
    static __stack_top: u32;
    static __code_start: u8;
    static __code_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __bss_start: u8;
    static __bss_end: u8;
}

/// An exception that nothing should have caused.
extern "C" fn trapped(syndrome: u32, address: u32, place: u32) -> ! {
    fail(format_args!("FAULT exception: syndrome {syndrome:#x}, address {address:#x}, at {place:#x}\n"))
}

#[panic_handler]
fn panicked(information: &core::panic::PanicInfo<'_>) -> ! {
    fail(format_args!("FAULT {information}\n"))
}

// SAFETY: there is one thread: one core, which takes no interrupts. This module is for such a core only.
static PLAN: FaultPlan = unsafe { FaultPlan::new() };

/// Says what a panic and an exception lead to, the safe state that needs nothing of what has failed: the application cores are
/// held, then all RAM is overwritten, variables and stack, and the memory of the bridge, so that no key is left there, and
/// then comes `after`. No request is answered any more.
///
/// A panic or an exception while the cores are being held ends that, and the rest follows all the same.
///
/// Until this is called, no core is held, and the end is [`AfterFault::Stop`].
pub fn on_fault(cores: Option<&'static dyn HoldCores>, after: AfterFault) {
    PLAN.set(cores, after);
}

/// The safe state. Nothing is said of `why` but to an emulator: the wipe waits for no device.
/// What it uses of the RAM is wiped, the plan too.
fn fail(why: fmt::Arguments<'_>) -> ! {
    let end = match PLAN.begin(|| say(why)) {
        AfterFault::Stop => stop_after_fault,
        AfterFault::Reset => reset_after_fault,
        AfterFault::Report => report,
    };
    let end: extern "C" fn() -> ! = end;
    let (bridge, bridge_end) = bridge_addresses();
    // SAFETY: the ranges are the RAM of the HSM core and that of the bridge. Nothing reads afterwards what was in the former:
    // the loops work in registers, which are then wiped too, and `end`, which begins on an empty stack and does not return,
    // uses no variable. In the latter there are atomics, which no one uses any more.
    unsafe {
        asm!(
            "2: cmplw 3, 4",
            "bge 3f",
            "stw 6, 0(3)",
            "addi 3, 3, 4",
            "b 2b",
            "3: mr 1, 4",
            "4: cmplw 7, 8",
            "bge 5f",
            "stw 6, 0(7)",
            "addi 7, 7, 4",
            "b 4b",
            "5: li 0, 0",
            ".irp register, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
            "li \\register, 0",
            ".endr",
            // A frame whose back chain is zero ends the stack.
            "stwu 0, -16(1)",
            "mtctr 5",
            "bctr",
            in("r3") &raw const __data_start,
            in("r4") &raw const __stack_top,
            in("r5") end,
            in("r6") 0,
            in("r7") bridge,
            in("r8") bridge_end,
            options(noreturn)
        )
    }
}

extern "C" fn stop_after_fault() -> ! {
    stop()
}

extern "C" fn reset_after_fault() -> ! {
    reset()
}

/// Whether all RAM but its own stack is zero, and the bridge's. It uses no variable.
extern "C" fn report() -> ! {
    let (bridge, end) = bridge_addresses();
    // SAFETY: RAM that was overwritten just now: that of the HSM core up to this function's own stack, and the bridge's.
    let (ram, bridge) = unsafe {
        (
            fault::is_zero((&raw const __data_start).addr(), stack_pointer().addr()),
            fault::is_zero(bridge.expose_provenance(), end.addr()),
        )
    };
    say(format_args!(
        "FAULT {}\n",
        match (ram, bridge) {
            (true, true) => "RAM and bridge are wiped",
            (false, _) => "RAM holds something",
            (true, false) => "the bridge holds something",
        }
    ));
    reset()
}

/// Where the bridge's memory begins, and where it ends.
fn bridge_addresses() -> (*const u32, *const u32) {
    let start = (&raw const BRIDGE).cast::<u32>();
    (start, start.wrapping_byte_add(size_of_val(&BRIDGE)))
}

/// How often these bytes are in RAM, stack included, and in the memory of the bridge.
#[must_use]
pub fn copies_in_ram(bytes: &[u8]) -> (usize, usize) {
    let (bridge, end) = bridge_addresses();
    // SAFETY: RAM of the HSM core, all of it initialized at start, or of the bridge, and only read.
    unsafe {
        let ram = fault::copies(bytes, (&raw const __data_start).addr(), (&raw const __stack_top).addr());
        (ram, fault::copies(bytes, bridge.expose_provenance(), end.addr()))
    }
}

/// Executes what is no instruction: an exception, as a test of what it leads to.
pub fn trap() -> ! {
    // SAFETY: a word of zeros is no instruction (Power ISA, appendix on illegal instructions): it raises an exception and
    // does not return.
    unsafe { asm!(".long 0", options(noreturn, nomem, nostack)) }
}

/// A number that the emulator was given (`-device loader,addr=0x03100000,data=…,data-len=4`); 0 if none.
#[must_use]
pub fn argument() -> u8 {
    // SAFETY: RAM of the board (128 MiB from 0), mapped at start, that the linker gives to nothing.
    unsafe { ptr::with_exposed_provenance::<u8>(0x0310_0000).read_volatile() }
}

/// Sizes of the program, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Code, constants and initial values: what lies in program flash.
    pub flash: usize,
    /// Variables, with and without an initial value.
    pub variables: usize,
    /// What is left for the stack.
    pub stack: usize,
}

/// The sizes of this program.
#[must_use]
pub fn sizes() -> Sizes {
    let between = |from: usize, to: usize| to.saturating_sub(from);
    let data = between((&raw const __data_start).addr(), (&raw const __data_end).addr());
    let zeros = between((&raw const __bss_start).addr(), (&raw const __bss_end).addr());
    Sizes {
        flash: between((&raw const __code_start).addr(), (&raw const __code_end).addr()).saturating_add(data),
        variables: data.saturating_add(zeros),
        stack: between((&raw const __stack_limit).addr(), (&raw const __stack_top).addr()),
    }
}

/// A variable that one owner takes for good. It need not be `Send`.
#[derive(Debug)]
pub struct Owned<T>(casemate_device::Owned<OneThread<T>>);

impl<T> Owned<T> {
    /// A variable that begins with `value`.
    pub const fn new(value: T) -> Self {
        // SAFETY: there is one thread: one core, which takes no interrupts. This module is for such a core only.
        Self(casemate_device::Owned::new(unsafe { OneThread::new(value) }))
    }

    /// The variable, the first time; later `None`.
    pub fn take(&'static self) -> Option<&'static mut T> {
        self.0.take().map(OneThread::get_mut)
    }
}

/// The stack pointer.
fn stack_pointer() -> *mut u32 {
    let pointer: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mr {}, 1", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Fills the stack below the caller, so that [`stack_used`] sees what happens from now on.
#[inline(never)]
pub fn paint_stack() {
    let start = &raw mut __stack_limit;
    // A loop in assembly: a call of `memset` would have a frame of its own in what is painted.
    // SAFETY: from the end of the variables to the stack pointer nothing lives: the calling convention has no red zone, no
    // function is called meanwhile, and interrupts are masked.
    unsafe {
        asm!(
            "2: cmplw {at}, 1",
            "bge 3f",
            "stw {paint}, 0({at})",
            "addi {at}, {at}, 4",
            "b 2b",
            "3:",
            at = inout(reg_nonzero) start => _,
            paint = in(reg) PAINT,
            out("cr0") _,
            options(nostack)
        );
    }
}

/// Bytes between the caller and the deepest place that the stack has reached since it was painted.
#[inline(never)]
#[must_use]
pub fn stack_used() -> usize {
    let top = stack_pointer();
    let mut at = &raw mut __stack_limit;
    // SAFETY: from the end of the variables to the stack pointer there is RAM, all of it initialized at start.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    top.addr().saturating_sub(at.addr())
}

/// The time base: it counts up without end, at a rate that the board sets.
#[must_use]
pub fn time_base() -> u64 {
    loop {
        let (high, low, again): (u32, u32, u32);
        // SAFETY: reads registers.
        unsafe {
            asm!(
                "mfspr {high}, 269",
                "mfspr {low}, 268",
                "mfspr {again}, 269",
                high = out(reg) high,
                low = out(reg) low,
                again = out(reg) again,
                options(nomem, nostack, preserves_flags)
            );
        }
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// A serial port of the `ppce500`: a 16550 (the register numbers are those of its data sheet).
#[derive(Debug)]
pub struct SerialPort {
    base: usize,
}

const DATA: usize = 0;
const LINE_STATUS: usize = 5;
const RECEIVED: u8 = 1 << 0;
const CAN_SEND: u8 = 1 << 5;
const FIFO_CONTROL: usize = 2;
const LINE_CONTROL: usize = 3;

impl SerialPort {
    /// The first port, for clients.
    #[must_use]
    pub fn first() -> Self {
        Self { base: 0xE000_4500 }.ready()
    }

    /// The second port, for reports.
    #[must_use]
    pub fn second() -> Self {
        Self { base: 0xE000_4600 }.ready()
    }

    /// 8 data bits, and the queues in both directions.
    fn ready(self) -> Self {
        self.set(LINE_CONTROL, 0x03);
        self.set(FIFO_CONTROL, 0x01);
        self
    }

    fn get(&self, register: usize) -> u8 {
        let address = self.base.wrapping_add(register);
        // SAFETY: the constructors' addresses are those of the serial ports (QEMU, hw/ppc/e500.c: offsets 0x4500 and
        // 0x4600 of the device registers), mapped at start; no memory that Rust knows of lies there.
        unsafe { ptr::with_exposed_provenance::<u8>(address).read_volatile() }
    }

    fn set(&self, register: usize, value: u8) {
        let address = self.base.wrapping_add(register);
        // SAFETY: as in `get`.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(value) }
    }
}

impl Line for SerialPort {
    fn receive(&mut self) -> Option<u8> {
        (self.get(LINE_STATUS) & RECEIVED != 0).then(|| self.get(DATA))
    }

    fn send(&mut self, byte: u8) -> bool {
        let can = self.get(LINE_STATUS) & CAN_SEND != 0;
        if can {
            self.set(DATA, byte);
        }
        can
    }
}

/// How often a byte of a report is offered to the serial port.
const SAY_ATTEMPTS: u32 = 10_000_000;

impl fmt::Write for SerialPort {
    /// Fails if the port takes a byte no longer.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut bytes = text.bytes();
        let all = bytes.all(|byte| (0..SAY_ATTEMPTS).any(|_| self.send(byte)));
        if all { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Writes to the second serial port, as much as it takes.
pub fn say(text: fmt::Arguments<'_>) {
    // There is no one to tell that nothing can be told.
    let _ = fmt::Write::write_fmt(&mut SerialPort::second(), text);
}

/// Asks the board for a reset, which ends an emulator that was started with `-no-reboot`.
pub fn reset() -> ! {
    // SAFETY: the reset control register of the `ppce500` (RSTCR, offset 0xE00B0 of the device registers), mapped at
    // start; 2 requests a reset.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(0xE00E_00B0).write_volatile(2) };
    stop()
}

/// Does nothing any more.
pub fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Memory that application cores share with the HSM: not cleared at start.
#[unsafe(link_section = ".bridge")]
static BRIDGE: [AtomicU32; 2048] = [const { AtomicU32::new(0) }; 2048];

/// Bytes that the application cores share with the HSM.
#[must_use]
pub fn bridge_memory() -> SharedRegion<'static> {
    SharedRegion::new(&BRIDGE)
}

/// Where the emulator's command line puts images of the application cores (`-device loader,addr=0x03200000`), and how many
/// bytes at most.
const APPLICATIONS: (usize, usize) = (0x0320_0000, 0x10_0000);

/// Where the emulator's command line puts an image of the data flash (`-device loader,addr=0x03300000`), and its size.
const OBJECTS: (usize, usize) = (0x0330_0000, EMULATED_BLOCKS * BLOCK_SIZE);

/// The image of the data flash that the emulator was given; empty if it was given none.
#[must_use]
pub fn emulated_objects() -> &'static [u8] {
    let (start, length) = OBJECTS;
    // SAFETY: as in `emulated_applications`.
    let bytes: &[u8] = unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(start), length) };
    if bytes.iter().all(|byte| *byte == 0) { &[] } else { bytes }
}

/// The memory that stands in for the flash of the application cores: whatever the emulator was given there.
#[must_use]
pub fn emulated_applications() -> &'static [u8] {
    let (start, length) = APPLICATIONS;
    // SAFETY: RAM of the board, of which the first 64 MiB are mapped at start; the linker gives it to nothing, and nothing
    // writes it. Any bytes that RAM has are bytes.
    unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(start), length) }
}

/// Where the emulator's command line puts noise (`-device loader,addr=0x03000000`), and how many bytes at most.
const NOISE: (usize, usize) = (0x0300_0000, 0x10_0000);

/// Noise that the emulator was given at its start, each word once.
#[derive(Debug)]
pub struct EmulatedNoise {
    next: Cell<usize>,
}

impl EmulatedNoise {
    /// All of it.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: Cell::new(NOISE.0) }
    }

    /// The next word, which is then gone from memory; `None` when all of them are.
    pub fn word(&self) -> Option<u32> {
        let at = self.next.get();
        let end = NOISE.0.checked_add(NOISE.1)?;
        if at >= end {
            return None;
        }
        self.next.set(at.checked_add(4)?);
        let address = ptr::with_exposed_provenance_mut::<u32>(at);
        // SAFETY: RAM of the board (128 MiB from 0), mapped at start, that the linker gives to nothing.
        let word = unsafe { address.read_volatile() };
        // SAFETY: as above.
        unsafe { address.write_volatile(0) };
        Some(word)
    }
}

impl Default for EmulatedNoise {
    fn default() -> Self {
        Self::new()
    }
}

/// How many blocks of data flash the emulation has.
pub const EMULATED_BLOCKS: usize = if cfg!(feature = "everything") { 32 } else { 2 };

#[unsafe(link_section = ".emulated_flash")]
static FLASH_CELLS: Place<FlashArray<EMULATED_BLOCKS>> = Place::new(FlashArray::new());

/// Stands in for the data flash in emulation. Not cleared at start: it outlives a reset as flash does.
// SAFETY: the only one for this place; an array of flash is numbers, which any bytes are.
pub static EMULATED_FLASH: Taken<FlashArray<EMULATED_BLOCKS>> = unsafe { Taken::new(&FLASH_CELLS) };

/// The sizes and the stack used so far, and how long the boot took, as the report on the second serial port.
pub fn say_ready(firmware: usize, start: u64) {
    let ticks = time_base().wrapping_sub(start);
    let Sizes { flash, variables, stack } = sizes();
    say(format_args!(
        "READY flash {flash} variables {variables} firmware {firmware} stack {stack} boot-stack {} boot-ticks {ticks}\n",
        stack_used(),
    ));
}

/// Returns at once: the core has nothing that would wake it.
pub fn wait() {}
