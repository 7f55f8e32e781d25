//! Every message, one module per group. A request knows its [`Kind`] and its response's layout, so that the two
//! cannot be paired wrongly.

use crate::{Group, Kind, Layout};

pub mod authentication;
pub mod certificate;
pub mod comm;
pub mod counter;
pub mod crypto;
pub mod crypto_dma;
pub mod custom;
pub mod key;
pub mod nvm;
pub mod public_key;
pub mod she;

/// The fixed part of a request of a group whose messages begin right at the payload (all but the CRYPTO groups).
pub trait Request: Layout {
    /// Group and action.
    const KIND: Kind;
    /// The fixed part of the response.
    type Response: Layout;
}

/// Ties requests to their kind and response.
macro_rules! requests {
    ($group:expr; $( $request:ty = $action:expr => $response:ty; )*) => {$(
        impl $crate::message::Request for $request {
            const KIND: $crate::Kind = $crate::Kind::new($group, $action);
            type Response = $response;
        }
    )*};
}
pub(crate) use requests;

/// How a refusal of a request looks: a response of the usual fixed size, all zeros but its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Size of the response's fixed part in bytes.
    pub size: usize,
    /// Where its status stands, in bytes from the start of the payload.
    pub status_offset: usize,
    /// Whether the first four bytes of the request (the algorithm) are repeated at the start.
    pub echoes_algorithm: bool,
}

/// The shape of a refusal of `kind`, if responses of that kind can carry a status at all (document 01, §5.1; the
/// sizes are those that existing clients demand, so that they see the status and not a size error).
pub const fn refusal(kind: Kind) -> Option<Refusal> {
    let size: u16 = match (kind.group, kind.action) {
        (Group::CRYPTO | Group::CRYPTO_DMA, _) => 12,
        (Group::NVM, nvm::action::INIT) => 12,
        (Group::NVM, nvm::action::AVAILABLE) => 16,
        (Group::NVM, nvm::action::LIST) => 8,
        (Group::NVM, nvm::action::METADATA) => 36,
        (
            Group::NVM,
            nvm::action::CLEANUP
            | nvm::action::ADD
            | nvm::action::DESTROY
            | nvm::action::READ
            | nvm::action::ADD_DMA
            | nvm::action::READ_DMA,
        ) => 4,
        (Group::KEY, key::action::CACHE | key::action::CACHE_RANDOM) => 12,
        (Group::KEY, key::action::EVICT | key::action::COMMIT | key::action::ERASE) => 12,
        (Group::KEY, key::action::EXPORT | key::action::EXPORT_PUBLIC) => 36,
        (
            Group::KEY,
            key::action::REVOKE | key::action::WRAP | key::action::UNWRAP_CACHE | key::action::WRAP_EXPORT,
        ) => 8,
        (Group::KEY, key::action::UNWRAP_EXPORT) => 40,
        (Group::KEY, key::action::DATA_WRAP | key::action::DATA_UNWRAP) => 12,
        (Group::KEY, key::action::CACHE_DMA) => 24,
        (Group::KEY, key::action::EXPORT_DMA | key::action::EXPORT_PUBLIC_DMA) => 48,
        (Group::CUSTOM, _) => 272,
        (Group::COUNTER, 0..=3) => 8,
        (Group::SHE, she::action::LOAD_PLAIN_KEY) => 4,
        (Group::SHE, she::action::GET_STATUS | she::action::VERIFY_MAC) => 12,
        (Group::SHE, she::action::RANDOM | she::action::GENERATE_MAC) => 20,
        (Group::SHE, she::action::LOAD_KEY) => 52,
        (Group::SHE, she::action::EXPORT_RAM_KEY) => 116,
        (Group::SHE, ..=she::action::VERIFY_MAC) => 8,
        (Group::CERT, 0x01..=0x08 | 0x22 | 0x24..=0x28) => 8,
        (Group::AUTH, authentication::action::LOGIN | authentication::action::USER_ADD) => 8,
        (Group::AUTH, authentication::action::USER_GET) => 480,
        (Group::AUTH, _) => 4,
        _ => return None,
    };
    let status_offset = match (kind.group, kind.action) {
        (Group::CRYPTO | Group::CRYPTO_DMA, _) => 4,
        (Group::CUSTOM, _) => 12,
        (Group::KEY, key::action::CACHE_DMA | key::action::EXPORT_DMA | key::action::EXPORT_PUBLIC_DMA) => 16,
        _ => 0,
    };
    let echoes_algorithm = matches!(kind.group, Group::CRYPTO | Group::CRYPTO_DMA);
    Some(Refusal { size: size as usize, status_offset, echoes_algorithm })
}
