//! What transports and numbers of clients cost: the same calls over each transport, by one client and by many at once.

use super::child::ServerProcess;
use super::statistics::{Samples, Summary, three};
use crate::connection::{Hsm, Link, TlsOptions, connect, over};
use crate::local::Setup;
use crate::table::{Align, Table};
use crate::value::{print, say};
use anyhow::{Context, Result, anyhow};
use casemate_client::{Key, NewKey};
use casemate_posix::Patient;
use casemate_protocol::{ClientId, Flags, Header, KeyId, Label};
use casemate_server::{HeapCache, Session};
use casemate_transport::{
    CONTROL_SIZE, MemoryClient, MemoryServer, ServerTransport, SharedRegion, TransportError,
};
use serde_json::{Value, json};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What each client does over and over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Echo,
    Encrypt,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo 16 bytes",
            Self::Encrypt => "AES-256-GCM encrypt 1 KiB",
        }
    }
}

/// The figures of one transport with so many clients.
pub(super) struct Row {
    work: Work,
    transport: &'static str,
    clients: usize,
    /// Times are those of single calls; calls per second are those of all clients together.
    summary: Summary,
}

/// How often a client repeats its call, and for how long.
struct Turn {
    warm_up: Duration,
    time: Duration,
}

/// Measures everything; each row takes `time`.
pub(super) fn measure(own: &ServerProcess, time: Duration, timeout: Duration) -> Result<Vec<Row>> {
    let turn = Turn { warm_up: time / 10, time };
    let mut rows = Vec::new();
    for work in [Work::Echo, Work::Encrypt] {
        rows.push(Row { work, transport: "memory, two threads", clients: 1, summary: memory(work, &turn)? });
        for (transport, address, counts) in [
            ("shared memory", &own.shm, &[1, 2, 4][..]),
            ("Unix socket", &own.unix, &[1, 2, 4, 16, 64]),
            ("TCP", &own.address, &[1, 2, 4, 16, 64]),
        ] {
            for &clients in counts {
                let open = || {
                    let data_length = Setup::default().config.data_length;
                    connect(address, &TlsOptions::default(), data_length, timeout)
                };
                let summary = many(work, clients, &turn, &open)
                    .with_context(|| format!("{} clients over {transport}", clients))?;
                rows.push(Row { work, transport, clients, summary });
            }
        }
    }
    Ok(rows)
}

/// Client and server on two threads of this process, over the memory transport.
fn memory(work: Work, turn: &Turn) -> Result<Summary> {
    let setup = Setup::default();
    let server = setup.server(setup.ram_store()?)?;
    let packet = setup.config.data_length + Header::SIZE;
    let block = || -> Vec<AtomicU32> {
        (0..(packet + CONTROL_SIZE).div_ceil(4)).map(|_| AtomicU32::new(0)).collect()
    };
    // The client's transport wants memory without an end; this is 16 KiB, twice.
    let (request, response) = (&*block().leak(), &*block().leak());
    let (request, response) = (SharedRegion::new(request), SharedRegion::new(response));
    let client = MemoryClient::new(request, response)?;
    let mut link = MemoryServer::new(request, response)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = Session::new(HeapCache::new(setup.cache));
            let (mut request, mut response) = (vec![0; packet], vec![0; packet]);
            let mut idle = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                match link.receive(&mut request) {
                    Ok(length) => {
                        let reply = server.handle(&mut session, &request[..length], &mut response);
                        let sent = reply.map(|reply| link.send(&response[..reply.length]));
                        if !matches!(sent, Ok(Ok(()))) {
                            return;
                        }
                        idle = 0;
                    }
                    Err(TransportError::NotReady) => {
                        // With fewer processors than threads, the other one has to run.
                        idle = idle.saturating_add(1);
                        if idle > 400 { thread::yield_now() } else { std::hint::spin_loop() }
                    }
                    Err(_) => return,
                }
            }
        });
        let outcome = prepare(over(Link::Memory(Patient(client)), packet, Duration::from_secs(120)), work, 1)
            .and_then(|mut client| {
                let mut samples = Samples::default();
                let (calls, time) = client.run(turn, &mut samples)?;
                samples.end_turn(calls, time);
                samples.summary().context("no time was measured")
            });
        stop.store(true, Ordering::Relaxed);
        outcome
    })
}

/// `count` clients at once, each on a thread and a connection of its own.
fn many(work: Work, count: usize, turn: &Turn, open: &(dyn Fn() -> Result<Hsm> + Sync)) -> Result<Summary> {
    let barrier = Barrier::new(count);
    let outcomes: Vec<Result<(Samples, u32, Duration)>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let client = open().and_then(|hsm| prepare(hsm, work, number));
                    // Whoever failed does not keep the others waiting.
                    barrier.wait();
                    let mut client = client?;
                    let mut samples = Samples::default();
                    let (calls, time) = client.run(turn, &mut samples)?;
                    client.hsm.close()?;
                    Ok((samples, calls, time))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err(anyhow!("a client's thread failed"))))
            .collect()
    });
    let (mut all, mut rate) = (Samples::default(), 0.0);
    for outcome in outcomes {
        let (samples, calls, time) = outcome?;
        rate += f64::from(calls) / time.as_secs_f64().max(1e-9);
        all.absorb(samples);
    }
    all.end_turn_at(rate);
    all.summary().context("no time was measured")
}

