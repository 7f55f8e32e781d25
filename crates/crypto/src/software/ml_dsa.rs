//! Nothing yet: the portable driver declines this family.

use crate::{MlDsa, Random, Software};

impl<R: Random> MlDsa for Software<R> {}
