//! Random numbers (document 04, §4).

use crate::client::overwrite;
use crate::operation::{RANDOM, crypto_kind, demand, tail};
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::Kind;
use casemate_protocol::message::crypto::{RandomRequest, RandomResponse};
use casemate_transport::{ClientTransport, Clock};

/// Payload bytes besides the random ones.
const OVERHEAD: usize = 16;

/// Asks for random bytes; yields at least one.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// How many bytes are wanted, at most the packet data length less 16. The server may give fewer.
    pub length: u16,
}

impl Operation for Random {
    const KIND: Kind = crypto_kind::<RandomRequest>();
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.length == 0 {
            return Err(Argument::OutputLength);
        }
        request.mark_secret(); // The bytes may become a key.
        request.put_crypto(RANDOM, 0, &RandomRequest { length: u32::from(self.length) });
        request.expect_response(OVERHEAD.saturating_add(usize::from(self.length)));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (RandomResponse { length }, rest) = response.crypto(RANDOM)?;
        demand(length > 0 && length <= u32::from(self.length))?;
        Ok(tail(rest).take_u32(length)?)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Fills `out` with random bytes from the server, in as many requests as it takes. The packet buffer is wiped
    /// afterwards.
    ///
    /// # Errors
    /// `RNG_FAILURE` from the server, and the errors of every request ([`Client::run`]). `out` is then partly
    /// filled and must not be used.
    pub fn random(&mut self, out: &mut [u8]) -> Result<(), Error<T::Error>> {
        let capacity = self.capacity(OVERHEAD, 1)?;
        self.one_piece(out.len(), capacity)?;
        let mut rest = out;
        while !rest.is_empty() {
            let length = u16::try_from(rest.len().min(capacity)).unwrap_or(u16::MAX);
            let bytes = self.run(&Random { length })?;
            // At least one byte came and at most as many as were asked for, so this ends.
            let Some((filled, unfilled)) = rest.split_at_mut_checked(bytes.len()) else { break };
            overwrite(filled, bytes);
            rest = unfilled;
            self.wipe();
        }
        Ok(())
    }
}
