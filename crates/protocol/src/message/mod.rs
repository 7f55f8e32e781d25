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

/// The sizes of refusals in words of four bytes, for the actions from one number to another of a group. The first row
/// that holds counts.
const REFUSALS: &[(Group, u8, u8, u8)] = &[
    (Group::KEY, key::action::EXPORT, key::action::EXPORT, 9),
    (Group::KEY, key::action::CACHE, key::action::ERASE, 3),
    (Group::KEY, key::action::CACHE_DMA, key::action::CACHE_DMA, 6),
    (Group::KEY, key::action::EXPORT_DMA, key::action::EXPORT_DMA, 12),
    (Group::KEY, key::action::UNWRAP_EXPORT, key::action::UNWRAP_EXPORT, 10),
    (Group::KEY, key::action::REVOKE, key::action::UNWRAP_CACHE, 2),
    (Group::KEY, key::action::DATA_WRAP, key::action::DATA_UNWRAP, 3),
    (Group::KEY, key::action::EXPORT_PUBLIC, key::action::EXPORT_PUBLIC, 9),
    (Group::KEY, key::action::EXPORT_PUBLIC_DMA, key::action::EXPORT_PUBLIC_DMA, 12),
    (Group::KEY, key::action::WRAP_EXPORT, key::action::WRAP_EXPORT, 2),
    (Group::KEY, key::action::CACHE_RANDOM, key::action::CACHE_RANDOM, 3),
    (Group::NVM, nvm::action::INIT, nvm::action::INIT, 3),
    (Group::NVM, nvm::action::AVAILABLE, nvm::action::AVAILABLE, 4),
    (Group::NVM, nvm::action::LIST, nvm::action::LIST, 2),
    (Group::NVM, nvm::action::METADATA, nvm::action::METADATA, 9),
    (Group::NVM, nvm::action::CLEANUP, nvm::action::READ, 1),
    (Group::NVM, nvm::action::ADD_DMA, nvm::action::ADD_DMA, 1),
    (Group::NVM, nvm::action::READ_DMA, nvm::action::READ_DMA, 1),
    (Group::COUNTER, 0, 3, 2),
    (Group::SHE, she::action::GET_STATUS, she::action::GET_STATUS, 3),
    (Group::SHE, she::action::LOAD_KEY, she::action::LOAD_KEY, 13),
    (Group::SHE, she::action::LOAD_PLAIN_KEY, she::action::LOAD_PLAIN_KEY, 1),
    (Group::SHE, she::action::EXPORT_RAM_KEY, she::action::EXPORT_RAM_KEY, 29),
    (Group::SHE, she::action::RANDOM, she::action::RANDOM, 5),
    (Group::SHE, she::action::GENERATE_MAC, she::action::GENERATE_MAC, 5),
    (Group::SHE, she::action::VERIFY_MAC, she::action::VERIFY_MAC, 3),
    (Group::SHE, 0, she::action::VERIFY_MAC, 2),
    (Group::CERT, 0x01, 0x08, 2),
    (Group::CERT, 0x22, 0x22, 2),
    (Group::CERT, 0x24, 0x28, 2),
    (Group::AUTH, authentication::action::LOGIN, authentication::action::LOGIN, 2),
    (Group::AUTH, authentication::action::USER_ADD, authentication::action::USER_ADD, 2),
    (Group::AUTH, authentication::action::USER_GET, authentication::action::USER_GET, 120),
    (Group::AUTH, 0, authentication::action::USER_GET, 1),
];

/// The rows of one group by action, for its actions below `N`; 0 where responses carry no status. Made when this is
/// compiled, so that no message costs a search.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn by_action<const N: usize>(group: Group) -> [u8; N] {
    let mut sizes = [0; N];
    let mut rows = REFUSALS;
    while let [rest @ .., (of, first, last, words)] = rows {
        let mut action = *first;
        while of.0 == group.0 && action <= *last {
            sizes[action as usize] = *words;
            action += 1;
        }
        rows = rest;
    }
    sizes
}

static KEY: [u8; 17] = by_action(Group::KEY);
static NVM: [u8; 41] = by_action(Group::NVM);
static COUNTER: [u8; 4] = by_action(Group::COUNTER);
static SHE: [u8; 17] = by_action(Group::SHE);
static CERT: [u8; 41] = by_action(Group::CERT);
static AUTH: [u8; 5] = by_action(Group::AUTH);

/// The shape of a refusal of `kind`, if responses of that kind can carry a status at all (document 01, §5.1; the
/// sizes are those that existing clients demand, so that they see the status and not a size error).
pub fn refusal(kind: Kind) -> Option<Refusal> {
    use key::action::{CACHE_DMA, EXPORT_DMA, EXPORT_PUBLIC_DMA};
    let Kind { group, action } = kind;
    // The sizes by action, and that of all other actions.
    let (sizes, others, status_offset): (&[u8], u8, usize) = match (group, action) {
        (Group::KEY, CACHE_DMA | EXPORT_DMA | EXPORT_PUBLIC_DMA) => (&KEY, 0, 16),
        (Group::KEY, _) => (&KEY, 0, 0),
        (Group::NVM, _) => (&NVM, 0, 0),
        (Group::COUNTER, _) => (&COUNTER, 0, 0),
        (Group::SHE, _) => (&SHE, 0, 0),
        (Group::CERT, _) => (&CERT, 0, 0),
        (Group::AUTH, _) => (&AUTH, 1, 0),
        (Group::CRYPTO | Group::CRYPTO_DMA, _) => (&[], 3, 4),
        (Group::CUSTOM, _) => (&[], 68, 12),
        _ => return None,
    };
    let words = sizes.get(usize::from(action)).copied().unwrap_or(others);
    let echoes_algorithm = matches!(group, Group::CRYPTO | Group::CRYPTO_DMA);
    (words > 0).then_some(Refusal {
        size: usize::from(words).wrapping_mul(4),
        status_offset,
        echoes_algorithm,
    })
}
