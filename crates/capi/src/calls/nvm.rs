//! Objects in the server's non-volatile memory.

use crate::ffi::{self, Buffer, Bytes, In, Numbers16, Optional, Out, Output};
use crate::status::Own;
use crate::types::{Available, ObjectMetadata};
use casemate_client::Error;
use casemate_protocol::ObjectId;

/// Most objects that one request destroys.
const DESTROYED_AT_ONCE: usize = 19;

ffi::calls! { "Objects in non-volatile memory"
    /// Announces use of the store; no other call needs it. `client_nvm_id` is any number; `server_nvm_id` may be null.
    fn casemate_nvm_init(client; client_nvm_id: u32, server_nvm_id: Optional<u32>) {
        let id = client.nvm_init(client_nvm_id)?;
        if let Some(server_nvm_id) = server_nvm_id {
            *server_nvm_id = id;
        }
        Ok(())
    }

    /// Ends use of the store; has no effect.
    fn casemate_nvm_cleanup(client;) {
        Ok(client.nvm_cleanup()?)
    }

    /// Asks how much space is free, and how much compaction would free.
    fn casemate_nvm_get_available(client; available: Out<Available>) {
        *available = client.nvm_available()?.into();
        Ok(())
    }

    /// Stores an object, or replaces the one of the same identifier. The length in `metadata` is ignored. Data and 32
    /// bytes fit a packet.
    fn casemate_nvm_add(client; metadata: In<ObjectMetadata>, data[length]: Bytes) {
        Ok(client.nvm_add(&metadata.get(), data)?)
    }

    /// Writes the identifier of the object after `after` in directory order to `next`. Begin with 0. CASEMATE_END if
    /// there is none.
    fn casemate_nvm_next(client; after: ObjectId, next: Out<u16>) {
        match client.nvm_next(after)? {
            Some(id) => {
                *next = id.0;
                Ok(())
            }
            None => Err(Own::END.into()),
        }
    }

    /// Asks for an object's metadata.
    fn casemate_nvm_get_metadata(client; id: ObjectId, metadata: Out<ObjectMetadata>) {
        *metadata = client.nvm_metadata(id)?.into();
        Ok(())
    }

    /// Reads a whole object, in as many requests as it takes: only with a client that blocks.
    fn casemate_nvm_read(client; id: ObjectId, data[length]: Output<'_>) {
        data.fill(|bytes| client.nvm_read(id, bytes))
    }

    /// Reads exactly `length` bytes of an object from `offset` on.
    fn casemate_nvm_read_at(client; id: ObjectId, offset: u16, data[length]: Buffer) {
        Ok(client.nvm_read_at(id, offset, data)?)
    }

    /// Destroys objects, 19 in one request; with a client that does not block at most 19. Those that do not exist are no
    /// error.
    fn casemate_nvm_destroy(client; ids[count]: Numbers16) {
        if ids.contains(&0) {
            return Err(Own::BAD_ARGUMENT.into());
        }
        let mut chunks = ids.chunks(DESTROYED_AT_ONCE);
        let destroy = |client: &mut ffi::HsmClient, ids: &[u16]| {
            let mut list = [ObjectId::INVALID; DESTROYED_AT_ONCE];
            list.iter_mut().zip(ids).for_each(|(to, &from)| *to = ObjectId(from));
            client.nvm_destroy(list.get(..ids.len()).unwrap_or_default())
        };
        let Some(first) = chunks.next() else { return Ok(()) };
        match destroy(client, first) {
            Err(Error::InProgress) if ids.len() > DESTROYED_AT_ONCE => {
                client.abandon();
                return Err(Own::SEVERAL_REQUESTS.into());
            }
            outcome => outcome?,
        }
        Ok(chunks.try_for_each(|ids| destroy(client, ids))?)
    }

    /// Frees the space of destroyed and replaced objects.
    fn casemate_nvm_compact(client;) {
        Ok(client.nvm_compact()?)
    }
}
