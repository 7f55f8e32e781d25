//! Nothing yet: the portable driver declines this family.

use crate::{Random, Rsa, Software};

impl<R: Random> Rsa for Software<R> {}
