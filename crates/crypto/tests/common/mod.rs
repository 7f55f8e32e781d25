//! The software driver without random numbers, for tests of the deterministic families.

use casemate_crypto::{NoRandom, Software};

pub(crate) fn driver() -> Software<NoRandom> {
    Software::new(NoRandom)
}
