//! The conformance suite on the core itself, on the module's model: prints its report on the emulator's console and ends
//! the emulator with success or failure.
#![cfg_attr(all(target_arch = "arm", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "arm", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target thumbv7m-none-eabi");
    std::process::exit(2);
}

#[cfg(all(target_arch = "arm", target_os = "none"))]
mod program {
    use casemate_conformance::run;
    use casemate_tc3xx::bare_metal::semihosting::{self, File};
    use casemate_tc3xx::bare_metal::{self, Owned};
    use casemate_tc3xx::port::{Memory, Tc3xx};
    use casemate_tc3xx::{BridgeBoard, Model, Surroundings};
    use core::fmt;

    const LINKS: usize = 2;
    /// The suite switches the device on this often at most.
    const POWER_ONS: usize = 16;

    type Module = Model<'static, Noise>;

    static MEMORIES: Owned<[Memory<LINKS>; POWER_ONS]> = Owned::new([const { Memory::new() }; POWER_ONS]);
    static MODULE: Owned<Option<Module>> = Owned::new(None);

    struct Noise(File);

    impl Surroundings for Noise {
        fn noise(&self) -> Option<u32> {
            let mut bytes = [0; 4];
            self.0.read(&mut bytes).then_some(u32::from_le_bytes(bytes))
        }
    }

    struct Console(File);

    impl fmt::Write for Console {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.0.write(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
        }
    }

    /// Called by the start-up code, once.
    #[unsafe(no_mangle)]
    extern "C" fn tc3xx_main() -> ! {
        semihosting::exit(check().unwrap_or(false))
    }

    /// Whether the port conforms; `None` if the program has run out of something.
    fn check() -> Option<bool> {
        let mut console = Console(File::console()?);
        let noise = Noise(File::read_only(c"/dev/urandom")?);
        let module: &'static Module =
            MODULE.take()?.insert(Model::new(noise, bare_metal::emulated_data_flash()?));
        let bridge = bare_metal::bridge_memory()?;
        let mut memories = MEMORIES.take()?.iter_mut();
        let mut power_on = || match memories.next() {
            Some(memory) => {
                Tc3xx::<_, _, LINKS>::new(module, BridgeBoard::new(module, bridge, || ()), memory)
            }
            // More than were foreseen: say so by failing.
            None => semihosting::exit(false),
        };
        Some(run::<_, LINKS>(&mut power_on, &mut console).is_complete())
    }
}
