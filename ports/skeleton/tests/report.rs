//! What the conformance suite says of a port that has nothing yet: it names every part, and nothing counts as working that
//! is not.

use casemate_conformance::run;
use casemate_port::{Cause, Fault, Progress, Reason, Step};
use casemate_skeleton::{Device, Firmware, LINKS};

#[test]
fn the_suite_names_what_the_skeleton_lacks() {
    let mut text = String::new();
    let summary = run::<Device, LINKS>(&mut Device::new, &mut text);
    assert_eq!(summary.failed, 0, "{text}");
    assert!(!summary.is_complete());
    let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    // What is complete in the skeleton: numbers that need no hardware.
    assert_eq!(
        lines("pass  "),
        [
            "pass  platform: the configuration is in range",
            "pass  entropy: the min-entropy is 1 to 8 bits for each byte",
        ]
    );
    assert_eq!(
        lines("lacks "),
        [
            "lacks platform: the hardware is initialized",
            "lacks entropy: noise source",
            "lacks crypto: driver of the hardware",
            "lacks flash: flash driver",
            "lacks transport: links",
            "lacks service: the firmware boots, and releases the application cores last",
        ]
    );
    assert_eq!(text.lines().last(), Some("summary: 2 passed, 0 failed, 6 not implemented, 0 not applicable"));
}

#[test]
fn the_skeleton_stops_at_its_first_step_and_serves_nobody() {
    let mut firmware = Firmware::new(Device::new());
    let reason = Reason { step: Step::Hardware, cause: Cause::Port(Fault::NotImplemented) };
    assert_eq!(firmware.poll(), Progress::Safe(reason));
    assert_eq!(firmware.poll(), Progress::Safe(reason));
    assert!(firmware.server().is_none());
    assert_eq!(reason.to_string(), "step hardware: the port does not implement this yet");
}
