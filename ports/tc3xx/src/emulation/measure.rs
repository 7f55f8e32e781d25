//! What a request costs: instructions and stack, between the transport's handing it over and its taking the response.
//!
//! With QEMU's `-icount shift=0` an instruction takes one nanosecond, and the counter ticks at 25 MHz: every 40
//! instructions. Each request makes a line on the emulator's console.

use casemate_device::semihosting::File;
use casemate_protocol::Packet;
use casemate_tc3xx::bare_metal::{self, Sizes};
use core::cell::Cell;

const INSTRUCTIONS_PER_TICK: u32 = 40;
const COUNTER_PERIOD: u32 = 0x0100_0000;

/// The meter.
#[derive(Debug)]
pub(crate) struct Meter {
    console: Cell<Option<File>>,
    start: Cell<u32>,
    /// Group, action, first word of the payload (the algorithm of a cryptographic request), length of the request.
    request: Cell<[u32; 4]>,
}

impl Meter {
    pub(crate) const fn new() -> Self {
        Self { console: Cell::new(None), start: Cell::new(0), request: Cell::new([0; 4]) }
    }

    pub(crate) fn attach(&self, console: Option<File>) {
        self.console.set(console);
    }

    /// Prints the sizes of the program: flash, variables, room for the stack; and what a server with one client takes
    /// of the variables, and a key cache of that.
    pub(crate) fn sizes(&self, one_client: usize, cache: usize) {
        let Sizes { flash, variables, stack } = bare_metal::sizes();
        self.print(b"sizes", &[flash, variables, stack, one_client, cache].map(|size| size as u32));
    }

    /// The boot is over: instructions since the start, and the deepest stack.
    pub(crate) fn booted(&self) {
        // The counter was started by the first instructions of the program, and has not gone round.
        let ticks = 0x00FF_FFFF_u32.wrapping_sub(bare_metal::cycle_counter());
        let stack = bare_metal::stack_used().wrapping_add(bare_metal::stack_above());
        self.print(b"boot", &[ticks.wrapping_mul(INSTRUCTIONS_PER_TICK), stack as u32]);
    }

    /// A request was handed over.
    pub(crate) fn begin(&self, packet: &[u8]) {
        if !cfg!(feature = "figures") {
            return;
        }
        let Ok(Packet { header, payload }) = Packet::decode(packet) else { return };
        let word = payload.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let kind = header.kind;
        self.request.set([u32::from(kind.group.0), kind.action.into(), word, packet.len() as u32]);
        bare_metal::paint_stack();
        let _ = bare_metal::cycle_counter_passed_zero();
        self.start.set(bare_metal::cycle_counter());
    }

    /// The response is there.
    pub(crate) fn end(&self, length: usize) {
        if !cfg!(feature = "figures") {
            return;
        }
        let now = bare_metal::cycle_counter();
        let passed = if bare_metal::cycle_counter_passed_zero() { COUNTER_PERIOD } else { 0 };
        let ticks = self.start.get().wrapping_add(passed).wrapping_sub(now);
        let stack = bare_metal::stack_used().wrapping_add(bare_metal::stack_above()) as u32;
        let [group, action, word, request] = self.request.get();
        let instructions = ticks.wrapping_mul(INSTRUCTIONS_PER_TICK);
        self.print(b"request", &[group, action, word, request, length as u32, instructions, stack]);
    }

    /// A line of hexadecimal numbers.
    fn print(&self, name: &[u8], numbers: &[u32]) {
        let Some(console) = self.console.get() else { return };
        let mut line = [b' '; 96];
        let mut at = 0;
        let mut put = |byte: u8| {
            if let Some(to) = line.get_mut(at) {
                *to = byte;
                at += 1;
            }
        };
        name.iter().for_each(|byte| put(*byte));
        for number in numbers {
            put(b' ');
            for digit in (0..8).rev() {
                put(b"0123456789abcdef"[(number >> (4 * digit) & 0xF) as usize]);
            }
        }
        put(b'\n');
        console.write(line.get(..at).unwrap_or_default());
    }
}
