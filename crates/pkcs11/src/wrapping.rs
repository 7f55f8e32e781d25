//! AES key wrap (RFC 3394) and key wrap with padding (RFC 5649) over single blocks: the key that wraps stays in the
//! server, which encrypts block by block; the key that is wrapped passes through this process.

use crate::error::{Error, Result, fail};
use cryptoki_sys::{CKR_KEY_SIZE_RANGE, CKR_WRAPPED_KEY_INVALID, CKR_WRAPPED_KEY_LEN_RANGE};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The initial value of RFC 3394, §2.2.3.1.
const INITIAL: [u8; 8] = [0xa6; 8];
/// The front half of the initial value of RFC 5649, §3.
const PADDED: [u8; 4] = [0xa6, 0x59, 0x59, 0xa6];
const HALF: usize = 8;
const ROUNDS: u64 = 6;

/// A block cipher with the wrapping key.
type Cipher<'a> = &'a mut dyn FnMut(&mut [u8; 16]) -> Result<()>;

fn wrong<T>() -> Result<T> {
    fail(CKR_WRAPPED_KEY_INVALID)
}

/// The wrapping function W of NIST SP 800-38F, §6.1, on an initial value and two or more halves of blocks.
fn forward(initial: [u8; 8], value: &[u8], encrypt: Cipher<'_>) -> Result<Vec<u8>> {
    let mut register = initial;
    let mut halves = Zeroizing::new(value.to_vec());
    let mut step = 0_u64;
    for _ in 0..ROUNDS {
        for half in halves.chunks_exact_mut(HALF) {
            step = step.wrapping_add(1);
            let mut block = Zeroizing::new([0; 16]);
            let (front, back) = block.split_at_mut(HALF);
            front.copy_from_slice(&register);
            back.copy_from_slice(half);
            encrypt(&mut block)?;
            let (front, back) = block.split_at(HALF);
            register = (u64::from_be_bytes(front.try_into().or(wrong())?) ^ step).to_be_bytes();
            half.copy_from_slice(back);
        }
    }
    Ok([register.as_slice(), &halves].concat())
}

/// The inverse of [`forward`]: the initial value and the halves.
fn backward(wrapped: &[u8], decrypt: Cipher<'_>) -> Result<([u8; 8], Zeroizing<Vec<u8>>)> {
    let (register, halves) =
        wrapped.split_first_chunk::<HALF>().ok_or(Error::Code(CKR_WRAPPED_KEY_LEN_RANGE))?;
    let mut register = *register;
    let mut halves = Zeroizing::new(halves.to_vec());
    let mut step = ROUNDS.wrapping_mul((halves.len() / HALF) as u64);
    for _ in 0..ROUNDS {
        for half in halves.chunks_exact_mut(HALF).rev() {
            let mut block = Zeroizing::new([0; 16]);
            let (front, back) = block.split_at_mut(HALF);
            front.copy_from_slice(&(u64::from_be_bytes(register) ^ step).to_be_bytes());
            back.copy_from_slice(half);
            decrypt(&mut block)?;
            let (front, back) = block.split_at(HALF);
            register = front.try_into().or(wrong())?;
            half.copy_from_slice(back);
            step = step.wrapping_sub(1);
        }
    }
    Ok((register, halves))
}

/// AES key wrap of a key of 16 or more bytes, a multiple of 8.
pub(crate) fn wrap(value: &[u8], encrypt: Cipher<'_>) -> Result<Vec<u8>> {
    if value.len() < 2 * HALF || !value.len().is_multiple_of(HALF) {
        return fail(CKR_KEY_SIZE_RANGE);
    }
    forward(INITIAL, value, encrypt)
}

/// The key in an AES key wrap.
pub(crate) fn unwrap(wrapped: &[u8], decrypt: Cipher<'_>) -> Result<Zeroizing<Vec<u8>>> {
    if wrapped.len() < 3 * HALF || !wrapped.len().is_multiple_of(HALF) || wrapped.len() > LONGEST {
        return fail(CKR_WRAPPED_KEY_LEN_RANGE);
    }
    let (register, halves) = backward(wrapped, decrypt)?;
    if bool::from(register.ct_eq(&INITIAL)) { Ok(halves) } else { wrong() }
}

/// The longest wrapped key that is unwrapped, in bytes: each 8 of them cost six requests to the server.
const LONGEST: usize = 512;

