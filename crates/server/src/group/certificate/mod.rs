//! Messages of the certificate manager (document 07, part A). Chains and attribute certificates are judged by
//! [`casemate_x509`]; this module keeps the trusted roots, the verify cache and the keys of leaves.

use crate::audit::Event;
use crate::context::Context;
use crate::keys::{KeyStore, is_stateful_private};
use crate::platform::Platform;
use casemate_nvm::ObjectStore;
use casemate_protocol::message::certificate::{
    AddTrustedRequest, EraseTrustedRequest, ReadTrustedRequest, ReadTrustedResponse, RootIds, SimpleResponse,
    VerifyAttributeRequest, VerifyCacheSetEnabledRequest, VerifyMultiRootRequest, VerifyRequest,
    VerifyResponse, action,
};
use casemate_protocol::{Flags, KeyId, Layout, Metadata, ObjectId, Status};
use casemate_x509::Certificate;

mod cache;
#[cfg(feature = "dma")]
mod dma;
mod hooks;
mod roots;
mod verify;

pub(crate) use cache::VerifyCache;
use roots::may_be_root;
#[cfg(feature = "authentication")]
pub(crate) use verify::verify_issued_by;
use verify::{Chain, verify_attribute, verify_chain};
#[cfg(feature = "images")]
pub(crate) use verify::{OwnChainError, verify_own_chain};

#[inline(never)]
pub(crate) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let order = context.order;
    let result = match action {
        action::INIT => {
            hooks::clear_own(context);
            Ok(())
        }
        action::ADD_TRUSTED => AddTrustedRequest::decode(payload, order)
            .and_then(|(request, tail)| Ok((request, request.certificate(tail)?)))
            .map_err(|_| Status::BAD_ARGUMENTS)
            .and_then(|(request, certificate)| {
                let AddTrustedRequest { id, access, flags, label, .. } = request;
                add(context, Metadata { id, access, flags, length: 0, label }, certificate)
            }),
        action::ERASE_TRUSTED => EraseTrustedRequest::decode(payload, order)
            .map_err(|_| Status::BAD_ARGUMENTS)
            .and_then(|(request, _)| erase(context, request.id, out)),
        action::READ_TRUSTED => return read(context, payload, out),
        action::VERIFY => {
            let chain = VerifyRequest::decode(payload, order).map_err(|_| Status::ABORTED).and_then(
                |(request, tail)| {
                    let VerifyRequest { root, flags, key_flags, key, .. } = request;
                    let bytes = request.chain(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
                    Ok(Chain { roots: RootIds::single(root), flags, key_flags, key, bytes })
                },
            );
            return verified(context, chain, out);
        }
        action::VERIFY_MULTI_ROOT => {
            let chain = VerifyMultiRootRequest::decode(payload, order).map_err(|_| Status::ABORTED).and_then(
                |(request, tail)| {
                    let VerifyMultiRootRequest { flags, key_flags, key, .. } = request;
                    let (roots, bytes) = request.tails(order, tail).map_err(|_| Status::BAD_ARGUMENTS)?;
                    Ok(Chain { roots, flags, key_flags, key, bytes })
                },
            );
            return verified(context, chain, out);
        }
        action::VERIFY_CACHE_CLEAR => hooks::clear(context),
        action::VERIFY_CACHE_SET_ENABLED => VerifyCacheSetEnabledRequest::decode_exact(payload, order)
            .map_err(|_| Status::ABORTED)
            .and_then(|request| hooks::set_enabled(context, request.enable != 0)),
        action::VERIFY_ATTRIBUTE => VerifyAttributeRequest::decode(payload, order)
            .map_err(|_| Status::ABORTED)
            .and_then(|(request, tail)| {
                let certificate = request.certificate(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
                verify_attribute(context, request.root, certificate, out)
            }),
        #[cfg(feature = "dma")]
        _ if context.dma.is_present() => return dma::handle(context, action, payload, out),
        _ => return 0,
    };
    done(context, result, out)
}

fn done<P: Platform>(context: &Context<'_, P>, result: Result<(), Status>, out: &mut [u8]) -> usize {
    context.put(&SimpleResponse { status: result.err().unwrap_or(Status::OK) }, out)
}

/// Verifies a chain and writes the response. The room for the response holds the roots until then.
fn verified<P: Platform>(
    context: &mut Context<'_, P>,
    chain: Result<Chain<'_>, Status>,
    out: &mut [u8],
) -> usize {
    let (result, key) = match chain {
        Ok(chain) => verify_chain(context, &chain, out),
        Err(status) => (Err(status), KeyId::NONE),
    };
    context.put(&VerifyResponse { status: result.err().unwrap_or(Status::OK), key }, out)
}

impl<P: Platform> Context<'_, P> {
    /// # Errors
    /// ACCESS if the object cannot be a trusted root.
    #[inline(never)]
    fn check_root(&mut self, id: ObjectId) -> Result<(), Status> {
        self.session.subject = id;
        let config = self.server.config();
        #[cfg(feature = "authentication")]
        if !self.keys.permits(id, self.client(), config.features) {
            return Err(Status::ACCESS);
        }
        if may_be_root(config.isolation, id) { Ok(()) } else { Err(Status::ACCESS) }
    }
}

