//! Custom callbacks: functions of the port that clients call by number (document 01, §7; document 07, part D).

#[cfg(feature = "dma")]
use crate::memory::{Access, AddressRange, ClientMemory, MemoryError};
use casemate_protocol::message::custom::CustomMessage;
use casemate_protocol::{ClientId, Status};
use core::fmt;

/// One call of a custom callback.
pub struct CustomCall<'a> {
    pub(crate) client: ClientId,
    pub(crate) id: u32,
    pub(crate) message: &'a CustomMessage,
    #[cfg(feature = "dma")]
    pub(crate) memory: Option<&'a mut (dyn ClientMemory + 'a)>,
}

impl fmt::Debug for CustomCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomCall")
            .field("client", &self.client)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl CustomCall<'_> {
    /// The client that calls.
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// What the client calls the callback. Its number is the packet's action, which well-behaved clients set to the
    /// lowest byte of this.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What the client sent.
    pub const fn message(&self) -> &CustomMessage {
        self.message
    }

    /// Copies client memory from `address` on to `to`, through the window and the allow list of the client's session:
    /// for the client's buffers in messages of the DMA types. Their server addresses are the callback's own affair.
    ///
    /// # Errors
    /// [`MemoryError`]; `to` may then have been written in part.
    #[cfg(feature = "dma")]
    pub fn read(&mut self, address: u64, to: &mut [u8]) -> Result<(), MemoryError> {
        self.opened(address, to.len(), Access::Read, |memory, address| memory.read(address, to))
    }

    /// Copies `from` to client memory from `address` on, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// [`MemoryError`]; client memory may then have been written in part.
    #[cfg(feature = "dma")]
    pub fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        self.opened(address, from.len(), Access::Write, |memory, address| memory.write(address, from))
    }

    #[cfg(feature = "dma")]
    fn opened(
        &mut self,
        address: u64,
        length: usize,
        access: Access,
        copy: impl FnOnce(&mut dyn ClientMemory, u64) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        let memory = self.memory.as_mut().ok_or(MemoryError::Unavailable)?;
        if length == 0 {
            return Ok(());
        }
        let length = u64::try_from(length).map_err(|_| MemoryError::OutOfRange)?;
        let range = AddressRange::new(address, length);
        range.end().ok_or(MemoryError::OutOfRange)?;
        let translated = memory.open(range, access)?;
        let result = match AddressRange::new(translated, length).end() {
            Some(_) => copy(&mut **memory, translated),
            None => Err(MemoryError::OutOfRange),
        };
        memory.close(range, access);
        result
    }
}

/// What a custom callback answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomAnswer {
    /// The returned number, whose meaning is an agreement between callback and client.
    pub returned: i32,
    /// What comes back. The type may differ from the call's; [`CustomMessage::Empty`] carries no data.
    pub message: CustomMessage,
}

impl CustomAnswer {
    /// A number and no data.
    pub const fn number(returned: i32) -> Self {
        Self { returned, message: CustomMessage::QUERY }
    }

    pub(crate) const fn status(&self) -> Status {
        Status(self.returned)
    }
}

/// A function that clients call by number. Queries do not call it. It runs without the server's lock, on the thread of
/// the request, and delays that client's next request only.
pub trait CustomCallback {
    /// Does what the client asks for.
    fn call(&self, call: &mut CustomCall<'_>) -> CustomAnswer;
}

impl<F: Fn(&mut CustomCall<'_>) -> CustomAnswer> CustomCallback for F {
    fn call(&self, call: &mut CustomCall<'_>) -> CustomAnswer {
        self(call)
    }
}
