//! Random numbers of the server.

use crate::{Connection, Error};
use rand_core::{TryCryptoRng, TryRng};

/// The server's random generator.
///
/// Every call is a request: take many bytes at once.
#[derive(Clone)]
pub struct HsmRandom<H> {
    connection: H,
}

impl<H> core::fmt::Debug for HsmRandom<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HsmRandom").finish_non_exhaustive()
    }
}

impl<H: Connection> HsmRandom<H> {
    /// The generator of the server at the other end.
    pub const fn new(connection: H) -> Self {
        Self { connection }
    }
}

impl<H: Connection> TryRng for HsmRandom<H> {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.connection.with(|client| Ok(client.random(bytes)?))
    }
}

impl<H: Connection> TryCryptoRng for HsmRandom<H> {}
