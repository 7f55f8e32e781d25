//! One client that several keys share.

use crate::Error;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use casemate_client::Client;
use casemate_protocol::KeyId;
use casemate_protocol::message::key::KeyAlgorithm;
use casemate_transport::{ClientTransport, Clock};
use core::cell::RefCell;

/// The longest public key that a server gives, in bytes: of ML-DSA-87, with its frame.
const LONGEST_PUBLIC: usize = 4096;

/// A connection to a server that several keys share: a [`Client`] in a `RefCell`, or in a `Mutex` where there are
/// threads, and references to such.
pub trait Connection {
    /// The client's transport.
    type Transport: ClientTransport;
    /// The client's packet buffer.
    type Buffer: AsRef<[u8]> + AsMut<[u8]>;
    /// The client's clock.
    type Clock: Clock;

    /// Calls the server. The call must not use the same connection again.
    ///
    /// # Errors
    /// [`Error`] if the connection is in use (a `RefCell` in the call itself), or that of the call.
    fn with<R>(
        &self,
        call: impl FnOnce(&mut Client<Self::Transport, Self::Buffer, Self::Clock>) -> Result<R, Error>,
    ) -> Result<R, Error>;
}

impl<T, B, C> Connection for RefCell<Client<T, B, C>>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    type Transport = T;
    type Buffer = B;
    type Clock = C;

    fn with<R>(&self, call: impl FnOnce(&mut Client<T, B, C>) -> Result<R, Error>) -> Result<R, Error> {
        call(&mut *self.try_borrow_mut().map_err(Error::other)?)
    }
}

#[cfg(feature = "std")]
impl<T, B, C> Connection for std::sync::Mutex<Client<T, B, C>>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    type Transport = T;
    type Buffer = B;
    type Clock = C;

    fn with<R>(&self, call: impl FnOnce(&mut Client<T, B, C>) -> Result<R, Error>) -> Result<R, Error> {
        // A client whose call panicked still knows which response it waits for.
        call(&mut *self.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

macro_rules! through {
    ($($pointer:ty),+) => { $(
        impl<H: Connection> Connection for $pointer {
            type Transport = H::Transport;
            type Buffer = H::Buffer;
            type Clock = H::Clock;

            fn with<R>(
                &self,
                call: impl FnOnce(&mut Client<Self::Transport, Self::Buffer, Self::Clock>) -> Result<R, Error>,
            ) -> Result<R, Error> {
                (**self).with(call)
            }
        }
    )+ };
}

through!(&H, Rc<H>, Arc<H>);

/// The public half of a key, as the server gives it.
pub(crate) fn public_key<H: Connection>(
    connection: &H,
    id: KeyId,
    algorithm: KeyAlgorithm,
) -> Result<Vec<u8>, Error> {
    connection.with(|client| {
        let mut bytes = vec![0; LONGEST_PUBLIC];
        let (length, _) = client.key_export_public(id, algorithm, &mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    })
}
