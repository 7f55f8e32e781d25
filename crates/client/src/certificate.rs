//! Trusted roots, chains of certificates and attribute certificates (document 07, part A). Roots are objects that all
//! clients share; certificates travel in DER.

use crate::client::deliver;
use crate::operation::length_u32;
use crate::{Argument, Client, Error, Operation, ProtocolFault, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::certificate::{
    AddTrustedDmaRequest, AddTrustedRequest, EraseTrustedRequest, FLAG_CACHE_LEAF_KEY, InitRequest,
    MAX_VERIFY_ROOTS, ReadTrustedDmaRequest, ReadTrustedRequest, ReadTrustedResponse, RootIds,
    SimpleResponse, VerifyAttributeDmaRequest, VerifyAttributeRequest, VerifyCacheClearRequest,
    VerifyCacheSetEnabledRequest, VerifyDmaRequest, VerifyMultiRootDmaRequest, VerifyMultiRootRequest,
    VerifyRequest, VerifyResponse,
};
use casemate_protocol::{Flags, KeyId, Kind, Label, Metadata, ObjectId};
use casemate_transport::{ClientTransport, Clock};

fn checked(id: ObjectId) -> Result<ObjectId, Argument> {
    if id == ObjectId::INVALID { Err(Argument::ObjectId) } else { Ok(id) }
}

fn done(response: Response<'_>) -> Result<(), ResponseFault> {
    response.exact::<SimpleResponse>().map(|_| ())
}

/// What a certificate is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The object.
    pub id: ObjectId,
    /// Access word; stored, never checked.
    pub access: u16,
    /// Flags of the object: NONMODIFIABLE keeps it from being replaced, NONEXPORTABLE from being read,
    /// NONDESTROYABLE from being erased.
    pub flags: Flags,
    /// Label of the object.
    pub label: Label,
}

impl Root {
    /// A root without protection and with the label that the original gives.
    pub fn new(id: ObjectId) -> Self {
        Self { id, access: Metadata::ACCESS_ANY, flags: Flags::NONE, label: Label::from("trusted_cert") }
    }
}

/// That the public key of a chain's leaf is to be cached, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafKey {
    /// Where; number 0 asks the server to choose.
    pub id: KeyId,
    /// Flags of the key.
    pub flags: Flags,
}

/// The fields of a VERIFY request that say what becomes of the leaf's key.
fn leaf_key(key: Option<LeafKey>) -> (u16, Flags, KeyId) {
    match key {
        Some(LeafKey { id, flags }) => (FLAG_CACHE_LEAF_KEY, flags, id),
        None => (0, Flags::USAGE_ANY, KeyId::NONE),
    }
}

fn verified(response: Response<'_>, key: Option<LeafKey>) -> Result<Option<KeyId>, ResponseFault> {
    let response: VerifyResponse = response.exact()?;
    Ok(key.map(|_| response.key).filter(|key| key.is_some()))
}

/// Announces use of the certificate manager, which forgets the signatures that it has verified for this client. No other
/// message needs it.
#[derive(Debug, Clone, Copy)]
pub struct Init;

impl Operation for Init {
    const KIND: Kind = InitRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&InitRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Stores a trusted root, or replaces it.
#[derive(Debug, Clone, Copy)]
pub struct AddTrusted<'a> {
    /// What to store it as.
    pub root: Root,
    /// The certificate; at most the packet data length less 36 bytes.
    pub certificate: &'a [u8],
}

impl Operation for AddTrusted<'_> {
    const KIND: Kind = AddTrustedRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Root { id, access, flags, label } = self.root;
        if self.certificate.is_empty() {
            return Err(Argument::Certificate);
        }
        let length = length_u32(self.certificate.len());
        request.put(&AddTrustedRequest { length, id: checked(id)?, access, flags, label });
        request.put_bytes(self.certificate);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Erases a trusted root; one that does not exist is no error.
#[derive(Debug, Clone, Copy)]
pub struct EraseTrusted {
    /// The object.
    pub id: ObjectId,
}