/// A client that is ready to work.
struct Worker {
    hsm: Hsm,
    work: Work,
    key: KeyId,
}

fn prepare(mut hsm: Hsm, work: Work, number: usize) -> Result<Worker> {
    let id = u32::try_from(number % usize::from(ClientId::MAX))? + 1;
    hsm.init(ClientId::new(id).context("client identifiers are 1 to 15")?)?;
    let mut key = KeyId::NONE;
    if work == Work::Encrypt {
        let new = NewKey { id: KeyId::NONE, flags: Flags::USAGE_ANY, label: Label::from("benchmark") };
        key = hsm.key_cache(&new, &[0x42; 32])?;
    }
    Ok(Worker { hsm, work, key })
}

impl Worker {
    fn step(&mut self, data: &mut [u8; 1024]) -> Result<()> {
        match self.work {
            Work::Echo => {
                self.hsm.echo(&data[..16])?;
            }
            Work::Encrypt => {
                let mut tag = [0; 16];
                self.hsm.aes_gcm_encrypt(Key::Id(self.key), &[7; 12], b"", data, &mut tag)?;
            }
        }
        Ok(())
    }

    /// Returns how many calls were measured, in which time.
    fn run(&mut self, turn: &Turn, samples: &mut Samples) -> Result<(u32, Duration)> {
        let mut data = [0x5A; 1024];
        let begin = Instant::now();
        while begin.elapsed() < turn.warm_up {
            self.step(&mut data)?;
        }
        let begin = Instant::now();
        let (mut last, mut calls) = (begin, 0);
        loop {
            self.step(&mut data)?;
            calls += 1;
            let now = Instant::now();
            samples.push(now - last);
            last = now;
            if now - begin >= turn.time || samples.is_full() {
                return Ok((calls, now - begin));
            }
        }
    }
}

impl Row {
    /// Calls per second for each call that one client makes over the same transport.
    fn scale(&self, rows: &[Self]) -> Option<f64> {
        let one = rows
            .iter()
            .find(|row| row.work == self.work && row.transport == self.transport && row.clients == 1)?;
        Some(self.summary.per_second / one.summary.per_second)
    }
}

pub(super) fn print_rows(rows: &[Row]) -> Result<()> {
    say("\nTRANSPORTS AND CLIENTS: calls per second are those of all clients together")?;
    let mut table = Table::new(&[
        ("OPERATION", Align::Left),
        ("TRANSPORT", Align::Left),
        ("CLIENTS", Align::Right),
        ("p50 µs", Align::Right),
        ("p90 µs", Align::Right),
        ("p99 µs", Align::Right),
        ("PER SECOND", Align::Right),
        ("OF ONE", Align::Right),
    ]);
    for row in rows {
        let Summary { p50, p90, p99, per_second, .. } = row.summary;
        table.row([
            row.work.name().to_owned(),
            row.transport.to_owned(),
            row.clients.to_string(),
            three(p50),
            three(p90),
            three(p99),
            three(per_second),
            row.scale(rows).map(|scale| format!("{scale:.2}")).unwrap_or_default(),
        ]);
    }
    print(table)
}

pub(super) fn json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "name": row.work.name(),
                "transport": row.transport,
                "clients": row.clients,
                "count": row.summary.count,
                "operations_per_second": row.summary.per_second,
                "microseconds": { "p50": row.summary.p50, "p90": row.summary.p90, "p99": row.summary.p99 },
            })
        })
        .collect()
}

/// A table for the report. Nothing in it needs escaping.
pub(super) fn html(rows: &[Row]) -> String {
    let mut html = "<table><thead><tr><th>Transport</th><th>clients</th><th>p50 µs</th><th>p90 µs</th>\
                    <th>p99 µs</th><th>per second, all together</th><th>times one client</th></tr></thead><tbody>"
        .to_owned();
    let mut work = None;
    for row in rows {
        if work != Some(row.work) {
            work = Some(row.work);
            html += &format!("<tr class=\"group\"><td colspan=\"7\">{}</td></tr>", row.work.name());
        }
        let Summary { p50, p90, p99, per_second, .. } = row.summary;
        html += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            row.transport,
            row.clients,
            three(p50),
            three(p90),
            three(p99),
            three(per_second),
            row.scale(rows).map(|scale| format!("{scale:.2}")).unwrap_or_default()
        );
    }
    html + "</tbody></table>"
}