/// Stores a root, whose metadata lack the length.
fn add<P: Platform>(
    context: &mut Context<'_, P>,
    mut root: Metadata,
    certificate: &[u8],
) -> Result<(), Status> {
    if certificate.is_empty() {
        return Err(Status::BAD_ARGUMENTS);
    }
    let id = root.id;
    context.check_root(id)?;
    if is_stateful_private(certificate) {
        return Err(Status::ACCESS);
    }
    if context.server.config().certificates.check_when_added && Certificate::decode(certificate).is_err() {
        return Err(Status::BAD_ARGUMENTS);
    }
    root.length = u16::try_from(certificate.len()).map_err(|_| Status::BAD_ARGUMENTS)?;
    context.locked(|keys| {
        keys.drop_copies(id);
        keys.shared.store.add_checked(&root, certificate).map_err(|error| error.status())?;
        let flags = root.flags.without(Flags::SERVER_ONLY);
        keys.recorder.record(Event::ObjectStored { object: id, flags, length: root.length });
        Ok(())
    })
}

/// An unmodifiable root may be erased, which clients rely on (document 07, §A.3), but this message is no way around the
/// protection of other objects: what is unmodifiable and no certificate stays.
fn erase<P: Platform>(context: &mut Context<'_, P>, id: ObjectId, space: &mut [u8]) -> Result<(), Status> {
    context.check_root(id)?;
    context.locked(|keys| {
        let root = match keys.stored_attributes(id) {
            Ok(root) => root,
            Err(Status::NOT_FOUND) => return Ok(()),
            Err(status) => return Err(status),
        };
        if root.flags.intersects(Flags::NONDESTROYABLE | Flags::TRUSTED) {
            return Err(Status::ACCESS);
        }
        if root.flags.contains(Flags::NONMODIFIABLE) {
            let data = space.get_mut(..usize::from(root.length)).ok_or(Status::ACCESS)?;
            keys.shared.store.read(id, 0, data).map_err(|error| error.status())?;
            let is_certificate = Certificate::decode(data).is_ok();
            data.fill(0);
            if !is_certificate {
                return Err(Status::ACCESS);
            }
        }
        keys.drop_copies(id);
        keys.destroy(id)?;
        keys.recorder.record(Event::ObjectDestroyed { object: id });
        Ok(())
    })
}

/// The length of a root that may be read.
///
/// # Errors
/// NOT_FOUND, ACCESS.
fn readable_length<P: Platform>(keys: &mut KeyStore<'_, P>, id: ObjectId) -> Result<u16, Status> {
    let root = keys.stored_attributes(id)?;
    if root.flags.intersects(Flags::NONEXPORTABLE | Flags::TRUSTED) {
        return Err(Status::ACCESS);
    }
    Ok(root.length)
}

fn read<P: Platform>(context: &mut Context<'_, P>, payload: &[u8], out: &mut [u8]) -> usize {
    let mut length = 0_u16;
    let space = out.get_mut(ReadTrustedResponse::SIZE..).unwrap_or_default();
    let result = ReadTrustedRequest::decode(payload, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)
        .and_then(|(request, _)| {
            context.check_root(request.id)?;
            context.locked(|keys| {
                length = readable_length(keys, request.id)?;
                let space = space.get_mut(..usize::from(length)).ok_or(Status::BUFFER_SIZE)?;
                keys.shared.store.read(request.id, 0, space).map_err(|error| error.status())
            })
        });
    let (status, reported) = match result {
        Ok(()) => (Status::OK, length),
        Err(Status::BUFFER_SIZE) => (Status::BUFFER_SIZE, length),
        Err(status) => (status, 0),
    };
    let tail = if status == Status::OK { usize::from(length) } else { 0 };
    context.put(&ReadTrustedResponse { status, length: u32::from(reported) }, out).saturating_add(tail)
}
