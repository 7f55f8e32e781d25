//! The text formats: Prometheus 0.0.4, and OpenMetrics 1.0.

use std::fmt::{Display, Write};

/// Which text format is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of metrics, one family after the other.
#[derive(Debug)]
pub(super) struct Exposition {
    format: Format,
    text: String,
    /// The name of the family's samples.
    name: String,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::with_capacity(32 * 1024), name: String::new() }
    }

    /// Begins a family of gauges.
    pub(super) fn gauge(&mut self, name: &str, help: &str) {
        self.family(name, "gauge", help);
        name.clone_into(&mut self.name);
    }

    /// Begins a family of counters, whose samples are called `name` with `_total` behind it.
    pub(super) fn counter(&mut self, name: &str, help: &str) {
        let total = format!("{name}_total");
        // Only OpenMetrics takes the suffix as no part of the family's name.
        self.family(if self.format == Format::OpenMetrics { name } else { &total }, "counter", help);
        self.name = total;
    }

    /// Begins a family of histograms; its samples are [parts](Self::part).
    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.family(name, "histogram", help);
        name.clone_into(&mut self.name);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // No help text here has anything to escape.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// A sample whose name has a suffix.
    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let Self { text, name, .. } = self;
        text.push_str(name);
        text.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            // No value here has anything to escape: they are names and versions.
            let _ = write!(text, "{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_samples() {
        let make = |format| {
            let mut text = Exposition::new(format);
            text.gauge("a", "One.");
            text.sample(&[], 1);
            text.counter("b", "Two.");
            text.sample(&[("x", "y"), ("z", "0")], 2);
            text.histogram("c", "Three.");
            text.part("_sum", &[("x", "y")], "0.5");
            text.finish()
        };
        let prometheus = "# HELP a One.\n# TYPE a gauge\na 1\n\
                          # HELP b_total Two.\n# TYPE b_total counter\nb_total{x=\"y\",z=\"0\"} 2\n\
                          # HELP c Three.\n# TYPE c histogram\nc_sum{x=\"y\"} 0.5\n";
        assert_eq!(make(Format::Prometheus), prometheus);
        let open = prometheus.replace("HELP b_total", "HELP b").replace("TYPE b_total", "TYPE b") + "# EOF\n";
        assert_eq!(make(Format::OpenMetrics), open);
    }
}
