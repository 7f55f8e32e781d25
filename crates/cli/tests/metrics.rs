//! `casemate serve --metrics` and `casemate top`.

mod child;
mod common;
#[path = "../src/top/exposition.rs"]
#[allow(dead_code, unreachable_pub)]
mod exposition;

use child::{Running, pieces};
use common::{PATIENCE, ServerProcess, casemate, connect, run};
use exposition::Exposition;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// A server, and where its metrics are.
fn start(nvm: &Path, more: &[&str]) -> (ServerProcess, String) {
    let server = ServerProcess::start(nvm, &[&["--metrics", "127.0.0.1:0"], more].concat());
    let line = server.wait_for(" metrics at ");
    let address = line.rsplit(' ').next().unwrap().to_owned();
    (server, address)
}

/// Head and body of an answer.
fn ask(mut stream: impl Read + Write, accept: &str) -> (String, String) {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    (head.to_owned(), body.to_owned())
}

fn scrape(address: &str) -> Exposition {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_, body) = ask(stream, "*/*");
    Exposition::parse(&body).unwrap()
}

#[track_caller]
fn value(metrics: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    metrics.sum(name, labels).unwrap_or_else(|| panic!("there is no {name} {labels:?}"))
}

#[test]
fn what_clients_do_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image");
    let (server, address) = start(&image, &["--nvm-objects", "8"]);
    for number in ["1", "2", "3"] {
        server.run(&["nvm", "add", number, "--text", "12345678"]).ok();
    }
    server.run(&["nvm", "destroy", "3"]).ok();
    server.run(&["key", "import", "--id", "5", "--usage", "sign", "--text", "a secret that is nowhere"]).ok();
    server.run(&["key", "export", "9", "--show"]).failed();
    server.run(&["counter", "init", "1", "5"]).ok();
    server.run(&["nvm", "add", "4", "--text", "x", "--flags", "nonexportable"]).ok();
    server.run(&["nvm", "read", "4"]).failed();
    // Each of the nine commands was a connection.
    for _ in 0..9 {
        server.wait_for(": client 12: ");
    }

    let mut held = connect(&server.address, 3).unwrap();
    held.echo(b"once").unwrap();
    let metrics = scrape(&address);
    let of = |name: &str, labels: &[(&str, &str)]| value(&metrics, name, labels);
    let requests = |group, action, outcome| {
        of("casemate_requests_total", &[("group", group), ("action", action), ("outcome", outcome)])
    };
    let counted = [
        requests("nvm", "add", "ok"),
        requests("nvm", "destroy", "ok"),
        requests("nvm", "read", "refused"),
        requests("key", "export", "error"),
        requests("counter", "init", "ok"),
        requests("comm", "echo", "ok"),
        requests("unknown", "unknown", "error"),
        of("casemate_malformed_packets_total", &[]),
    ];
    assert_eq!(counted, [4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(of("casemate_connected_clients", &[("transport", "tcp")]), 1.0);
    assert_eq!(of("casemate_connected_clients", &[("transport", "shm")]), 0.0);
    assert!(of("casemate_connections_total", &[("transport", "tcp")]) >= 9.0);
    assert_eq!(of("casemate_connection_limit", &[]), 64.0);
    assert!(of("casemate_received_bytes_total", &[("transport", "tcp")]) > 100.0);
    assert!(of("casemate_sent_bytes_total", &[("transport", "tcp")]) > 100.0);
    assert!(of("casemate_nvm_objects", &[]) >= 4.0);
    assert_eq!(
        of("casemate_nvm_objects", &[])
            + of("casemate_nvm_free_objects", &[])
            + of("casemate_nvm_reclaimable_objects", &[]),
        8.0
    );
    assert!(of("casemate_nvm_reclaims_total", &[]) >= 1.0);
    assert!(of("casemate_nvm_writes_total", &[]) >= 5.0);
    assert_eq!(of("casemate_nvm_failures_total", &[]), 0.0);
    assert_eq!(of("casemate_security_events_total", &[("event", "refused")]), 1.0);
    assert_eq!(of("casemate_key_cache_slots", &[("slots", "small")]), 9.0);
    assert_eq!(of("casemate_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert!(of("casemate_uptime_seconds", &[]) > 0.0);

    // Every family has a type, counters are called so, and histograms add up.
    for sample in &metrics.samples {
        let family = metrics.family_of(&sample.name);
        let kind = metrics.types.get(family).unwrap_or_else(|| panic!("{family} has no type"));
        assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
    }
    let durations = "casemate_request_duration_seconds";
    for group in ["comm", "nvm", "key", "unknown"] {
        let mut before = -1.0;
        for bucket in metrics.all(&format!("{durations}_bucket"), &[("group", group)]) {
            assert!(bucket.value >= before, "{bucket:?}");
            before = bucket.value;
        }
        let count = of(&format!("{durations}_count"), &[("group", group)]);
        assert_eq!((count, count), (before, of("casemate_requests_total", &[("group", group)])), "{group}");
        assert_eq!(of(&format!("{durations}_sum"), &[("group", group)]) > 0.0, count > 0.0);
    }

    let picture = run(&["top", "--once", &address]).ok();
    for expected in ["rates of the whole time", "Clients   1 of 64  tcp 1", "GROUP", "\nnvm ", "\nkey "] {
        assert!(picture.contains(expected), "{expected}: {picture}");
    }
    assert!(!picture.contains('\x1b') && !picture.contains("\nshe "), "{picture}");
    held.close().unwrap();
    server.stop();
}

#[test]
fn logins_are_counted_and_nobody_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let [good, bad] = ["good", "bad"].map(|name| directory.path().join(name));
    std::fs::write(&good, "a-good-pin").unwrap();
    std::fs::write(&bad, "a-bad-pin").unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let users = ["--users", "--admin", "chief", "--admin-pin-file", good, "--failed-logins", "2"];
    let (server, address) = start(Path::new("ram"), &[&users[..], &["--pin-iterations", "1000"]].concat());
    let log_in = |pin| server.run(&["counter", "init", "1", "--user", "chief", "--pin-file", pin]);
    log_in(good).ok();
    for _ in 0..3 {
        log_in(bad).failed();
    }
    let metrics = scrape(&address);
    let of = |outcome| value(&metrics, "casemate_logins_total", &[("outcome", outcome)]);
    assert_eq!([of("ok"), of("failed"), of("locked")], [1.0, 1.0, 2.0]);
    for sample in &metrics.samples {
        assert!(sample.labels.values().all(|value| !value.contains("chief")), "{sample:?}");
    }
    server.stop();
}

#[test]
fn open_metrics_over_a_unix_domain_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics");
    let address = format!("unix:{}", path.display());
    let server = ServerProcess::start(Path::new("ram"), &["--metrics", &address]);
    server.wait_for(&format!(" metrics at {address}"));
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (head, body) = ask(stream, "application/openmetrics-text;version=1.0.0");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("\n# EOF\n") && body.contains("# TYPE casemate_requests counter\n"), "{body}");
    assert!(run(&["top", "--once", &address]).ok().contains("no requests yet"));
    let said = run(&["serve", "--tcp", "127.0.0.1:0", "--nvm", "ram", "--metrics", &address]).failed();
    assert!(said.contains("another server uses it"), "{said}");
    server.stop();
    assert!(!path.exists());
}

