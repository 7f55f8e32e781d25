//! The demonstration and the benchmark.

mod common;

use common::run;
use std::fs;

#[test]
fn the_demonstration_succeeds() {
    let text = run(&["demo"]).ok();
    assert!(text.contains(" steps passed, 0 failed\n"), "{text}");
    assert!(!text.contains("\n  FAIL"), "{text}");
    for group in [
        "Non-volatile memory",
        "Keys",
        "Counters",
        "AES",
        "Key derivation",
        "Certificates",
        "AUTOSAR SHE",
        "Two clients at once",
        "Transports",
        "Direct memory access",
        "Custom callbacks",
        "Users",
        "Images, verified before they run",
        "Security records",
        "Restart",
    ] {
        assert!(text.contains(&format!("\n{group}")), "{group}: {text}");
    }
}

#[test]
fn the_benchmark_writes_what_it_measured() {
    let directory = tempfile::tempdir().unwrap();
    let (json, html) = (directory.path().join("b.json"), directory.path().join("b.html"));
    let text = run(&[
        "bench",
        "--seconds",
        "0.01",
        "--timeout",
        "180",
        "--json",
        json.to_str().unwrap(),
        "--html",
        html.to_str().unwrap(),
    ])
    .ok();
    assert!(text.contains("IN PROCESS") && text.contains("AES-256-GCM encrypt 1 KiB"), "{text}");

    let results: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let operations = results["operations"].as_array().unwrap();
    assert!(operations.len() > 30);
    for operation in operations {
        for result in operation["results"].as_array().unwrap() {
            let has_no_library_call = ["Requests", "Storage and keys", "Certificates"].map(Some);
            if result["target"] == "library" && has_no_library_call.contains(&operation["group"].as_str()) {
                assert!(result["error"].as_str().unwrap().contains("no call"), "{operation}");
                continue;
            }
            assert_eq!(result["error"], serde_json::Value::Null, "{operation}");
            assert!(result["count"].as_u64().unwrap() > 0, "{operation}");
            let time = |name: &str| result["microseconds"][name].as_f64().unwrap();
            assert!(time("minimum") > 0.0 && time("minimum") <= time("p50"), "{operation}");
            assert!(time("p50") <= time("p90") && time("p90") <= time("p99"), "{operation}");
        }
    }
    let names: Vec<_> = results["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["in process", "TCP", "shared memory", "Unix socket", "library"]);
    assert!(text.contains("SHARE OF THE LIBRARY'S SPEED"), "{text}");
    let transports = results["transports"].as_array().unwrap();
    for (transport, clients) in
        [("memory, two threads", 1), ("shared memory", 4), ("Unix socket", 64), ("TCP", 1), ("TCP", 64)]
    {
        let row = transports
            .iter()
            .find(|row| row["transport"] == transport && row["clients"] == clients)
            .unwrap_or_else(|| panic!("{clients} clients over {transport}"));
        assert!(row["operations_per_second"].as_f64().unwrap() > 0.0, "{row}");
    }
    // Not every kernel tells it.
    if !results["memory"].is_null() {
        let memory = |name: &str| results["memory"][name].as_u64().unwrap();
        assert!(memory("idle_bytes_per_client") > 0);
        let busy = memory("busy_bytes_per_client");
        // Where the kernel gives every thread's stack pages of 2 MiB without being asked, the figure says nothing about us.
        let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        // Code that is not optimized needs more stack; and the allocator rounds up, the more the more processors there are.
        let limit = if cfg!(debug_assertions) { 160 } else { 128 } * 1024;
        assert!(
            busy < limit || huge.contains("[always]"),
            "a connected client takes {busy} bytes of the server's memory"
        );
    }

    let report = fs::read_to_string(html).unwrap();
    assert!(report.starts_with("<!DOCTYPE html>") && report.ends_with("</html>\n"));
    // Self-contained: it loads nothing and runs nothing.
    for loads in ["http:", "https:", "src=", "<link", "@import", "<script", "url("] {
        assert!(!report.contains(loads), "{loads}");
    }
    // Every element that is opened is closed.
    for element in ["svg", "g", "text", "title", "table", "tr", "td", "div", "section", "p", "h2"] {
        let opened =
            report.matches(&format!("<{element}>")).count() + report.matches(&format!("<{element} ")).count();
        assert_eq!(opened, report.matches(&format!("</{element}>")).count(), "{element}");
    }
    for broken in ["NaN", "inf\"", "=\"-", "width=\"-"] {
        assert!(!report.contains(broken), "{broken}");
    }
}

#[test]
fn the_benchmark_compares_and_leaves_nothing_behind() {
    let server = common::ServerProcess::start(std::path::Path::new("ram"), &[]);
    let arguments =
        ["bench", "--seconds", "0.01", "--against", &server.address, "--against-name", "another <one>"];
    let directory = tempfile::tempdir().unwrap();
    let html = directory.path().join("b.html");
    let text = run(&[&arguments[..], &["--html", html.to_str().unwrap()]].concat()).ok();
    assert!(text.contains("TCP COMPARED WITH ANOTHER <ONE>"), "{text}");
    assert!(fs::read_to_string(html).unwrap().contains("Compared with another &lt;one&gt;"));
    assert_eq!(server.run(&["nvm", "list"]).ok(), "");

    // What belongs to somebody is not overwritten.
    server.run(&["nvm", "add", "0x0be7", "--text", "mine"]).ok();
    server.run(&["counter", "init", "190", "5"]).ok();
    let text = run(&["bench", "--seconds", "0.01", "--server", &server.address, "--only", "nvm"]).ok();
    assert!(text.contains("object 0x0be7 exists"), "{text}");
    run(&["bench", "--seconds", "0.01", "--server", &server.address, "--only", "counter"]).ok();
    assert_eq!(server.run(&["nvm", "read", "0x0be7"]).ok(), "mine");
    assert_eq!(server.run(&["counter", "read", "190"]).ok(), "5\n");

    let nothing = run(&["bench", "--only", "frobnication"]).failed();
    assert!(nothing.contains("no operation's name contains `frobnication`"), "{nothing}");
    let unwritable = run(&["bench", "--only", "info", "--json", "/no/such/directory/x"]).failed();
    assert!(unwritable.contains("cannot write /no/such/directory/x"), "{unwritable}");
}
