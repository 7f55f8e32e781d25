//! The reference server application for the HSM core: boots, releases the application cores, and serves them.
//!
//! As it stands it runs in emulation (QEMU's mps2-an385): two clients on the first two serial ports, and the HSM module's
//! model in place of the module. README.md says what changes on silicon.
#![cfg_attr(all(target_arch = "arm", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "arm", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target thumbv7m-none-eabi");
    std::process::exit(2);
}

#[cfg(all(target_arch = "arm", target_os = "none"))]
#[path = "../emulation/mod.rs"]
mod emulation;
