//! The noise source.

use crate::report::{Outcome, Report, Shortfall, ensure};
use crate::shortfall;
use casemate_crypto::{Entropy, Error, HealthTested};
use casemate_port::Port;

const AREA: &str = "entropy";

/// Samples looked at, in bytes.
const SAMPLES: u16 = 8192;

pub(crate) fn check_port<P: Port>(report: &mut Report<'_>, port: &mut P) {
    let min_entropy = port.min_entropy();
    report.check(
        AREA,
        "the min-entropy is 1 to 8 bits for each byte",
        ensure((1..=8).contains(&min_entropy), "it is not"),
    );
    match crate::initialize(port).and_then(|()| port.entropy()) {
        Ok(mut source) => check_entropy(report, &mut source, min_entropy),
        Err(fault) => {
            report.check(AREA, "noise source", Err(shortfall(fault, "it cannot be had")));
        }
    }
}

/// Checks a noise source that claims `min_entropy` bits for each byte.
pub fn check_entropy(report: &mut Report<'_>, source: &mut dyn Entropy, min_entropy: u8) {
    let mut tested = match HealthTested::new(source, min_entropy) {
        Ok(tested) => tested,
        Err(error) => {
            let why = match error {
                Error::Unsupported => Shortfall::NotImplemented,
                Error::Entropy => {
                    Shortfall::Failed("a start-up test failed, or the source reports that it failed")
                }
                _ => Shortfall::Failed("the source answers an error that is none of a source"),
            };
            return report.check(AREA, "start-up health tests (SP 800-90B, 4.3)", Err(why));
        }
    };
    report.check(AREA, "start-up health tests (SP 800-90B, 4.3)", Ok(()));
    let mut ones = [0_u16; 8];
    let mut previous = [0; 32];
    let mut repeats = false;
    let continuous = (0..SAMPLES / 32).try_for_each(|_| {
        let mut samples = [0; 32];
        tested.fill(&mut samples)?;
        repeats |= samples == previous;
        previous = samples;
        for sample in samples {
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones = ones.saturating_add(u16::from(sample >> bit & 1));
            }
        }
        Ok(())
    });
    let healthy = continuous.map_err(|_: Error| Shortfall::Failed("a test failed within 8192 samples"));
    report.check(AREA, "continuous health tests (SP 800-90B, 4.4)", healthy);
    if healthy.is_ok() {
        report.check(
            AREA,
            "no 32 samples come twice in a row",
            ensure(!repeats, "they do: is a register read before it is renewed?"),
        );
        report.check(AREA, "every bit of the samples is balanced", balanced(&ones, min_entropy));
    }
    report.check(
        AREA,
        "an empty request succeeds",
        tested.fill(&mut []).map_err(|_| Shortfall::Failed("it does not")),
    );
}

/// Each bit of 8192 full-entropy samples is set 4096 times, with a standard deviation of 45; eight of those are allowed.
fn balanced(ones: &[u16; 8], min_entropy: u8) -> Outcome {
    if min_entropy < 8 {
        return Err(Shortfall::NotApplicable("the source does not claim full entropy"));
    }
    let half = SAMPLES / 2;
    ensure(ones.iter().all(|ones| ones.abs_diff(half) < 360), "a bit is not")
}
