//! Counters of a server process, for operators: what clients ask, how long it takes, what is refused, how full the
//! object store is. [`Endpoint`] offers them to Prometheus and others over HTTP.
//!
//! The server application counts around [`Server::handle`](casemate_server::Server::handle); logins and other security
//! events come by [`Platform::record`](casemate_server::Platform::record). Counting adds to atomics and takes no lock.
//! Nothing here names a key, an object, a client or a user, so the number of time series is fixed.

mod endpoint;
mod kinds;
mod text;

pub use endpoint::Endpoint;
pub use text::Format;

use crate::connection::{Peer, Refusal};
use crate::store::StoreCounts;
use casemate_nvm::Available;
use casemate_protocol::message::refusal;
use casemate_protocol::{Kind, Packet, Reader, Status};
use casemate_server::audit::{Event, Record, is_refusal};
use casemate_server::{CacheShape, CacheUse, Disconnect, Reply};
use kinds::{GROUPS, KINDS, Place, UNKNOWN};
use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use text::Exposition;

/// A number that several threads change.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// `N` numbers that begin at 0.
fn counts<const N: usize>() -> [Count; N] {
    array::from_fn(|_| Count::default())
}

/// The names of transports, as labels show them.
const TRANSPORTS: [&str; 4] = ["tcp", "unix", "shm", "tls"];

const fn transport(peer: &Peer) -> usize {
    match peer {
        Peer::Tcp(_) => 0,
        Peer::Unix(_) => 1,
        Peer::Shm(_) => 2,
        Peer::Tls(_) => 3,
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// With the status OK, or with a response that has none.
    Ok,
    /// A policy has forbidden it: what security records call refused.
    Refused,
    /// With another status, or without an answer.
    Error,
}

impl Outcome {
    const NAMES: [&'static str; 3] = ["ok", "refused", "error"];

    /// What a response packet says.
    fn of(kind: Kind, place: Place, response: &[u8]) -> Self {
        if place == UNKNOWN {
            return Self::Error;
        }
        let Some(refusal) = refusal(kind) else { return Self::Ok };
        let Ok(Packet { header, payload }) = Packet::decode(response) else { return Self::Error };
        let at_status = payload.get(refusal.status_offset..).unwrap_or_default();
        match Reader::new(at_status, header.order).get() {
            Ok(Status::OK) => Self::Ok,
            Ok(status) if is_refusal(kind, status) => Self::Refused,
            _ => Self::Error,
        }
    }
}

/// Upper bounds of the latency histogram: nanoseconds, and the same as text in seconds.
const BOUNDS: [(u64, &str); 19] = [
    (10_000, "1e-05"),
    (25_000, "2.5e-05"),
    (50_000, "5e-05"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1.0"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5.0"),
    (10_000_000_000, "10.0"),
];

/// How long requests of one group took.
#[derive(Debug)]
struct Histogram {
    /// Requests up to each bound and above the one before; the last is for those above all.
    buckets: [Count; BOUNDS.len() + 1],
    nanoseconds: Count,
}

impl Histogram {
    fn new() -> Self {
        Self { buckets: counts(), nanoseconds: Count::default() }
    }

    fn observe(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|(bound, _)| *bound < nanoseconds);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.add(1);
        }
        self.nanoseconds.add(nanoseconds);
    }
}

/// The counters of a server process.
#[derive(Debug)]
pub struct Metrics {
    started: (Instant, SystemTime),
    failed_login_limit: Option<u16>,
    requests: [[Count; 3]; KINDS],
    durations: [Histogram; GROUPS],
    received: [Count; TRANSPORTS.len()],
    sent: [Count; TRANSPORTS.len()],
    connected: [Count; TRANSPORTS.len()],
    connections: [Count; TRANSPORTS.len()],
    /// For the connection limit, and for who may not connect.
    turned_away: [[Count; 2]; TRANSPORTS.len()],
    malformed: Count,
    cached: [Count; 2],
    events: [Count; Event::NAMES.len()],
    logins: [Count; 3],
}

/// What is read when the counters are shown, and not counted.
#[derive(Debug, Default)]
pub struct Present<'a> {
    /// What the object store can still take.
    pub available: Option<Available>,
    /// How many objects it holds, and the bytes of their data.
    pub stored: Option<(u64, u64)>,
    /// What has happened to the object store.
    pub store: Option<&'a StoreCounts>,
    /// The cache of global keys.
    pub global_cache: Option<CacheUse>,
    /// The shape of each key cache.
    pub cache_shape: Option<CacheShape>,
    /// How many connections may be open at once.
    pub connection_limit: Option<usize>,
    /// Security records that could not be written.
    pub records_lost: Option<u64>,
}

