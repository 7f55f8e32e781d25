//! The Cortex-M3 without an operating system: start-up, vector table, registers, variables, semihosting. The only
//! module of this port with unsafe code.
#![allow(unsafe_code)]

use crate::data_flash::PAGE_SIZE;
use crate::memory_map::{CURRENT, EMULATED_MARKS, Region};
use crate::model::FlashCells;
use crate::registers::{REGISTER_COUNT, Register, Registers};
use casemate_device::semihosting::{self, File};
use casemate_device::{AfterFault, FaultPlan, HoldCores, OneThread, fault};
use casemate_transport::SharedRegion;
use core::arch::{asm, global_asm};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

// The vector table: initial stack pointer, reset, the 14 system exceptions, and 32 interrupts, more than the programs
// here enable. Interrupts are never taken: the core sleeps with them masked, wakes when one is pending, and looks what
// there is to do. So every entry but reset means that something is broken.
//
// The start: variables get their initial values, the rest of the RAM up to the stack pointer is painted, so that
// `stack_used` can tell how deep the stack went, and `tc3xx_main` is called, which never returns.
global_asm!(
    ".section .vectors, \"a\"",
    ".word __stack_top",
    ".word tc3xx_reset",
    ".rept 46",
    ".word tc3xx_trap",
    ".endr",
    ".section .text.tc3xx_reset, \"ax\"",
    ".global tc3xx_reset",
    ".type tc3xx_reset, %function",
    ".thumb_func",
    "tc3xx_reset:",
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
    "4: ldr r0, =__stack_limit",
    "mov r1, sp",
    "ldr r2, ={paint}",
    "5: cmp r0, r1",
    "bhs 6f",
    "str r2, [r0], #4",
    "b 5b",
    "6: bl tc3xx_main",
    ".global tc3xx_trap",
    ".type tc3xx_trap, %function",
    ".thumb_func",
    "tc3xx_trap:",
    // A stack that was the cause of it serves no longer. The handler is left before anything else is done: a fault in a
    // handler would lock the core up, with all that is in its RAM, while one in thread mode comes here again. What is
    // returned to is `trapped`, by a frame on an empty stack: r0 to r3, r12, lr, pc, xPSR with the bit for Thumb (ARMv7-M,
    // B1.5.6 to B1.5.8). CCR.NONBASETHRDENA (B3.2.8) allows that even if an NMI came while a fault was being handled; the
    // causes of the fault are cleared (CFSR, HFSR; B3.2.15, B3.2.16).
    "ldr r0, =__stack_top",
    "mov sp, r0",
    "ldr r0, =0xE000ED14",
    "ldr r1, [r0]",
    "orr r1, r1, #1",
    "str r1, [r0]",
    "ldr r1, [r0, #0x14]",
    "str r1, [r0, #0x14]",
    "ldr r1, [r0, #0x18]",
    "str r1, [r0, #0x18]",
    "movs r0, #0",
    "mov r2, #0x01000000",
    "ldr r3, ={trapped}",
    "bic r3, r3, #1",
    "sub sp, sp, #32",
    "str r0, [sp, #0]",
    "str r0, [sp, #4]",
    "str r0, [sp, #8]",
    "str r0, [sp, #12]",
    "str r0, [sp, #16]",
    "str r0, [sp, #20]",
    "str r3, [sp, #24]",
    "str r2, [sp, #28]",
    "dsb",
    "isb",
    // Back to thread mode, with the main stack.
    "mvn lr, #6",
    "bx lr",
    ".ltorg",
    paint = const PAINT,
    trapped = sym trapped,
);

/// What unused stack is filled with.
const PAINT: u32 = 0xA5A5_5A5A;

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

