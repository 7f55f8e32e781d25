//! The tables of calls, by group.

mod authentication;
mod certificate;
mod cipher;
mod connection;
mod counter;
mod custom;
mod dma;
mod hash;
mod kdf;
mod key;
mod nvm;
mod opening;
mod public_key;
mod she;
mod stateful;

#[cfg(test)]
pub(crate) use opening::VERSION;

/// Everything in the header, in its order.
#[cfg(test)]
pub(crate) const GROUPS: &[(&str, &[crate::ffi::Call])] = &[
    opening::VALUES,
    opening::OPENINGS,
    connection::GROUP,
    authentication::GROUP,
    nvm::GROUP,
    key::GROUP,
    counter::GROUP,
    cipher::GROUP,
    hash::GROUP,
    kdf::GROUP,
    public_key::GROUP,
    certificate::GROUP,
    she::GROUP,
    dma::GROUP,
    stateful::GROUP,
    custom::GROUP,
];
