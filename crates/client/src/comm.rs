//! Connection: claim an identity, ask for the server's configuration, echo, close (document 01, §4).

use crate::operation::demand;
use crate::{Argument, Client, Error, Operation, ProtocolFault, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::comm::{
    CloseRequest, CloseResponse, EchoRequest, InfoRequest, InfoResponse, InitRequest, InitResponse,
};
use casemate_protocol::{ClientId, Kind, Layout};
use casemate_transport::{ClientTransport, Clock};

/// Claims a client identifier for this connection; yields the server's identifier.
#[derive(Debug, Clone, Copy)]
pub struct Init {
    /// The identifier to claim.
    pub client: ClientId,
}

impl Operation for Init {
    const KIND: Kind = InitRequest::KIND;
    type Output<'r> = u32;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&InitRequest { client_id: u32::from(self.client.get()) });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<u32, ResponseFault> {
        let granted: InitResponse = response.exact()?;
        demand(granted.client_id == u32::from(self.client.get()))?;
        Ok(granted.server_id)
    }
}

/// Has the server repeat some bytes.
#[derive(Debug, Clone, Copy)]
pub struct Echo<'a> {
    /// The bytes; at most the packet data length.
    pub data: &'a [u8],
}

impl Operation for Echo<'_> {
    const KIND: Kind = EchoRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put_bytes(self.data);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        demand(response.payload() == self.data)?;
        Ok(response.payload())
    }
}

/// Asks for the server's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Info;

impl Operation for Info {
    const KIND: Kind = InfoRequest::KIND;
    type Output<'r> = InfoResponse;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&InfoRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<InfoResponse, ResponseFault> {
        let info: InfoResponse = response.exact()?;
        // This very response would not fit a smaller packet.
        let least = u32::try_from(InfoResponse::SIZE).map_err(|_| ProtocolFault::Length)?;
        demand(info.data_length >= least)?;
        Ok(info)
    }
}

/// Ends the session.
#[derive(Debug, Clone, Copy)]
pub struct Close;

impl Operation for Close {
    const KIND: Kind = CloseRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&CloseRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        let CloseResponse {} = response.exact()?;
        Ok(())
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Claims `client` as this connection's identity and returns the server's identifier. Keys and counters belong
    /// to the client that made them, so this comes first on a connection.
    ///
    /// # Errors
    /// [`ProtocolFault::Empty`] if the server refuses the identifier, and the errors of every request
    /// ([`Client::run`]).
    pub fn init(&mut self, client: ClientId) -> Result<u32, Error<T::Error>> {
        self.run(&Init { client })
    }

    /// Has the server repeat `data`, at most [`data_length`](Self::data_length) bytes, and returns what it
    /// repeated.
    ///
    /// # Errors
    /// [`ProtocolFault::Contradiction`] if other bytes came back, and the errors of every request
    /// ([`Client::run`]).
    pub fn echo(&mut self, data: &[u8]) -> Result<&[u8], Error<T::Error>> {
        self.run(&Echo { data })
    }

    /// Asks for the server's configuration.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn info(&mut self) -> Result<InfoResponse, Error<T::Error>> {
        self.run(&Info)
    }

    /// Asks for the server's configuration and adopts its packet data length if it is smaller than this client's
    /// buffer, so that no request exceeds what the server takes.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn learn_limits(&mut self) -> Result<InfoResponse, Error<T::Error>> {
        let info = self.info()?;
        self.restrict(usize::try_from(info.data_length).unwrap_or(usize::MAX));
        Ok(info)
    }

    /// Ends the session. The server forgets the keys that this connection cached and did not commit; the transport
    /// must connect anew for another session.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn close(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&Close)
    }
}
