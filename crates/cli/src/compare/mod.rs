//! `casemate compare`: two servers, the same requests, and where their responses differ.

mod generator;
mod random;
mod step;

use crate::connection::{TlsOptions, link};
use crate::value::{client_id, say, seconds};
use anyhow::{Context, Result, bail, ensure};
use casemate_posix::ClientLink;
use casemate_protocol::message::comm::{self, InfoResponse};
use casemate_protocol::{ByteOrder, ClientId, Group, Header, Kind, Layout, MAX_DATA_LENGTH};
use casemate_transport::{ClientTransport, TransportError};
use clap::Args;
use generator::Generator;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use step::Step;

/// Send the same requests to two servers and show where their responses differ
///
/// For whoever writes a port or another server. Requests of every group, with values at and beyond their limits, go to
/// both servers byte for byte. Responses are compared in header, status, length and content; padding, and what has to be
/// random, is not. What a response gives (keys, signatures, wrapped keys) is used in later requests, as the first server
/// gave it.
///
/// Both servers should be in the same state: started for this, with empty object stores and the same sizes. The requests
/// store and destroy objects and keys. After a difference the servers' states may differ as well, so the first
/// difference is the one to look at first.
///
/// Differences are counted by the kind of request and by what differs. Exits with an error if there are any.
#[derive(Args)]
pub(crate) struct Compare {
    /// The first server's address: HOST:PORT, or as for --server of the other commands
    first: String,
    /// The second server's address
    second: String,
    /// How many requests to send
    #[arg(long, value_name = "COUNT", default_value = "2000")]
    requests: u64,
    /// The same seed makes the same requests, as long as the first server's responses are the same
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// Only requests of these groups: comm, nvm, key, crypto, she, counter, custom, cert, auth
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = group)]
    groups: Vec<Group>,
    /// How many requests of a hundred are cut, lengthened, unknown, or declare wrong lengths
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = clap::value_parser!(u8).range(..=100))]
    malformed: u8,
    /// Not a difference: those whose line begins with this text. Can be given several times
    #[arg(long, value_name = "TEXT")]
    ignore: Vec<String>,
    /// End at the first difference
    #[arg(long)]
    stop: bool,
    /// Show each request with both servers' statuses
    #[arg(long)]
    trace: bool,
    /// Who to be on both servers: 1 to 15
    #[arg(long, value_name = "NUMBER", default_value = "12", value_parser = client_id)]
    client_id: ClientId,
    /// Log in with this name and PIN first, on servers with users
    #[arg(long, value_name = "NAME:PIN")]
    login: Option<String>,
    /// How long to wait for a connection, and for each response
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    tls: TlsOptions,
}

const GROUPS: [Group; 9] = [
    Group::COMM,
    Group::NVM,
    Group::KEY,
    Group::CRYPTO,
    Group::SHE,
    Group::COUNTER,
    Group::CUSTOM,
    Group::CERT,
    Group::AUTH,
];

fn group(text: &str) -> Result<Group, String> {
    let named = |group: &Group| group.name().is_some_and(|name| name.eq_ignore_ascii_case(text));
    GROUPS.into_iter().find(named).ok_or_else(|| "there is no such group".to_owned())
}

/// One kind of difference: how often, and where it was seen first.
struct Difference {
    count: u64,
    example: String,
}

impl Compare {
    pub(crate) fn run(&self) -> Result<()> {
        let mut first = Peer::connect(&self.first, self)?;
        let mut second = Peer::connect(&self.second, self)?;
        let limit = first.data_length.min(second.data_length);
        let groups = if self.groups.is_empty() { GROUPS.to_vec() } else { self.groups.clone() };
        let mut generator = Generator::new(self.seed, self.client_id, limit, self.malformed, groups);
        let mut differences = BTreeMap::<String, Difference>::new();
        let mut sent = 0;
        while sent < self.requests {
            let step = generator.step();
            sent += 1;
            let request = packet(&step, sent as u16);
            let replies = first.ask(&request).and_then(|one| Ok((one, second.ask(&request)?)));
            let (one, other) = replies
                .with_context(|| format!("request {sent}, {}: {}", step.name, hex::encode(&request)))?;
            let (answer, other_answer) = (payload(&one), payload(&other));
            if self.trace {
                let status =
                    |payload| step.status(payload).map_or_else(|| "none".to_owned(), |code| code.to_string());
                let (group, name, (one, other)) =
                    (step.group_name(), &step.name, (status(answer), status(other_answer)));
                say(format_args!("{sent} {group} {name}: {one}, {other}: {}", shown(&request)))?;
            }
            if step.status(answer).unwrap_or(0) == 0 {
                generator.learn(&step, answer);
            }
            if step.is_silent {
                continue;
            }
            match (step.status(answer), step.status(other_answer)) {
                (Some(0), Some(0)) => {}
                (Some(0), _) => generator.undo(&step, answer),
                (_, Some(0)) => generator.undo(&step, other_answer),
                _ => {}
            }
            let what = match difference_of_headers(&one, &other) {
                None => step.difference(answer, other_answer),
                different => different,
            };
            let Some(what) = what else { continue };
            let line = format!("{} {}: {what}", step.group_name(), step.name);
            if self.ignore.iter().any(|ignored| line.starts_with(ignored)) {
                continue;
            }
            let example = format!(
                "request {sent}\n    request  {}\n    first    {}\n    second   {}",
                shown(&request),
                shown(&one),
                shown(&other)
            );
            differences.entry(line).or_insert(Difference { count: 0, example }).count += 1;
            if self.stop {
                break;
            }
        }
        first.close();
        second.close();
        for (line, Difference { count, example }) in &differences {
            say(format_args!("{line}  ({count} times)\n  {example}"))?;
        }
        if differences.is_empty() {
            return say(format_args!("{sent} requests, no differences"));
        }
        bail!("{sent} requests, {} kinds of differences", differences.len())
    }
}

