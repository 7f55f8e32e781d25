//! Any bytes as a stored key of any family: no panic, and a key that is written is the key that was read.

#![no_main]

use casemate_crypto::Curve;
use casemate_crypto::encoding::{
    EcKey, Ed25519Key, MlDsaKey, MlKemKey, RsaKey, X25519Key, decode_ecdsa_signature, encode_rsa_private,
    encode_rsa_public,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut out = [0; 8192];
    if let Ok(key) = EcKey::decode(input) {
        if key.private.is_some()
            && let Ok(length) = key.encode_private(&mut out)
        {
            assert_eq!(EcKey::decode(&out[..length]).expect("what was written"), key);
        }
        if key.public.is_some()
            && let Ok(length) = key.encode_public(&mut out)
        {
            let public = EcKey::decode(&out[..length]).expect("what was written");
            assert_eq!((public.curve, public.public), (key.curve, key.public));
        }
    }
    if let Ok(key) = X25519Key::decode(input)
        && let Ok(length) = key.encode_private(&mut out).or_else(|_| key.encode_public(&mut out))
    {
        assert_eq!(X25519Key::decode(&out[..length]).expect("what was written"), key);
    }
    if let Ok(key) = Ed25519Key::decode(input)
        && let Ok(length) = key.encode_private(&mut out).or_else(|_| key.encode_public(&mut out))
    {
        assert_eq!(Ed25519Key::decode(&out[..length]).expect("what was written"), key);
    }
    if let Ok(key) = MlDsaKey::decode(input)
        && let Ok(length) = key.encode_public(&mut out)
    {
        assert_eq!(MlDsaKey::decode(&out[..length]).expect("what was written").public, key.public);
    }
    if let Ok(key) = MlKemKey::decode(input) {
        assert_eq!(key.set.public_size(), key.public.len());
    }
    if let Ok(key) = RsaKey::decode(input) {
        if let Ok(private) = key.private()
            && let Ok(length) = encode_rsa_private(&private, &mut out)
        {
            assert!(RsaKey::decode(&out[..length]).expect("what was written").private().is_ok());
        }
        if let Ok(length) = encode_rsa_public(&key.public(), &mut out) {
            assert!(RsaKey::decode(&out[..length]).is_ok());
        }
    }
    for curve in Curve::ALL {
        let _ = decode_ecdsa_signature(curve, input, &mut [0; 132]);
    }
});
