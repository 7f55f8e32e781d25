//! Key exchange: X25519 and ECDH on P-256 and, with the feature `p384`, P-384.

use crate::{Algorithms, DriverSource};
use alloc::boxed::Box;
use alloc::vec::Vec;
use casemate_crypto::encoding::{decode_point, encode_point};
use casemate_crypto::{Curve, Curve25519, EllipticCurve, Random};
use core::fmt;
use core::marker::PhantomData;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use zeroize::Zeroizing;

/// The largest private key and secret here, in bytes: P-384.
const MAX_FIELD: usize = 48;
/// The largest public key here, in bytes: P-384, with the octet that says uncompressed.
const MAX_PUBLIC: usize = 97;

/// A group: X25519, or one of the NIST curves.
struct Group<S> {
    curve: Option<Curve>,
    source: PhantomData<fn() -> S>,
}

impl<S> Group<S> {
    const fn new(curve: Option<Curve>) -> Self {
        Self { curve, source: PhantomData }
    }
}

impl<S> fmt::Debug for Group<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Group").field("curve", &self.curve).finish()
    }
}

impl<S: DriverSource> Algorithms<S> {
    const X25519: &'static Group<S> = &Group::new(None);
    const P256: &'static Group<S> = &Group::new(Some(Curve::P256));
    #[cfg(feature = "p384")]
    const P384: &'static Group<S> = &Group::new(Some(Curve::P384));
}

/// All groups, the preferred one first.
pub(crate) fn groups<S: DriverSource>() -> Vec<&'static dyn SupportedKxGroup> {
    let groups: &[&'static dyn SupportedKxGroup] = &[
        Algorithms::<S>::X25519,
        Algorithms::<S>::P256,
        #[cfg(feature = "p384")]
        Algorithms::<S>::P384,
    ];
    groups.to_vec()
}

const fn name(curve: Option<Curve>) -> NamedGroup {
    match curve {
        None => NamedGroup::X25519,
        Some(Curve::P384) => NamedGroup::secp384r1,
        Some(_) => NamedGroup::secp256r1,
    }
}

const fn field_size(curve: Option<Curve>) -> usize {
    match curve {
        None => 32,
        Some(curve) => curve.field_size(),
    }
}

impl<S: DriverSource> SupportedKxGroup for Group<S> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let failed = |_| Error::General("the driver made no key pair".into());
        let mut exchange = Exchange::<S> {
            curve: self.curve,
            private: Zeroizing::new([0; MAX_FIELD]),
            public: [0; MAX_PUBLIC],
            public_length: 32,
            source: PhantomData,
        };
        let private = exchange.private.get_mut(..field_size(self.curve)).unwrap_or_default();
        match self.curve {
            None => {
                S::driver().fill(private).map_err(|_| Error::from(GetRandomFailed))?;
                let private = private.first_chunk::<32>().ok_or(Error::from(GetRandomFailed))?;
                let public = exchange.public.first_chunk_mut::<32>().ok_or(Error::from(GetRandomFailed))?;
                S::driver().x25519_public(private, public).map_err(failed)?;
            }
            Some(curve) => {
                let mut point = [0; MAX_PUBLIC];
                let point = point.get_mut(..curve.point_size()).unwrap_or_default();
                S::driver().ec_generate(curve, private, point).map_err(failed)?;
                exchange.public_length = encode_point(point, &mut exchange.public)
                    .map_err(|_| Error::General("the public key is too long".into()))?;
            }
        }
        Ok(Box::new(exchange))
    }

    fn name(&self) -> NamedGroup {
        name(self.curve)
    }
}

/// A key pair that waits for the peer's public key.
struct Exchange<S> {
    curve: Option<Curve>,
    private: Zeroizing<[u8; MAX_FIELD]>,
    public: [u8; MAX_PUBLIC],
    public_length: usize,
    source: PhantomData<fn() -> S>,
}

impl<S: DriverSource> ActiveKeyExchange for Exchange<S> {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let wrong = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let size = field_size(self.curve);
        let mut secret = Zeroizing::new([0; MAX_FIELD]);
        let private = self.private.get(..size).ok_or_else(wrong)?;
        match self.curve {
            None => {
                let private = private.first_chunk::<32>().ok_or_else(wrong)?;
                let secret = secret.first_chunk_mut::<32>().ok_or_else(wrong)?;
                let peer = peer.try_into().map_err(|_| wrong())?;
                // A point of small order is refused by the driver.
                S::driver().x25519(private, peer, secret).map_err(|_| wrong())?;
            }
            Some(curve) => {
                let peer = decode_point(curve, peer).map_err(|_| wrong())?;
                let secret = secret.get_mut(..size).ok_or_else(wrong)?;
                S::driver().ecdh(curve, private, peer, secret).map_err(|_| wrong())?;
            }
        }
        Ok(SharedSecret::from(secret.get(..size).ok_or_else(wrong)?))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.get(..self.public_length).unwrap_or_default()
    }

    fn group(&self) -> NamedGroup {
        name(self.curve)
    }
}
