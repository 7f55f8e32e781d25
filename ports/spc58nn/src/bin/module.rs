//! The same server application as a WebAssembly module, from which C source is made for compilers that know the encoding of
//! the HSM core: README.md, "VLE".
#![cfg_attr(target_arch = "wasm32", no_std, no_main)]

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("this is a module: build it with --target wasm32v1-none");
    std::process::exit(2);
}

#[cfg(target_arch = "wasm32")]
#[path = "../emulation.rs"]
mod emulation;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the name that the C program calls")]
#[unsafe(no_mangle)]
extern "C" fn casemate_run() {
    emulation::run();
}

/// The conformance suite: 1 if the port conforms.
#[cfg(all(target_arch = "wasm32", feature = "conformance"))]
#[expect(unsafe_code, reason = "the name that the C program calls")]
#[unsafe(no_mangle)]
extern "C" fn casemate_check() -> u32 {
    check::run().unwrap_or(false).into()
}

#[cfg(all(target_arch = "wasm32", feature = "conformance"))]
mod check {
    use casemate_spc58nn::bridge::BridgeBoard;
    use casemate_spc58nn::conformance::OnModel;
    use casemate_spc58nn::machine::{EMULATED_FLASH, EmulatedNoise, Owned, Report, bridge_memory, say};
    use casemate_spc58nn::{Memory, Model, Spc58nn, Surroundings};

    const LINKS: usize = 2;

    #[derive(Debug)]
    struct Noise(EmulatedNoise);

    impl Surroundings for Noise {
        fn noise(&self) -> Option<u32> {
            self.0.word()
        }
    }

    /// Memory for each time that the suite switches the device on.
    static MEMORY: Owned<[Memory<LINKS>; 32]> = Owned::new([const { Memory::new() }; 32]);
    static MODEL: Owned<Option<Model<'static, Noise>>> = Owned::new(None);

    /// Whether the device conforms; `None` if the suite could not be put together.
    pub(super) fn run() -> Option<bool> {
        let flash = EMULATED_FLASH.take()?.start();
        let model: &'static _ = MODEL.take()?.insert(Model::new(Noise(EmulatedNoise::new()), flash));
        let mut memories = MEMORY.take()?.iter_mut();
        let mut power_on = || -> OnModel<Noise, LINKS> {
            let Some(memory) = memories.next() else {
                say(format_args!("FAULT the suite switches the device on too often\n"));
                core::arch::wasm32::unreachable()
            };
            model.reset();
            Spc58nn::new(model, BridgeBoard::new(model, bridge_memory(), || ()), memory)
        };
        Some(casemate_conformance::run::<_, LINKS>(&mut power_on, &mut Report).is_complete())
    }
}
