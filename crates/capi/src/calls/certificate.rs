//! Trusted roots, chains, attribute certificates.

use crate::failure::{Failure, Outcome};
use crate::ffi::{self, Bytes, Flag, In, Numbers16, Optional, OptionalIn, Output};
use crate::status::Own;
use crate::types::{LeafKeyWanted, ObjectMetadata, SharedBuffer};
use casemate_client::certificate::{
    AddTrustedDma, LeafKey, ReadTrustedDma, Root, Verify, VerifyAttributeDma, VerifyDma, VerifyMultiRoot,
    VerifyMultiRootDma,
};
use casemate_protocol::{Flags, KeyId, ObjectId};

/// Most roots that one request names.
const ROOTS: usize = 8;

fn root(metadata: &ObjectMetadata) -> Root {
    let metadata = metadata.get();
    Root { id: metadata.id, access: metadata.access, flags: metadata.flags, label: metadata.label }
}

fn wanted(leaf: Option<&LeafKeyWanted>) -> Option<LeafKey> {
    leaf.map(|leaf| LeafKey { id: KeyId(leaf.id), flags: Flags(leaf.flags) })
}

/// Says where the leaf's key was cached: 0 if it was not.
fn cached(found: Option<KeyId>, id: Option<&mut u16>) -> Outcome {
    if let Some(id) = id {
        *id = found.map_or(0, |found| found.0);
    }
    Ok(())
}

fn roots(ids: &[u16]) -> Result<([ObjectId; ROOTS], usize), Failure> {
    let mut list = [ObjectId::INVALID; ROOTS];
    if ids.len() > ROOTS {
        return Err(Own::BAD_ARGUMENT.into());
    }
    list.iter_mut().zip(ids).for_each(|(to, &from)| *to = ObjectId(from));
    Ok((list, ids.len()))
}

ffi::calls! { "Certificates"
    /// Announces use of the certificate manager; not needed.
    fn casemate_certificate_init(client;) {
        Ok(client.certificate_init()?)
    }

    /// Stores a trusted root, in DER, or replaces it. The length in `metadata` is ignored.
    fn casemate_certificate_add(client; metadata: In<ObjectMetadata>, certificate[length]: Bytes) {
        Ok(client.certificate_add(root(metadata), certificate)?)
    }

    /// Erases a trusted root; one that does not exist is no error.
    fn casemate_certificate_erase(client; id: ObjectId) {
        Ok(client.certificate_erase(id)?)
    }

    /// Reads a trusted root.
    fn casemate_certificate_read(client; id: ObjectId, certificate[length]: Output<'_>) {
        certificate.fill(|bytes| client.certificate_read(id, bytes))
    }

    /// Verifies a chain against a trusted root: certificates one after the other, issuers before what they issued. With
    /// `leaf`, which may be null, the public key of the chain's leaf is cached; `id`, which may be null, gets where, 0 if
    /// nowhere.
    fn casemate_certificate_verify(client; root: ObjectId, chain[length]: Bytes, leaf: OptionalIn<LeafKeyWanted>, id: Optional<u16>) {
        cached(client.run(&Verify { root, chain, key: wanted(leaf) })?, id)
    }

    /// As casemate_certificate_verify, against 1 to 8 roots, of which those that do not exist are passed over.
    fn casemate_certificate_verify_multi_root(client; ids[count]: Numbers16, chain[length]: Bytes, leaf: OptionalIn<LeafKeyWanted>, id: Optional<u16>) {
        let (list, count) = roots(ids)?;
        let roots = list.get(..count).unwrap_or_default();
        cached(client.run(&VerifyMultiRoot { roots, chain, key: wanted(leaf) })?, id)
    }

    /// Verifies the signature of an attribute certificate with the key of a trusted root.
    fn casemate_certificate_verify_attribute(client; root: ObjectId, certificate[length]: Bytes) {
        Ok(client.certificate_verify_attribute(root, certificate)?)
    }

    /// Makes the server forget the signatures that it has verified.
    fn casemate_certificate_clear_cache(client;) {
        Ok(client.certificate_clear_cache()?)
    }

    /// Switches the verify cache on or off; off, it is emptied.
    fn casemate_certificate_set_cache(client; enabled: Flag) {
        Ok(client.certificate_set_cache(enabled)?)
    }

    /// casemate_certificate_add with the certificate in shared memory.
    fn casemate_certificate_add_dma(client; metadata: In<ObjectMetadata>, certificate: SharedBuffer) {
        Ok(client.run(&AddTrustedDma { root: root(metadata), certificate: certificate.into() })?)
    }

    /// casemate_certificate_read into shared memory. The length of the certificate is not told.
    fn casemate_certificate_read_dma(client; id: ObjectId, to: SharedBuffer) {
        Ok(client.run(&ReadTrustedDma { id, to: to.into() })?)
    }

    /// casemate_certificate_verify with the chain in shared memory.
    fn casemate_certificate_verify_dma(client; root: ObjectId, chain: SharedBuffer, leaf: OptionalIn<LeafKeyWanted>, id: Optional<u16>) {
        cached(client.run(&VerifyDma { root, chain: chain.into(), key: wanted(leaf) })?, id)
    }

    /// casemate_certificate_verify_multi_root with the chain in shared memory.
    fn casemate_certificate_verify_multi_root_dma(client; ids[count]: Numbers16, chain: SharedBuffer, leaf: OptionalIn<LeafKeyWanted>, id: Optional<u16>) {
        let (list, count) = roots(ids)?;
        let roots = list.get(..count).unwrap_or_default();
        cached(client.run(&VerifyMultiRootDma { roots, chain: chain.into(), key: wanted(leaf) })?, id)
    }

    /// casemate_certificate_verify_attribute with the attribute certificate in shared memory.
    fn casemate_certificate_verify_attribute_dma(client; root: ObjectId, certificate: SharedBuffer) {
        Ok(client.run(&VerifyAttributeDma { root, certificate: certificate.into() })?)
    }
}