/// Where an exception that nothing should have caused returns to: thread mode, on an empty stack.
extern "C" fn trapped() -> ! {
    fail()
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    fail()
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

/// The safe state. What it uses of the RAM is wiped, the plan too.
fn fail() -> ! {
    let end = match PLAN.begin(|| ()) {
        AfterFault::Stop => stop,
        AfterFault::Reset => reset_after_fault,
        AfterFault::Report => report,
    };
    let end: extern "C" fn() -> ! = end;
    let (bridge, bridge_end) = bridge_addresses();
    // SAFETY: the ranges are the RAM of the HSM core, and that of the bridge, which is no memory that Rust knows of. Nothing
    // reads afterwards what was in the former: the loops work in registers, which are then wiped too, and `end`, which begins
    // on an empty stack and does not return, uses no variable.
    unsafe {
        asm!(
            "cpsid i",
            "2: cmp r0, r1",
            "bhs 3f",
            "str r3, [r0], #4",
            "b 2b",
            "3: mov sp, r1",
            "4: cmp r4, r5",
            "bhs 5f",
            "str r3, [r4], #4",
            "b 4b",
            "5: movs r4, #0",
            "movs r5, #0",
            "movs r6, #0",
            "movs r7, #0",
            "mov r8, r4",
            "mov r9, r4",
            "mov r10, r4",
            "mov r11, r4",
            "mov r12, r4",
            "dsb",
            "bx r2",
            in("r0") &raw const __data_start,
            in("r1") &raw const __stack_top,
            in("r2") end,
            in("r3") 0,
            in("r4") bridge,
            in("r5") bridge_end,
            options(noreturn)
        )
    }
}

extern "C" fn stop() -> ! {
    loop {
        sleep();
    }
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
            fault::is_zero(bridge, end),
        )
    };
    if let Some(console) = File::console() {
        console.write(match (ram, bridge) {
            (true, true) => b"fault: RAM and bridge are wiped\n".as_slice(),
            (false, _) => b"fault: RAM holds something\n",
            (true, false) => b"fault: the bridge holds something\n",
        });
    }
    semihosting::exit(false)
}

/// The addresses of the bridge's first byte, and of the one behind its last.
fn bridge_addresses() -> (usize, usize) {
    let Region { start, length } = CURRENT.bridge;
    (start as usize, start.saturating_add(length) as usize)
}

/// How often these bytes are in RAM, stack included, and in the memory of the bridge.
#[must_use]
pub fn copies_in_ram(bytes: &[u8]) -> (usize, usize) {
    let (bridge, end) = bridge_addresses();
    // SAFETY: RAM of the HSM core, all of it initialized at start, or of the bridge, and only read.
    unsafe {
        let ram = fault::copies(bytes, (&raw const __data_start).addr(), (&raw const __stack_top).addr());
        (ram, fault::copies(bytes, bridge, end))
    }
}

