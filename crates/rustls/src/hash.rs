//! Hashes and HMAC.

use crate::DriverSource;
use alloc::boxed::Box;
use alloc::vec::Vec;
use casemate_crypto::{HashAlgorithm, Hasher, Mac};
use core::marker::PhantomData;
use rustls::crypto::{hash, hmac};
use zeroize::Zeroizing;

/// The largest digest here, in bytes.
const MAX_DIGEST: usize = 48;

/// SHA-256 or SHA-384, as a hash and as an HMAC.
pub(crate) struct TlsHash<S> {
    algorithm: HashAlgorithm,
    source: PhantomData<fn() -> S>,
}

impl<S> TlsHash<S> {
    /// `algorithm` is SHA-256 or SHA-384.
    pub(crate) const fn new(algorithm: HashAlgorithm) -> Self {
        Self { algorithm, source: PhantomData }
    }
}

const fn size(algorithm: HashAlgorithm) -> usize {
    match algorithm.digest_size() {
        Some(size) => size,
        None => 0,
    }
}

impl<S: DriverSource> hash::Hash for TlsHash<S> {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Context::<S> {
            hasher: Some(Hasher::new(S::driver(), self.algorithm)),
            algorithm: self.algorithm,
        })
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        let mut digest = [0; MAX_DIGEST];
        let digest = digest.get_mut(..size(self.algorithm)).unwrap_or_default();
        if casemate_crypto::hash(S::driver(), self.algorithm, &[data], digest).is_err() {
            digest.fill(0);
        }
        hash::Output::new(digest)
    }

    fn output_len(&self) -> usize {
        size(self.algorithm)
    }

    fn algorithm(&self) -> hash::HashAlgorithm {
        match self.algorithm {
            HashAlgorithm::Sha384 => hash::HashAlgorithm::SHA384,
            _ => hash::HashAlgorithm::SHA256,
        }
    }
}

/// A running hash; without a hasher once the driver has failed.
struct Context<S: DriverSource> {
    hasher: Option<Hasher<'static, S::Driver>>,
    algorithm: HashAlgorithm,
}

impl<S: DriverSource> Context<S> {
    fn output(&self, hasher: Option<Hasher<'static, S::Driver>>) -> hash::Output {
        let mut digest = [0; MAX_DIGEST];
        let digest = digest.get_mut(..size(self.algorithm)).unwrap_or_default();
        if hasher.is_none_or(|hasher| hasher.finish(digest).is_err()) {
            digest.fill(0);
        }
        hash::Output::new(digest)
    }
}

impl<S: DriverSource> hash::Context for Context<S> {
    fn fork_finish(&self) -> hash::Output {
        self.output(self.hasher.clone())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self { hasher: self.hasher.clone(), algorithm: self.algorithm })
    }

    fn finish(mut self: Box<Self>) -> hash::Output {
        let hasher = self.hasher.take();
        self.output(hasher)
    }

    fn update(&mut self, data: &[u8]) {
        if self.hasher.as_mut().is_none_or(|hasher| hasher.update(data).is_err()) {
            self.hasher = None;
        }
    }
}

impl<S: DriverSource> hmac::Hmac for TlsHash<S> {
    fn with_key(&self, key: &[u8]) -> Box<dyn hmac::Key> {
        Box::new(HmacKey::<S> {
            algorithm: self.algorithm,
            key: Zeroizing::new(key.to_vec()),
            source: PhantomData,
        })
    }

    fn hash_output_len(&self) -> usize {
        size(self.algorithm)
    }
}

struct HmacKey<S> {
    algorithm: HashAlgorithm,
    key: Zeroizing<Vec<u8>>,
    source: PhantomData<fn() -> S>,
}

impl<S: DriverSource> hmac::Key for HmacKey<S> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> hmac::Tag {
        let mut tag = Zeroizing::new([0; MAX_DIGEST]);
        let tag = tag.get_mut(..size(self.algorithm)).unwrap_or_default();
        let mut parts = Vec::with_capacity(middle.len().saturating_add(2));
        parts.push(first);
        parts.extend_from_slice(middle);
        parts.push(last);
        if S::driver().hmac(self.algorithm, &self.key, &parts, tag).is_err() {
            tag.fill(0);
        }
        hmac::Tag::new(tag)
    }

    fn tag_len(&self) -> usize {
        size(self.algorithm)
    }
}
