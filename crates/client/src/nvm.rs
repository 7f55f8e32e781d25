//! Objects in the server's non-volatile memory (document 02, §6). Identifiers are raw: a committed key or a counter
//! is an object too, under its server-side identifier.

use crate::client::overwrite;
use crate::operation::{demand, length_u16};
use crate::{Argument, Client, Error, Operation, ProtocolFault, RequestWriter, Response, ResponseFault};
use casemate_protocol::message::Request;
use casemate_protocol::message::nvm::{
    AddRequest, AvailableRequest, AvailableResponse, CleanupRequest, DESTROY_LIST_LENGTH, DestroyRequest,
    InitRequest, InitResponse, ListRequest, ListResponse, MetadataRequest, MetadataResponse, ReadRequest,
    StatusResponse,
};
use casemate_protocol::{Flags, Kind, Layout, Metadata, ObjectId};
use casemate_transport::{ClientTransport, Clock};

fn checked(id: ObjectId) -> Result<ObjectId, Argument> {
    if id == ObjectId::INVALID { Err(Argument::ObjectId) } else { Ok(id) }
}

fn done(response: Response<'_>) -> Result<(), ResponseFault> {
    response.exact::<StatusResponse>().map(|_| ())
}

/// Announces use of the store; yields the server's identifier. No other message needs it.
#[derive(Debug, Clone, Copy)]
pub struct Init {
    /// Any number; the original client sends its client identifier.
    pub client_nvm_id: u32,
}

impl Operation for Init {
    const KIND: Kind = InitRequest::KIND;
    type Output<'r> = u32;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&InitRequest { client_nvm_id: self.client_nvm_id });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<u32, ResponseFault> {
        let response: InitResponse = response.exact()?;
        demand(response.client_nvm_id == self.client_nvm_id)?;
        Ok(response.server_nvm_id)
    }
}

/// Ends use of the store; has no effect.
#[derive(Debug, Clone, Copy)]
pub struct Cleanup;

impl Operation for Cleanup {
    const KIND: Kind = CleanupRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&CleanupRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Asks for free and reclaimable space.
#[derive(Debug, Clone, Copy)]
pub struct Available;

impl Operation for Available {
    const KIND: Kind = AvailableRequest::KIND;
    type Output<'r> = AvailableResponse;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&AvailableRequest {});
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<AvailableResponse, ResponseFault> {
        response.exact()
    }
}

/// Stores an object.
#[derive(Debug, Clone, Copy)]
pub struct Add<'a> {
    /// Identifier, access, flags and label; the length is taken from the data.
    pub metadata: Metadata,
    /// The data; at most the packet data length less 32 bytes.
    pub data: &'a [u8],
}

impl Operation for Add<'_> {
    const KIND: Kind = AddRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        checked(self.metadata.id)?;
        request.mark_secret();
        let metadata = Metadata { length: length_u16(self.data.len()), ..self.metadata };
        request.put(&AddRequest { metadata });
        request.put_bytes(self.data);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Asks for the object after another one, in directory order; yields `None` at the end.
#[derive(Debug, Clone, Copy)]
pub struct Next {
    /// The object before, or [`ObjectId::INVALID`] to begin.
    pub after: ObjectId,
}

impl Operation for Next {
    const KIND: Kind = ListRequest::KIND;
    type Output<'r> = Option<ObjectId>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&ListRequest { access: Metadata::ACCESS_ANY, flags: Flags::NONE, start: self.after });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Option<ObjectId>, ResponseFault> {
        let response: ListResponse = response.exact()?;
        if response.count == 0 || response.id == ObjectId::INVALID {
            return Ok(None);
        }
        demand(response.id != self.after)?;
        Ok(Some(response.id))
    }
}

/// Asks for an object's metadata.
#[derive(Debug, Clone, Copy)]
pub struct ReadMetadata {
    /// The object.
    pub id: ObjectId,
}

impl Operation for ReadMetadata {
    const KIND: Kind = MetadataRequest::KIND;
    type Output<'r> = Metadata;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&MetadataRequest { id: checked(self.id)? });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Metadata, ResponseFault> {
        let MetadataResponse { metadata, .. } = response.exact()?;
        demand(metadata.id == self.id)?;
        Ok(metadata)
    }
}

