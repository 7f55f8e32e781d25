//! Nothing yet: the portable driver declines this family.

use crate::{MlKem, Random, Software};

impl<R: Random> MlKem for Software<R> {}
