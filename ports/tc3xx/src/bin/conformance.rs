//! The conformance suite on the core itself, on the module's model: prints its report on the emulator's console and ends
//! the emulator with success or failure.
//!
//! With the argument `panic` or `trap`, it lets the core fail in that way instead while the server holds a client's key; with
//! `trap-twice`, the core fails again when the application cores are to be held.
#![cfg_attr(all(target_arch = "arm", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "arm", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target thumbv7m-none-eabi");
    std::process::exit(2);
}

#[cfg(all(target_arch = "arm", target_os = "none"))]
mod program {
    use casemate_conformance::{cache_key, run};
    use casemate_device::semihosting::{self, File};
    use casemate_device::{AfterFault, HoldCores};
    use casemate_port::Firmware;
    use casemate_tc3xx::bare_metal::{self, Owned};
    use casemate_tc3xx::port::{Memory, Tc3xx};
    use casemate_tc3xx::{BridgeBoard, Host, Model, Surroundings};
    use core::fmt::Write;

    const LINKS: usize = 2;
    /// The suite switches the device on this often at most.
    const POWER_ONS: usize = 16;

    type Module = Model<'static, Noise>;

    static MEMORIES: Owned<[Memory<LINKS>; POWER_ONS]> = Owned::new([const { Memory::new() }; POWER_ONS]);
    static MODULE: Owned<Option<Module>> = Owned::new(None);
    static HOST: Owned<Option<Host<&'static Module>>> = Owned::new(None);

    struct Noise(File);

    impl Surroundings for Noise {
        fn noise(&self) -> Option<u32> {
            let mut bytes = [0; 4];
            self.0.read(&mut bytes).then_some(u32::from_le_bytes(bytes))
        }

        fn hosts(&self, running: bool) {
            if let (false, Some(console)) = (running, File::console()) {
                console.write(b"application cores held\n");
            }
        }
    }

    /// Application cores whose reset makes the core fail.
    struct Traps;

    impl HoldCores for Traps {
        fn hold_cores(&self) {
            if let Some(console) = File::console() {
                console.write(b"application cores cannot be held\n");
            }
            bare_metal::trap()
        }
    }

    /// Called by the start-up code, once.
    #[unsafe(no_mangle)]
    extern "C" fn tc3xx_main() -> ! {
        semihosting::exit(check().unwrap_or(false))
    }

    /// Whether the port conforms; `None` if the program has run out of something.
    fn check() -> Option<bool> {
        let mut console = File::console()?;
        let noise = Noise(File::read_only(c"/dev/urandom")?);
        let module: &'static Module =
            MODULE.take()?.insert(Model::new(noise, bare_metal::emulated_data_flash()?));
        let bridge = bare_metal::bridge_memory()?;
        bare_metal::on_fault(Some(HOST.take()?.insert(Host::new(module))), AfterFault::Report);
        let mut memories = MEMORIES.take()?.iter_mut();
        let mut power_on = || match memories.next() {
            Some(memory) => {
                Tc3xx::<_, _, LINKS>::new(module, BridgeBoard::new(module, bridge, || ()), memory)
            }
            // More than were foreseen: say so by failing.
            None => semihosting::exit(false),
        };
        let mut line = [0; 32];
        let fault = match semihosting::command_line(&mut line) {
            b"panic" => || panic!(),
            b"trap" => bare_metal::trap,
            b"trap-twice" => || {
                bare_metal::on_fault(Some(&Traps), AfterFault::Report);
                bare_metal::trap()
            },
            _ => return Some(run::<_, LINKS>(&mut power_on, &mut console).is_complete()),
        };
        // It lies in flash: no copy of it in RAM is this function's.
        let key = b"what only this client may know";
        let mut firmware = Firmware::<_, LINKS>::new(power_on());
        let (own, _) = bare_metal::copies_in_ram(key);
        if own != 0 || !cache_key(&mut firmware, key) {
            return None;
        }
        let (copies, in_bridge) = bare_metal::copies_in_ram(key);
        writeln!(console, "copies of a client's key: {copies} in RAM, {in_bridge} in the bridge").ok()?;
        fault()
    }
}
