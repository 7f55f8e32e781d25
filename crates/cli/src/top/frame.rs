//! One picture of a server.

use super::exposition::Exposition;
use crate::table::{Align, Table};
use std::fmt;
use std::time::{Duration, Instant};

/// What a server said, and when.
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) exposition: Exposition,
}

impl Moment {
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.exposition.sum(name, labels).unwrap_or(0.0)
    }

    fn started(&self) -> f64 {
        self.get("process_start_time_seconds", &[])
    }

    /// Whether this is the same server, later.
    #[expect(clippy::float_cmp, reason = "the same number, or another start")]
    pub(crate) fn is_after(&self, before: &Self) -> bool {
        self.started() == before.started()
            && self.get("casemate_uptime_seconds", &[]) >= before.get("casemate_uptime_seconds", &[])
    }
}

/// A picture of what happened between two moments, or since the server's start.
pub(crate) struct Frame<'a> {
    address: &'a str,
    now: &'a Moment,
    before: Option<&'a Moment>,
}

impl<'a> Frame<'a> {
    pub(crate) const fn new(address: &'a str, now: &'a Moment, before: Option<&'a Moment>) -> Self {
        Self { address, now, before }
    }

    /// How much a counter has grown.
    fn grown(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let before = self.before.map_or(0.0, |before| before.get(name, labels));
        (self.now.get(name, labels) - before).max(0.0)
    }

    fn seconds(&self) -> f64 {
        let time = match self.before {
            Some(before) => self.now.at.saturating_duration_since(before.at).as_secs_f64(),
            None => self.now.get("casemate_uptime_seconds", &[]),
        };
        time.max(0.001)
    }

    /// The histogram of a group: upper bounds in seconds, and how many requests took no longer.
    fn durations(&self, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let name = "casemate_request_duration_seconds_bucket";
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.now.exposition.all(name, labels) {
            let Some(text) = sample.labels.get("le") else { continue };
            let Ok(bound) = text.trim_start_matches('+').parse::<f64>() else { continue };
            let mut same: Vec<_> =
                sample.labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
            same.sort_unstable();
            let before = self.before.map_or(0.0, |before| before.get(name, &same));
            let count = (sample.value - before).max(0.0);
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }
}

/// The duration that this part of the requests did not exceed, as far as the buckets tell: within a bucket, durations
/// are taken to lie evenly. `None` without requests; the last bound for what is above all bounds.
fn quantile(buckets: &[(f64, f64)], part: f64) -> Option<f64> {
    let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let wanted = part * all;
    let (mut bound_before, mut count_before) = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= wanted && count > count_before {
            if bound.is_infinite() {
                return Some(bound_before);
            }
            return Some(
                bound_before + (bound - bound_before) * (wanted - count_before) / (count - count_before),
            );
        }
        (bound_before, count_before) = (bound, count);
    }
    Some(bound_before)
}

/// A duration in the unit that suits it.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// Bytes in the unit that suits them.
fn bytes(count: f64) -> String {
    match count {
        c if c < 1024.0 => format!("{c:.0} B"),
        c if c < 1024.0 * 1024.0 => format!("{:.1} KiB", c / 1024.0),
        c => format!("{:.1} MiB", c / 1024.0 / 1024.0),
    }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 10.0 {
        format!("{per_second:.2}")
    } else {
        format!("{per_second:.0}")
    }
}

/// Days, hours, minutes, seconds.
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{:02}", seconds % 60),
        _ => format!("{days} d {hours:02}:{minutes:02}:{:02}", seconds % 60),
    }
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now;
        let version = now.exposition.all("casemate_build_info", &[]).next();
        let version = version.and_then(|sample| sample.labels.get("version")).map_or("?", String::as_str);
        let up = Duration::try_from_secs_f64(now.get("casemate_uptime_seconds", &[])).unwrap_or_default();
        let span = match self.before {
            Some(_) => format!("the last {:.1} s", self.seconds()),
            None => "the whole time".to_owned(),
        };
        writeln!(f, "Casemate {version} at {}, up {}; rates of {span}", self.address, uptime(up))?;
        self.clients(f)?;
        self.traffic(f)?;
        self.storage(f)?;
        writeln!(f)?;
        self.groups(f)
    }
}

