//! Cryptography without secrets of the server: digests, checks of signatures, encryption with public keys, paddings.

#[cfg(feature = "aws-lc")]
use casemate_crypto::Prefer;
use casemate_crypto::{Driver, Entropy, Error, Random, Software};
use casemate_posix::entropy::OsEntropy;
use std::sync::LazyLock;

/// Random numbers straight from the operating system: nothing of them is kept that a forked process could repeat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, output: &mut [u8]) -> Result<(), Error> {
        OsEntropy.fill(output)
    }
}

#[cfg(feature = "aws-lc")]
type Local = Prefer<casemate_crypto_aws_lc::AwsLc, Software<SystemRandom>>;
#[cfg(not(feature = "aws-lc"))]
type Local = Software<SystemRandom>;

static DRIVER: LazyLock<Local> = LazyLock::new(|| {
    let software = Software::new(SystemRandom);
    #[cfg(feature = "aws-lc")]
    return Prefer::new(casemate_crypto_aws_lc::AwsLc, software);
    #[cfg(not(feature = "aws-lc"))]
    software
});

/// The driver of this process.
pub(crate) fn driver() -> &'static (dyn Driver + Sync) {
    &*DRIVER
}
