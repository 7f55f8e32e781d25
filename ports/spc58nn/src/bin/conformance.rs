//! The conformance suite, run by the device itself: the port on the module's model, its clients in the memory of the bridge.
//! The report goes to the second serial port of the emulated board, which is reset at the end.
//!
//! With the argument 1 or 2, it lets the core fail instead while the server holds a client's key: by a panic or an exception;
//! with 3, the core fails again when the application cores are to be held.
#![cfg_attr(all(target_arch = "powerpc", target_os = "none"), no_std, no_main)]

#[cfg(not(all(target_arch = "powerpc", target_os = "none")))]
fn main() {
    eprintln!("this is firmware: build it with --target ports/spc58nn/powerpc-casemate-none-eabi.json");
    std::process::exit(2);
}

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
mod device {
    use casemate_conformance::cache_key;
    use casemate_device::{AfterFault, HoldCores};
    use casemate_port::Firmware;
    use casemate_spc58nn::bridge::BridgeBoard;
    use casemate_spc58nn::conformance::OnModel;
    use casemate_spc58nn::machine::{
        self, EMULATED_FLASH, EmulatedNoise, Owned, SerialPort, bridge_memory, say,
    };
    use casemate_spc58nn::{Host, Memory, Model, Spc58nn, Surroundings};

    const LINKS: usize = 2;

    #[derive(Debug)]
    struct Noise(EmulatedNoise);

    impl Surroundings for Noise {
        fn noise(&self) -> Option<u32> {
            self.0.word()
        }

        fn held(&self, cores: u32) {
            say(format_args!("cores held: {:#05b}\n", cores & 0b111));
        }
    }

    /// Application cores whose reset makes the core fail.
    struct Traps;

    impl HoldCores for Traps {
        fn hold_cores(&self) {
            say(format_args!("cores cannot be held\n"));
            machine::trap()
        }
    }

    /// Memory for each time that the suite switches the device on; there is no other way to get back what was handed out.
    static MEMORY: Owned<[Memory<LINKS>; 32]> = Owned::new([const { Memory::new() }; 32]);
    static MODEL: Owned<Option<Model<'static, Noise>>> = Owned::new(None);
    static HOST: Owned<Option<Host<&'static Model<'static, Noise>>>> = Owned::new(None);

    /// Whether the device conforms; `None` if the suite could not be put together.
    pub(super) fn run() -> Option<bool> {
        let flash = EMULATED_FLASH.take()?.start();
        let model: &'static _ = MODEL.take()?.insert(Model::new(Noise(EmulatedNoise::new()), flash));
        machine::on_fault(Some(HOST.take()?.insert(Host::new(model))), AfterFault::Report);
        let mut memories = MEMORY.take()?.iter_mut();
        let mut power_on = || -> OnModel<Noise, LINKS> {
            let Some(memory) = memories.next() else {
                say(format_args!(
                    "FAULT the suite switches the device on more often than there is memory for\n"
                ));
                machine::reset()
            };
            model.reset();
            Spc58nn::new(model, BridgeBoard::new(model, bridge_memory(), || ()), memory)
        };
        let fault = match machine::argument() {
            1 => || panic!("as it was told"),
            2 => machine::trap,
            3 => || {
                machine::on_fault(Some(&Traps), AfterFault::Report);
                machine::trap()
            },
            _ => {
                machine::paint_stack();
                let mut port = SerialPort::second();
                return Some(casemate_conformance::run::<_, LINKS>(&mut power_on, &mut port).is_complete());
            }
        };
        // It lies in flash: no copy of it in RAM is this function's.
        let key = b"what only this client may know";
        let mut firmware = Firmware::<_, LINKS>::new(power_on());
        let (own, _) = machine::copies_in_ram(key);
        if own != 0 || !cache_key(&mut firmware, key) {
            return None;
        }
        let (copies, in_bridge) = machine::copies_in_ram(key);
        say(format_args!("copies of a client's key: {copies} in RAM, {in_bridge} in the bridge\n"));
        fault()
    }
}

#[cfg(all(target_arch = "powerpc", target_os = "none"))]
#[expect(unsafe_code, reason = "the name that the start code calls")]
#[unsafe(no_mangle)]
extern "C" fn spc58nn_main() -> ! {
    use casemate_spc58nn::machine;
    let complete = device::run() == Some(true);
    let stack = machine::stack_used();
    machine::say(format_args!("COMPLETE {complete} stack {stack}\n"));
    machine::reset()
}
