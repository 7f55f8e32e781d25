//! The Debian packages, which cargo-deb builds from the metadata of two crates.

use crate::command::Task;
use crate::{Context, tools};
use std::time::Duration;

/// The crates that have a package.
const CRATES: [&str; 2] = ["casemate-cli", "casemate-pkcs11"];

/// Builds the packages in `target/debian`.
pub(crate) fn packages(context: &Context) -> Result<(), String> {
    let program = tools::cargo_deb(context)?;
    for name in CRATES {
        Task::new(&program)
            .directory(&context.root)
            .arguments(["--package", name])
            .arguments(if context.ci { &["--locked"][..] } else { &[] })
            .limit(Duration::from_secs(60 * 60))
            .run()?;
    }
    Ok(())
}