/// Executes what is no instruction: an exception, as a test of what it leads to.
pub fn trap() -> ! {
    // SAFETY: permanently undefined (ARMv7-M, A7.7.194): it raises an exception and does not return.
    unsafe { asm!("udf #0", options(noreturn, nomem, nostack)) }
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

/// The stack pointer, which the stack below does not reach yet.
fn stack_pointer() -> *mut u32 {
    let pointer: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Fills the stack below the caller, so that [`stack_used`] sees what happens from now on.
#[inline(never)]
pub fn paint_stack() {
    let mut at = &raw mut __stack_limit;
    // A loop in assembly: a call of `memset` would have a frame of its own in what is painted.
    // SAFETY: from the end of the variables to the stack pointer nothing lives; no function is called meanwhile, and
    // interrupts are masked.
    unsafe {
        asm!(
            "2: cmp {at}, sp",
            "bhs 3f",
            "str {paint}, [{at}], #4",
            "b 2b",
            "3:",
            at = inout(reg) at,
            paint = in(reg) PAINT,
            options(nostack)
        );
    }
    let _ = at;
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

/// Bytes of stack above the caller: what it and its callers take.
#[inline(never)]
#[must_use]
pub fn stack_above() -> usize {
    (&raw const __stack_top).addr().saturating_sub(stack_pointer().addr())
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

/// The registers of one device, 4 KiB of them.
#[derive(Debug, Clone, Copy)]
pub struct Peripheral {
    base: usize,
}

impl Peripheral {
    /// # Safety
    /// The 4 KiB from `base` on, a multiple of 4, are registers of a device, whose accesses touch no memory that Rust
    /// knows of.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    /// The address of the register at `offset`, which is cut to a multiple of 4 below 4096.
    const fn at(self, offset: usize) -> usize {
        self.base.wrapping_add(offset & 0xFFC)
    }

    /// Reads the register at `offset`.
    #[must_use]
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: the address is one of the 4 KiB that `new` was promised to be registers.
        unsafe { ptr::with_exposed_provenance::<u32>(self.at(offset)).read_volatile() }
    }

    /// Writes the register at `offset`.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.at(offset)).write_volatile(value) }
    }
}

/// The Cortex-M3's own registers: SysTick, interrupt controller, system control.
// SAFETY: the system control space of ARMv7-M, B3.2: registers, no memory.
const SYSTEM: Peripheral = unsafe { Peripheral::new(0xE000_E000) };
/// The first serial port of the mps2-an385.
// SAFETY: the registers of a serial port (Arm AN385, table 3-2), no memory.
pub const UART0: Peripheral = unsafe { Peripheral::new(0x4000_4000) };
/// The second serial port of the mps2-an385.
// SAFETY: as above.
pub const UART1: Peripheral = unsafe { Peripheral::new(0x4000_5000) };

const SYSTICK_CONTROL: usize = 0x010;
const SYSTICK_RELOAD: usize = 0x014;
const SYSTICK_VALUE: usize = 0x018;
const INTERRUPT_ENABLE: usize = 0x100;
const INTERRUPT_PEND: usize = 0x200;
const INTERRUPT_UNPEND: usize = 0x280;
const RESET_CONTROL: usize = 0xD0C;

/// Lets an interrupt wake the core: one of the first 32.
pub fn enable_interrupt(number: u8) {
    SYSTEM.write(INTERRUPT_ENABLE, 1_u32.wrapping_shl(number.into()));
}

/// Makes an interrupt pending, as its device would.
pub fn pend_interrupt(number: u8) {
    SYSTEM.write(INTERRUPT_PEND, 1_u32.wrapping_shl(number.into()));
}

/// Sleeps until an enabled interrupt is pending, and forgets which it was. One that came since the last call ends the
/// sleep at once.
pub fn sleep() {
    // SAFETY: waits; touches no memory. Interrupts are masked and wake the core all the same (ARMv7-M, B1.5.17).
    unsafe { asm!("dsb", "wfi", options(nomem, nostack, preserves_flags)) };
    SYSTEM.write(INTERRUPT_UNPEND, u32::MAX);
}

/// Resets the core.
pub fn reset() -> ! {
    SYSTEM.write(RESET_CONTROL, 0x05FA_0004);
    loop {
        sleep();
    }
}

/// Starts the core's cycle counter over: 24 bits, counting down.
pub fn start_cycle_counter() {
    SYSTEM.write(SYSTICK_RELOAD, 0x00FF_FFFF);
    SYSTEM.write(SYSTICK_VALUE, 0);
    SYSTEM.write(SYSTICK_CONTROL, 0b101);
}

/// Whether the counter has passed zero since the last call of this or of [`start_cycle_counter`].
#[must_use]
pub fn cycle_counter_passed_zero() -> bool {
    SYSTEM.read(SYSTICK_CONTROL) & 0x0001_0000 != 0
}

/// The cycle counter.
#[must_use]
pub fn cycle_counter() -> u32 {
    SYSTEM.read(SYSTICK_VALUE)
}

/// The memory that stands in for the data flash and the state of its error correction, the first time; later `None`. It is
/// not cleared at start: it has whatever it had.
pub fn emulated_data_flash() -> Option<FlashCells<'static>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::AcqRel) {
        return None;
    }
    let memory = |Region { start, length }: Region| {
        // SAFETY: in emulation the regions are RAM, which the memory map keeps apart from each other and from what the
        // linker uses; the flag lets exactly one call pass. Any bytes that RAM has are bytes.
        unsafe {
            core::slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(start as usize), length as usize)
        }
    };
    Some(FlashCells::new(memory(CURRENT.data_flash), memory(EMULATED_MARKS)))
}

