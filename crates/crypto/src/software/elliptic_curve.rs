//! Nothing yet: the portable driver declines this family.

use crate::{EllipticCurve, Random, Software};

impl<R: Random> EllipticCurve for Software<R> {}
