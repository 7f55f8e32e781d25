//! The image manager: before an application runs, are its images the ones that the owner has signed?
//!
//! Start-up code describes the images ([`Image`]), each with a key in the server's object store, a method and an
//! action, and calls [`Server::verify_images`]. No message reaches any of this (document 07, part B).
//!
//! ```text
//! let images = [Image { .. }, Image { .. }];
//! let summary = server.verify_images(&images, &mut flash, &mut scratch, &mut |image, outcome| { .. });
//! if summary.all_verified() {
//!     release_application_core();
//! }
//! ```
//!
//! * Images are read once, in parts, through [`ImageMemory`]; nothing is allocated. What is checked has been copied
//!   before, so an image that changes meanwhile cannot pass for another one, though it can of course change afterwards:
//!   who runs it must keep others from writing it from the start of the verification on.
//! * A key must have the usage `verify`, so a revoked key verifies nothing any more.
//! * An image with a wolfBoot header can be held to a version floor, which is an object in the store.
//!   [`Server::raise_version_floor`] raises it and nothing lowers it.
//! * The key of an image with a wolfBoot header can come from a certificate chain in the header instead, which a root in
//!   the object store vouches for ([`ImageKind::WolfBootChain`], with the feature `certificates`). Whatever the root has issued to
//!   a key that may sign can then sign images: a root for images should issue nothing else.

mod fault;
mod header;
mod memory;
mod method;

pub use fault::Fault;
pub use header::{Fields, Header, HeaderField, HeaderWriter, MAGIC, Tag, signed_by};
pub use memory::{ImageMemory, ImageReadError, Region};
pub use method::{AesCmac, Ecdsa, Ed25519, Evidence, Method, MlDsa, Rsa, RsaContent};

use crate::audit::{Event, Record};
#[cfg(feature = "certificates")]
use crate::group::certificate::{OwnChainError, verify_own_chain};
use crate::platform::{Affinity, Platform};
use crate::server::{Server, Shared};
use casemate_crypto::{Driver, HashAlgorithm, Hasher, hash, wipe};
use casemate_nvm::{Attributes, Error as StoreError, ObjectStore};
use casemate_protocol::{ClientId, Flags, Label, Metadata, ObjectId, Status};
use core::fmt;

/// What an image consists of besides its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// Nothing: key and signature lie in the object store.
    Raw {
        /// The key, as the server stores it.
        key: ObjectId,
        /// The object that holds the signature or MAC.
        signature: ObjectId,
    },
    /// A wolfBoot header, which holds the payload's length, its digest and the signature.
    WolfBoot {
        /// The header, at an even address, padding included.
        header: Region,
        /// The key, as the server stores it.
        key: ObjectId,
        /// The object that holds the lowest version that may run, if versions count. An absent object stands for
        /// version 0. Identifiers 0xFE80 to 0xFEFF suit: no client reaches them.
        floor: Option<ObjectId>,
    },
    /// A wolfBoot header with the certificates of the signer, so that the device has to know a root only. The chain is
    /// judged as [`CertificateOptions`](crate::CertificateOptions) say; its leaf's key verifies the image.
    #[cfg(feature = "certificates")]
    WolfBootChain {
        /// The header, at an even address, padding included.
        header: Region,
        /// The object that holds the root's certificate, in DER. Clients can replace an object that is not marked as
        /// unmodifiable and not destroyable, except in the identifiers 0xFE80 to 0xFEFF, which no client reaches.
        root: ObjectId,
        /// As in [`WolfBoot`](Self::WolfBoot).
        floor: Option<ObjectId>,
    },
}

/// Who vouches for an image with a header.
#[derive(Clone, Copy)]
enum Trust {
    /// A key in the object store.
    Key(ObjectId),
    /// A root in the object store, for the chain in the header.
    #[cfg(feature = "certificates")]
    Root(ObjectId),
}

