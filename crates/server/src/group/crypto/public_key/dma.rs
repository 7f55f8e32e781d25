//! Public-key messages whose data lies in client memory (document 05, §6.4, §7.5, §8 and §10). The data is copied as a
//! whole before it is used: a signature over a message that changes while it is computed can give the key away.

use super::common::{evict_after, label, wants};
#[cfg(feature = "curve25519")]
use super::curve25519;
#[cfg(feature = "ml-dsa")]
use super::ml_dsa;
#[cfg(feature = "ml-kem")]
use super::ml_kem;
#[cfg(feature = "hash-signatures")]
use super::stateful;
use crate::context::Context;
use crate::group::crypto::new_key::Slots;
use crate::group::crypto::{Operation, append};
use crate::keys::Wanted;
use crate::memory::{Access, Dma};
use crate::platform::Platform;
use casemate_crypto::Secret;
use casemate_crypto::encoding::EncodingError;
use casemate_protocol::message::crypto_dma::{
    Ed25519SignDmaRequest, Ed25519VerifyDmaRequest, KeyGenerationDmaResponse, MlDsaKeyGenerationDmaRequest,
    MlDsaSignDmaRequest, MlDsaVerifyDmaRequest, MlKemDecapsulateDmaRequest, MlKemDecapsulateDmaResponse,
    MlKemEncapsulateDmaRequest, MlKemEncapsulateDmaResponse, MlKemKeyGenerationDmaRequest,
    SignatureDmaResponse, VerifyDmaResponse,
};
use casemate_protocol::message::public_key::{algorithm, option, sub_algorithm};
use casemate_protocol::{DmaBuffer, KeyId, Layout, ObjectType, Status};

/// Runs the operation that `operation.algorithm` names.
pub(crate) fn public_key<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
    sub: u32,
) -> Result<usize, Status> {
    match operation.algorithm {
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_SIGN => ed25519_sign(context, operation),
        #[cfg(feature = "curve25519")]
        algorithm::ED25519_VERIFY => ed25519_verify(context, operation),
        algorithm::KEM_KEY_GENERATION | algorithm::KEM_ENCAPSULATE | algorithm::KEM_DECAPSULATE
            if sub != sub_algorithm::ML_KEM =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_KEY_GENERATION => ml_kem_generate(context, operation),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_ENCAPSULATE => ml_kem_encapsulate(context, operation),
        #[cfg(feature = "ml-kem")]
        algorithm::KEM_DECAPSULATE => ml_kem_decapsulate(context, operation),
        algorithm::SIGNATURE_KEY_GENERATION | algorithm::SIGNATURE_SIGN | algorithm::SIGNATURE_VERIFY
            if sub != sub_algorithm::ML_DSA =>
        {
            Err(Status::NO_HANDLER)
        }
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_KEY_GENERATION => ml_dsa_generate(context, operation),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_SIGN => ml_dsa_sign(context, operation),
        #[cfg(feature = "ml-dsa")]
        algorithm::SIGNATURE_VERIFY => ml_dsa_verify(context, operation),
        algorithm::SIGNATURE_CHECK => Err(Status::NO_HANDLER),
        #[cfg(feature = "hash-signatures")]
        algorithm::STATEFUL_KEY_GENERATION
        | algorithm::STATEFUL_SIGN
        | algorithm::STATEFUL_VERIFY
        | algorithm::STATEFUL_REMAINING => stateful::stateful(context, operation, sub),
        _ => Err(Status::NOT_COMPILED_IN),
    }
}

/// Opens a signature to check and its message and copies both to the server's memory: the signature comes first.
fn obtain_signed<'d: 's, 's>(
    dma: &mut Dma<'d>,
    message: DmaBuffer,
    signature: DmaBuffer,
    wrong_length: impl FnOnce(usize) -> Option<Status>,
    space: &'s mut [u8],
) -> Result<(&'s [u8], &'s [u8]), Status> {
    let message = dma.open(message, Access::Read)?;
    let signature = dma.open(signature, Access::Read)?;
    if let Some(status) = wrong_length(signature.length()) {
        return Err(status);
    }
    let space = dma.larger_space(space, message.length().saturating_add(signature.length()));
    let (first, rest) = space.split_at_mut_checked(signature.length()).ok_or(Status::BUFFER_SIZE)?;
    let signature = dma.copy_in(signature, first)?;
    Ok((signature, dma.copy_in(message, rest)?))
}

// ----- Ed25519 -----

#[cfg(feature = "curve25519")]
fn ed25519_sign<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        Ed25519SignDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let result = (|| {
        let mode = curve25519::mode(request.mode, request.context(tail).map_err(|_| Status::BAD_ARGUMENTS)?)?;
        let mut output = None;
        let space = &mut *operation.out;
        let mut signature = [0; 64];
        curve25519::sign_message(
            context,
            operation.driver,
            request.key,
            mode,
            |context: &mut Context<'c, P>| {
                let message = context.dma.open(request.message, Access::Read)?;
                output = Some(context.dma.open(request.signature, Access::Write)?);
                if request.signature.size < 64 {
                    return Err(Status::BUFFER);
                }
                let space = context.dma.larger_space(space, message.length());
                Ok(&*context.dma.copy_in(message, space)?)
            },
            &mut signature,
        )?;
        context.dma.write(output.ok_or(Status::ABORTED)?, 0, &signature)?;
        Ok(context.put(&SignatureDmaResponse { refused: DmaBuffer::NONE, length: 64 }, operation.out))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}

