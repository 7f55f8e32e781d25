//! The connection, and how calls with it behave.

use crate::ffi::{self, Bytes, Flag, Optional, Out, Output, TextOut};
use crate::status::Own;
use crate::types::{AffinityName, Info};
use casemate_protocol::ClientId;
use core::fmt::{self, Write};
use core::time::Duration;

/// Writes a text into bytes, as much of it as there is room for.
struct Page<'a> {
    rest: &'a mut [u8],
}

impl Write for Page<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let length = text.len().min(self.rest.len());
        let (to, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(length).ok_or(fmt::Error)?;
        to.copy_from_slice(text.as_bytes().get(..length).ok_or(fmt::Error)?);
        self.rest = rest;
        Ok(())
    }
}

ffi::calls! { "The connection"
    /// Claims a client identifier, 1 to 15, for this connection. Keys and counters belong to the client that made them,
    /// so this comes first. `server_id`, which may be null, gets the server's identifier.
    fn casemate_init(client; client_id: u32, server_id: Optional<u32>) {
        let id = client.init(ClientId::new(client_id).ok_or(Own::BAD_ARGUMENT)?)?;
        if let Some(server_id) = server_id {
            *server_id = id;
        }
        Ok(())
    }

    /// Ends the session. The server forgets the keys that this connection cached and did not commit.
    fn casemate_close(client;) {
        Ok(client.close()?)
    }

    /// Has the server repeat some bytes, which go to `echoed`.
    fn casemate_echo(client; data[length]: Bytes, echoed[echoed_length]: Output<'_>) {
        echoed.copy(client.echo(data)?)
    }

    /// Asks for the server's configuration.
    fn casemate_get_info(client; info: Out<Info>) {
        *info = client.info()?.into();
        Ok(())
    }

    /// Asks for the server's configuration, as casemate_get_info, and adopts its packet data length if it is smaller than
    /// this client's, so that no request exceeds what the server takes. `info` may be null.
    fn casemate_learn_limits(client; info: Optional<Info>) {
        let found = client.learn_limits()?;
        if let Some(info) = info {
            *info = found.into();
        }
        Ok(())
    }

    /// The packet data length in bytes: the packet buffer less 8, or what the server takes if that was learnt.
    fn casemate_data_length(client; length: Out<usize>) {
        *length = client.data_length();
        Ok(())
    }

    /// How long a request may take; 0 waits as long as it takes. It needs a clock: the options' or the operating
    /// system's.
    fn casemate_set_timeout(client; milliseconds: u32) {
        client.set_timeout((milliseconds != 0).then(|| Duration::from_millis(milliseconds.into())));
        Ok(())
    }

    /// Which of the server's drivers shall compute, from the next request on.
    fn casemate_set_affinity(client; affinity: AffinityName) {
        client.set_affinity(affinity);
        Ok(())
    }

    /// Whether calls wait for their response. A new client's do. If not, a call sends its request and returns
    /// CASEMATE_PENDING; made again with the same arguments it asks for the response, and returns CASEMATE_PENDING until
    /// that has come.
    fn casemate_set_blocking(client; blocking: Flag) {
        client.set_waiting(blocking);
        Ok(())
    }

    /// Gives up the call that is pending, if there is one; its response will be discarded.
    fn casemate_abandon(@session;) {
        session.hsm()?.abandon();
        Ok(())
    }

    /// Wipes what the last request or response left in the packet buffer, if it was a secret. Every call does so before
    /// it uses the buffer; this does it earlier.
    fn casemate_wipe(@session;) {
        session.hsm()?.wipe();
        Ok(())
    }

    /// Writes to `text`, with a zero at its end, why the last call with this client failed, as far as there is room.
    fn casemate_error_text(@session; text[size]: TextOut) {
        let (last, text) = text.split_last_mut().ok_or(Own::BAD_ARGUMENT)?;
        *last = 0;
        text.fill(0);
        let mut page = Page { rest: text };
        // A text that does not fit is cut.
        let _ = match session.last() {
            Some(failure) => write!(page, "{failure}"),
            None => page.write_str("the last call did not fail"),
        };
        Ok(())
    }
}
