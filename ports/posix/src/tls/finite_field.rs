//! Diffie-Hellman over the 2048-bit finite field of RFC 7919, for TLS 1.2 clients that do not say which curves they
//! know (see the module above).

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U256, U2048};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, KeyExchangeAlgorithm, SharedSecret, SupportedKxGroup,
    aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
};
use rustls::ffdhe_groups::{FFDHE2048, FfdheGroup};
use rustls::{
    CipherSuite, CipherSuiteCommon, Error, NamedGroup, PeerMisbehaved, ProtocolVersion, SupportedCipherSuite,
    Tls12CipherSuite,
};
use std::sync::LazyLock;
use zeroize::{Zeroize, Zeroizing};

/// Size of the modulus, of public values and of secrets, in bytes.
const SIZE: usize = 256;

/// Adds the group and a cipher suite for it behind all others, so that it is the last choice.
pub(super) fn add_to(provider: &mut CryptoProvider) {
    if let Some(suite) = SUITE.as_ref() {
        provider.cipher_suites.push(SupportedCipherSuite::Tls12(suite));
        provider.kx_groups.push(&Ffdhe2048);
    }
}

/// `TLS_DHE_RSA_WITH_AES_128_GCM_SHA256`: as its sister with an elliptic curve, but for the key exchange.
static SUITE: LazyLock<Option<Tls12CipherSuite>> = LazyLock::new(|| {
    let SupportedCipherSuite::Tls12(sister) = TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 else { return None };
    Some(Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,
            hash_provider: sister.common.hash_provider,
            confidentiality_limit: sister.common.confidentiality_limit,
        },
        prf_provider: sister.prf_provider,
        kx: KeyExchangeAlgorithm::DHE,
        sign: sister.sign,
        aead_alg: sister.aead_alg,
    })
});

static MODULUS: LazyLock<FixedMontyParams<{ U2048::LIMBS }>> = LazyLock::new(|| {
    FixedMontyParams::new_vartime(
        Odd::new(U2048::from_be_slice(FFDHE2048.p)).expect("the prime of RFC 7919 is odd"),
    )
});

fn power(base: &U2048, exponent: &U256) -> U2048 {
    FixedMontyForm::new(base, &MODULUS).pow(exponent).retrieve()
}

#[derive(Debug)]
struct Ffdhe2048;

impl SupportedKxGroup for Ffdhe2048 {
    /// A secret exponent of 256 bits: twice the group's strength, rounded up (RFC 7919, section 5.2, asks for 225).
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random).map_err(|_| Error::FailedToGetRandomBytes)?;
        let secret = U256::from_be_slice(&*random);
        let public = power(&U2048::from_u8(2), &secret);
        Ok(Box::new(Exchange { secret, public: bytes(&public) }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        Some(FFDHE2048)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::FFDHE2048
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_2
    }
}

fn bytes(number: &U2048) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes.copy_from_slice(number.to_be_bytes().as_ref());
    bytes
}

struct Exchange {
    secret: U256,
    public: [u8; SIZE],
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let wrong = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let mut padded = [0; SIZE];
        let at = SIZE.checked_sub(peer.len()).ok_or_else(|| wrong.clone())?;
        padded[at..].copy_from_slice(peer);
        let peer = U2048::from_be_slice(&padded);
        // Other values lie in a subgroup of at most two elements (RFC 7919, section 5.1).
        let highest = MODULUS.modulus().as_ref().wrapping_sub(&U2048::ONE);
        if peer <= U2048::ONE || peer >= highest {
            return Err(wrong);
        }
        let mut shared = power(&peer, &self.secret);
        let secret = Zeroizing::new(bytes(&shared));
        shared.zeroize();
        Ok(SharedSecret::from(&secret[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        Some(FFDHE2048)
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::FFDHE2048
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree() {
        let (one, other) = (Ffdhe2048.start().unwrap(), Ffdhe2048.start().unwrap());
        let (public_one, public_other) = (one.pub_key().to_vec(), other.pub_key().to_vec());
        assert_ne!(public_one, public_other);
        let secret = one.complete(&public_other).unwrap();
        assert_eq!(secret.secret_bytes(), other.complete(&public_one).unwrap().secret_bytes());
        assert_eq!(secret.secret_bytes().len(), SIZE);
    }

    #[test]
    fn powers_are_those_of_python() {
        // pow(2, 2**255 + 12345, p) with the prime of RFC 7919, appendix A.1; the first and last 16 bytes.
        let exponent = U256::ONE.shl(255).wrapping_add(&U256::from_u32(12_345));
        let result = bytes(&power(&U2048::from_u8(2), &exponent));
        assert_eq!(hex::encode(&result[..16]), "c3082000ea8fd933816ef56f08972f96");
        assert_eq!(hex::encode(&result[240..]), "3f0e964d34c6a1d817e6bd0b44a7fccf");
    }

    #[test]
    fn values_of_small_order_are_refused() {
        let modulus = FFDHE2048.p.to_vec();
        let mut highest = modulus.clone();
        highest[SIZE - 1] -= 1;
        for value in
            [vec![], vec![0], vec![1], vec![0; SIZE], highest, modulus, vec![0xFF; SIZE], vec![2; SIZE + 1]]
        {
            assert!(Ffdhe2048.start().unwrap().complete(&value).is_err(), "{value:02x?}");
        }
        assert!(Ffdhe2048.start().unwrap().complete(&[2]).is_ok());
    }
}
