//! What a core does whose program has failed, as far as it is the same on every core. Its unsafe code lets a plan lie in a
//! static, and reads RAM by its addresses.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Holds the application cores when the HSM core has failed and nothing else of the firmware can be used any more.
pub trait HoldCores {
    /// Resets all of them and holds them.
    fn hold_cores(&self);
}

/// What comes last when the core has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AfterFault {
    /// The core does nothing any more. A watchdog that runs is no longer served and resets the device; without one, the device
    /// stays in its safe state.
    Stop = 0,
    /// The core, or the board that it is on, is reset, and the firmware boots again.
    Reset,
    /// For emulation: the core looks whether anything is left in its RAM and the bridge's, says so to the emulator, and ends
    /// it.
    Report,
}

impl AfterFault {
    /// The one with this number; any other number, which nobody has written, stands for [`Stop`](Self::Stop).
    const fn from_number(number: u8) -> Self {
        const RESET: u8 = AfterFault::Reset as u8;
        const REPORT: u8 = AfterFault::Report as u8;
        match number {
            RESET => Self::Reset,
            REPORT => Self::Report,
            _ => Self::Stop,
        }
    }
}

/// What a panic and an exception lead to: the cores to be held, and what comes last, as a number, which can be read whatever
/// has happened to it.
///
/// It lies in RAM that is overwritten with zeros on the way to the safe state, and then stands for no cores and
/// [`AfterFault::Stop`]: a fault in the last part of that way comes to a core that stops.
pub struct FaultPlan {
    cores: Cell<Option<&'static dyn HoldCores>>,
    after: AtomicU8,
    has_begun: AtomicBool,
}

// SAFETY: by the condition of `new` one thread reaches it.
unsafe impl Sync for FaultPlan {}

impl FaultPlan {
    /// No core is held, and the end is [`AfterFault::Stop`].
    ///
    /// # Safety
    /// The program has one thread: one core, and no interrupt handler reaches the plan.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self {
            cores: Cell::new(None),
            after: AtomicU8::new(AfterFault::Stop as u8),
            has_begun: AtomicBool::new(false),
        }
    }

    /// Changes the plan.
    pub fn set(&self, cores: Option<&'static dyn HoldCores>, after: AfterFault) {
        self.cores.set(cores);
        self.after.store(after as u8, Ordering::Release);
    }

    /// The way to the safe state up to the wipe: holds the cores, then calls `tell` if an emulator is to be told of the
    /// fault. Answers what comes after the wipe.
    ///
    /// A fault on this way begins it again, and then none of its steps is repeated.
    pub fn begin(&self, tell: impl FnOnce()) -> AfterFault {
        let after = AfterFault::from_number(self.after.load(Ordering::Acquire));
        if !self.has_begun.swap(true, Ordering::AcqRel) {
            if let Some(cores) = self.cores.get() {
                cores.hold_cores();
            }
            if after == AfterFault::Report {
                tell();
            }
        }
        after
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultPlan").field("after", &self.after).finish_non_exhaustive()
    }
}

/// Whether the words from address `from` up to `to` are zero, both multiples of 4. It uses no variable.
///
/// # Safety
/// They are memory that can be read.
#[must_use]
pub unsafe fn is_zero(from: usize, to: usize) -> bool {
    let mut at = from;
    // SAFETY: memory that can be read, by the caller's promise.
    while at < to && unsafe { ptr::with_exposed_provenance::<u32>(at).read_volatile() } == 0 {
        at = at.saturating_add(size_of::<u32>());
    }
    at >= to
}

/// How often `bytes` are in memory from address `from` up to `to`.
///
/// # Safety
/// It is memory that can be read.
#[must_use]
pub unsafe fn copies(bytes: &[u8], from: usize, to: usize) -> usize {
    let is_there = |at: &usize| {
        // SAFETY: memory that can be read, by the caller's promise.
        (*at..)
            .zip(bytes)
            .all(|(at, byte)| unsafe { ptr::with_exposed_provenance::<u8>(at).read_volatile() == *byte })
    };
    (from..=to.saturating_sub(bytes.len())).filter(is_there).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;

    #[derive(Default)]
    struct Cores {
        held: Cell<u32>,
        fails: Cell<Option<&'static FaultPlan>>,
    }

    impl HoldCores for Cores {
        fn hold_cores(&self) {
            self.held.set(self.held.get() + 1);
            if let Some(plan) = self.fails.get() {
                assert_eq!(plan.begin(|| panic!("said twice")), AfterFault::Report);
            }
        }
    }

    fn leak<T>(value: T) -> &'static T {
        Box::leak(Box::new(value))
    }

    #[test]
    fn the_cores_are_held_once() {
        // SAFETY: one thread reaches it.
        let plan = leak(unsafe { FaultPlan::new() });
        let cores = leak(Cores::default());
        cores.fails.set(Some(plan));
        plan.set(Some(cores), AfterFault::Report);
        let said = Cell::new(0);
        assert_eq!(plan.begin(|| said.set(said.get() + 1)), AfterFault::Report);
        assert_eq!(plan.begin(|| said.set(said.get() + 1)), AfterFault::Report);
        assert_eq!((cores.held.get(), said.get()), (1, 1));
    }

    #[test]
    fn without_a_plan_the_core_stops() {
        // SAFETY: one thread reaches it.
        let plan = unsafe { FaultPlan::new() };
        assert_eq!(plan.begin(|| panic!("nobody listens")), AfterFault::Stop);
        plan.set(None, AfterFault::Reset);
        assert_eq!(plan.begin(|| panic!("nobody listens")), AfterFault::Reset);
        assert_eq!(AfterFault::from_number(77), AfterFault::Stop);
    }

    #[test]
    fn memory_is_looked_through() {
        let mut words = [0_u32; 8];
        let of = |words: &[u32; 8]| {
            let from = words.as_ptr().expose_provenance();
            (from, from + size_of_val(words))
        };
        let (from, to) = of(&words);
        // SAFETY: the array's own memory.
        assert!(unsafe { is_zero(from, to) && is_zero(from, from) });
        words[7] = u32::from_ne_bytes([1, 2, 1, 2]);
        let (from, to) = of(&words);
        // SAFETY: as above.
        let (last, others) = unsafe { (is_zero(from, to), is_zero(from, to - 4)) };
        assert_eq!((last, others), (false, true));
        // SAFETY: as above.
        let found = unsafe { (copies(&[1, 2], from, to), copies(&[2, 1], from, to), copies(&[3], from, to)) };
        assert_eq!(found, (2, 1, 0));
        // SAFETY: as above.
        assert_eq!(unsafe { copies(&[1, 2], from, to - 1) }, 1, "only what lies in it as a whole");
    }
}
