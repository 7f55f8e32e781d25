//! The mps2-an385's serial ports (Arm, Cortex-M System Design Kit, "APB UART").

use casemate_device::Line;
use casemate_tc3xx::bare_metal::{Peripheral, enable_interrupt};

const DATA: usize = 0x000;
const STATE: usize = 0x004;
const CONTROL: usize = 0x008;
const INTERRUPT: usize = 0x00C;
const DIVISOR: usize = 0x010;

const SEND_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;
const SEND_ENABLE: u32 = 1 << 0;
const RECEIVE_ENABLE: u32 = 1 << 1;
const RECEIVE_INTERRUPT: u32 = 1 << 3;
const RECEIVED: u32 = 1 << 1;

/// A serial port.
#[derive(Debug)]
pub(crate) struct Uart(Peripheral);

impl Uart {
    /// Switches a port on; `interrupt` is the number of its receive interrupt, which wakes the core.
    pub(crate) fn new(registers: Peripheral, interrupt: u8) -> Self {
        // 25 MHz by the smallest divisor that the port takes. The emulator knows no speed.
        registers.write(DIVISOR, 16);
        registers.write(CONTROL, SEND_ENABLE | RECEIVE_ENABLE | RECEIVE_INTERRUPT);
        enable_interrupt(interrupt);
        Self(registers)
    }
}

impl Line for Uart {
    fn receive(&mut self) -> Option<u8> {
        if self.0.read(STATE) & RECEIVE_FULL == 0 {
            return None;
        }
        self.0.write(INTERRUPT, RECEIVED);
        let [byte, ..] = self.0.read(DATA).to_le_bytes();
        Some(byte)
    }

    fn send(&mut self, byte: u8) -> bool {
        let free = self.0.read(STATE) & SEND_FULL == 0;
        if free {
            self.0.write(DATA, byte.into());
        }
        free
    }
}