impl Metrics {
    /// Counters that begin at 0. `failed_login_limit` is the number of failures after which a user is locked, on a
    /// server with users.
    #[must_use]
    pub fn new(failed_login_limit: Option<u16>) -> Self {
        Self {
            started: (Instant::now(), SystemTime::now()),
            failed_login_limit,
            requests: array::from_fn(|_| counts()),
            durations: array::from_fn(|_| Histogram::new()),
            received: counts(),
            sent: counts(),
            connected: counts(),
            connections: counts(),
            turned_away: array::from_fn(|_| counts()),
            malformed: Count::default(),
            cached: counts(),
            events: counts(),
            logins: counts(),
        }
    }

    /// Counts a security record.
    pub(crate) fn record(&self, record: &Record) {
        let place = Event::NAMES.iter().position(|name| *name == record.event.name());
        if let Some(count) = place.and_then(|place| self.events.get(place)) {
            count.add(1);
        }
        let [ok, failed, locked] = &self.logins;
        match record.event {
            Event::LoggedIn { .. } => ok.add(1),
            Event::LoginFailed { failures, .. } => {
                let is_locked = self.failed_login_limit.is_some_and(|limit| failures >= limit);
                if is_locked { locked.add(1) } else { failed.add(1) }
            }
            _ => {}
        }
    }

    /// Counts a peer that was turned away.
    pub(crate) fn turned_away(&self, peer: &Peer, refusal: Refusal) {
        let [limit, not_allowed] = &self.turned_away[transport(peer)];
        match refusal {
            Refusal::Limit => limit.add(1),
            Refusal::NotAllowed => not_allowed.add(1),
        }
    }

    /// The counters in the text format of Prometheus or of OpenMetrics.
    #[must_use]
    pub fn render(&self, format: Format, present: &Present<'_>) -> String {
        let mut text = Exposition::new(format);
        text.gauge("casemate_build_info", "The version of the server; always 1.");
        text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        text.gauge("casemate_uptime_seconds", "Time since the start.");
        text.sample(&[], seconds(self.started.0.elapsed()));
        text.gauge("process_start_time_seconds", "When the server was started, since the Unix epoch.");
        text.sample(&[], seconds(self.started.1.duration_since(UNIX_EPOCH).unwrap_or_default()));

        self.render_connections(&mut text, present);
        self.render_requests(&mut text);
        self.render_users(&mut text, present);
        self.render_storage(&mut text, present);
        text.finish()
    }

    fn render_connections(&self, text: &mut Exposition, present: &Present<'_>) {
        fn each<const N: usize>(text: &mut Exposition, counts: &[Count; N]) {
            for (name, count) in TRANSPORTS.into_iter().zip(counts) {
                text.sample(&[("transport", name)], count.get());
            }
        }
        text.gauge("casemate_connected_clients", "Connections that are open.");
        each(text, &self.connected);
        if let Some(limit) = present.connection_limit {
            text.gauge("casemate_connection_limit", "How many connections may be open at once.");
            text.sample(&[], limit);
        }
        text.counter("casemate_connections", "Connections that were accepted.");
        each(text, &self.connections);
        text.counter("casemate_connections_turned_away", "Connections that were closed at once.");
        for (name, [limit, not_allowed]) in TRANSPORTS.into_iter().zip(&self.turned_away) {
            text.sample(&[("transport", name), ("reason", "limit")], limit.get());
            text.sample(&[("transport", name), ("reason", "not_allowed")], not_allowed.get());
        }
        text.counter("casemate_received_bytes", "Bytes of request packets.");
        each(text, &self.received);
        text.counter("casemate_sent_bytes", "Bytes of response packets.");
        each(text, &self.sent);
    }

    fn render_requests(&self, text: &mut Exposition) {
        text.counter(
            "casemate_requests",
            "Requests by message and outcome; a policy has refused the refused ones.",
        );
        for ((group, action), outcomes) in kinds::kinds().zip(&self.requests) {
            for (outcome, count) in Outcome::NAMES.into_iter().zip(outcomes) {
                text.sample(&[("group", group), ("action", action), ("outcome", outcome)], count.get());
            }
        }
        text.counter(
            "casemate_malformed_packets",
            "Packets that ended their connection: no header, or too long.",
        );
        text.sample(&[], self.malformed.get());
        text.histogram("casemate_request_duration_seconds", "Time that the server took for requests.");
        for (group, histogram) in kinds::groups().zip(&self.durations) {
            // The sum is read first: it may lack what the buckets already have, but a count never does.
            let sum = Duration::from_nanos(histogram.nanoseconds.get());
            let mut count = 0_u64;
            for (bucket, bound) in
                histogram.buckets.iter().zip(BOUNDS.map(|(_, text)| text).into_iter().chain(["+Inf"]))
            {
                count = count.saturating_add(bucket.get());
                text.part("_bucket", &[("group", group), ("le", bound)], count);
            }
            text.part("_sum", &[("group", group)], seconds(sum));
            text.part("_count", &[("group", group)], count);
        }
    }