/// The memory that stands in for the flash of the application cores: whatever the emulator was given there.
#[must_use]
pub fn emulated_applications() -> &'static [u8] {
    let Region { start, length } = CURRENT.applications;
    // SAFETY: in emulation the region is RAM, which the memory map keeps apart from the others and from what the linker uses;
    // nothing writes it. Any bytes that RAM has are bytes.
    unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(start as usize), length as usize) }
}

/// The memory that application cores share with the HSM.
#[must_use]
pub fn bridge_memory() -> Option<SharedRegion<'static>> {
    let Region { start, length } = CURRENT.bridge;
    // SAFETY: the region is RAM for as long as the program runs, which the memory map keeps apart from what the linker
    // uses; whatever in this program accesses it does so through what this returns, with atomics.
    unsafe { SharedRegion::from_raw_parts(ptr::with_exposed_provenance_mut(start as usize), length as usize) }
}

/// The HSM module's registers at the addresses of a table.
#[derive(Debug)]
pub struct MappedRegisters {
    addresses: &'static [usize; REGISTER_COUNT],
    /// Where the core sees its data flash, and how many bytes of it.
    data_flash: (usize, usize),
    /// The same for the flash of the application cores.
    applications: (usize, usize),
}

impl MappedRegisters {
    /// # Safety
    /// Each entry of `addresses` is the address of the register of that index (see [`Register`]), a multiple of 4, whose
    /// accesses touch no memory that Rust knows of; the bytes of `data_flash` and `applications` (address, length) can be
    /// read at any time and nothing in this program refers to them.
    #[must_use]
    pub const unsafe fn new(
        addresses: &'static [usize; REGISTER_COUNT],
        data_flash: (usize, usize),
        applications: (usize, usize),
    ) -> Self {
        Self { addresses, data_flash, applications }
    }

    fn address(&self, register: Register) -> usize {
        self.addresses.get(register as usize).copied().unwrap_or(0)
    }
}

impl Registers for MappedRegisters {
    fn read(&self, register: Register) -> u32 {
        // SAFETY: the address is that of a register by the condition of `new`.
        unsafe { ptr::with_exposed_provenance::<u32>(self.address(register)).read_volatile() }
    }

    fn write(&self, register: Register, value: u32) {
        // SAFETY: as in `read`.
        unsafe { ptr::with_exposed_provenance_mut::<u32>(self.address(register)).write_volatile(value) }
    }

    fn data_flash_length(&self) -> usize {
        self.data_flash.1
    }

    /// Takes what the load delivers: whoever knows how the core learns of an error that the code cannot correct (a status
    /// of the flash, a bus fault that has to be caught) answers `None` for it here.
    fn read_data_flash(&self, offset: usize) -> Option<[u8; PAGE_SIZE]> {
        let (start, length) = self.data_flash;
        if offset.checked_add(PAGE_SIZE).is_none_or(|end| end > length) {
            return None;
        }
        let mut page = [0; PAGE_SIZE];
        for (at, byte) in (start.wrapping_add(offset)..).zip(&mut page) {
            // SAFETY: within the readable range by the condition of `new` and the check above.
            *byte = unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
        }
        Some(page)
    }

    /// Takes what the loads deliver, as `read_data_flash` does.
    fn read_application_flash(&self, offset: usize, out: &mut [u8]) -> bool {
        let (start, length) = self.applications;
        if offset.checked_add(out.len()).is_none_or(|end| end > length) {
            return false;
        }
        for (at, byte) in (start.wrapping_add(offset)..).zip(out) {
            // SAFETY: within the readable range by the condition of `new` and the check above.
            *byte = unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() };
        }
        true
    }
}