/// What to do when an image has been judged. It is called in either case.
///
/// Functions `Fn(&Image, Result<Verified, Fault>) -> Result<(), Status>` are actions too.
pub trait Action {
    /// Does what is to be done.
    ///
    /// # Errors
    /// A status of the action's own; the image then does not count as good.
    fn act(&self, image: &Image<'_>, verification: Result<Verified, Fault>) -> Result<(), Status>;
}

impl<F: Fn(&Image<'_>, Result<Verified, Fault>) -> Result<(), Status>> Action for F {
    fn act(&self, image: &Image<'_>, verification: Result<Verified, Fault>) -> Result<(), Status> {
        self(image, verification)
    }
}

/// The action that does nothing: an image is as good as its verification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAction;

impl Action for NoAction {
    fn act(&self, _: &Image<'_>, _: Result<Verified, Fault>) -> Result<(), Status> {
        Ok(())
    }
}

/// An image, and how to verify it.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// What security records call it.
    pub number: u16,
    /// Header, key and signature.
    pub kind: ImageKind,
    /// The payload; behind a header, the size is the largest that the header may announce.
    pub payload: Region,
    /// How it is verified.
    pub method: &'a dyn Method,
    /// What is done afterwards.
    pub action: &'a dyn Action,
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("number", &self.number)
            .field("kind", &self.kind)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// What is known of an image that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Length of the payload in bytes.
    pub length: u32,
    /// The version that stands in the header, where the signature covers it.
    pub version: Option<u32>,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it is what its owner has signed.
    pub verification: Result<Verified, Fault>,
    /// What the action said.
    pub action: Result<(), Status>,
}

impl Outcome {
    /// Whether the image may run: it was verified, and its action did not fail.
    pub const fn is_good(&self) -> bool {
        self.verification.is_ok() && self.action.is_ok()
    }
}

/// What became of several images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many are good.
    pub good: usize,
    /// How many are not.
    pub bad: usize,
    /// The first that is not, counted from 0.
    pub first_bad: Option<usize>,
}

impl Summary {
    /// Whether every image is good, and there was one at all.
    pub const fn all_verified(&self) -> bool {
        self.good > 0 && self.bad == 0
    }
}