impl Operation for EraseTrusted {
    const KIND: Kind = EraseTrustedRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&EraseTrustedRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Reads a trusted root; yields the certificate.
#[derive(Debug, Clone, Copy)]
pub struct ReadTrusted {
    /// The object.
    pub id: ObjectId,
}

impl Operation for ReadTrusted {
    const KIND: Kind = ReadTrustedRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&ReadTrustedRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (response, tail): (ReadTrustedResponse, _) = response.fixed()?;
        let length = usize::try_from(response.length).unwrap_or(usize::MAX);
        Ok(tail.get(..length).ok_or(ProtocolFault::Length)?)
    }
}

/// Verifies a chain against one trusted root; yields where the leaf's key was cached, if that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Verify<'a> {
    /// The root.
    pub root: ObjectId,
    /// Certificates, one after the other, issuers before what they issued; at most the packet data length less 12 bytes.
    pub chain: &'a [u8],
    /// Whether and how to cache the leaf's key.
    pub key: Option<LeafKey>,
}

impl Operation for Verify<'_> {
    const KIND: Kind = VerifyRequest::KIND;
    type Output<'r> = Option<KeyId>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.chain.is_empty() {
            return Err(Argument::Certificate);
        }
        let (flags, key_flags, key) = leaf_key(self.key);
        let (length, root) = (length_u32(self.chain.len()), checked(self.root)?);
        request.put(&VerifyRequest { length, root, flags, key_flags, key });
        request.put_bytes(self.chain);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<KeyId>, ResponseFault> {
        verified(response, self.key)
    }
}

/// Verifies a chain against several trusted roots, of which those that do not exist are passed over; yields where the
/// leaf's key was cached, if that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct VerifyMultiRoot<'a> {
    /// The roots, 1 to [`MAX_VERIFY_ROOTS`].
    pub roots: &'a [ObjectId],
    /// Certificates, one after the other, issuers before what they issued; at most the packet data length less 16 bytes
    /// and 2 for each root.
    pub chain: &'a [u8],
    /// Whether and how to cache the leaf's key.
    pub key: Option<LeafKey>,
}

impl Operation for VerifyMultiRoot<'_> {
    const KIND: Kind = VerifyMultiRootRequest::KIND;
    type Output<'r> = Option<KeyId>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.chain.is_empty() {
            return Err(Argument::Certificate);
        }
        let roots = RootIds::new(self.roots.iter().copied()).ok_or(Argument::Roots)?;
        let (flags, key_flags, key) = leaf_key(self.key);
        let count = u16::try_from(roots.as_slice().len()).map_err(|_| Argument::Roots)?;
        let length = length_u32(self.chain.len());
        request.put(&VerifyMultiRootRequest { length, roots: count, flags, key_flags, key });
        for &root in roots.as_slice() {
            request.put_field(checked(root)?);
        }
        request.put_bytes(self.chain);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<KeyId>, ResponseFault> {
        verified(response, self.key)
    }
}

/// Makes the server forget the signatures that it has verified.
#[derive(Debug, Clone, Copy)]
pub struct ClearVerifyCache;

impl Operation for ClearVerifyCache {
    const KIND: Kind = VerifyCacheClearRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&VerifyCacheClearRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Switches the verify cache on or off; off, it is emptied.
#[derive(Debug, Clone, Copy)]
pub struct SetVerifyCache {
    /// Whether it is on.
    pub enabled: bool,
}

impl Operation for SetVerifyCache {
    const KIND: Kind = VerifyCacheSetEnabledRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&VerifyCacheSetEnabledRequest { enable: u8::from(self.enabled) });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Verifies the signature of an attribute certificate with the key of a trusted root.
#[derive(Debug, Clone, Copy)]
pub struct VerifyAttribute<'a> {
    /// The root.
    pub root: ObjectId,
    /// The attribute certificate; at most the packet data length less 8 bytes.
    pub certificate: &'a [u8],
}

