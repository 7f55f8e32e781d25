//! The platform: boot order, application cores, parts, client memory.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::{Subject, shortfall};
use casemate_port::{Core, Fault, Port, Services};
use casemate_protocol::ObjectId;

const AREA: &str = "platform";

/// Checks the parts of a port that no firmware is needed for.
pub fn check_platform<P: Subject>(report: &mut Report<'_>, port: &mut P) {
    report.check(AREA, "the configuration is in range", configuration(port));
    let initialized = port.initialize();
    report.check(
        AREA,
        "the hardware is initialized",
        initialized.map_err(|fault| shortfall(fault, "it reports a fault")),
    );
    if initialized.is_err() {
        return;
    }
    if P::CORES == 0 {
        let none = Err(Shortfall::NotApplicable("the port controls no application core"));
        report.check(AREA, "application cores are held, released and reset", none);
    } else {
        report.check(AREA, "application cores are held, twice over if asked", hold(port));
        report.check(AREA, "application cores are released", release(port));
        report.check(AREA, "a core that resets is noticed once, and no other", crash(port));
        report.check(AREA, "cores of numbers that the device does not have are refused", no_such_core(port));
        let _ = (0..P::CORES).try_for_each(|core| port.hold(Core(core)));
    }
    report.check(
        AREA,
        "the device is well",
        port.health().map_err(|fault| shortfall(fault, "it reports a fault right after power on")),
    );
    report.check(AREA, "keys in hardware are AES keys, and clients may name them", hardware_keys(port));
    #[cfg(feature = "dma")]
    check_client_memory(report, port);
}

/// Every number a client can name is answered with a key or an error; the keys themselves are not judged.
fn hardware_keys<P: Port>(port: &mut P) -> Outcome {
    let is_offered = port.config().features.hardware_keys;
    let services = port.services().map_err(|fault| shortfall(fault, "the port's services cannot be had"))?;
    let Some(store) = services.hardware_keys() else {
        ensure(!is_offered, "the configuration offers them, and there is no store")?;
        return Err(Shortfall::NotApplicable("no key store in hardware"));
    };
    ensure(is_offered, "there is a store, and the configuration does not offer it")?;
    for number in 0..=u8::MAX {
        let mut key = [0; 32];
        let id = ObjectId(u16::from(number));
        if let Ok(length) = store.read(id, &mut key) {
            ensure(matches!(length, 16 | 24 | 32), "a key has a length that no AES key has")?;
        }
    }
    Ok(())
}

fn configuration<P: Port>(port: &P) -> Outcome {
    port.config().check().map_err(|_| Shortfall::Failed("it is not"))
}

/// Every core does what `wanted` says, as far as the port can tell.
fn all_are<P: Subject>(port: &P, wanted: bool) -> bool {
    (0..P::CORES).all(|core| port.is_running(Core(core)).is_none_or(|running| running == wanted))
}

fn hold<P: Subject>(port: &mut P) -> Outcome {
    for _ in 0..2 {
        for core in 0..P::CORES {
            port.hold(Core(core)).map_err(|fault| shortfall(fault, "a core cannot be held"))?;
        }
        ensure(all_are(port, false), "a core that is held runs")?;
    }
    Ok(())
}

fn release<P: Subject>(port: &mut P) -> Outcome {
    for core in 0..P::CORES {
        port.release(Core(core)).map_err(|fault| shortfall(fault, "a core cannot be released"))?;
        for other in 0..P::CORES {
            let runs = port.is_running(Core(other));
            ensure(
                runs.is_none_or(|runs| runs == (other <= core)),
                "releasing a core released another, or not itself",
            )?;
        }
    }
    if port.is_running(Core(0)).is_none() {
        return Err(Shortfall::NotApplicable("no fault reported; the port cannot tell whether a core runs"));
    }
    Ok(())
}

fn crash<P: Subject>(port: &mut P) -> Outcome {
    for core in 0..P::CORES {
        // What was noted during the start does not count.
        let _ = port.core_has_reset(Core(core));
    }
    for core in (0..P::CORES).map(Core) {
        ensure(!port.core_has_reset(core), "a reset is reported that did not happen")?;
        if !port.crash_core(core) {
            return Err(Shortfall::NotApplicable("the port cannot make a core reset by itself"));
        }
        for other in (0..P::CORES).map(Core) {
            ensure(
                port.core_has_reset(other) == (other == core),
                "a reset is not noticed, or on another core",
            )?;
        }
        ensure(!port.core_has_reset(core), "a reset is reported twice")?;
    }
    Ok(())
}

fn no_such_core<P: Port>(port: &mut P) -> Outcome {
    for core in [P::CORES, u8::MAX].map(Core) {
        for answer in [port.hold(core), port.release(core)] {
            match answer {
                Err(Fault::NotImplemented) => return Err(Shortfall::NotImplemented),
                Err(Fault::NoSuchPart) => {}
                _ => return Err(Shortfall::Failed("they are not answered with NoSuchPart")),
            }
        }
    }
    Ok(())
}

/// Checks that the windows of client memory are what the port says, and nothing around them is reached.
#[cfg(feature = "dma")]
fn check_client_memory<P: Port>(report: &mut Report<'_>, port: &mut P) {
    use casemate_server::{Access, AddressRange};
    const NAME: &str = "client memory reaches its windows and nothing else";
    let Some(&window) = port.client_windows(0).first() else {
        let outcome = match port.client_memory(0) {
            None => Err(Shortfall::NotApplicable("no memory is shared with clients")),
            Some(_) => Err(Shortfall::Failed(
                "memory is shared, and Port::client_windows does not say where it lies",
            )),
        };
        return report.check(AREA, NAME, outcome);
    };
    let Some(memory) = port.client_memory(0) else {
        return report.check(AREA, NAME, Err(Shortfall::Failed("a window is named, and no memory is there")));
    };
    let AddressRange { address, length } = window;
    let mut check = || {
        for access in [Access::Read, Access::Write] {
            memory.open(window, access).map_err(|_| Shortfall::Failed("the whole window is refused"))?;
            memory.close(window, access);
            for beyond in [
                AddressRange::new(address, length.saturating_add(1)),
                AddressRange::new(address.saturating_add(length), 1),
                AddressRange::new(address.saturating_add(1), length),
                AddressRange::new(address.wrapping_sub(1), 1),
                AddressRange::new(u64::MAX, 1),
                AddressRange::new(address, u64::MAX),
            ] {
                ensure(
                    memory.open(beyond, access).is_err(),
                    "a range that is not inside the window is accepted",
                )?;
            }
        }
        let short = AddressRange::new(address, length.min(4));
        let at = memory
            .open(short, Access::Write)
            .map_err(|_| Shortfall::Failed("the window's start is refused"))?;
        let count = usize::try_from(short.length).unwrap_or_default();
        let (sent, mut back) = ([0x11, 0x22, 0x33, 0x44], [0; 4]);
        let wrote = memory.write(at, sent.get(..count).unwrap_or_default());
        memory.close(short, Access::Write);
        let at = memory
            .open(short, Access::Read)
            .map_err(|_| Shortfall::Failed("the window's start is refused"))?;
        let read = memory.read(at, back.get_mut(..count).unwrap_or_default());
        memory.close(short, Access::Read);
        ensure(wrote.is_ok() && read.is_ok(), "the window cannot be read and written")?;
        ensure(back.get(..count) == sent.get(..count), "what is written is not read back")
    };
    let outcome = check();
    report.check(AREA, NAME, outcome);
}