impl Frame<'_> {
    fn clients(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = "casemate_connected_clients";
        write!(f, "Clients   {:.0}", self.now.get(clients, &[]))?;
        if let Some(limit) = self.now.exposition.sum("casemate_connection_limit", &[]) {
            write!(f, " of {limit:.0}")?;
        }
        for sample in self.now.exposition.all(clients, &[]).filter(|sample| sample.value > 0.0) {
            write!(
                f,
                "  {} {:.0}",
                sample.labels.get("transport").map_or("?", String::as_str),
                sample.value
            )?;
        }
        let away = self.now.get("casemate_connections_turned_away_total", &[]);
        write!(f, "  turned away {away:.0}")?;
        let [failed, locked] = ["failed", "locked"]
            .map(|outcome| self.now.get("casemate_logins_total", &[("outcome", outcome)]));
        writeln!(f, "  failed logins {failed:.0}  of locked users {locked:.0}")
    }

    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let of = |outcome| self.grown("casemate_requests_total", &[("outcome", outcome)]) / seconds;
        let (received, sent) =
            (self.grown("casemate_received_bytes_total", &[]), self.grown("casemate_sent_bytes_total", &[]));
        writeln!(
            f,
            "Requests  {}/s  refused {}/s  errors {}/s  in {}/s  out {}/s",
            rate(self.grown("casemate_requests_total", &[]) / seconds),
            rate(of("refused")),
            rate(of("error")),
            bytes(received / seconds),
            bytes(sent / seconds),
        )
    }

    fn storage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now;
        if now.exposition.sum("casemate_nvm_objects", &[]).is_some() {
            let free =
                now.get("casemate_nvm_free_bytes", &[]) + now.get("casemate_nvm_reclaimable_bytes", &[]);
            let room =
                now.get("casemate_nvm_free_objects", &[]) + now.get("casemate_nvm_reclaimable_objects", &[]);
            writeln!(
                f,
                "Storage   {:.0} objects, room for {room:.0} more  {} used, {} free  reclaims {:.0}  failures {:.0}",
                now.get("casemate_nvm_objects", &[]),
                bytes(now.get("casemate_nvm_used_bytes", &[])),
                bytes(free),
                now.get("casemate_nvm_reclaims_total", &[]),
                now.get("casemate_nvm_failures_total", &[]),
            )?;
        }
        let keys = |cache| now.get("casemate_key_cache_keys", &[("cache", cache)]);
        writeln!(f, "Cached    {:.0} keys of clients, {:.0} global", keys("clients"), keys("global"))
    }

    fn groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = "casemate_requests_total";
        let mut names: Vec<&str> = Vec::new();
        for sample in self.now.exposition.all(requests, &[]) {
            if let Some(group) = sample.labels.get("group")
                && !names.contains(&group.as_str())
            {
                names.push(group);
            }
        }
        let mut table = Table::new(&[
            ("GROUP", Align::Left),
            ("PER SECOND", Align::Right),
            ("TOTAL", Align::Right),
            ("REFUSED", Align::Right),
            ("ERRORS", Align::Right),
            ("P50", Align::Right),
            ("P95", Align::Right),
            ("P99", Align::Right),
        ]);
        for name in names {
            let total = self.now.get(requests, &[("group", name)]);
            if total <= 0.0 {
                continue;
            }
            let with = |outcome| self.now.get(requests, &[("group", name), ("outcome", outcome)]);
            let durations = self.durations(&[("group", name)]);
            let at = |part| quantile(&durations, part).map_or_else(|| "-".to_owned(), time);
            table.row([
                name.to_owned(),
                rate(self.grown(requests, &[("group", name)]) / self.seconds()),
                format!("{total:.0}"),
                format!("{:.0}", with("refused")),
                format!("{:.0}", with("error")),
                at(0.5),
                at(0.95),
                at(0.99),
            ]);
        }
        if table.is_empty() { writeln!(f, "no requests yet") } else { write!(f, "{table}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: Instant, uptime: u32, get: u32, slow: u32) -> Moment {
        let all = get + slow;
        let text = format!(
            "casemate_build_info{{version=\"1.2.3\"}} 1\ncasemate_uptime_seconds {uptime}\n\
             process_start_time_seconds 100.5\ncasemate_connected_clients{{transport=\"tcp\"}} 2\n\
             casemate_connected_clients{{transport=\"shm\"}} 0\ncasemate_connection_limit 64\n\
             casemate_requests_total{{group=\"key\",action=\"export\",outcome=\"ok\"}} {get}\n\
             casemate_requests_total{{group=\"key\",action=\"export\",outcome=\"refused\"}} {slow}\n\
             casemate_requests_total{{group=\"nvm\",action=\"add\",outcome=\"ok\"}} 0\n\
             # TYPE casemate_request_duration_seconds histogram\n\
             casemate_request_duration_seconds_bucket{{group=\"key\",le=\"0.001\"}} {get}\n\
             casemate_request_duration_seconds_bucket{{group=\"key\",le=\"0.01\"}} {all}\n\
             casemate_request_duration_seconds_bucket{{group=\"key\",le=\"+Inf\"}} {all}\n"
        );
        Moment { at, exposition: Exposition::parse(&text).unwrap() }
    }

    #[test]
    fn since_the_start_and_between_two_moments() {
        let begin = Instant::now();
        let (one, two) = (moment(begin, 10, 100, 0), moment(begin + Duration::from_secs(2), 12, 190, 10));
        let first = Frame::new("here", &one, None).to_string();
        assert!(
            first.starts_with("Casemate 1.2.3 at here, up 00:00:10; rates of the whole time\n"),
            "{first}"
        );
        assert!(first.contains("Clients   2 of 64  tcp 2  turned away 0"), "{first}");
        assert!(first.contains("key          10.00") || first.contains("key            10"), "{first}");
        assert!(!first.contains("nvm"), "{first}");
        let second = Frame::new("here", &two, Some(&one)).to_string();
        let line = second.lines().last().unwrap().split_whitespace().collect::<Vec<_>>();
        // 100 requests in two seconds: 90 within a millisecond, 10 within ten.
        assert_eq!(line[..5], ["key", "50", "200", "10", "0"], "{second}");
        assert_eq!(line[5..], ["556", "µs", "5.5", "ms", "9.1", "ms"], "{second}");
        assert!(two.is_after(&one) && !one.is_after(&two));
    }

    #[test]
    fn quantiles() {
        let buckets = [(1.0, 0.0), (2.0, 10.0), (f64::INFINITY, 20.0)];
        assert_eq!(quantile(&buckets, 0.25), Some(1.5));
        assert_eq!(quantile(&buckets, 0.5), Some(2.0));
        assert_eq!(quantile(&buckets, 0.99), Some(2.0));
        assert_eq!(quantile(&[(1.0, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn figures() {
        assert_eq!(
            (time(0.000_25), time(0.0123), time(2.0)),
            ("250 µs".into(), "12.3 ms".into(), "2.0 s".into())
        );
        assert_eq!(
            (bytes(10.0), bytes(2048.0), bytes(3e6)),
            ("10 B".into(), "2.0 KiB".into(), "2.9 MiB".into())
        );
        assert_eq!(uptime(Duration::from_secs(90_061)), "1 d 01:01:01");
    }
}
