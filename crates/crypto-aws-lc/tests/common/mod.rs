//! Both drivers, and what it means that they agree.
#![allow(dead_code, reason = "each test program uses a part")]

use casemate_crypto::{Drbg, Driver, Entropy, Error, Prefer, Software};
use casemate_crypto_aws_lc::AwsLc;
use std::fmt::Debug;
use std::sync::Mutex;

/// No noise: the software's part of the tests is repeatable.
pub(crate) struct Constant;

impl Entropy for Constant {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        for (index, byte) in output.iter_mut().enumerate() {
            *byte = (index as u8).wrapping_mul(0x9d) ^ 0x5a;
        }
        Ok(())
    }
}

pub(crate) fn software() -> Software<Mutex<Drbg<Constant>>> {
    Software::new(Mutex::new(Drbg::new(Constant, b"tests").expect("seeding")))
}

/// The driver as a port composes it.
pub(crate) fn composed() -> Prefer<AwsLc, Software<Mutex<Drbg<Constant>>>> {
    Prefer::new(AwsLc, software())
}

/// Runs an operation whose result is determined by its arguments on both drivers and on their composition, and checks
/// that all give one answer, or that [`AwsLc`] declines and leaves everything as it was. After an error other than that,
/// what the operation wrote does not count. Returns the answer, and whether [`AwsLc`] gave it.
pub(crate) fn agree<T: Clone + PartialEq + Debug>(
    arguments: &T,
    operation: impl Fn(&dyn Driver, &mut T) -> Result<(), Error>,
) -> (Result<T, Error>, bool) {
    let run = |driver: &dyn Driver| {
        let mut arguments = arguments.clone();
        let answer = operation(driver, &mut arguments);
        (answer, arguments)
    };
    let (expected, written) = run(&software());
    let (answer, fast) = run(&AwsLc);
    let (together, combined) = run(&composed());
    let declined = answer == Err(Error::Unsupported);
    if declined {
        assert_eq!(&fast, arguments, "declined, but changed its arguments");
    } else {
        assert_eq!(answer, expected);
    }
    assert_eq!(together, expected);
    if expected.is_ok() {
        assert!(declined || fast == written, "{fast:?} instead of {written:?}");
        assert_eq!(combined, written);
    }
    (expected.map(|()| written), !declined)
}

/// [`agree`], where [`AwsLc`] has to give the answer.
pub(crate) fn both<T: Clone + PartialEq + Debug>(
    arguments: &T,
    operation: impl Fn(&dyn Driver, &mut T) -> Result<(), Error>,
) -> Result<T, Error> {
    let (answer, served) = agree(arguments, operation);
    assert!(served, "declined");
    answer
}
