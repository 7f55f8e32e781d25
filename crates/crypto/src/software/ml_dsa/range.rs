//! Whether an expanded private key is one, as far as it can be seen without arithmetic: the ranges of its coefficients.
//!
//! The library signs with any bytes of the right length.

use crate::{Error, MlDsaSet};

/// Checks the length of an expanded private key (FIPS 204, algorithm 24) and that no coefficient of s1 or s2 is out of
/// range. Nothing branches on them.
pub(super) fn check(set: MlDsaSet, private: &[u8]) -> Result<(), Error> {
    if private.len() != set.private_size() {
        return Err(Error::KeyLength);
    }
    // Before them lie two seeds and the hash of the public key; the packed polynomials are of 96 or 128 bytes.
    let size = match set {
        MlDsaSet::MlDsa44 => 8 * 96,
        MlDsaSet::MlDsa65 => 11 * 128,
        MlDsaSet::MlDsa87 => 15 * 96,
    };
    let (coefficients, _) =
        private.get(128..).and_then(|rest| rest.split_at_checked(size)).ok_or(Error::KeyLength)?;
    let wrong = if set == MlDsaSet::MlDsa65 {
        // Four bits each, 0 to 8.
        coefficients.iter().fold(0, |wrong, byte| {
            let bits = u32::from(*byte);
            wrong | ((bits >> 3) & ((bits >> 2) | (bits >> 1) | bits) & 0x11)
        })
    } else {
        // Three bits each, 0 to 4.
        coefficients.as_chunks::<3>().0.iter().fold(0, |wrong, [low, middle, high]| {
            let bits = u32::from_le_bytes([*low, *middle, *high, 0]);
            wrong | ((bits >> 2) & ((bits >> 1) | bits) & 0o11_111_111)
        })
    };
    if wrong == 0 { Ok(()) } else { Err(Error::Key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_out_of_range_is_seen() {
        for set in MlDsaSet::ALL {
            let (first, end, width, largest) = match set {
                MlDsaSet::MlDsa44 => (128, 128 + 8 * 96, 3, 4),
                MlDsaSet::MlDsa65 => (128, 128 + 11 * 128, 4, 8),
                MlDsaSet::MlDsa87 => (128, 128 + 15 * 96, 3, 4),
            };
            for position in 0..(end - first) * 8 / width {
                // The last possible place of each width, and a spread of the others.
                if position % 97 != 0 && position + 1 != (end - first) * 8 / width {
                    continue;
                }
                for value in 0..1_u32 << width {
                    let mut private = std::vec![0; set.private_size()];
                    for bit in 0..width {
                        let place = first * 8 + position * width + bit;
                        private[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                    }
                    let expected = if value <= largest { Ok(()) } else { Err(Error::Key) };
                    assert_eq!(check(set, &private), expected, "{set:?} {position} {value}");
                }
            }
        }
    }
}