#[test]
fn top_says_what_to_do_where_nothing_listens() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:{}", directory.path().join("none").display());
    let said = run(&["top", "--once", &nowhere]).failed();
    assert!(said.contains("start the server with `casemate serve --metrics"), "{said}");
    // A server's own port speaks something else.
    let server = ServerProcess::start(Path::new("ram"), &[]);
    run(&["top", "--once", &server.address]).failed();
    assert!(run(&["top", "--once", "nonsense"]).failed().contains("HOST:PORT or unix:PATH"));
}

#[test]
fn top_goes_on_in_a_pipe_until_it_is_told_to_stop() {
    let (server, address) = start(Path::new("ram"), &[]);
    let mut command = casemate();
    command.args(["top", "--interval", "0.05", &address]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut top = Running::start(&mut command);
    let output = pieces(top.stdout.take().unwrap());
    let (mut text, begin) = (String::new(), Instant::now());
    while text.matches("rates of the last").count() < 2 {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        match output.recv_timeout(left) {
            Ok(piece) => text += &String::from_utf8_lossy(&piece),
            Err(error) => panic!("{error}: {text}"),
        }
    }
    assert!(!text.contains('\x1b'), "{text}");
    top.signal("INT");
    assert_eq!(top.ended().code(), Some(0));
    server.stop();
}
