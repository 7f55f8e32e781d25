//! ML-DSA and ML-KEM.

use super::{Owned, check};
use aws_lc_sys::{CBS, EVP_MD_CTX, EVP_PKEY, EVP_PKEY_CTX};
use casemate_crypto::{Error, MlDsaSet, MlKemSet};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use zeroize::Zeroizing;

/// Writes a key's private form.
fn write_private(key: &Owned<EVP_PKEY>, output: &mut [u8]) -> Result<(), Error> {
    let mut size = output.len();
    // SAFETY: the key is valid, pointer and size are those of a slice; the function checks that the key fits.
    let answer =
        unsafe { aws_lc_sys::EVP_PKEY_get_raw_private_key(key.as_ptr(), output.as_mut_ptr(), &raw mut size) };
    check(answer, Error::Hardware)?;
    if size == output.len() { Ok(()) } else { Err(Error::Hardware) }
}

/// Writes a key's public form.
fn write_public(key: &Owned<EVP_PKEY>, output: &mut [u8]) -> Result<(), Error> {
    let mut size = output.len();
    // SAFETY: the key is valid, pointer and size are those of a slice; the function checks that the key fits.
    let answer =
        unsafe { aws_lc_sys::EVP_PKEY_get_raw_public_key(key.as_ptr(), output.as_mut_ptr(), &raw mut size) };
    check(answer, Error::Hardware)?;
    if size == output.len() { Ok(()) } else { Err(Error::Hardware) }
}

/// An ML-DSA key.
pub(crate) struct MlDsaKey(Owned<EVP_PKEY>);

impl MlDsaKey {
    fn identifier(set: MlDsaSet) -> c_int {
        match set {
            MlDsaSet::MlDsa44 => aws_lc_sys::NID_MLDSA44,
            MlDsaSet::MlDsa65 => aws_lc_sys::NID_MLDSA65,
            MlDsaSet::MlDsa87 => aws_lc_sys::NID_MLDSA87,
        }
    }

    fn private(set: MlDsaSet, bytes: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are those of a slice, which the function copies; it returns null or a new object, which
        // the caller owns.
        let key = unsafe {
            Owned::new(
                aws_lc_sys::EVP_PKEY_pqdsa_new_raw_private_key(
                    Self::identifier(set),
                    bytes.as_ptr(),
                    bytes.len(),
                ),
                Error::Key,
            )
        };
        key.map(Self)
    }

    /// The key of a seed.
    pub(crate) fn from_seed(set: MlDsaSet, seed: &[u8; 32]) -> Result<Self, Error> {
        Self::private(set, seed)
    }

    /// The key of an expanded private key of the right size.
    ///
    /// # Errors
    /// [`Error::Key`] if a coefficient is out of range or a part that follows from the others does not.
    pub(crate) fn from_expanded(set: MlDsaSet, private: &[u8]) -> Result<Self, Error> {
        Self::private(set, private)
    }

    /// A public key of the right size.
    pub(crate) fn from_public(set: MlDsaSet, public: &[u8]) -> Result<Self, Error> {
        // SAFETY: as for private keys.
        let key = unsafe {
            Owned::new(
                aws_lc_sys::EVP_PKEY_pqdsa_new_raw_public_key(
                    Self::identifier(set),
                    public.as_ptr(),
                    public.len(),
                ),
                Error::Hardware,
            )
        };
        key.map(Self)
    }

    pub(crate) fn write_private(&self, output: &mut [u8]) -> Result<(), Error> {
        write_private(&self.0, output)
    }

    pub(crate) fn write_public(&self, output: &mut [u8]) -> Result<(), Error> {
        write_public(&self.0, output)
    }

    /// Verifies the signature of a message. The context has up to 255 bytes.
    ///
    /// # Errors
    /// [`Error::Authentication`].
    pub(crate) fn verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> Result<(), Error> {
        // SAFETY: the function returns null or a new object, which the caller owns.
        let operation = unsafe { Owned::<EVP_MD_CTX>::new(aws_lc_sys::EVP_MD_CTX_new(), Error::Hardware)? };
        let mut parameters = null_mut();
        // SAFETY: operation and key are valid; ML-DSA takes no digest, and no engine is asked for. The operation keeps a
        // counted reference to the key. The parameters belong to the operation.
        let answer = unsafe {
            aws_lc_sys::EVP_DigestVerifyInit(
                operation.as_ptr(),
                &raw mut parameters,
                null(),
                null_mut(),
                self.0.as_ptr(),
            )
        };
        check(answer, Error::Hardware)?;
        if !context.is_empty() {
            // SAFETY: the parameters are valid while the operation is; pointer and length are those of a slice, which the
            // function copies after checking its length.
            let answer = unsafe {
                aws_lc_sys::EVP_PKEY_CTX_set_signature_context(parameters, context.as_ptr(), context.len())
            };
            check(answer, Error::Hardware)?;
        }
        // SAFETY: the operation is valid and begun; pointers and lengths are those of slices.
        let answer = unsafe {
            aws_lc_sys::EVP_DigestVerify(
                operation.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                message.as_ptr(),
                message.len(),
            )
        };
        check(answer, Error::Authentication)
    }
}

/// An ML-KEM key.
pub(crate) struct MlKemKey(Owned<EVP_PKEY>);

