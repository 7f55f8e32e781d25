//! Runs the conformance suite on this port, on the host, and prints its report: `cargo run --example conformance -p
//! casemate-netduinoplus2`. On the device, call [`casemate_conformance::run`] from `main` with a serial line or semihosting as sink.

use casemate_conformance::run;
use casemate_netduinoplus2::{Device, LINKS};
use std::fmt;
use std::process::ExitCode;

/// Standard output.
struct Output;

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

/// Ends with status 1 if a check failed. Parts that are not implemented yet are no failure here.
fn main() -> ExitCode {
    let summary = run::<Device, LINKS>(&mut Device::new, &mut Output);
    ExitCode::from(u8::from(summary.failed > 0))
}
