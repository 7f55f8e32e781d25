//! AES-CCM (NIST SP 800-38C) over a key that stays in the server. The protocol has no CCM, but the two modes that it is
//! made of: the CBC-MAC is the last block that CBC yields, and the rest is counter mode. Plaintext is given out only if
//! its tag is right.
//!
//! The intermediate values of the CBC-MAC come to this process and go no further. They tell it nothing that it could
//! not ask the server: whoever may encrypt with a key may do so in these modes too.

use crate::error::{Error, Result, fail};
use casemate_client::{CtrState, Direction};
use cryptoki_sys::{
    CKR_DATA_LEN_RANGE, CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_FUNCTION_FAILED,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const BLOCK: usize = 16;

/// The two modes of the server, with one key.
pub(crate) trait Modes {
    /// Encrypts whole blocks in CBC from a zero block on.
    ///
    /// # Errors
    /// Those of the server.
    fn cbc(&mut self, direction: Direction, data: &mut [u8]) -> Result<()>;

    /// Counter mode.
    ///
    /// # Errors
    /// Those of the server.
    fn ctr(&mut self, state: CtrState, data: &mut [u8]) -> Result<()>;
}

/// What one message has besides its data.
pub(crate) struct Ccm {
    /// 7 to 13 bytes.
    nonce: Vec<u8>,
    aad: Vec<u8>,
    /// In bytes.
    pub(crate) tag_length: usize,
    /// How long the plaintext is.
    length: usize,
}

impl Ccm {
    /// `None` for lengths that the standard does not allow.
    pub(crate) fn new(length: usize, nonce: &[u8], aad: &[u8], tag_length: usize) -> Option<Self> {
        let right = (7..=13).contains(&nonce.len()) && matches!(tag_length, 4 | 6 | 8 | 10 | 12 | 14 | 16);
        // The length has to fit the bytes that the nonce leaves for it, 2 to 8: the counter then does, too.
        let bits = u32::try_from(15_usize.checked_sub(nonce.len())?.checked_mul(8)?).ok()?;
        let fits = u64::try_from(length).ok()?.checked_shr(bits).unwrap_or(0) == 0;
        (right && fits).then(|| Self { nonce: nonce.to_vec(), aad: aad.to_vec(), tag_length, length })
    }

    /// The length of the length, less one, as every first byte of a block carries it.
    fn length_flags(&self) -> u8 {
        u8::try_from(14_usize.saturating_sub(self.nonce.len())).unwrap_or(0)
    }

    /// Flags, nonce and a number: a counter block, or the first block of the CBC-MAC (appendix A.2 and A.3).
    fn block(&self, flags: u8, number: u64) -> [u8; BLOCK] {
        let mut block = u128::from(number).to_be_bytes();
        for (to, from) in block.iter_mut().zip([flags].iter().chain(&self.nonce)) {
            *to = *from;
        }
        block
    }

    /// The CBC-MAC of everything.
    fn mac(&self, modes: &mut impl Modes, plaintext: &[u8]) -> Result<Zeroizing<[u8; BLOCK]>> {
        let tag_flags = u8::try_from(self.tag_length.saturating_sub(2).saturating_mul(4)).unwrap_or(0);
        let aad_flag = if self.aad.is_empty() { 0 } else { 0x40 };
        let number = u64::try_from(plaintext.len()).map_err(|_| Error::Code(CKR_DATA_LEN_RANGE))?;
        let first = self.block(aad_flag | tag_flags | self.length_flags(), number);
        let prefix = match (self.aad.len(), u16::try_from(self.aad.len()), u32::try_from(self.aad.len())) {
            (0, ..) => Vec::new(),
            (1..0xff00, Ok(short), _) => short.to_be_bytes().to_vec(),
            (_, _, Ok(long)) => [&[0xff, 0xfe], long.to_be_bytes().as_slice()].concat(),
            _ => return fail(CKR_DATA_LEN_RANGE),
        };
        // Each part is filled up to whole blocks, so this is enough: the vector never grows.
        let most = [BLOCK, prefix.len(), self.aad.len(), BLOCK, plaintext.len(), BLOCK];
        let most = most.iter().fold(0_usize, |sum, more| sum.saturating_add(*more));
        let mut blocks = Zeroizing::new(Vec::with_capacity(most));
        blocks.extend_from_slice(&first);
        for part in [&[prefix.as_slice(), &self.aad][..], &[plaintext]] {
            part.iter().for_each(|bytes| blocks.extend_from_slice(bytes));
            let whole = blocks.len().next_multiple_of(BLOCK);
            blocks.resize(whole, 0);
        }
        modes.cbc(Direction::Encrypt, &mut blocks)?;
        let last = blocks.last_chunk::<BLOCK>().ok_or(Error::Code(CKR_FUNCTION_FAILED))?;
        Ok(Zeroizing::new(*last))
    }

    /// Counter mode over the MAC and the data behind it, which begin with the counter 0.
    fn counter(&self, modes: &mut impl Modes, both: &mut [u8]) -> Result<()> {
        modes.ctr(CtrState::new(self.block(self.length_flags(), 0)), both)
    }

    /// The ciphertext and the tag behind it.
    pub(crate) fn seal(&self, modes: &mut impl Modes, plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if plaintext.len() != self.length {
            return fail(CKR_DATA_LEN_RANGE);
        }
        let mac = self.mac(modes, plaintext)?;
        let mut both = Zeroizing::new([mac.as_slice(), plaintext].concat());
        self.counter(modes, &mut both)?;
        both.rotate_left(BLOCK);
        both.truncate(plaintext.len().saturating_add(self.tag_length));
        Ok(both)
    }

    /// The plaintext of what [`seal`](Self::seal) made.
    ///
    /// # Errors
    /// `CKR_ENCRYPTED_DATA_LEN_RANGE`, `CKR_ENCRYPTED_DATA_INVALID`, those of the server.
    pub(crate) fn open(&self, modes: &mut impl Modes, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (ciphertext, tag) =
            sealed.split_at_checked(self.length).ok_or(Error::Code(CKR_ENCRYPTED_DATA_LEN_RANGE))?;
        if tag.len() != self.tag_length {
            return fail(CKR_ENCRYPTED_DATA_LEN_RANGE);
        }
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(tag) {
            *to = *from;
        }
        let mut both = Zeroizing::new([block.as_slice(), ciphertext].concat());
        self.counter(modes, &mut both)?;
        let (said, plaintext) = both.split_at_checked(BLOCK).ok_or(Error::Code(CKR_FUNCTION_FAILED))?;
        let mac = self.mac(modes, plaintext)?;
        let said = said.get(..self.tag_length).unwrap_or_default();
        let mac = mac.get(..self.tag_length).unwrap_or_default();
        if !bool::from(said.ct_eq(mac)) {
            return fail(CKR_ENCRYPTED_DATA_INVALID);
        }
        Ok(Zeroizing::new(plaintext.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::driver;

    /// The modes of the driver of this process.
    struct Local(Vec<u8>);

    impl Modes for Local {
        fn cbc(&mut self, direction: Direction, data: &mut [u8]) -> Result<()> {
            assert_eq!(direction, Direction::Encrypt);
            Ok(driver().cbc(casemate_crypto::Direction::Encrypt, &self.0, &mut [0; BLOCK], data)?)
        }

        fn ctr(&mut self, state: CtrState, data: &mut [u8]) -> Result<()> {
            let mut state = casemate_crypto::CtrState::new(*state.counter());
            Ok(driver().ctr(&self.0, &mut state, data)?)
        }
    }

    #[test]
    fn the_driver_computes_the_same() {
        let text: Vec<u8> = (0..0x1_0200_u32).map(|number| number.to_le_bytes()[0]).collect();
        for key_length in [16, 24, 32] {
            let key = vec![0x42; key_length];
            let mut modes = Local(key.clone());
            for (nonce_length, tag_length) in
                [(7, 4), (8, 6), (11, 8), (12, 10), (12, 12), (13, 14), (13, 16)]
            {
                // Additional data of both forms of their length, and data around the blocks' borders.
                for (aad, data) in [(0, 0), (1, 1), (14, 16), (15, 15), (30, 33), (0xfeff, 48), (0xff00, 47)]
                {
                    let (nonce, aad, data) = (&text[5..][..nonce_length], &text[..aad], &text[9..][..data]);
                    let (mut expected, mut tag) = (data.to_vec(), vec![0; tag_length]);
                    driver().ccm_seal(&key, nonce, aad, &mut expected, &mut tag).unwrap();
                    expected.extend(tag);
                    let ccm = Ccm::new(data.len(), nonce, aad, tag_length).unwrap();
                    assert_eq!(*ccm.seal(&mut modes, data).unwrap(), expected);
                    assert_eq!(*ccm.open(&mut modes, &expected).unwrap(), data);
                }
            }
        }
    }

    #[test]
    fn damage_and_wrong_lengths_are_found() {
        let mut modes = Local(vec![7; 16]);
        let ccm = Ccm::new(20, &[1; 12], b"header", 8).unwrap();
        let sealed = ccm.seal(&mut modes, &[5; 20]).unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x80;
            assert_eq!(ccm.open(&mut modes, &damaged).unwrap_err().code(), CKR_ENCRYPTED_DATA_INVALID);
        }
        let other = Ccm::new(20, &[1; 12], b"Header", 8).unwrap();
        assert_eq!(other.open(&mut modes, &sealed).unwrap_err().code(), CKR_ENCRYPTED_DATA_INVALID);
        for length in [0, 19, 27] {
            let code = ccm.open(&mut modes, &sealed[..length]).unwrap_err().code();
            assert_eq!(code, CKR_ENCRYPTED_DATA_LEN_RANGE);
        }
        assert_eq!(ccm.seal(&mut modes, &[5; 19]).unwrap_err().code(), CKR_DATA_LEN_RANGE);
        for (length, nonce, tag) in
            [(1, 6, 8), (1, 14, 8), (1, 12, 5), (1, 12, 18), (1, 12, 2), (0x1_0000, 13, 8)]
        {
            assert!(Ccm::new(length, &vec![0; nonce], &[], tag).is_none());
        }
        assert!(Ccm::new(0xffff, &[0; 13], &[], 8).is_some());
        assert!(Ccm::new(usize::MAX, &[0; 7], &[], 8).is_some());
    }
}
