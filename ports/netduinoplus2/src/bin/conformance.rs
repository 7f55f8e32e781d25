//! The conformance suite on the board: prints its report on the emulator's console and ends the emulator with success or
//! failure.
#![cfg_attr(all(target_arch = "arm", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "arm", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target thumbv7m-none-eabi");
    std::process::exit(2);
}

/// Called by the start-up code, once.
#[cfg(all(target_arch = "arm", target_os = "none"))]
#[unsafe(no_mangle)]
extern "C" fn netduinoplus2_main() -> ! {
    use casemate_device::semihosting::{self, File};
    use casemate_netduinoplus2::{Device, LINKS};
    let is_complete = File::console().is_some_and(|mut console| {
        casemate_conformance::run::<Device, LINKS>(&mut Device::new, &mut console).is_complete()
    });
    semihosting::exit(is_complete)
}
