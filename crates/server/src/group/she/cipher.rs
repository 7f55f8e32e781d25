//! Ciphers and MACs with the key of a slot (document 06, §5).

use super::slots::{Slot, unlabelled};
use super::{Command, State, malformed, overflow, rules};
use crate::error::crypto_status;
use crate::platform::Platform;
use casemate_crypto::she::Block;
use casemate_crypto::{Direction, Secret, cmac, constant_time_equal};
use casemate_protocol::message::she::{
    CipherResponse, EncryptCbcRequest, EncryptEcbRequest, GenerateMacRequest, GenerateMacResponse, SlotLabel,
    VerifyMacRequest, VerifyMacResponse, action, whole_blocks,
};
use casemate_protocol::{Layout, Malformed, Status};

/// The shortest MAC that is ever compared, in bytes.
const MIN_MAC: usize = 4;

/// A request, taken apart.
struct Request<'a> {
    slot: u8,
    /// Of CBC, else zeros.
    iv: Block,
    /// What is to be turned, or the message of a MAC.
    data: &'a [u8],
    /// The MAC to be verified; empty if there is none.
    claimed: &'a [u8],
}

impl<'a> Request<'a> {
    fn decode<P: Platform>(command: &Command<'a, P>) -> Result<Self, Status> {
        match command.action {
            action::GENERATE_MAC => {
                let (GenerateMacRequest { slot, length }, tail) = command.request()?;
                Self::of_mac(&VerifyMacRequest { slot, length, mac_length: 0 }, tail)
            }
            action::VERIFY_MAC => {
                let (request, tail) = command.request()?;
                Self::of_mac(&request, tail)
            }
            // Both directions have the same layout.
            action::ENCRYPT_ECB | action::DECRYPT_ECB => {
                let (EncryptEcbRequest { length, slot }, tail) = command.request()?;
                Self::of_cipher(&EncryptCbcRequest { length, slot, iv: Block::default() }, tail)
            }
            _ => {
                let (request, tail) = command.request()?;
                Self::of_cipher(&request, tail)
            }
        }
        .map_err(malformed)
    }

    fn of_cipher(request: &EncryptCbcRequest, tail: &'a [u8]) -> Result<Self, Malformed> {
        let &EncryptCbcRequest { length, slot, iv } = request;
        Ok(Self { slot, iv, data: whole_blocks(length, tail)?, claimed: &[] })
    }

    fn of_mac(request: &VerifyMacRequest, tail: &'a [u8]) -> Result<Self, Malformed> {
        let [.., slot] = request.slot.to_be_bytes();
        let (data, claimed) = request.tails(tail)?;
        Ok(Self { slot, iv: Block::default(), data, claimed })
    }
}

/// The key of a slot, for the work of the command.
fn key<P: Platform>(
    state: &State,
    command: &mut Command<'_, P>,
    number: u8,
    to: &mut Block,
) -> Result<(), Status> {
    let action = command.action;
    let mut metadata = unlabelled(command.slot(number));
    match command.read_slot(&mut metadata, to)? {
        Slot::Key => {
            let label = SlotLabel::from_label(&metadata.label);
            rules::check_use(command.options().rules, state, action, number, label)
        }
        // Three of the commands tell a short object from the others (document 06, §5).
        Slot::Short if matches!(action, action::ENCRYPT_ECB | action::DECRYPT_ECB | action::ENCRYPT_CBC) => {
            Err(Status::SHE_GENERAL_ERROR)
        }
        Slot::Absent | Slot::Short | Slot::Long => Err(Status::SHE_KEY_NOT_AVAILABLE),
    }
}

/// The four cipher commands and both MAC commands. Not inlined: the others would have the request on their stack.
#[inline(never)]
pub(super) fn handle<P: Platform>(own: &mut State, command: &mut Command<'_, P>) -> Result<(), Status> {
    let mut request = None;
    let mut bytes = Secret::zero();
    command.with_state(own, &mut |state, command| {
        let slot = request.insert(Request::decode(command)?).slot;
        key(state, command, slot, &mut bytes)
    })??;
    let request = request.ok_or(Status::SHE_GENERAL_ERROR)?;
    match command.action {
        action::GENERATE_MAC | action::VERIFY_MAC => mac(command, &bytes, &request),
        _ => cipher(command, &bytes, &request),
    }
}

fn cipher<P: Platform>(
    command: &mut Command<'_, P>,
    key: &Block,
    &Request { mut iv, data, .. }: &Request<'_>,
) -> Result<(), Status> {
    let driver = command.driver();
    let length = u32::try_from(data.len()).map_err(|_| Status::SHE_GENERAL_ERROR)?;
    let response = CipherResponse { status: Status::OK, length };
    let rest = response.encode(command.order, command.out).map_err(overflow)?;
    let text = rest.get_mut(..data.len()).ok_or(Status::SHE_GENERAL_ERROR)?;
    text.copy_from_slice(data);
    command.size = command.size.saturating_add(data.len());
    let direction = match command.action {
        action::ENCRYPT_ECB | action::ENCRYPT_CBC => Direction::Encrypt,
        _ => Direction::Decrypt,
    };
    match command.action {
        action::ENCRYPT_ECB | action::DECRYPT_ECB => driver.ecb(direction, key, text),
        _ => driver.cbc(direction, key, &mut iv, text),
    }
    .map_err(crypto_status)
}

/// A MAC that is too short or too long does not match.
fn mac<P: Platform>(
    command: &mut Command<'_, P>,
    key: &Block,
    &Request { data, claimed, .. }: &Request<'_>,
) -> Result<(), Status> {
    let mut mac = Block::default();
    cmac(command.driver(), key, &[data], &mut mac).map_err(crypto_status)?;
    if command.action == action::GENERATE_MAC {
        return command.respond(&GenerateMacResponse { status: Status::OK, mac });
    }
    let shortest = MIN_MAC.max(usize::from(command.options().min_mac_length));
    let matches = mac
        .get(..claimed.len())
        .is_some_and(|mac| mac.len() >= shortest && constant_time_equal(mac, claimed));
    command.respond(&VerifyMacResponse { status: Status::OK, mismatch: u8::from(!matches) })
}