impl Operation for VerifyAttribute<'_> {
    const KIND: Kind = VerifyAttributeRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.certificate.is_empty() {
            return Err(Argument::Certificate);
        }
        let length = length_u32(self.certificate.len());
        request.put(&VerifyAttributeRequest { length, root: checked(self.root)? });
        request.put_bytes(self.certificate);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Bytes in memory that the client shares with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Where they begin, as client and port have agreed to name it.
    pub address: u64,
    /// How many they are.
    pub length: u32,
}

impl Shared {
    fn checked(self) -> Result<Self, Argument> {
        if self.length == 0 { Err(Argument::Certificate) } else { Ok(self) }
    }
}

/// [`AddTrusted`] with the certificate in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct AddTrustedDma {
    /// What to store it as.
    pub root: Root,
    /// The certificate.
    pub certificate: Shared,
}

impl Operation for AddTrustedDma {
    const KIND: Kind = AddTrustedDmaRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Shared { address, length } = self.certificate.checked()?;
        let Root { id, access, flags, label } = self.root;
        request.put(&AddTrustedDmaRequest { address, length, id: checked(id)?, access, flags, label });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// [`ReadTrusted`] into shared memory. The length of the certificate is not told; what lies behind its end stays.
#[derive(Debug, Clone, Copy)]
pub struct ReadTrustedDma {
    /// The object.
    pub id: ObjectId,
    /// Room for the certificate.
    pub to: Shared,
}

impl Operation for ReadTrustedDma {
    const KIND: Kind = ReadTrustedDmaRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Shared { address, length } = self.to.checked()?;
        request.put(&ReadTrustedDmaRequest { address, length, id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// [`Verify`] with the chain in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct VerifyDma {
    /// The root.
    pub root: ObjectId,
    /// The chain.
    pub chain: Shared,
    /// Whether and how to cache the leaf's key.
    pub key: Option<LeafKey>,
}

impl Operation for VerifyDma {
    const KIND: Kind = VerifyDmaRequest::KIND;
    type Output<'r> = Option<KeyId>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Shared { address, length } = self.chain.checked()?;
        let (flags, key_flags, key) = leaf_key(self.key);
        let root = checked(self.root)?;
        request.put(&VerifyDmaRequest { address, length, root, flags, key_flags, key });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<KeyId>, ResponseFault> {
        verified(response, self.key)
    }
}

/// [`VerifyMultiRoot`] with the chain in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct VerifyMultiRootDma<'a> {
    /// The roots, 1 to [`MAX_VERIFY_ROOTS`].
    pub roots: &'a [ObjectId],
    /// The chain.
    pub chain: Shared,
    /// Whether and how to cache the leaf's key.
    pub key: Option<LeafKey>,
}

impl Operation for VerifyMultiRootDma<'_> {
    const KIND: Kind = VerifyMultiRootDmaRequest::KIND;
    type Output<'r> = Option<KeyId>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Shared { address, length } = self.chain.checked()?;
        let roots = RootIds::new(self.roots.iter().copied()).ok_or(Argument::Roots)?;
        let (flags, key_flags, key) = leaf_key(self.key);
        let mut ids = [0; MAX_VERIFY_ROOTS];
        for (to, &from) in ids.iter_mut().zip(roots.as_slice()) {
            *to = checked(from)?.0;
        }
        let roots = u16::try_from(roots.as_slice().len()).map_err(|_| Argument::Roots)?;
        request.put(&VerifyMultiRootDmaRequest { address, length, roots, flags, key_flags, key, ids });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<KeyId>, ResponseFault> {
        verified(response, self.key)
    }
}

/// [`VerifyAttribute`] with the attribute certificate in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct VerifyAttributeDma {
    /// The root.
    pub root: ObjectId,
    /// The attribute certificate.
    pub certificate: Shared,
}

impl Operation for VerifyAttributeDma {
    const KIND: Kind = VerifyAttributeDmaRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        let Shared { address, length } = self.certificate.checked()?;
        let (flags, key_flags, key) = (0, Flags::NONE, KeyId::NONE);
        let root = checked(self.root)?;
        request.put(&VerifyAttributeDmaRequest { address, length, root, flags, key_flags, key });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

impl<T: ClientTransport, B: AsRef<[u8]> + AsMut<[u8]>, C: Clock> Client<T, B, C> {
    /// Announces use of the certificate manager; not needed.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn certificate_init(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&Init)
    }