impl<P: Platform> Server<P> {
    /// Verifies all images in their order, also when one of them is bad, and shows each outcome to `each`.
    ///
    /// `scratch` holds key, signature or header, and the part of the image that is being read, or the root of a chain; it is
    /// wiped at the end. Four kilobytes do for all methods but ML-DSA, which wants eight; images with a chain need the
    /// size of their header and of the root. More make it faster.
    pub fn verify_images(
        &self,
        images: &[Image<'_>],
        memory: &mut dyn ImageMemory,
        scratch: &mut [u8],
        each: &mut dyn FnMut(&Image<'_>, &Outcome),
    ) -> Summary {
        let mut summary = Summary::default();
        for (index, image) in images.iter().enumerate() {
            let outcome = self.verify_image(image, memory, scratch);
            if outcome.is_good() {
                summary.good = summary.good.saturating_add(1);
            } else {
                summary.bad = summary.bad.saturating_add(1);
                summary.first_bad.get_or_insert(index);
            }
            each(image, &outcome);
        }
        summary
    }

    /// Verifies an image, runs its action, and records the outcome. `scratch` as for
    /// [`verify_images`](Self::verify_images).
    pub fn verify_image(
        &self,
        image: &Image<'_>,
        memory: &mut dyn ImageMemory,
        scratch: &mut [u8],
    ) -> Outcome {
        let verification = match image.kind {
            ImageKind::Raw { key, signature } => self.verify_raw(image, key, signature, memory, scratch),
            ImageKind::WolfBoot { header, key, floor } => {
                self.verify_wolfboot(image, header, Trust::Key(key), floor, memory, scratch)
            }
            #[cfg(feature = "certificates")]
            ImageKind::WolfBootChain { header, root, floor } => {
                self.verify_wolfboot(image, header, Trust::Root(root), floor, memory, scratch)
            }
        };
        wipe(scratch);
        let event = match verification {
            Ok(Verified { version, .. }) => {
                Event::ImageVerified { image: image.number, version: version.unwrap_or(0) }
            }
            Err(fault) => Event::ImageRefused { image: image.number, status: fault.status() },
        };
        self.record(event);
        Outcome { verification, action: image.action.act(image, verification) }
    }

    /// The lowest version that a floor lets run; 0 if it was never raised.
    ///
    /// # Errors
    /// [`Fault::Object`] if there is a floor and it cannot be read, or is none; [`Fault::Lock`].
    pub fn version_floor(&self, floor: ObjectId) -> Result<u32, Fault> {
        self.with_store(|store| read_floor(store, floor)).unwrap_or(Err(Fault::Lock))
    }

    /// Raises a version floor, when it is certain that an image of this version runs. Older images are refused from
    /// then on. A floor above `version` stays as it is. Returns the floor as it is now.
    ///
    /// # Errors
    /// [`Fault::Object`], [`Fault::Lock`].
    pub fn raise_version_floor(&self, floor: ObjectId, version: u32) -> Result<u32, Fault> {
        let raised = self.with_store(|store| {
            let present = read_floor(store, floor)?;
            if present >= version {
                return Ok((present, false));
            }
            let metadata = Metadata {
                id: floor,
                access: 0,
                flags: Flags::NONMODIFIABLE | Flags::NONDESTROYABLE,
                length: 0,
                label: Label::from("version floor"),
            };
            let stored = store.add_with_reclaim(&metadata, &version.to_le_bytes());
            stored.map_err(|error| Fault::Object { id: floor, status: error.status() })?;
            Ok((version, true))
        });
        let (version, is_new) = raised.unwrap_or(Err(Fault::Lock))?;
        if is_new {
            self.record(Event::VersionFloorRaised { floor, version });
        }
        Ok(version)
    }

    fn record(&self, event: Event) {
        self.platform().record(&Record { client: None, request: None, event });
    }

    /// Copies a key for verification to the front of `out`: one that is cached for all clients, or a stored one.
    fn image_key(&self, id: ObjectId, out: &mut [u8]) -> Result<usize, Fault> {
        self.with_shared(|shared| {
            let Shared { store, global, .. } = shared;
            let is_global = self.config().features.global_keys && id.owner() == ClientId::NONE;
            let cached = if is_global { global.get(id) } else { None };
            let found = match cached {
                Some(cached) => Attributes::from(cached.metadata),
                None => store.attributes(id).map_err(|error| Fault::Object { id, status: error.status() })?,
            };
            if !found.flags.contains(Flags::USAGE_VERIFY) {
                return Err(Fault::KeyUsage);
            }
            let length = usize::from(found.length);
            let out = out.get_mut(..length).ok_or(Fault::Scratch { needed: length })?;
            match cached {
                Some(cached) => out.copy_from_slice(cached.key),
                None => {
                    store.read(id, 0, out).map_err(|error| Fault::Object { id, status: error.status() })?
                }
            }
            Ok(length)
        })
        .unwrap_or(Err(Fault::Lock))
    }

    fn verify_raw(
        &self,
        image: &Image<'_>,
        key: ObjectId,
        signature: ObjectId,
        memory: &mut dyn ImageMemory,
        scratch: &mut [u8],
    ) -> Result<Verified, Fault> {
        let key_length = self.image_key(key, scratch)?;
        let (key, rest) = split(scratch, key_length)?;
        let signature_length = self
            .with_store(|store| {
                let failed = |error: StoreError<_>| Fault::Object { id: signature, status: error.status() };
                let length = usize::from(store.attributes(signature).map_err(failed)?.length);
                let out = rest.get_mut(..length).ok_or(Fault::Scratch { needed: length })?;
                store.read(signature, 0, out).map_err(failed)?;
                Ok(length)
            })
            .unwrap_or(Err(Fault::Lock))?;
        let (signature, buffer) = split(rest, signature_length)?;
        check_buffer(buffer)?;
        let content = method::Content::Raw { memory, region: image.payload, buffer };
        let driver = self.image_driver();
        image.method.verify(&mut Evidence { driver, key, signature, content })?;
        Ok(Verified { length: image.payload.size, version: None })
    }

    /// In the order of document 07, §B.4. The key is fetched first, as there.
    fn verify_wolfboot(
        &self,
        image: &Image<'_>,
        header: Region,
        trust: Trust,
        floor: Option<ObjectId>,
        memory: &mut dyn ImageMemory,
        scratch: &mut [u8],
    ) -> Result<Verified, Fault> {
        let driver = self.image_driver();
        let key_length = match trust {
            Trust::Key(key) => self.image_key(key, scratch)?,
            #[cfg(feature = "certificates")]
            Trust::Root(_) => 0,
        };
        let (key, rest) = split(scratch, key_length)?;
        let header_size = usize::try_from(header.size).map_err(|_| Fault::HeaderPlace)?;
        if header.address & 1 != 0 || header_size < Header::MIN_SIZE {
            return Err(Fault::HeaderPlace);
        }
        let (bytes, buffer) = split(rest, header_size)?;
        check_buffer(buffer)?;
        memory.read(header.address, bytes).map_err(|_| Fault::Memory)?;
        let header = Header::parse(bytes)?;
        let length = header.payload_length();
        if length > image.payload.size {
            return Err(Fault::TooLong { length });
        }
        let (_, found) = header.image_type()?;
        if image.method.header_number() != Some(found) {
            return Err(Fault::OtherMethod { found });
        }

        let (digest, covered) = header.digest()?;
        let mut hasher = Hasher::new(driver, HashAlgorithm::Sha256);
        hasher.update(covered).map_err(Fault::Driver)?;
        let payload = Region { size: length, ..image.payload };
        method::read_region(memory, payload, buffer, &mut |part| hasher.update(part).map_err(Fault::Driver))?;
        let mut computed = [0; 32];
        hasher.finish(&mut computed).map_err(Fault::Driver)?;
        if computed != *digest {
            return Err(Fault::Digest);
        }

        let signature = header.field(Tag::SIGNATURE)?.value;
        let key: &[u8] = match trust {
            Trust::Key(_) => key,
            #[cfg(feature = "certificates")]
            Trust::Root(root) => self.signer_key(root, header.field(Tag::CERTIFICATES)?.value, buffer)?,
        };
        let mut hint = [0; 32];
        hash(driver, HashAlgorithm::Sha256, &[key], &mut hint).map_err(Fault::Driver)?;
        let found: &[u8; 32] =
            header.field(Tag::KEY_HINT)?.value.try_into().map_err(|_| Fault::Field(Tag::KEY_HINT))?;
        if *found != hint {
            return Err(Fault::Hint);
        }
        let content = method::Content::Header(digest);
        image.method.verify(&mut Evidence { driver, key, signature, content })?;

        // Only now is the version the signer's word.
        let version = header.version();
        if let Some(floor) = floor {
            let (version, floor) = (version?, self.version_floor(floor)?);
            if version < floor {
                return Err(Fault::Rollback { version, floor });
            }
        }
        Ok(Verified { length, version: version.ok() })
    }

    /// The public key of a chain's leaf. `space` holds the root meanwhile.
    #[cfg(feature = "certificates")]
    fn signer_key<'h>(&self, root: ObjectId, chain: &'h [u8], space: &mut [u8]) -> Result<&'h [u8], Fault> {
        let verified = verify_own_chain(self, root, chain, space).map_err(|error| match error {
            OwnChainError::Root(Status::BUFFER_SIZE) => {
                Fault::Scratch { needed: space.len().saturating_add(1) }
            }
            OwnChainError::Root(status) => Fault::Object { id: root, status },
            OwnChainError::Chain(error) => Fault::Chain(error),
        })?;
        let leaf = verified.leaf.ok_or(Fault::NoLeaf)?;
        if leaf.extensions.key_usage.is_some_and(|usage| !usage.allows_digital_signature()) {
            return Err(Fault::LeafUsage);
        }
        Ok(leaf.public_key)
    }

    fn image_driver(&self) -> &dyn Driver {
        self.platform().crypto(Affinity::Accelerated)
    }
}

/// The least room for reading: one block of any hash.
const MIN_BUFFER: usize = 256;

fn check_buffer(buffer: &[u8]) -> Result<(), Fault> {
    if buffer.len() < MIN_BUFFER { Err(Fault::Scratch { needed: MIN_BUFFER }) } else { Ok(()) }
}

fn split(scratch: &mut [u8], size: usize) -> Result<(&mut [u8], &mut [u8]), Fault> {
    scratch.split_at_mut_checked(size).ok_or(Fault::Scratch { needed: size })
}

fn read_floor<S: ObjectStore>(store: &mut S, floor: ObjectId) -> Result<u32, Fault> {
    let failed = |error: StoreError<_>| Fault::Object { id: floor, status: error.status() };
    let mut version = [0; 4];
    match store.attributes(floor) {
        Ok(object) if object.length == 4 => store.read(floor, 0, &mut version).map_err(failed)?,
        Ok(_) => return Err(Fault::Object { id: floor, status: Status::ABORTED }),
        Err(StoreError::NotFound) => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(u32::from_le_bytes(version))
}