/// At most this many bytes of a packet are shown.
const SHOWN: usize = 160;

fn shown(packet: &[u8]) -> String {
    let more = if packet.len() > SHOWN { "..." } else { "" };
    format!("{} bytes: {}{more}", packet.len(), hex::encode(&packet[..packet.len().min(SHOWN)]))
}

fn packet(step: &Step, sequence: u16) -> Vec<u8> {
    let header = Header { order: step.order, kind: step.kind, sequence, auxiliary: [0; 2] };
    [&header.encode()[..], &step.payload].concat()
}

fn payload(packet: &[u8]) -> &[u8] {
    packet.get(Header::SIZE..).unwrap_or_default()
}

fn difference_of_headers(one: &[u8], other: &[u8]) -> Option<String> {
    let (one, other) = (one.get(..Header::SIZE), other.get(..Header::SIZE));
    (one != other).then(|| "header".to_owned())
}

/// A server.
struct Peer {
    address: String,
    link: ClientLink,
    buffer: Vec<u8>,
    timeout: Duration,
    data_length: usize,
}

impl Peer {
    /// Connects, says who we are, asks for the packet size, and logs in.
    fn connect(address: &str, options: &Compare) -> Result<Self> {
        let longest = MAX_DATA_LENGTH + Header::SIZE;
        let link = link(address, &options.tls, longest, options.timeout)?;
        let mut peer = Self {
            address: address.to_owned(),
            link,
            buffer: vec![0; longest],
            timeout: options.timeout,
            data_length: 0,
        };
        let order = ByteOrder::Little;
        let client_id = options.client_id.get().into();
        let init = Step::plain("init", order, &comm::InitRequest { client_id }, &[]);
        let granted = peer.ask(&packet(&init, 1))?;
        ensure!(
            payload(&granted).len() == comm::InitResponse::SIZE,
            "{address} does not accept client {client_id}"
        );
        let info = peer.ask(&packet(&Step::plain("info", order, &comm::InfoRequest {}, &[]), 2))?;
        let (info, _) = InfoResponse::decode(payload(&info), order)
            .with_context(|| format!("{address} does not tell its packet size"))?;
        peer.data_length =
            usize::try_from(info.data_length).ok().filter(|&length| length <= MAX_DATA_LENGTH).with_context(
                || format!("{address} says that packets hold {} bytes of data", info.data_length),
            )?;
        if let Some(login) = &options.login {
            let (name, pin) = login.split_once(':').context("--login is NAME:PIN")?;
            peer.login(name, pin)?;
        }
        Ok(peer)
    }

    fn login(&mut self, name: &str, pin: &str) -> Result<()> {
        use casemate_protocol::message::authentication::{LoginRequest, UserName, method};
        let name = UserName::new(name.as_bytes()).context("a name has 1 to 31 bytes")?;
        let request = LoginRequest { method: method::PIN, name, length: pin.len() as u16 };
        let step = Step::plain("login", ByteOrder::Little, &request, pin.as_bytes());
        let answer = self.ask(&packet(&step, 3))?;
        let status = step.status(payload(&answer));
        ensure!(status == Some(0), "{} does not let {name} in: {status:?}", self.address);
        Ok(())
    }

    /// Sends a packet and waits for the one that answers it.
    fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let begin = Instant::now();
        let address = &self.address;
        loop {
            match self.link.send(request) {
                Ok(()) => break,
                Err(TransportError::NotReady) if begin.elapsed() < self.timeout => {
                    let _ = self.link.receive_within(&mut self.buffer, Duration::from_millis(1));
                }
                Err(error) => return Err(error).with_context(|| format!("{address} takes no request")),
            }
        }
        loop {
            match self.link.receive_within(&mut self.buffer, self.timeout) {
                Ok(length) => return Ok(self.buffer.get(..length).unwrap_or_default().to_vec()),
                Err(TransportError::NotReady) if begin.elapsed() < self.timeout => {}
                Err(error) => return Err(error).with_context(|| format!("{address} does not answer")),
            }
        }
    }

    /// Says CLOSE: the original's server takes no other client after one that just goes away.
    fn close(&mut self) {
        let close =
            Step::raw("close", ByteOrder::Little, Kind::new(Group::COMM, comm::action::CLOSE), Vec::new());
        let _ = self.ask(&packet(&close, 0));
    }
}