    fn render_users(&self, text: &mut Exposition, present: &Present<'_>) {
        text.counter("casemate_logins", "Logins; locked: it failed, and the user is locked.");
        for (outcome, count) in ["ok", "failed", "locked"].into_iter().zip(&self.logins) {
            text.sample(&[("outcome", outcome)], count.get());
        }
        text.counter("casemate_security_events", "Security events, by the names of security records.");
        for (event, count) in Event::NAMES.iter().zip(&self.events) {
            text.sample(&[("event", event)], count.get());
        }
        if let Some(lost) = present.records_lost {
            text.counter("casemate_security_records_lost", "Security records that could not be written.");
            text.sample(&[], lost);
        }
    }

    fn render_storage(&self, text: &mut Exposition, present: &Present<'_>) {
        if let Some((objects, bytes)) = present.stored {
            text.gauge("casemate_nvm_objects", "Objects in the store.");
            text.sample(&[], objects);
            text.gauge("casemate_nvm_used_bytes", "Bytes of the objects' data.");
            text.sample(&[], bytes);
        }
        if let Some(available) = present.available {
            text.gauge("casemate_nvm_free_objects", "Objects that still fit.");
            text.sample(&[], available.objects);
            text.gauge("casemate_nvm_free_bytes", "Bytes that are free for data.");
            text.sample(&[], available.size);
            text.gauge(
                "casemate_nvm_reclaimable_objects",
                "Objects that will fit too after the store is compacted.",
            );
            text.sample(&[], available.reclaimable_objects);
            text.gauge(
                "casemate_nvm_reclaimable_bytes",
                "Bytes that will be free too after the store is compacted.",
            );
            text.sample(&[], available.reclaimable_size);
        }
        if let Some(store) = present.store {
            text.counter("casemate_nvm_reclaims", "How often the store was compacted, which erases flash.");
            text.sample(&[], store.reclaims());
            text.counter("casemate_nvm_writes", "Objects that were written.");
            text.sample(&[], store.writes());
            text.counter("casemate_nvm_failures", "Changes of the store that failed.");
            text.sample(&[], store.failures());
        }
        let [small, big] = &self.cached;
        text.gauge(
            "casemate_key_cache_keys",
            "Keys in key caches: of all connections together, and global ones.",
        );
        text.sample(&[("cache", "clients"), ("slots", "small")], small.get());
        text.sample(&[("cache", "clients"), ("slots", "big")], big.get());
        if let Some(global) = present.global_cache {
            text.sample(&[("cache", "global"), ("slots", "small")], global.small);
            text.sample(&[("cache", "global"), ("slots", "big")], global.big);
        }
        if let Some(shape) = present.cache_shape {
            text.gauge(
                "casemate_key_cache_slots",
                "Slots of the key cache of each connection, and of the global one.",
            );
            text.sample(&[("slots", "small")], shape.small_slots);
            text.sample(&[("slots", "big")], shape.big_slots);
        }
    }
}

/// Decimal seconds.
fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// A connection that counts as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    metrics: Arc<Metrics>,
    transport: usize,
    cached: CacheUse,
}

/// A request under way.
pub(crate) struct Begun {
    kind: Option<Kind>,
    length: usize,
    at: Instant,
}

impl Counted {
    pub(crate) fn new(metrics: &Arc<Metrics>, peer: &Peer) -> Self {
        let transport = transport(peer);
        metrics.connected[transport].add(1);
        metrics.connections[transport].add(1);
        Self { metrics: Arc::clone(metrics), transport, cached: CacheUse::default() }
    }

    pub(crate) fn begin(request: &[u8]) -> Begun {
        let kind = Packet::decode(request).ok().map(|packet| packet.header.kind);
        Begun { kind, length: request.len(), at: Instant::now() }
    }

