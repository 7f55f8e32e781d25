//! A whole driver, and the composition of drivers.

use crate::{
    AES_BLOCK, Aead, Cipher, CmacState, CtrState, Direction, Error, Hash, HashAlgorithm, HashState, Mac,
    Random,
};

/// Every operation family in one object. It is implemented by whatever implements the families, each of which may
/// be left empty (`impl Aead for Device {}`).
///
/// The trait does not ask for `Send` or `Sync`, which a core without threads has no use for; a host that shares a
/// driver between threads asks for `&(dyn Driver + Sync)`.
pub trait Driver: Random + Hash + Mac + Cipher + Aead {}

impl<T: Random + Hash + Mac + Cipher + Aead + ?Sized> Driver for T {}

/// Asks the first driver, and the second if the first answers [`Error::Unsupported`].
///
/// Every other answer of the first is final: a fault or a wrong tag is not retried elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefer<A, B> {
    first: A,
    second: B,
}

impl<A, B> Prefer<A, B> {
    /// Puts `first` in front of `second`.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// The driver that is asked first.
    pub const fn first(&self) -> &A {
        &self.first
    }

    /// The driver that is asked when the first declines.
    pub const fn second(&self) -> &B {
        &self.second
    }
}

/// Writes the same method list twice: for references, which forward, and for [`Prefer`], which falls through.
macro_rules! families {
    ($($family:ident { $(fn $method:ident($($name:ident: $type:ty),*);)+ })+) => { $(
        impl<T: $family + ?Sized> $family for &T {
            $(fn $method(&self, $($name: $type),*) -> Result<(), Error> {
                (**self).$method($($name),*)
            })+
        }

        impl<A: $family, B: $family> $family for Prefer<A, B> {
            $(fn $method(&self, $($name: $type),*) -> Result<(), Error> {
                match self.first.$method($($name),*) {
                    Err(Error::Unsupported) => self.second.$method($($name),*),
                    answer => answer,
                }
            })+
        }
    )+ };
}

families! {
    Random {
        fn fill(output: &mut [u8]);
    }
    Hash {
        fn compress(state: &mut HashState, blocks: &[u8]);
        fn finish(state: &HashState, tail: &[u8], output: &mut [u8]);
        fn digest(algorithm: HashAlgorithm, parts: &[&[u8]], output: &mut [u8]);
    }
    Mac {
        fn cmac_update(key: &[u8], state: &mut CmacState, data: &[u8]);
        fn cmac_finish(key: &[u8], state: &CmacState, output: &mut [u8]);
        fn cmac(key: &[u8], parts: &[&[u8]], output: &mut [u8]);
        fn hmac(algorithm: HashAlgorithm, key: &[u8], parts: &[&[u8]], output: &mut [u8]);
    }
    Cipher {
        fn ecb(direction: Direction, key: &[u8], data: &mut [u8]);
        fn cbc(direction: Direction, key: &[u8], iv: &mut [u8; AES_BLOCK], data: &mut [u8]);
        fn ctr(key: &[u8], state: &mut CtrState, data: &mut [u8]);
    }
    Aead {
        fn gcm_seal(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]);
        fn gcm_open(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]);
        fn ccm_seal(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &mut [u8]);
        fn ccm_open(key: &[u8], nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]);
    }
}