impl MlKemKey {
    fn identifier(set: MlKemSet) -> c_int {
        match set {
            MlKemSet::MlKem512 => aws_lc_sys::NID_MLKEM512,
            MlKemSet::MlKem768 => aws_lc_sys::NID_MLKEM768,
            MlKemSet::MlKem1024 => aws_lc_sys::NID_MLKEM1024,
        }
    }

    /// The key of the seeds d ‖ z, through the PKCS #8 form of RFC 9935, §6: the library's direct way is not part of its
    /// stable interface.
    pub(crate) fn from_seed(set: MlKemSet, seed: &[u8; 64]) -> Result<Self, Error> {
        let arc = match set {
            MlKemSet::MlKem512 => 1,
            MlKemSet::MlKem768 => 2,
            MlKemSet::MlKem1024 => 3,
        };
        // SEQUENCE { INTEGER 0, SEQUENCE { OBJECT IDENTIFIER 2.16.840.1.101.3.4.4.x }, OCTET STRING { [0] seed } }
        let head = [
            0x30, 0x54, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
            0x04, arc, 0x04, 0x42, 0x80, 0x40,
        ];
        let mut encoded = Zeroizing::new([0; 22 + 64]);
        encoded.iter_mut().zip(head.iter().chain(seed)).for_each(|(place, byte)| *place = *byte);
        let mut reader = MaybeUninit::<CBS>::uninit();
        // SAFETY: the first function fills the reader with pointer and length of an array, which outlives it; the second
        // reads from there and returns null or a new object, which the caller owns.
        let key = unsafe {
            aws_lc_sys::CBS_init(reader.as_mut_ptr(), encoded.as_ptr(), encoded.len());
            Owned::new(aws_lc_sys::EVP_parse_private_key(reader.as_mut_ptr()), Error::Hardware)
        };
        key.map(Self)
    }

    /// A decapsulation key of the right size.
    pub(crate) fn from_private(set: MlKemSet, private: &[u8]) -> Result<Self, Error> {
        // SAFETY: pointer and length are those of a slice, which the function copies; it returns null or a new object, which
        // the caller owns.
        let key = unsafe {
            Owned::new(
                aws_lc_sys::EVP_PKEY_kem_new_raw_secret_key(
                    Self::identifier(set),
                    private.as_ptr(),
                    private.len(),
                ),
                Error::Hardware,
            )
        };
        key.map(Self)
    }

    /// An encapsulation key of the right size.
    pub(crate) fn from_public(set: MlKemSet, public: &[u8]) -> Result<Self, Error> {
        // SAFETY: as for decapsulation keys.
        let key = unsafe {
            Owned::new(
                aws_lc_sys::EVP_PKEY_kem_new_raw_public_key(
                    Self::identifier(set),
                    public.as_ptr(),
                    public.len(),
                ),
                Error::Hardware,
            )
        };
        key.map(Self)
    }

    pub(crate) fn write_private(&self, output: &mut [u8]) -> Result<(), Error> {
        write_private(&self.0, output)
    }

    fn operation(&self) -> Result<Owned<EVP_PKEY_CTX>, Error> {
        // SAFETY: the key is valid, and the operation keeps a counted reference to it; no engine is asked for. The function
        // returns null or a new object, which the caller owns.
        unsafe { Owned::new(aws_lc_sys::EVP_PKEY_CTX_new(self.0.as_ptr(), null_mut()), Error::Hardware) }
    }

    /// Encapsulates. The ciphertext has the size of the set.
    ///
    /// # Errors
    /// [`Error::Key`] if the key fails its check: nothing else can fail with sizes that are right.
    pub(crate) fn encapsulate(&self, ciphertext: &mut [u8], secret: &mut [u8; 32]) -> Result<(), Error> {
        let operation = self.operation()?;
        let (mut size, mut secret_size) = (ciphertext.len(), secret.len());
        // SAFETY: the operation is valid; pointers and sizes are those of a slice and an array, and the function checks that
        // what it writes fits.
        let answer = unsafe {
            aws_lc_sys::EVP_PKEY_encapsulate(
                operation.as_ptr(),
                ciphertext.as_mut_ptr(),
                &raw mut size,
                secret.as_mut_ptr(),
                &raw mut secret_size,
            )
        };
        check(answer, Error::Key)?;
        if size == ciphertext.len() && secret_size == secret.len() { Ok(()) } else { Err(Error::Hardware) }
    }

    /// Decapsulates. The ciphertext has the size of the set.
    ///
    /// # Errors
    /// [`Error::Key`] as for encapsulation.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8], secret: &mut [u8; 32]) -> Result<(), Error> {
        let operation = self.operation()?;
        let mut size = secret.len();
        // SAFETY: the operation is valid; pointers and sizes are those of an array and a slice, and the function checks
        // them.
        let answer = unsafe {
            aws_lc_sys::EVP_PKEY_decapsulate(
                operation.as_ptr(),
                secret.as_mut_ptr(),
                &raw mut size,
                ciphertext.as_ptr(),
                ciphertext.len(),
            )
        };
        check(answer, Error::Key)?;
        if size == secret.len() { Ok(()) } else { Err(Error::Hardware) }
    }
}
