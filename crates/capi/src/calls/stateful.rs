//! Stateful hash-based signatures.

use crate::failure::{Failure, Outcome};
use crate::ffi::{self, Bytes, HsmClient, In, Out, Text};
use crate::status::Own;
use crate::types::{NewKey, SharedBuffer, StatefulName};
use casemate_client::stateful::{LmsParameters, StatefulParameters, XmssParameters};
use casemate_protocol::KeyId;

fn lms(levels: u32, height: u32, winternitz: u32) -> Result<StatefulParameters<'static>, Failure> {
    let parameters = LmsParameters::new(levels, height, winternitz).ok_or(Own::BAD_ARGUMENT)?;
    Ok(StatefulParameters::Lms(parameters))
}

fn xmss(name: &[u8]) -> Result<StatefulParameters<'_>, Failure> {
    let name = core::str::from_utf8(name).ok().and_then(XmssParameters::named);
    Ok(StatefulParameters::Xmss(name.ok_or(Own::BAD_ARGUMENT)?))
}

fn generate(
    client: &mut HsmClient,
    parameters: StatefulParameters<'_>,
    what: &NewKey,
    to: SharedBuffer,
    id: &mut u16,
    length: &mut usize,
) -> Outcome {
    let (found, size) = client.dma_stateful_generate(parameters, &what.get(), to.into())?;
    *id = found.0;
    *length = size;
    Ok(())
}

ffi::calls! { "Stateful hash-based signatures"
    /// Generates an LMS or HSS key pair (RFC 8554) with SHA-256, which the server stores: 1 to 4 `levels` of trees of
    /// `height` 5, 10, 15, 20 or 25 with the Winternitz parameter 1, 2, 4 or 8. The public key goes to shared memory. The
    /// time doubles with each unit of the height.
    fn casemate_dma_lms_generate(client; levels: u32, height: u32, winternitz: u32, what: In<NewKey>, to: SharedBuffer, id: Out<u16>, key_length: Out<usize>) {
        generate(client, lms(levels, height, winternitz)?, what, to, id, key_length)
    }

    /// Generates an XMSS or XMSS^MT key pair (RFC 8391), which the server stores, by the name of its parameter set, such
    /// as XMSS-SHA2_10_256. The public key goes to shared memory.
    fn casemate_dma_xmss_generate(client; name: Text, what: In<NewKey>, to: SharedBuffer, id: Out<u16>, key_length: Out<usize>) {
        generate(client, xmss(name)?, what, to, id, key_length)
    }

    /// Signs a message in shared memory, which takes one of the key's signatures. CASEMATE_SERVER_BAD_STATE (LMS) or
    /// CASEMATE_SERVER_KEY_EXHAUSTED (XMSS) if none is left.
    fn casemate_dma_stateful_sign(client; key: KeyId, family: StatefulName, message: SharedBuffer, signature: SharedBuffer, signature_length: Out<usize>) {
        *signature_length = client.dma_stateful_sign((key, family), message.into(), signature.into())?;
        Ok(())
    }

    /// Verifies a signature of a message, both in shared memory: CASEMATE_SIGNATURE_INVALID if it is not valid.
    fn casemate_dma_stateful_verify(client; key: KeyId, family: StatefulName, message: SharedBuffer, signature: SharedBuffer) {
        if client.dma_stateful_verify((key, family), message.into(), signature.into())? {
            Ok(())
        } else {
            Err(Own::SIGNATURE_INVALID.into())
        }
    }

    /// Whether a key can still sign: 1 or 0. How often, no message says.
    fn casemate_stateful_remaining(client; key: KeyId, family: StatefulName, remaining: Out<i32>) {
        *remaining = i32::from(client.stateful_remaining(key, family)?);
        Ok(())
    }

    /// Caches an LMS public key of 60 bytes, to verify with.
    fn casemate_lms_import_public(client; levels: u32, height: u32, winternitz: u32, what: In<NewKey>, key[length]: Bytes, id: Out<u16>) {
        *id = client.stateful_import_public(lms(levels, height, winternitz)?, &what.get(), key)?.0;
        Ok(())
    }

    /// Caches an XMSS public key, to verify with.
    fn casemate_xmss_import_public(client; name: Text, what: In<NewKey>, key[length]: Bytes, id: Out<u16>) {
        *id = client.stateful_import_public(xmss(name)?, &what.get(), key)?.0;
        Ok(())
    }
}