/// A wrong signature is an error here, unlike in the other families (document 05, §6.3).
#[cfg(feature = "curve25519")]
fn ed25519_verify<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        Ed25519VerifyDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let result = (|| {
        let mode = curve25519::mode(request.mode, request.context(tail).map_err(|_| Status::BAD_ARGUMENTS)?)?;
        let space = &mut *operation.out;
        let wrong_length = |length| (length != 64).then_some(Status::CRYPTO_ARGUMENT);
        curve25519::verify_message(
            context,
            operation.driver,
            request.key,
            mode,
            |context: &mut Context<'c, P>| {
                obtain_signed(&mut context.dma, request.message, request.signature, wrong_length, space)
            },
        )?;
        Ok(context.put(&VerifyDmaResponse { refused: DmaBuffer::NONE, valid: 1 }, operation.out))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}

// ----- generated keys -----

/// A generated key for client memory.
struct Delivery<'a> {
    output: DmaBuffer,
    wanted: Wanted<'a>,
    /// What a buffer gets that is too small for a private key.
    private_does_not_fit: Status,
    /// What a buffer gets that is too small for the public half of a cached key.
    public_does_not_fit: Status,
}

impl Delivery<'_> {
    /// Writes the private key to client memory, or caches it and writes the public half. A key whose public half cannot
    /// be delivered is not cached.
    fn deliver<P: Platform>(
        &self,
        context: &mut Context<'_, P>,
        private: &[u8],
        encode_public: impl FnOnce(&mut [u8]) -> Result<usize, EncodingError>,
        space: &mut [u8],
    ) -> Result<usize, Status> {
        let (key, length) = if self.wanted.is_ephemeral() {
            let output = self.open(&mut context.dma, private.len(), self.private_does_not_fit)?;
            context.dma.write(output, 0, private)?;
            (KeyId::NONE, private.len())
        } else {
            let length = encode_public(space).map_err(|_| self.public_does_not_fit)?;
            let output = self.open(&mut context.dma, length, self.public_does_not_fit)?;
            let key = self.wanted.cache(context, private, Slots::OfSize)?;
            let public = space.get(..length).unwrap_or_default();
            if let Err(status) = context.dma.write(output, 0, public) {
                // It may already be gone, or be protected: the client gets to see that the write failed.
                let _ = context.locked(|keys| {
                    let id = keys.resolve(key, ObjectType::CRYPTO);
                    keys.evict(id)
                });
                return Err(status);
            }
            (key, length)
        };
        let length = u32::try_from(length).unwrap_or(0);
        let response = KeyGenerationDmaResponse { refused: DmaBuffer::NONE, key: u32::from(key.0), length };
        Ok(context.put(&response, space))
    }

    /// Opens as much of the client's buffer as is needed.
    fn open(
        &self,
        dma: &mut Dma<'_>,
        length: usize,
        too_small: Status,
    ) -> Result<crate::memory::Region, Status> {
        let size = u64::try_from(length).map_err(|_| Status::ABORTED)?;
        if self.output.size < size {
            return Err(too_small);
        }
        dma.open(DmaBuffer { size, ..self.output }, Access::Write)
    }
}

// ----- ML-DSA -----

#[cfg(feature = "ml-dsa")]
fn ml_dsa_generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlDsaKeyGenerationDmaRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlDsaKeyGenerationDmaRequest { output, level, flags, key, .. } = request;
    let label = label(request.label, request.label_length)?;
    let delivery = Delivery {
        output,
        wanted: Wanted { id: KeyId::from_u32(key), flags, label: &label },
        private_does_not_fit: Status::CRYPTO_ARGUMENT,
        public_does_not_fit: Status::BUFFER,
    };
    ml_dsa::generate_key(context, operation.driver, level, |context, private, key| {
        delivery.deliver(context, private, |out| key.encode_public(out), operation.out)
    })
}