    /// Stores a trusted root, or replaces it. What the bytes are is seen when a chain is verified.
    ///
    /// # Errors
    /// [`Error::Remote`] with ACCESS if an object of this identifier must not be replaced, with NO_SPACE if the store is
    /// full; any other [`Error`].
    pub fn certificate_add(&mut self, root: Root, certificate: &[u8]) -> Result<(), Error<T::Error>> {
        self.run(&AddTrusted { root, certificate })
    }

    /// Erases a trusted root; one that does not exist is no error.
    ///
    /// # Errors
    /// [`Error::Remote`] with ACCESS if it must not be erased; any other [`Error`].
    pub fn certificate_erase(&mut self, id: ObjectId) -> Result<(), Error<T::Error>> {
        self.run(&EraseTrusted { id })
    }

    /// Copies a trusted root to the front of `out` and returns its length.
    ///
    /// # Errors
    /// [`Error::Remote`] with NOT_FOUND, ACCESS, or BUFFER_SIZE if it is too long for a packet;
    /// [`Error::OutputTooSmall`]; any other [`Error`].
    pub fn certificate_read(&mut self, id: ObjectId, out: &mut [u8]) -> Result<usize, Error<T::Error>> {
        let certificate = self.run(&ReadTrusted { id })?;
        deliver(certificate, out)
    }

    /// Verifies a chain against a trusted root: certificates one after the other, issuers before what they issued.
    ///
    /// # Errors
    /// [`Error::Remote`] with CERTIFICATE_VERIFICATION if it does not verify, NOT_FOUND if there is no such root, ABORTED
    /// if the root cannot be used; any other [`Error`].
    pub fn certificate_verify(&mut self, root: ObjectId, chain: &[u8]) -> Result<(), Error<T::Error>> {
        self.run(&Verify { root, chain, key: None }).map(|_| ())
    }

    /// Verifies a chain as [`certificate_verify`](Self::certificate_verify) and caches the public key of its leaf;
    /// returns where, or `None` if the chain has no leaf.
    ///
    /// # Errors
    /// As [`certificate_verify`](Self::certificate_verify); CERTIFICATE_VERIFICATION too if the key cannot be cached.
    pub fn certificate_verify_and_cache(
        &mut self,
        root: ObjectId,
        chain: &[u8],
        key: LeafKey,
    ) -> Result<Option<KeyId>, Error<T::Error>> {
        self.run(&Verify { root, chain, key: Some(key) })
    }

    /// Verifies a chain against several trusted roots, of which those that do not exist are passed over; with `key`,
    /// caches the public key of its leaf.
    ///
    /// # Errors
    /// As [`certificate_verify`](Self::certificate_verify).
    pub fn certificate_verify_multi_root(
        &mut self,
        roots: &[ObjectId],
        chain: &[u8],
        key: Option<LeafKey>,
    ) -> Result<Option<KeyId>, Error<T::Error>> {
        self.run(&VerifyMultiRoot { roots, chain, key })
    }

    /// Verifies the signature of an attribute certificate with the key of a trusted root.
    ///
    /// # Errors
    /// [`Error::Remote`] with CERTIFICATE_VERIFICATION, NOT_FOUND, or ASN_PARSE if root or attribute certificate are
    /// none; any other [`Error`].
    pub fn certificate_verify_attribute(
        &mut self,
        root: ObjectId,
        certificate: &[u8],
    ) -> Result<(), Error<T::Error>> {
        self.run(&VerifyAttribute { root, certificate })
    }

    /// Makes the server forget the signatures that it has verified.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn certificate_clear_cache(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&ClearVerifyCache)
    }

    /// Switches the verify cache on or off; off, it is emptied.
    ///
    /// # Errors
    /// Any [`Error`].
    pub fn certificate_set_cache(&mut self, enabled: bool) -> Result<(), Error<T::Error>> {
        self.run(&SetVerifyCache { enabled })
    }
}