    /// Counts a request that was handled, and what the connection's key cache holds after it.
    pub(crate) fn finish(
        &mut self,
        begun: &Begun,
        reply: Result<Reply, Disconnect>,
        response: &[u8],
        cached: CacheUse,
    ) {
        let Begun { kind, length, at } = *begun;
        let time = at.elapsed();
        let metrics = &*self.metrics;
        metrics.received[self.transport].add(wide(length));
        self.keep(cached);
        let (Some(kind), Ok(reply)) = (kind, reply) else {
            self.metrics.malformed.add(1);
            return;
        };
        let metrics = &*self.metrics;
        metrics.sent[self.transport].add(wide(reply.length));
        let place = kinds::place(kind);
        let response = response.get(..reply.length).unwrap_or_default();
        metrics.requests[place.kind][Outcome::of(kind, place, response) as usize].add(1);
        metrics.durations[place.group].observe(time);
    }

    fn keep(&mut self, cached: CacheUse) {
        let [small, big] = &self.metrics.cached;
        for (count, now, before) in
            [(small, cached.small, self.cached.small), (big, cached.big, self.cached.big)]
        {
            match now.checked_sub(before) {
                Some(0) => {}
                Some(more) => count.add(wide(more)),
                None => count.subtract(wide(before.saturating_sub(now))),
            }
        }
        self.cached = cached;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.keep(CacheUse::default());
        self.metrics.connected[self.transport].subtract(1);
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_protocol::{ByteOrder, Group, Header};

    fn response(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let header = Header { order: ByteOrder::Little, kind, sequence: 0, auxiliary: [0; 2] };
        [&header.encode()[..], payload].concat()
    }

    #[test]
    fn outcomes_are_read_from_responses() {
        let of = |group, action, payload: &[u8]| {
            let kind = Kind::new(group, action);
            Outcome::of(kind, kinds::place(kind), &response(kind, payload))
        };
        let status = |status: Status| status.0.to_le_bytes();
        assert_eq!(of(Group::COMM, 5, b""), Outcome::Ok);
        assert_eq!(of(Group::COUNTER, 2, &[0; 8]), Outcome::Ok);
        assert_eq!(of(Group::COUNTER, 2, &status(Status::NOT_FOUND)), Outcome::Error);
        assert_eq!(of(Group::COUNTER, 2, &status(Status::ACCESS)), Outcome::Refused);
        assert_eq!(
            of(Group::CRYPTO, 2, &[&[0xFF; 4][..], &status(Status::USAGE)].concat()),
            Outcome::Refused
        );
        assert_eq!(of(Group::COUNTER, 2, b""), Outcome::Error, "there is no status");
        assert_eq!(of(Group::COUNTER, 99, &[0; 8]), Outcome::Error, "there is no such action");
        assert_eq!(of(Group(0xEE), 1, &[0; 8]), Outcome::Error);
    }

    #[test]
    fn durations_go_to_the_first_bound_that_holds_them() {
        let histogram = Histogram::new();
        for nanoseconds in [0, 10_000, 10_001, 5_000_000_000, 10_000_000_001, u64::MAX / 2] {
            histogram.observe(Duration::from_nanos(nanoseconds));
        }
        let counts: Vec<_> = histogram.buckets.iter().map(Count::get).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]);
        for (bound, text) in BOUNDS {
            assert_eq!(format!("{:.0}", text.parse::<f64>().unwrap() * 1e9), bound.to_string());
        }
    }

    #[test]
    fn what_a_connection_holds_is_given_back() {
        let metrics = Arc::new(Metrics::new(Some(3)));
        let peer = Peer::Shm(None);
        let mut counted = Counted::new(&metrics, &peer);
        counted.keep(CacheUse { small: 3, big: 1 });
        counted.keep(CacheUse { small: 2, big: 1 });
        let held = || metrics.cached.each_ref().map(Count::get);
        assert_eq!((held(), metrics.connected[2].get()), ([2, 1], 1));
        drop(counted);
        assert_eq!((held(), metrics.connected[2].get(), metrics.connections[2].get()), ([0, 0], 0, 1));
    }

    #[test]
    fn failed_logins_of_locked_users_are_told_apart() {
        let metrics = Metrics::new(Some(3));
        let record = |event| metrics.record(&Record { client: None, request: None, event });
        record(Event::LoggedIn { user: 1 });
        for failures in [1, 2, 3, 3] {
            record(Event::LoginFailed { user: 1, failures });
        }
        assert_eq!(metrics.logins.each_ref().map(Count::get), [1, 2, 2]);
        let text = metrics.render(Format::Prometheus, &Present::default());
        assert!(text.contains("casemate_security_events_total{event=\"login-failed\"} 4\n"), "{text}");
    }
}