#[cfg(feature = "ml-dsa")]
fn ml_dsa_sign<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        MlDsaSignDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let result = (|| {
        let context_string = request.context(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
        ml_dsa::check_context(context_string)?;
        let variant = (request.prehash, context_string);
        let mut output = None;
        let space = &mut *operation.out;
        let signature = ml_dsa::sign_message(
            context,
            operation.driver,
            request.key,
            variant,
            |context: &mut Context<'c, P>, set| {
                let message = context.dma.open(request.message, Access::Read)?;
                let region = context.dma.open(request.signature, Access::Write)?;
                let size = set.signature_size();
                if region.length() < size {
                    return Err(Status::BUFFER);
                }
                output = Some(region);
                let space = context.dma.larger_space(space, message.length().saturating_add(size));
                let (room, space) = space.split_at_mut_checked(size).ok_or(Status::BUFFER_SIZE)?;
                Ok((&*context.dma.copy_in(message, space)?, room))
            },
        )?;
        context.dma.write(output.ok_or(Status::ABORTED)?, 0, signature)?;
        let length = u32::try_from(signature.len()).unwrap_or(0);
        Ok(context.put(&SignatureDmaResponse { refused: DmaBuffer::NONE, length }, operation.out))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}

#[cfg(feature = "ml-dsa")]
fn ml_dsa_verify<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, tail) =
        MlDsaVerifyDmaRequest::decode(operation.body, context.order).map_err(|_| Status::BAD_ARGUMENTS)?;
    let result = (|| {
        let context_string = request.context(tail).map_err(|_| Status::BAD_ARGUMENTS)?;
        ml_dsa::check_context(context_string)?;
        let variant = (request.prehash, context_string);
        let space = &mut *operation.out;
        let valid = ml_dsa::verify_message(
            context,
            operation.driver,
            request.key,
            variant,
            |context: &mut Context<'c, P>, set| {
                let wrong_length = |length| (length != set.signature_size()).then_some(Status::BUFFER);
                obtain_signed(&mut context.dma, request.message, request.signature, wrong_length, space)
            },
        )?;
        Ok(context.put(&VerifyDmaResponse { refused: DmaBuffer::NONE, valid }, operation.out))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}

// ----- ML-KEM -----

#[cfg(feature = "ml-kem")]
fn ml_kem_generate<P: Platform>(
    context: &mut Context<'_, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlKemKeyGenerationDmaRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlKemKeyGenerationDmaRequest { output, level, flags, key, .. } = request;
    let label = label(request.label, request.label_length)?;
    let delivery = Delivery {
        output,
        wanted: Wanted { id: KeyId::from_u32(key), flags, label: &label },
        private_does_not_fit: Status::BUFFER,
        public_does_not_fit: Status::ABORTED,
    };
    ml_kem::generate_key(context, operation.driver, level, |context, private, public| {
        delivery.deliver(context, private, |out| ml_kem::encode_public(public, out), operation.out)
    })
}

/// The secret is part of the response; only the ciphertext goes to client memory.
#[cfg(feature = "ml-kem")]
fn ml_kem_encapsulate<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlKemEncapsulateDmaRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlKemEncapsulateDmaRequest { level, key, .. } = request;
    let result = (|| {
        let mut secret = Secret::<{ ml_kem::SECRET }>::zero();
        let mut output = None;
        let space = &mut *operation.out;
        let ciphertext = ml_kem::encapsulate_for(
            context,
            operation.driver,
            level,
            key,
            &mut secret,
            |context: &mut Context<'c, P>, set| {
                let size = set.ciphertext_size();
                if request.ciphertext.size < u64::try_from(size).unwrap_or(u64::MAX) {
                    return Err(Status::BAD_ARGUMENTS);
                }
                output = Some(context.dma.open(request.ciphertext, Access::Write)?);
                Ok(context.dma.larger_space(space, size))
            },
        )?;
        context.dma.write(output.ok_or(Status::ABORTED)?, 0, ciphertext)?;
        let response = MlKemEncapsulateDmaResponse {
            refused: DmaBuffer::NONE,
            ciphertext_length: u32::try_from(ciphertext.len()).unwrap_or(0),
            secret_length: u32::try_from(secret.len()).unwrap_or(0),
        };
        let fixed = context.put(&response, operation.out);
        append(operation.out.get_mut(fixed..).unwrap_or_default(), secret.as_slice())?;
        Ok(fixed.saturating_add(secret.len()))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}

#[cfg(feature = "ml-kem")]
fn ml_kem_decapsulate<'c, P: Platform>(
    context: &mut Context<'c, P>,
    operation: Operation<'_>,
) -> Result<usize, Status> {
    let (request, _) = MlKemDecapsulateDmaRequest::decode(operation.body, context.order)
        .map_err(|_| Status::BAD_ARGUMENTS)?;
    let MlKemDecapsulateDmaRequest { level, key, .. } = request;
    let result = (|| {
        let mut secret = Secret::<{ ml_kem::SECRET }>::zero();
        let space = &mut *operation.out;
        ml_kem::decapsulate_with(
            context,
            operation.driver,
            level,
            key,
            &mut secret,
            |context: &mut Context<'c, P>, set| {
                let region = context.dma.open(request.ciphertext, Access::Read)?;
                if region.length() != set.ciphertext_size() {
                    return Err(Status::BUFFER);
                }
                let space = context.dma.larger_space(space, region.length());
                Ok(&*context.dma.copy_in(region, space)?)
            },
        )?;
        let response = MlKemDecapsulateDmaResponse {
            refused: DmaBuffer::NONE,
            secret_length: u32::try_from(secret.len()).unwrap_or(0),
        };
        let fixed = context.put(&response, operation.out);
        append(operation.out.get_mut(fixed..).unwrap_or_default(), secret.as_slice())?;
        Ok(fixed.saturating_add(secret.len()))
    })();
    evict_after(context, wants(request.options, option::EVICT), request.key);
    result
}
