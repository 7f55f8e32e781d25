//! Entropy from the operating system.

use casemate_crypto::{Entropy, Error};

/// The operating system's random number generator (`getrandom` on Linux).
///
/// It waits until the system has gathered enough entropy after boot, and never afterwards.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, output: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(output).map_err(|_| Error::Entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_everything_and_differs_each_time() {
        let (mut one, mut other) = ([0; 600], [0; 600]);
        OsEntropy.fill(&mut one).unwrap();
        OsEntropy.fill(&mut other).unwrap();
        // 32 bytes that are all zero, or repeat, have a chance of 2^-256.
        let mut chunks: Vec<_> = one.chunks(32).chain(other.chunks(32)).filter(|c| c.len() == 32).collect();
        chunks.push(&[0; 32]);
        chunks.sort_unstable();
        assert!(chunks.windows(2).all(|pair| pair[0] != pair[1]));
        OsEntropy.fill(&mut []).unwrap();
    }
}
