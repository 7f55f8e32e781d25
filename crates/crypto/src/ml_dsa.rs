//! The family of ML-DSA (FIPS 204).

use crate::{Error, HashAlgorithm};

/// A parameter set of ML-DSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MlDsaSet {
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl MlDsaSet {
    /// All sets, smallest first.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// Size of a public key in bytes.
    #[must_use]
    #[inline(never)]
    pub const fn public_size(self) -> usize {
        match self {
            Self::MlDsa44 => 1312,
            Self::MlDsa65 => 1952,
            Self::MlDsa87 => 2592,
        }
    }

    /// Size of an expanded private key in bytes.
    #[must_use]
    #[inline(never)]
    pub const fn private_size(self) -> usize {
        match self {
            Self::MlDsa44 => 2560,
            Self::MlDsa65 => 4032,
            Self::MlDsa87 => 4896,
        }
    }

    /// Size of a signature in bytes.
    #[must_use]
    #[inline(never)]
    pub const fn signature_size(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }

    /// Whether a signature has this set's size and ends in a well-formed hint (FIPS 204, algorithm 21).
    ///
    /// A signature without is never valid. Verification does not tell the two apart, but peers do (document 05,
    /// §7.3): ask this after [`Error::Authentication`].
    #[must_use]
    #[inline(never)]
    pub fn hint_is_well_formed(self, signature: &[u8]) -> bool {
        let (most_ones, rows): (usize, usize) = match self {
            Self::MlDsa44 => (80, 4),
            Self::MlDsa65 => (55, 6),
            Self::MlDsa87 => (75, 8),
        };
        let start = self.signature_size().saturating_sub(most_ones).saturating_sub(rows);
        let hint = signature.get(start..).filter(|_| signature.len() == self.signature_size());
        let Some((positions, ends)) = hint.and_then(|hint| hint.split_at_checked(most_ones)) else {
            return false;
        };
        // Each row's positions ascend; what no row takes is zero.
        let mut start = 0;
        for end in ends.iter().map(|end| usize::from(*end)) {
            let Some(row) = positions.get(start..end) else {
                return false;
            };
            if !row.is_sorted_by(|left, right| left < right) {
                return false;
            }
            start = end;
        }
        positions.iter().skip(start).all(|position| *position == 0)
    }
}

/// What ML-DSA signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MlDsaMessage<'a> {
    /// A message (pure ML-DSA).
    Pure(&'a [u8]),
    /// A digest (HashML-DSA). SHAKE128 stands for 32 bytes of output, SHAKE256 for 64.
    Digest(HashAlgorithm, &'a [u8]),
}

/// ML-DSA. A private key is in the expanded form of FIPS 204, which peers store.
pub trait MlDsa {
    /// Generates a key pair from a seed of 32 random bytes (FIPS 204, algorithm 6). Both slices have the sizes of the
    /// set.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if a slice has the wrong size.
    fn ml_dsa_from_seed(
        &self,
        set: MlDsaSet,
        seed: &[u8; 32],
        private: &mut [u8],
        public: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (set, seed, private, public);
        Err(Error::Unsupported)
    }

    /// Computes the public key of an expanded private key, and so checks the private key.
    ///
    /// [`Software`](crate::Software) does not offer it: a server on a device wants the public half stored with the
    /// private one, as the original does.
    ///
    /// # Errors
    /// [`Error::KeyLength`] if a slice has the wrong size; [`Error::Key`] if a coefficient of the private key is out
    /// of range, or its rounded-off part t0 or its hash of the public key is not that of the key.
    fn ml_dsa_public(&self, set: MlDsaSet, private: &[u8], public: &mut [u8]) -> Result<(), Error> {
        let _ = (set, private, public);
        Err(Error::Unsupported)
    }

    /// Signs with the hedged external interface of FIPS 204 (algorithms 2 and 4). `signature` has the size of the
    /// set.
    ///
    /// # Errors
    /// [`Error::KeyLength`]; [`Error::Key`] if a coefficient of the private key is out of range, or no signature can
    /// be made with it (but a private key whose parts contradict each other can make worthless ones);
    /// [`Error::DataLength`] for a context over 255 bytes, a digest of another length than its hash's, or SHA-1,
    /// for which FIPS 204 allows no pre-hash; [`Error::OutputLength`]; [`Error::Entropy`].
    fn ml_dsa_sign(
        &self,
        set: MlDsaSet,
        private: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &mut [u8],
    ) -> Result<(), Error> {
        let _ = (set, private, message, context, signature);
        Err(Error::Unsupported)
    }

    /// Verifies a signature (FIPS 204, algorithms 3 and 5).
    ///
    /// # Errors
    /// [`Error::Authentication`] if it is not valid; [`Error::KeyLength`]; [`Error::DataLength`] as for signing, or
    /// for a signature of the wrong size. Every public key of the right size is one.
    fn ml_dsa_verify(
        &self,
        set: MlDsaSet,
        public: &[u8],
        message: MlDsaMessage<'_>,
        context: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let _ = (set, public, message, context, signature);
        Err(Error::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints() {
        let set = MlDsaSet::MlDsa44;
        let mut signature = std::vec![0xff; 2420];
        assert!(!set.hint_is_well_formed(&signature));
        let hint = 2420 - 84;
        signature[hint..].fill(0);
        assert!(set.hint_is_well_formed(&signature));
        assert!(!set.hint_is_well_formed(&signature[1..]));
        assert!(!MlDsaSet::MlDsa65.hint_is_well_formed(&signature));

        // Rows of two, none, one and none.
        signature[hint..hint + 3].copy_from_slice(&[7, 9, 9]);
        assert!(!set.hint_is_well_formed(&signature), "positions that no row takes");
        signature[2416..].copy_from_slice(&[2, 2, 3, 3]);
        assert!(set.hint_is_well_formed(&signature));
        signature[hint + 1] = 7;
        assert!(!set.hint_is_well_formed(&signature), "a position twice");
        signature[hint + 1] = 9;
        signature[2417] = 1;
        assert!(!set.hint_is_well_formed(&signature), "an end before the last");
        signature[2417..].fill(81);
        assert!(!set.hint_is_well_formed(&signature), "more ones than there can be");

        let ascending: std::vec::Vec<u8> = (0..80).collect();
        signature[hint..2416].copy_from_slice(&ascending);
        signature[2416..].fill(80);
        assert!(set.hint_is_well_formed(&signature));
    }
}
