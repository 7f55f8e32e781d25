//! Monotonic counters (document 02, §7). A counter belongs to the client that made it and survives resets.

use crate::{Argument, Client, Error, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::Kind;
use casemate_protocol::message::Request;
use casemate_protocol::message::counter::{
    DestroyRequest, DestroyResponse, IncrementRequest, InitRequest, ReadRequest, ValueResponse,
};
use casemate_transport::{ClientTransport, Clock};

fn checked(id: u8) -> Result<u16, Argument> {
    match id {
        0 => Err(Argument::CounterId),
        id => Ok(u16::from(id)),
    }
}

fn value(response: Response<'_>) -> Result<u32, ResponseFault> {
    Ok(response.fixed::<ValueResponse>()?.0.value)
}

/// Creates a counter or sets its value; yields the value.
#[derive(Debug, Clone, Copy)]
pub struct Init {
    /// The counter, 1..=255.
    pub id: u8,
    /// Its new value.
    pub value: u32,
}

impl Operation for Init {
    const KIND: Kind = InitRequest::KIND;
    type Output<'r> = u32;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&InitRequest { value: self.value, id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<u32, ResponseFault> {
        value(response)
    }
}

/// Adds one to a counter; yields the new value.
#[derive(Debug, Clone, Copy)]
pub struct Increment {
    /// The counter, 1..=255.
    pub id: u8,
}

impl Operation for Increment {
    const KIND: Kind = IncrementRequest::KIND;
    type Output<'r> = u32;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&IncrementRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<u32, ResponseFault> {
        value(response)
    }
}

/// Asks for a counter's value.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// The counter, 1..=255.
    pub id: u8,
}

impl Operation for Read {
    const KIND: Kind = ReadRequest::KIND;
    type Output<'r> = u32;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&ReadRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<u32, ResponseFault> {
        value(response)
    }
}

/// Removes a counter.
#[derive(Debug, Clone, Copy)]
pub struct Destroy {
    /// The counter, 1..=255.
    pub id: u8,
}

impl Operation for Destroy {
    const KIND: Kind = DestroyRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&DestroyRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        response.fixed::<DestroyResponse>().map(|_| ())
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Creates counter `id`, or sets it to `value` even if it was higher, and returns its value.
    ///
    /// # Errors
    /// [`Argument::CounterId`] for `id` 0; `NO_SPACE` from a server whose store is full; and the errors of every
    /// request ([`Client::run`]).
    pub fn counter_init(&mut self, id: u8, value: u32) -> Result<u32, Error<T::Error>> {
        self.run(&Init { id, value })
    }

    /// Adds one to counter `id` and returns its new value. At 4294967295 it stays there.
    ///
    /// # Errors
    /// [`Argument::CounterId`] for `id` 0; `NOT_FOUND` or `NO_SPACE` from the server; and the errors of every
    /// request ([`Client::run`]).
    pub fn counter_increment(&mut self, id: u8) -> Result<u32, Error<T::Error>> {
        self.run(&Increment { id })
    }

    /// Returns the value of counter `id`.
    ///
    /// # Errors
    /// [`Argument::CounterId`] for `id` 0; `NOT_FOUND` from the server; and the errors of every request
    /// ([`Client::run`]).
    pub fn counter_read(&mut self, id: u8) -> Result<u32, Error<T::Error>> {
        self.run(&Read { id })
    }

    /// Removes counter `id`. It is not an error if there is none.
    ///
    /// # Errors
    /// [`Argument::CounterId`] for `id` 0, and the errors of every request ([`Client::run`]).
    pub fn counter_destroy(&mut self, id: u8) -> Result<(), Error<T::Error>> {
        self.run(&Destroy { id })
    }
}
