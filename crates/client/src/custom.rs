//! Custom callbacks: functions that the server's owner has registered (document 01, §7).

use crate::operation::demand;
use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::custom::{CustomMessage, CustomRequest, CustomResponse, custom_type};
use casemate_protocol::{Kind, Status};
use casemate_transport::{ClientTransport, Clock};

/// What a callback answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The number that it returned, whose meaning is an agreement with the callback.
    pub returned: i32,
    /// What it sent back.
    pub message: CustomMessage,
}

/// Calls a callback; yields its answer.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The callback's identifier, whose lowest byte is its number.
    pub id: u32,
    /// What it gets; no query.
    pub message: CustomMessage,
}

impl Operation for Call {
    const KIND: Kind = CustomRequest::KIND;
    type Output<'r> = Answer;

    fn kind(&self) -> Kind {
        CustomRequest::kind(self.id)
    }

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        if self.message.custom_type() == custom_type::QUERY {
            return Err(Argument::CustomType);
        }
        request.mark_secret(); // It may be one.
        request.put(&CustomRequest { id: self.id, message: self.message });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Answer, ResponseFault> {
        let response: CustomResponse = response.exact()?;
        demand(response.id == self.id)?;
        Ok(Answer { returned: response.returned.0, message: response.message })
    }
}

/// Asks whether a callback is registered, without calling it.
#[derive(Debug, Clone, Copy)]
pub struct IsRegistered {
    /// The callback's identifier, whose lowest byte is its number.
    pub id: u32,
}

impl Operation for IsRegistered {
    const KIND: Kind = CustomRequest::KIND;
    type Output<'r> = bool;

    fn kind(&self) -> Kind {
        CustomRequest::kind(self.id)
    }

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&CustomRequest { id: self.id, message: CustomMessage::QUERY });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<bool, ResponseFault> {
        match response.exact::<CustomResponse>() {
            Ok(response) => {
                demand(response.id == self.id && response.message.custom_type() == custom_type::QUERY)?;
                Ok(true)
            }
            Err(ResponseFault::Remote(Status::NO_HANDLER)) => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Calls the custom callback `id` with `message`.
    ///
    /// # Errors
    /// [`Error::Remote`] with NO_HANDLER if none is registered there; [`ProtocolFault::Empty`](crate::ProtocolFault)
    /// if the server has no callback of that number.
    pub fn custom_call(&mut self, id: u32, message: &CustomMessage) -> Result<Answer, Error<T::Error>> {
        self.run(&Call { id, message: *message })
    }

    /// Whether the custom callback `id` is registered.
    ///
    /// # Errors
    /// [`ProtocolFault::Empty`](crate::ProtocolFault) if the server has no callback of that number.
    pub fn custom_is_registered(&mut self, id: u32) -> Result<bool, Error<T::Error>> {
        self.run(&IsRegistered { id })
    }
}
