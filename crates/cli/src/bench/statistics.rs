//! Times, and what is said of them.

use std::time::Duration;

/// How many times are kept of one operation on one server.
const MOST: usize = 2_000_000;

/// The times of one operation on one server.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Nanoseconds.
    times: Vec<u32>,
    /// Calls per second in each turn.
    rates: Vec<f64>,
}

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.times.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Ends a turn in which `calls` calls took `time` together.
    pub(crate) fn end_turn(&mut self, calls: u32, time: Duration) {
        self.rates.push(f64::from(calls) / time.as_secs_f64().max(1e-9));
    }

    /// Ends a turn with so many calls per second.
    pub(crate) fn end_turn_at(&mut self, rate: f64) {
        self.rates.push(rate);
    }

    /// Adds the times of another client; its turns do not count.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.times.extend(other.times);
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.times.len() >= MOST
    }

    pub(crate) fn summary(mut self) -> Option<Summary> {
        self.times.sort_unstable();
        let last = self.times.len().checked_sub(1)?;
        let at = |share: f64| {
            // The nearest rank.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let rank = (share * (last as f64)).round() as usize;
            f64::from(self.times[rank.min(last)]) / 1000.0
        };
        self.rates.sort_unstable_by(f64::total_cmp);
        Some(Summary {
            count: last + 1,
            per_second: *self.rates.get(self.rates.len() / 2)?,
            curve: CURVE.map(|percent| at(percent / 100.0)),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
        })
    }
}

/// The percentiles that the distribution is drawn with.
pub(crate) const CURVE: [f64; 13] =
    [0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 100.0];

/// What the times of one operation on one server say. Times are in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    /// Calls per second: the median of the turns.
    pub(crate) per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    /// At [`CURVE`].
    pub(crate) curve: [f64; CURVE.len()],
}

impl Summary {
    /// Millions of bytes in a second.
    pub(crate) fn megabytes(&self, bytes: u32) -> f64 {
        self.per_second * f64::from(bytes) / 1e6
    }
}

/// A number with three significant digits, and thousands set apart.
pub(crate) fn three(value: f64) -> String {
    let digits = match value {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push('\u{202F}');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_one_to_hundred_and_one() {
        let mut samples = Samples::default();
        for time in (1..=101).rev() {
            samples.push(Duration::from_micros(time));
        }
        for (calls, time) in [(10, 1), (101, 5), (1, 1)] {
            samples.end_turn(calls, Duration::from_secs(time));
        }
        let summary = samples.summary().unwrap();
        assert_eq!((summary.p50, summary.p90, summary.p99), (51.0, 91.0, 100.0));
        assert_eq!((summary.curve[0], summary.curve[CURVE.len() - 1]), (1.0, 101.0));
        assert!((summary.per_second - 10.0).abs() < 1e-9);
        assert!((summary.megabytes(1000) - 0.01).abs() < 1e-9);
        assert!(Samples::default().summary().is_none());
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.123_4, "0.12"),
            (9.876, "9.88"),
            (98.76, "98.8"),
            (99.96, "100"),
            (1_234.5, "1\u{202F}234"),
            (1_234_567.0, "1\u{202F}234\u{202F}567"),
        ] {
            assert_eq!(three(value), text);
        }
    }
}
