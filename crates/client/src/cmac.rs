//! AES-CMAC (document 04, §7; NIST SP 800-38B, RFC 4493).

use crate::client::overwrite;
use crate::operation::{CMAC, crypto_kind, demand, length_u32, tail};
use crate::{Argument, Client, Error, Key, Operation, RequestWriter, Response, ResponseFault};
use casemate_protocol::Kind;
use casemate_protocol::message::crypto::{CmacRequest, CmacResponse, CmacState};
use casemate_transport::{ClientTransport, Clock};
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Payload bytes besides data and inline key.
const OVERHEAD: usize = 68;
/// Length of a full MAC in bytes.
const MAC: usize = 16;

/// A CMAC under way. The server computes with whatever state it is shown, so the state is worth protecting. Wiped
/// when dropped.
#[derive(Clone)]
pub struct Cmac<'k> {
    pub(crate) key: Key<'k>,
    pub(crate) state: CmacState,
}

impl<'k> Cmac<'k> {
    /// The CMAC of no data so far. The key travels or is named in every request.
    pub const fn new(key: Key<'k>) -> Self {
        Self { key, state: CmacState::INITIAL }
    }

    /// A CMAC that goes on from a state.
    ///
    /// # Errors
    /// [`Argument::StreamState`] if more than 16 bytes are said to be buffered.
    pub const fn resume(key: Key<'k>, state: CmacState) -> Result<Self, Argument> {
        if state.buffered > 16 { Err(Argument::StreamState) } else { Ok(Self { key, state }) }
    }

    /// The state to go on from.
    pub const fn state(&self) -> &CmacState {
        &self.state
    }
}

impl fmt::Debug for Cmac<'_> {
    /// The state is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cmac").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Drop for Cmac<'_> {
    fn drop(&mut self) {
        self.state.buffer.zeroize();
        self.state.digest.zeroize();
    }
}

const fn mac_length(length: usize) -> Result<(), Argument> {
    if matches!(length, 4..=MAC) { Ok(()) } else { Err(Argument::MacLength) }
}

fn put(
    request: &mut RequestWriter<'_>,
    cmac: &Cmac<'_>,
    data: &[u8],
    mac_length: usize,
) -> Result<(), Argument> {
    let key = cmac.key.aes_fields()?;
    cmac.key.mark(request);
    request.put_crypto(
        CMAC,
        0,
        &CmacRequest {
            mac_length: length_u32(mac_length),
            length: length_u32(data.len()),
            key_length: key.length,
            key: key.id,
            state: cmac.state,
        },
    );
    request.put_bytes(data);
    request.put_bytes(key.bytes);
    Ok(())
}

fn mac(response: Response<'_>, wanted: usize) -> Result<&[u8], ResponseFault> {
    let (CmacResponse { mac_length, .. }, rest) = response.crypto(CMAC)?;
    demand(mac_length == length_u32(wanted))?;
    Ok(tail(rest).take_u32(mac_length)?)
}

/// The CMAC of data that fits one packet.
#[derive(Debug, Clone, Copy)]
pub struct CmacOnce<'a> {
    /// The key, which needs `USAGE_SIGN` or `USAGE_VERIFY`.
    pub key: Key<'a>,
    /// The data.
    pub data: &'a [u8],
    /// Length of the MAC in bytes, 4..=16.
    pub mac_length: usize,
}

impl Operation for CmacOnce<'_> {
    const KIND: Kind = crypto_kind::<CmacRequest>();
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        mac_length(self.mac_length)?;
        put(request, &Cmac::new(self.key), self.data, self.mac_length)
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        mac(response, self.mac_length)
    }
}

/// Adds data that fits one packet to a CMAC; yields the CMAC afterwards.
#[derive(Debug, Clone, Copy)]
pub struct CmacUpdate<'a> {
    /// The CMAC before.
    pub cmac: &'a Cmac<'a>,
    /// The data.
    pub data: &'a [u8],
}

impl<'a> Operation for CmacUpdate<'a> {
    const KIND: Kind = crypto_kind::<CmacRequest>();
    type Output<'r> = Cmac<'a>;

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        put(request, self.cmac, self.data, 0)
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<Cmac<'a>, ResponseFault> {
        let (CmacResponse { state, mac_length, .. }, _) = response.crypto(CMAC)?;
        demand(mac_length == 0 && state.buffered <= length_u32(MAC))?;
        Ok(Cmac { key: self.cmac.key, state })
    }
}

