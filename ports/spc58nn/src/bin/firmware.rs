//! The reference server application for the HSM core: boots, releases the application cores, and serves them.
//!
//! As it stands it runs in emulation (QEMU's ppce500): a client on the first serial port, reports on the second, and the
//! HSM module's model in place of the module. README.md says what changes on silicon.
#![cfg_attr(all(target_arch = "powerpc", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "powerpc", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target ports/spc58nn/powerpc-casemate-none-eabi.json");
    std::process::exit(2);
}

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
#[path = "../emulation.rs"]
mod emulation;

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
#[expect(unsafe_code, reason = "the name that the start code calls")]
#[unsafe(no_mangle)]
extern "C" fn spc58nn_main() -> ! {
    emulation::run();
    casemate_spc58nn::machine::say(format_args!("STOPPED\n"));
    casemate_spc58nn::machine::stop()
}
