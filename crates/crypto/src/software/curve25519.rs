//! Nothing yet: the portable driver declines this family.

use crate::{Curve25519, Random, Software};

impl<R: Random> Curve25519 for Software<R> {}
