//! The software driver without random numbers, for tests of the deterministic families.

use casemate_crypto::{Random, Software};

/// Declines: the tests that use it need no random numbers.
pub(crate) struct NoRandom;

impl Random for NoRandom {}

pub(crate) fn driver() -> Software<NoRandom> {
    Software::new(NoRandom)
}