/// AES key wrap with padding of a key of any length but 0.
pub(crate) fn wrap_padded(value: &[u8], encrypt: Cipher<'_>) -> Result<Vec<u8>> {
    let length = u32::try_from(value.len()).ok().filter(|length| *length != 0);
    let length = length.ok_or(Error::Code(CKR_KEY_SIZE_RANGE))?.to_be_bytes();
    let mut initial = [0; HALF];
    initial[..4].copy_from_slice(&PADDED);
    initial[4..].copy_from_slice(&length);
    let length = value.len().next_multiple_of(HALF);
    // No copy of the key stays behind, as one would if the vector grew.
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.extend_from_slice(value);
    padded.resize(length, 0);
    if padded.len() > HALF {
        return forward(initial, &padded, encrypt);
    }
    let mut block = Zeroizing::new([0; 16]);
    let (front, back) = block.split_at_mut(HALF);
    front.copy_from_slice(&initial);
    back.copy_from_slice(&padded);
    encrypt(&mut block)?;
    Ok(block.to_vec())
}

/// The key in an AES key wrap with padding.
pub(crate) fn unwrap_padded(wrapped: &[u8], decrypt: Cipher<'_>) -> Result<Zeroizing<Vec<u8>>> {
    if wrapped.len() < 2 * HALF || !wrapped.len().is_multiple_of(HALF) || wrapped.len() > LONGEST {
        return fail(CKR_WRAPPED_KEY_LEN_RANGE);
    }
    let (register, mut padded) = if let Ok(block) = <[u8; 16]>::try_from(wrapped) {
        let mut block = Zeroizing::new(block);
        decrypt(&mut block)?;
        let (front, back) = block.split_at(HALF);
        (front.try_into().or(wrong())?, Zeroizing::new(back.to_vec()))
    } else {
        backward(wrapped, decrypt)?
    };
    let (magic, length) = register.split_at(4);
    let length = u32::from_be_bytes(length.try_into().or(wrong())?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let in_range = length <= padded.len() && length.saturating_add(HALF) > padded.len();
    let zeros = padded.get(length..).is_some_and(|rest| rest.iter().fold(0, |or, byte| or | byte) == 0);
    if !bool::from(magic.ct_eq(&PADDED)) || !in_range || !zeros {
        return wrong();
    }
    padded.truncate(length);
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::driver;
    use casemate_crypto::Direction;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn cipher(key: &[u8], direction: Direction) -> impl FnMut(&mut [u8; 16]) -> Result<()> {
        move |block| Ok(driver().ecb(direction, key, block)?)
    }

    #[test]
    fn published_vectors() {
        // RFC 3394, §4.1 and §4.6; RFC 5649, §6.
        let plain = [
            (
                "000102030405060708090A0B0C0D0E0F",
                "00112233445566778899AABBCCDDEEFF",
                "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5",
            ),
            (
                "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
                "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
                "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21",
            ),
        ];
        for (kek, key, wrapped) in plain.map(|(kek, key, wrapped)| (hex(kek), hex(key), hex(wrapped))) {
            assert_eq!(wrap(&key, &mut cipher(&kek, Direction::Encrypt)).unwrap(), wrapped);
            assert_eq!(*unwrap(&wrapped, &mut cipher(&kek, Direction::Decrypt)).unwrap(), key);
        }
        let kek = hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
        for (key, wrapped) in [
            (
                "c37b7e6492584340bed12207808941155068f738",
                "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
            ),
            ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
        ] {
            let (key, wrapped) = (hex(key), hex(wrapped));
            assert_eq!(wrap_padded(&key, &mut cipher(&kek, Direction::Encrypt)).unwrap(), wrapped);
            assert_eq!(*unwrap_padded(&wrapped, &mut cipher(&kek, Direction::Decrypt)).unwrap(), key);
        }
    }

    #[test]
    fn damage_is_found() {
        let kek = [7; 16];
        for length in [1, 7, 8, 9, 16, 31, 32] {
            let key = vec![0x5a; length];
            let wrapped = wrap_padded(&key, &mut cipher(&kek, Direction::Encrypt)).unwrap();
            for at in 0..wrapped.len() {
                let mut damaged = wrapped.clone();
                damaged[at] ^= 1;
                assert!(unwrap_padded(&damaged, &mut cipher(&kek, Direction::Decrypt)).is_err());
            }
            assert!(unwrap_padded(&wrapped[8..], &mut cipher(&kek, Direction::Decrypt)).is_err());
        }
    }
}