/// Reads a part of an object's data.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// The object.
    pub id: ObjectId,
    /// First byte wanted; it must be before the object's end.
    pub offset: u16,
    /// How many bytes are wanted, at most the packet data length less 4. Fewer come at the object's end.
    pub length: u16,
}

impl Operation for Read {
    const KIND: Kind = ReadRequest::KIND;
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.mark_secret();
        request.put(&ReadRequest { id: checked(self.id)?, offset: self.offset, length: self.length });
        request.expect_response(StatusResponse::SIZE.saturating_add(usize::from(self.length)));
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        let (StatusResponse { .. }, data) = response.fixed()?;
        demand(data.len() <= usize::from(self.length))?;
        Ok(data)
    }
}

/// Destroys up to 19 objects.
#[derive(Debug, Clone, Copy)]
pub struct Destroy {
    request: DestroyRequest,
}

impl Destroy {
    /// To destroy `ids`, 1 to 19 of them.
    ///
    /// # Errors
    /// [`Argument::ObjectId`] if there are none or more, or if one of them is 0.
    pub fn new(ids: &[ObjectId]) -> Result<Self, Argument> {
        if ids.is_empty() || ids.contains(&ObjectId::INVALID) {
            return Err(Argument::ObjectId);
        }
        Ok(Self { request: DestroyRequest::new(ids).ok_or(Argument::ObjectId)? })
    }
}

impl Operation for Destroy {
    const KIND: Kind = DestroyRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&self.request);
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Frees the space of destroyed and replaced objects.
#[derive(Debug, Clone, Copy)]
pub struct Compact;

impl Operation for Compact {
    const KIND: Kind = DestroyRequest::KIND;
    type Output<'r> = ();

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        request.put(&DestroyRequest { count: 0, ids: [ObjectId::INVALID; DESTROY_LIST_LENGTH] });
        Ok(())
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<(), ResponseFault> {
        done(response)
    }
}

/// Goes through the objects of a store; see [`Client::nvm_list`].
#[derive(Debug)]
pub struct ObjectIds<'c, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    client: &'c mut Client<T, B, C>,
    after: ObjectId,
    left: u16,
}

