//! Runs the suite on the test kit's virtual device and prints its report.

use casemate_conformance::run;
use casemate_testkit::port::{VirtualDevice, VirtualPort};
use std::fmt;
use std::process::ExitCode;

struct Standard;
impl fmt::Write for Standard {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

fn main() -> ExitCode {
    let device = VirtualDevice::new();
    let summary = run::<VirtualPort, 3>(&mut || device.port(), &mut Standard);
    ExitCode::from(u8::from(!summary.is_complete()))
}
