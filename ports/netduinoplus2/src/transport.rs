//! The link: memory that server and client reach, one block for requests and one for responses.

use crate::device::PACKET;
use casemate_transport::{CONTROL_SIZE, MemoryClient, MemoryServer, SharedRegion};
use core::sync::atomic::AtomicU32;

/// The server's end.
pub type Link = MemoryServer<SharedRegion<'static>>;
/// The client's end.
pub type Client = MemoryClient<SharedRegion<'static>>;

/// Words of one direction.
const BLOCK: usize = (PACKET + CONTROL_SIZE).div_ceil(4);

static REQUESTS: [AtomicU32; BLOCK] = [const { AtomicU32::new(0) }; BLOCK];
static RESPONSES: [AtomicU32; BLOCK] = [const { AtomicU32::new(0) }; BLOCK];

pub(crate) fn server() -> Option<Link> {
    MemoryServer::new(SharedRegion::new(&REQUESTS), SharedRegion::new(&RESPONSES)).ok()
}

pub(crate) fn client() -> Option<Client> {
    MemoryClient::new(SharedRegion::new(&REQUESTS), SharedRegion::new(&RESPONSES)).ok()
}