/// Finishes a CMAC; yields the MAC. The CMAC itself is not changed.
#[derive(Debug, Clone, Copy)]
pub struct CmacFinish<'a> {
    /// The CMAC.
    pub cmac: &'a Cmac<'a>,
    /// Length of the MAC in bytes, 4..=16.
    pub mac_length: usize,
}

impl Operation for CmacFinish<'_> {
    const KIND: Kind = crypto_kind::<CmacRequest>();
    type Output<'r> = &'r [u8];

    fn encode(&self, request: &mut RequestWriter<'_>) -> Result<(), Argument> {
        mac_length(self.mac_length)?;
        put(request, self.cmac, &[], self.mac_length)
    }

    fn decode<'r>(&self, response: Response<'r>) -> Result<&'r [u8], ResponseFault> {
        mac(response, self.mac_length)
    }
}

impl<T, B, C> Client<T, B, C>
where
    T: ClientTransport,
    B: AsRef<[u8]> + AsMut<[u8]>,
    C: Clock,
{
    /// Writes the AES-CMAC of `data` to `mac`, whose length (4 to 16 bytes) says how long it shall be. One request
    /// if the data fits a packet, else as many as it takes.
    ///
    /// # Errors
    /// - [`Argument::MacLength`], [`Argument::KeyLength`], [`Argument::KeyId`].
    /// - `NOT_FOUND`, `USAGE` (the key has neither `USAGE_SIGN` nor `USAGE_VERIFY`), `ABORTED` (not an AES key)
    ///   from the server.
    /// - The errors of every request ([`Client::run`]).
    pub fn cmac(&mut self, key: Key<'_>, data: &[u8], mac: &mut [u8]) -> Result<(), Error<T::Error>> {
        mac_length(mac.len())?;
        key.aes_fields()?;
        if data.len() <= self.capacity(OVERHEAD.saturating_add(key.inline_length()), 1)? {
            let outcome = self.run(&CmacOnce { key, data, mac_length: mac.len() })?;
            overwrite(mac, outcome);
            return Ok(());
        }
        self.must_wait()?;
        let mut cmac = Cmac::new(key);
        self.cmac_update(&mut cmac, data)?;
        self.cmac_finish(&cmac, mac)
    }

    /// Succeeds only if `mac` (4 to 16 bytes) is the AES-CMAC of `data`, or the beginning of it. The caller knows
    /// how long a MAC must be and checks that.
    ///
    /// # Errors
    /// [`Error::MacMismatch`] if it is not; otherwise as [`cmac`](Self::cmac).
    pub fn cmac_verify(&mut self, key: Key<'_>, data: &[u8], mac: &[u8]) -> Result<(), Error<T::Error>> {
        let mut expected = [0; MAC];
        let expected = expected.get_mut(..mac.len()).ok_or(Argument::MacLength)?;
        self.cmac(key, data, expected)?;
        let equal = expected.ct_eq(mac);
        expected.zeroize();
        if bool::from(equal) { Ok(()) } else { Err(Error::MacMismatch) }
    }

    /// Adds `data` to `cmac`, in as many requests as it takes.
    ///
    /// # Errors
    /// As [`cmac`](Self::cmac). `cmac` is then as it was.
    pub fn cmac_update(&mut self, cmac: &mut Cmac<'_>, data: &[u8]) -> Result<(), Error<T::Error>> {
        let capacity = self.capacity(OVERHEAD.saturating_add(cmac.key.inline_length()), 1)?;
        self.one_piece(data.len(), capacity)?;
        let mut state = Cmac { key: cmac.key, state: cmac.state };
        for data in data.chunks(capacity) {
            let next = self.run(&CmacUpdate { cmac: &state, data })?.state;
            state.state = next;
        }
        cmac.state = state.state;
        Ok(())
    }

    /// Writes the MAC of all data added to `cmac` to `mac`, whose length (4 to 16 bytes) says how long it shall
    /// be. `cmac` is not changed and can go on.
    ///
    /// # Errors
    /// As [`cmac`](Self::cmac).
    pub fn cmac_finish(&mut self, cmac: &Cmac<'_>, mac: &mut [u8]) -> Result<(), Error<T::Error>> {
        let outcome = self.run(&CmacFinish { cmac, mac_length: mac.len() })?;
        overwrite(mac, outcome);
        Ok(())
    }
}