impl<T, B, C> Iterator for ObjectIds<'_, T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    type Item = Result<ObjectId, Error<T::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        // No store has more objects than identifiers, so a list that goes round ends here.
        self.left = self.left.checked_sub(1)?;
        match self.client.nvm_next(self.after) {
            Ok(Some(id)) => {
                self.after = id;
                Some(Ok(id))
            }
            Ok(None) => {
                self.left = 0;
                None
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Announces use of the store and returns the server's identifier. `client_nvm_id` is any number. No other
    /// message needs this one.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn nvm_init(&mut self, client_nvm_id: u32) -> Result<u32, Error<T::Error>> {
        self.run(&Init { client_nvm_id })
    }

    /// Ends use of the store; has no effect.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn nvm_cleanup(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&Cleanup)
    }

    /// Returns how much space is free, and how much [`nvm_compact`](Self::nvm_compact) would free, in bytes and in
    /// objects.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn nvm_available(&mut self) -> Result<AvailableResponse, Error<T::Error>> {
        self.run(&Available)
    }

    /// Stores `data` as an object, or replaces the object of the same identifier. The length in `metadata` is
    /// ignored. The data must fit one packet: at most [`data_length`](Self::data_length) less 32 bytes.
    ///
    /// # Errors
    /// - [`Argument::ObjectId`] for identifier 0; [`Error::TooLong`].
    /// - `NO_SPACE` from the server: nothing was stored; [`nvm_compact`](Self::nvm_compact) may help.
    /// - `ACCESS` from the server: the object may not be replaced.
    /// - The errors of every request ([`Client::run`]).
    pub fn nvm_add(&mut self, metadata: &Metadata, data: &[u8]) -> Result<(), Error<T::Error>> {
        self.run(&Add { metadata: *metadata, data })
    }

    /// Returns the object after `after` in directory order, or `None` at the end. Begin with
    /// [`ObjectId::INVALID`].
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn nvm_next(&mut self, after: ObjectId) -> Result<Option<ObjectId>, Error<T::Error>> {
        self.run(&Next { after })
    }

    /// The identifiers of all objects, one request each. To use the client between two of them, call
    /// [`nvm_next`](Self::nvm_next) instead.
    pub const fn nvm_list(&mut self) -> ObjectIds<'_, T, B, C> {
        ObjectIds { client: self, after: ObjectId::INVALID, left: u16::MAX }
    }

    /// Returns an object's metadata.
    ///
    /// # Errors
    /// [`Argument::ObjectId`] for identifier 0; `NOT_FOUND` from the server; and the errors of every request
    /// ([`Client::run`]).
    pub fn nvm_metadata(&mut self, id: ObjectId) -> Result<Metadata, Error<T::Error>> {
        self.run(&ReadMetadata { id })
    }

    /// Reads the whole object into the front of `out` and returns its length in bytes. It takes as many requests
    /// as the packet data length demands.
    ///
    /// # Errors
    /// - [`Error::OutputTooSmall`]: `out` is shorter than the object; nothing was read.
    /// - `NOT_FOUND` or `ACCESS` from the server.
    /// - [`ProtocolFault::Contradiction`] if the object became shorter meanwhile.
    /// - The errors of every request ([`Client::run`]).
    pub fn nvm_read(&mut self, id: ObjectId, out: &mut [u8]) -> Result<usize, Error<T::Error>> {
        self.must_wait()?;
        let length = usize::from(self.nvm_metadata(id)?.length);
        let available = out.len();
        let out = out.get_mut(..length).ok_or(Error::OutputTooSmall { needed: length, available })?;
        self.nvm_read_at(id, 0, out)?;
        Ok(length)
    }

    /// Reads `out.len()` bytes of an object from `offset` on. It takes as many requests as the packet data length
    /// demands.
    ///
    /// # Errors
    /// - `BAD_ARGUMENTS` from the server if `offset` is not before the object's end.
    /// - [`ProtocolFault::Contradiction`] if the object ends before `out` is full.
    /// - As [`nvm_read`](Self::nvm_read).
    pub fn nvm_read_at(&mut self, id: ObjectId, offset: u16, out: &mut [u8]) -> Result<(), Error<T::Error>> {
        let capacity = self.capacity(StatusResponse::SIZE, 1)?;
        self.one_piece(out.len(), capacity)?;
        let mut offset = offset;
        for part in out.chunks_mut(capacity) {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            let data = self.run(&Read { id, offset, length })?;
            let complete = data.len() == part.len();
            overwrite(part, data);
            self.wipe();
            // An object has at most 65535 bytes, so an offset beyond that finds nothing.
            offset = offset.saturating_add(length);
            if !complete {
                return Err(ProtocolFault::Contradiction.into());
            }
        }
        Ok(())
    }

    /// Destroys objects, 19 in one request. Objects that do not exist are no error; with no `ids` nothing is sent.
    ///
    /// # Errors
    /// - [`Argument::ObjectId`] if one of them is 0: nothing is destroyed.
    /// - `ACCESS` from the server if one of them may not be destroyed: none of its request's nineteen is.
    /// - The errors of every request ([`Client::run`]).
    pub fn nvm_destroy(&mut self, ids: &[ObjectId]) -> Result<(), Error<T::Error>> {
        if ids.contains(&ObjectId::INVALID) {
            return Err(Argument::ObjectId.into());
        }
        if ids.len() > DESTROY_LIST_LENGTH {
            self.must_wait()?;
        }
        ids.chunks(DESTROY_LIST_LENGTH).try_for_each(|ids| self.run(&Destroy::new(ids)?))
    }

    /// Frees the space of destroyed and replaced objects.
    ///
    /// # Errors
    /// Those of every request ([`Client::run`]).
    pub fn nvm_compact(&mut self) -> Result<(), Error<T::Error>> {
        self.run(&Compact)
    }
}
