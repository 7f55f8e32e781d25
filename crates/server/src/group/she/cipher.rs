//! Ciphers and MACs with the key of a slot (document 06, §5).

use super::slots::Slot;
use super::{State, Surroundings, rules, status, with_state};
use crate::context::Context;
use crate::error::crypto_status;
use crate::platform::{Affinity, Platform};
use casemate_crypto::she::Block;
use casemate_crypto::{Direction, cmac, constant_time_equal};
use casemate_protocol::message::she::{
    CipherResponse, DecryptCbcRequest, DecryptEcbRequest, EncryptCbcRequest, EncryptEcbRequest,
    GenerateMacRequest, VerifyMacRequest, action, whole_blocks,
};
use casemate_protocol::{ByteOrder, Layout, Malformed, Status};
use zeroize::Zeroizing;

/// The shortest MAC that is ever compared, in bytes.
const MIN_MAC: usize = 4;

/// A cipher request, taken apart.
struct Request<'a> {
    slot: u8,
    iv: Option<Block>,
    data: &'a [u8],
}

impl<'a> Request<'a> {
    fn decode(action: u8, payload: &'a [u8], order: ByteOrder) -> Result<Self, Malformed> {
        Ok(match action {
            action::ENCRYPT_ECB => {
                let (EncryptEcbRequest { length, slot }, tail) = Layout::decode(payload, order)?;
                Self { slot, iv: None, data: whole_blocks(length, tail)? }
            }
            action::DECRYPT_ECB => {
                let (DecryptEcbRequest { length, slot }, tail) = Layout::decode(payload, order)?;
                Self { slot, iv: None, data: whole_blocks(length, tail)? }
            }
            action::ENCRYPT_CBC => {
                let (EncryptCbcRequest { length, slot, iv }, tail) = Layout::decode(payload, order)?;
                Self { slot, iv: Some(iv), data: whole_blocks(length, tail)? }
            }
            _ => {
                let (DecryptCbcRequest { length, slot, iv }, tail) = Layout::decode(payload, order)?;
                Self { slot, iv: Some(iv), data: whole_blocks(length, tail)? }
            }
        })
    }
}

/// The key of a slot, for the work of `action`.
fn key<P: Platform>(
    state: &State,
    surroundings: &mut Surroundings<'_, P>,
    action: u8,
    number: u8,
) -> Result<Zeroizing<Block>, Status> {
    let id = surroundings.slot(number);
    let key = match surroundings.keys(|keys| keys.slot(id))? {
        Slot::Key(key) => key,
        // Three of the commands tell a short object from the others (document 06, §5).
        Slot::Short if matches!(action, action::ENCRYPT_ECB | action::DECRYPT_ECB | action::ENCRYPT_CBC) => {
            return Err(Status::SHE_GENERAL_ERROR);
        }
        Slot::Absent | Slot::Short | Slot::Long => return Err(Status::SHE_KEY_NOT_AVAILABLE),
    };
    rules::check_use(surroundings.options().rules, state, &key, action)?;
    Ok(key.bytes)
}

/// The four cipher commands.
#[inline(never)]
pub(super) fn handle<P: Platform>(
    context: &mut Context<'_, P>,
    action: u8,
    payload: &[u8],
    out: &mut [u8],
) -> usize {
    let result = with_state(context, action, |state, surroundings| {
        let request =
            Request::decode(action, payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let text = out
            .get_mut(CipherResponse::SIZE..)
            .and_then(|rest| rest.get_mut(..request.data.len()))
            .ok_or(Status::SHE_GENERAL_ERROR)?;
        let key = key(state, surroundings, action, request.slot)?;
        Ok((request, key, text))
    })
    .and_then(|(request, key, text)| {
        text.copy_from_slice(request.data);
        let direction = match action {
            action::ENCRYPT_ECB | action::ENCRYPT_CBC => Direction::Encrypt,
            _ => Direction::Decrypt,
        };
        let driver = context.crypto(Affinity::Accelerated);
        match request.iv {
            None => driver.ecb(direction, key.as_slice(), text),
            Some(mut iv) => driver.cbc(direction, key.as_slice(), &mut iv, text),
        }
        .map_err(crypto_status)?;
        Ok(text.len())
    });
    let size = result.unwrap_or(0);
    let length = u32::try_from(size).unwrap_or(0);
    context.put(&CipherResponse { status: status(&result), length }, out).saturating_add(size)
}

/// GENERATE_MAC.
pub(super) fn generate_mac<P: Platform>(
    context: &mut Context<'_, P>,
    payload: &[u8],
) -> Result<Block, Status> {
    let (message, key) = with_state(context, action::GENERATE_MAC, |state, surroundings| {
        let (request, tail) =
            GenerateMacRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let message = request.message(tail).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let [.., number] = request.slot.to_be_bytes();
        Ok((message, key(state, surroundings, action::GENERATE_MAC, number)?))
    })?;
    mac(context, &key, message)
}

/// VERIFY_MAC: whether the MAC matches. One that is too short or too long does not.
pub(super) fn verify_mac<P: Platform>(context: &mut Context<'_, P>, payload: &[u8]) -> Result<bool, Status> {
    let (message, claimed, key) = with_state(context, action::VERIFY_MAC, |state, surroundings| {
        let (request, tail) =
            VerifyMacRequest::decode(payload, surroundings.order).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let (message, claimed) = request.tails(tail).map_err(|_| Status::SHE_GENERAL_ERROR)?;
        let [.., number] = request.slot.to_be_bytes();
        Ok((message, claimed, key(state, surroundings, action::VERIFY_MAC, number)?))
    })?;
    let mac = mac(context, &key, message)?;
    let shortest = MIN_MAC.max(usize::from(context.server.config().she.min_mac_length));
    Ok(mac.get(..claimed.len()).is_some_and(|mac| mac.len() >= shortest && constant_time_equal(mac, claimed)))
}

fn mac<P: Platform>(context: &Context<'_, P>, key: &Block, message: &[u8]) -> Result<Block, Status> {
    let mut out = [0; 16];
    cmac(context.crypto(Affinity::Accelerated), key, &[message], &mut out).map_err(crypto_status)?;
    Ok(out)
}
