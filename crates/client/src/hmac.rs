//! HMAC (RFC 2104, FIPS 198-1) over hashes that the server computes.
//!
//! The protocol has no HMAC message (document 04, §6.5): the key enters the hash as data, so **whoever sees the
//! channel sees the key**, and the server never holds it. To authenticate with a key that stays in the server, use
//! CMAC.

use crate::hash::MAX_BLOCK;
use crate::{Argument, Client, Digest, Error, Hash, HashAlgorithm};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// An HMAC under way. Wiped when dropped.
#[derive(Clone)]
pub struct Hmac {
    inner: Hash,
    /// The key, padded with zeros to a block.
    key: [u8; MAX_BLOCK],
}

impl fmt::Debug for Hmac {
    /// The key is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hmac").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Drop for Hmac {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Returns the HMAC of `data` under `key`. Whoever sees the channel sees the key.
    ///
    /// # Errors
    /// As [`Client::hash_update`].
    pub fn hmac(
        &mut self,
        algorithm: HashAlgorithm,
        key: &[u8],
        data: &[u8],
    ) -> Result<Digest, Error<T::Error>> {
        self.must_wait()?;
        let mut hmac = self.hmac_start(algorithm, key)?;
        self.hmac_update(&mut hmac, data)?;
        self.hmac_finish(&hmac)
    }

    /// Succeeds only if `mac` is the HMAC of `data` under `key`, or the beginning of it. The caller knows how long
    /// a MAC must be and checks that. Whoever sees the channel sees the key.
    ///
    /// # Errors
    /// [`Error::MacMismatch`] if it is not; [`Argument::MacLength`] if `mac` is empty or longer than a digest;
    /// otherwise as [`Client::hash_update`].
    pub fn hmac_verify(
        &mut self,
        algorithm: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        mac: &[u8],
    ) -> Result<(), Error<T::Error>> {
        if mac.is_empty() || mac.len() > algorithm.digest_size() {
            return Err(Argument::MacLength.into());
        }
        let digest = self.hmac(algorithm, key, data)?;
        let expected = digest.as_bytes().get(..mac.len()).unwrap_or_default();
        if bool::from(expected.ct_eq(mac)) { Ok(()) } else { Err(Error::MacMismatch) }
    }

    /// Begins an HMAC under `key`, which may have any length. Whoever sees the channel sees the key.
    ///
    /// # Errors
    /// As [`Client::hash_update`].
    pub fn hmac_start(&mut self, algorithm: HashAlgorithm, key: &[u8]) -> Result<Hmac, Error<T::Error>> {
        let mut hmac = Hmac { inner: Hash::secret(algorithm), key: [0; MAX_BLOCK] };
        if key.len() > algorithm.block_size() {
            self.must_wait()?;
            let mut hash = Hash::secret(algorithm);
            self.hash_update(&mut hash, key)?;
            crate::client::overwrite(&mut hmac.key, self.hash_finish(&hash)?.as_bytes());
        } else {
            crate::client::overwrite(&mut hmac.key, key);
        }
        let Hmac { inner, key } = &mut hmac;
        self.absorb_pad(inner, key, 0x36)?;
        Ok(hmac)
    }

    /// Adds data to an HMAC.
    ///
    /// # Errors
    /// As [`Client::hash_update`]. `hmac` is then as it was.
    pub fn hmac_update(&mut self, hmac: &mut Hmac, data: &[u8]) -> Result<(), Error<T::Error>> {
        self.hash_update(&mut hmac.inner, data)
    }

    /// Returns the HMAC of all data added to `hmac`, which is not changed and can go on.
    ///
    /// # Errors
    /// As [`Client::hash_update`].
    pub fn hmac_finish(&mut self, hmac: &Hmac) -> Result<Digest, Error<T::Error>> {
        self.must_wait()?;
        let digest = self.hash_finish(&hmac.inner)?;
        let mut outer = Hash::secret(hmac.inner.algorithm());
        self.absorb_pad(&mut outer, &hmac.key, 0x5C)?;
        self.hash_update(&mut outer, digest.as_bytes())?;
        self.hash_finish(&outer)
    }

    /// Adds the block of `key` combined with `pad`.
    fn absorb_pad(&mut self, hash: &mut Hash, key: &[u8; MAX_BLOCK], pad: u8) -> Result<(), Error<T::Error>> {
        let mut block = key.map(|byte| byte ^ pad);
        let padded = block.get(..hash.algorithm().block_size()).unwrap_or_default();
        let outcome = self.hash_update(hash, padded);
        block.zeroize();
        outcome
    }
}
