//! The message groups, one module each. A handler takes the action and the payload and writes the response payload;
//! it returns the response's length, 0 where the protocol has no other way to refuse.
//!
//! They are not inlined: the variables of one group would take stack under the requests of all.

#[cfg(feature = "authentication")]
pub(crate) mod authentication;
#[cfg(feature = "certificates")]
pub(crate) mod certificate;
pub(crate) mod comm;
pub(crate) mod counter;
pub(crate) mod crypto;
#[cfg(feature = "custom")]
pub(crate) mod custom;
pub(crate) mod key;
pub(crate) mod nvm;
#[cfg(feature = "she")]
pub(crate) mod she;
