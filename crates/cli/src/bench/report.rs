//! The report: one HTML file, its charts drawn as SVG.

use super::statistics::{CURVE, Summary, three};
use super::{Memory, Results, Row, transports};
use std::fmt::Write;

/// Width of every chart.
const WIDTH: f64 = 960.0;
/// Where a chart's plot begins, right of the row names, and where it ends.
const LEFT: f64 = 300.0;
const RIGHT: f64 = WIDTH - 70.0;

const STYLE: &str = "
:root { --page: #fbfbfa; --card: #ffffff; --text: #1d2330; --soft: #5d6575; --line: #e2e4e9;
  --c0: #2563c9; --c1: #c2571a; --c2: #2b8a5e; --c3: #7a4fc0; --c4: #b03a5b; --c5: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --card: #1c2027; --text: #e6e8ec;
  --soft: #9aa3b2; --line: #323843; --c0: #6ea8ff; --c1: #f0935a; --c2: #58c793; --c3: #b794f6; --c4: #f28ba8; --c5: #a3abb8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 40px 0 4px; }
p { margin: 4px 0 12px; color: var(--soft); max-width: 75ch; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(175px, 1fr)); gap: 12px; margin: 24px 0 8px; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px; } .tile b { display: block; font-size: 24px; font-weight: 600; line-height: 1.3; }
.tile span { color: var(--soft); font-size: 13px; }
.card { padding: 16px; overflow-x: auto; } svg { display: block; width: 100%; min-width: 720px; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; font-size: 13px; margin-bottom: 8px; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 6px; }
text { font-size: 12.5px; fill: var(--text); } .soft { fill: var(--soft); } .head { font-weight: 600; }
.grid { stroke: var(--line); stroke-width: 1; } .even { stroke: var(--soft); stroke-width: 1.4; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: right; color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--line); padding: 5px 8px; }
td { text-align: right; padding: 3px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.why { text-align: left; color: var(--soft); white-space: normal; }
tr.group td { padding-top: 12px; font-weight: 600; }
";

/// Text that is safe between tags and in attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn color(target: usize) -> String {
    format!("var(--c{})", target % 6)
}

/// An axis from `low` to `high` on which equal distances are equal factors.
#[derive(Clone, Copy)]
struct LogScale {
    low: f64,
    high: f64,
}

impl LogScale {
    /// One that holds all `values`, and ends at powers of ten, or at their double and five-fold.
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if high == 0.0 {
            return Self { low: 1.0, high: 10.0 };
        }
        let nice = |value: f64, up: bool| {
            let power = 10_f64.powf(value.log10().floor());
            let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
            if up {
                steps.into_iter().find(|step| *step >= value).unwrap_or(10.0 * power)
            } else {
                steps.into_iter().rev().find(|step| *step <= value).unwrap_or(power)
            }
        };
        let (low, high) = (nice(low, false), nice(high, true));
        Self { low, high: if high > low { high } else { low * 10.0 } }
    }

    fn share(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        (value / self.low).ln() / (self.high / self.low).ln()
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + self.share(value) * (RIGHT - LEFT)
    }

    /// The powers of ten on the axis; their doubles and five-folds too if there are few.
    fn ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let factors: &[f64] = if decades <= 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let mut ticks = Vec::new();
        let mut power = 10_f64.powf(self.low.log10().floor());
        while power <= self.high * 1.001 {
            for factor in factors {
                let tick = power * factor;
                if tick >= self.low * 0.999 && tick <= self.high * 1.001 {
                    ticks.push(tick);
                }
            }
            power *= 10.0;
        }
        ticks
    }
}

/// A tick's label.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded >= 1000.0 { three(rounded) } else { rounded.to_string() }
}

/// A chart of rows, with group headings, over a horizontal axis.
struct Chart {
    body: String,
    y: f64,
    row_height: f64,
    group: &'static str,
    scale: LogScale,
}

impl Chart {
    const TOP: f64 = 28.0;

    const fn new(scale: LogScale, row_height: f64) -> Self {
        Self { body: String::new(), y: Self::TOP, row_height, group: "", scale }
    }

    /// Begins a row and returns its middle.
    fn row(&mut self, group: &'static str, name: &str) -> f64 {
        if group != self.group {
            self.group = group;
            self.y += 24.0;
            let _ = write!(
                self.body,
                "<text class=\"head\" x=\"0\" y=\"{:.1}\">{}</text>",
                self.y - 5.0,
                escape(group)
            );
        }
        let middle = self.y + self.row_height / 2.0;
        let _ = write!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 14.0,
            middle + 4.0,
            escape(name)
        );
        self.y += self.row_height;
        middle
    }

    fn finish(self, label: &str, unit: &str, emphasized: Option<f64>) -> String {
        let bottom = self.y + 6.0;
        let mut grid = String::new();
        for tick in self.scale.ticks() {
            let x = self.scale.x(tick);
            let class = if emphasized == Some(tick) { "even" } else { "grid" };
            let _ = write!(
                grid,
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                Self::TOP,
                Self::TOP - 8.0,
                short(tick)
            );
        }
        let _ = write!(
            grid,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            RIGHT + 26.0,
            Self::TOP - 8.0,
            escape(unit)
        );
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">{grid}{}</svg>",
            bottom + 4.0,
            escape(label),
            self.body
        )
    }
}

impl Results {
    fn legend(&self, targets: &[usize]) -> String {
        let mut legend = "<div class=\"legend\">".to_owned();
        for &target in targets {
            let (name, description) = &self.targets[target];
            let _ = write!(
                legend,
                "<span><i style=\"background:{}\"></i>{}: {}</span>",
                color(target),
                escape(name),
                escape(description)
            );
        }
        legend + "</div>"
    }

    fn all_targets(&self) -> Vec<usize> {
        (0..self.targets.len()).collect()
    }

    /// In process, over the first transport, the other server and the library: as many as a chart can show.
    fn main_targets(&self) -> Vec<usize> {
        let is_main = |target: &usize| !self.own.iter().skip(1).any(|other| other == target);
        self.all_targets().into_iter().filter(is_main).collect()
    }

    /// For each operation and target the median, and a line to the 99th percentile.
    fn latency_chart(&self) -> String {
        let targets = self.main_targets();
        let measured = self
            .rows
            .iter()
            .flat_map(|row| targets.iter().filter_map(|&one| row.outcomes[one].as_ref().ok()));
        let scale = LogScale::around(measured.flat_map(|summary| [summary.p50, summary.p99]));
        #[allow(clippy::cast_precision_loss)] // A handful.
        let mut chart = Chart::new(scale, 10.0 * targets.len() as f64 + 8.0);
        for row in &self.rows {
            let middle = chart.row(row.group, &row.name);
            for (index, &target) in targets.iter().enumerate() {
                let Ok(Summary { p50, p90, p99, .. }) = &row.outcomes[target] else { continue };
                let y = lane(middle, index, targets.len());
                let [x50, x90, x99] = [p50, p90, p99].map(|value| scale.x(*value));
                let color = color(target);
                let _ = write!(
                    chart.body,
                    "<g><title>{}: {}: p50 {} µs, p90 {} µs, p99 {} µs</title>\
                     <line x1=\"{x50:.1}\" x2=\"{x99:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" \
                     style=\"stroke:{color}\" stroke-width=\"1.4\" stroke-opacity=\"0.65\"/>\
                     <line x1=\"{x90:.1}\" x2=\"{x90:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" \
                     style=\"stroke:{color}\" stroke-width=\"1.6\"/>\
                     <circle cx=\"{x50:.1}\" cy=\"{y:.1}\" r=\"4.2\" style=\"fill:{color}\"/></g>",
                    escape(&self.targets[target].0),
                    escape(&row.name),
                    three(*p50),
                    three(*p90),
                    three(*p99),
                    y - 3.5,
                    y + 3.5,
                );
            }
        }
        chart.finish("Latency of each operation", "µs", None)
    }

    /// Bars of millions of bytes a second, for operations that work on data.
    fn throughput_chart(&self, targets: &[usize]) -> Option<String> {
        // An echo, which only copies, would leave the others a corner of the chart.
        let is_shown = |row: &&Row| row.bytes >= 1024 && row.group != "Requests";
        let rows: Vec<&Row> = self.rows.iter().filter(is_shown).collect();
        let speeds = |row: &Row| -> Vec<Option<f64>> {
            let speed = |target: usize| Some(row.outcomes[target].as_ref().ok()?.megabytes(row.bytes));
            targets.iter().map(|&target| speed(target)).collect()
        };
        let highest = rows.iter().flat_map(|row| speeds(row)).flatten().fold(0.0, f64::max);
        if highest <= 0.0 {
            return None;
        }
        let (step, count) = linear_steps(highest);
        let x = |value: f64| LEFT + value / (step * count) * (RIGHT - LEFT);
        #[allow(clippy::cast_precision_loss)] // A handful.
        let mut chart = Chart::new(LogScale { low: 1.0, high: 10.0 }, 11.0 * targets.len() as f64 + 9.0);
        for row in rows {
            let middle = chart.row(row.group, &row.name);
            for (index, speed) in speeds(row).into_iter().enumerate() {
                let Some(speed) = speed else { continue };
                let y = lane(middle, index, targets.len()) - 4.5;
                let _ = write!(
                    chart.body,
                    "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"9\" rx=\"2\" style=\"fill:{}\"/>\
                     <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" style=\"font-size:11px\">{}</text>",
                    x(speed) - LEFT,
                    color(targets[index]),
                    x(speed) + 6.0,
                    y + 8.5,
                    three(speed)
                );
            }
        }
        let mut grid = String::new();
        let mut tick = 0.0;
        while tick <= count {
            let at = x(step * tick);
            let _ = write!(
                grid,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                Chart::TOP,
                chart.y + 6.0,
                Chart::TOP - 8.0,
                if tick == 0.0 { "0".to_owned() } else { short(step * tick) }
            );
            tick += 1.0;
        }
        Some(format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Throughput\">{grid}\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">MB/s</text>{}</svg>",
            chart.y + 10.0,
            RIGHT + 26.0,
            Chart::TOP - 8.0,
            chart.body
        ))
    }

    /// How many times as fast as the other server, from the medians.
    fn ratio_chart(&self, ours: usize, theirs: usize) -> String {
        let ratios: Vec<_> =
            self.rows.iter().filter_map(|row| Some((row, row.ratio(ours, theirs)?))).collect();
        let mut scale = LogScale::around(ratios.iter().map(|(_, ratio)| *ratio).chain([0.8, 1.25]));
        // The axis has room for the labels.
        scale = LogScale { low: scale.low.min(0.5), high: scale.high.max(2.0) };
        let mut chart = Chart::new(scale, 19.0);
        for (row, ratio) in ratios {
            let middle = chart.row(row.group, &row.name);
            let (one, at) = (scale.x(1.0), scale.x(ratio));
            let (anchor, text) = if ratio >= 1.0 { ("start", at + 6.0) } else { ("end", at - 6.0) };
            let _ = write!(
                chart.body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" rx=\"2\" style=\"fill:{}\"/>\
                 <text class=\"soft\" x=\"{text:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" \
                 style=\"font-size:11px\">{ratio:.2}×</text>",
                one.min(at),
                middle - 5.0,
                (at - one).abs().max(1.0),
                color(if ratio >= 1.0 { ours } else { theirs }),
                middle + 4.0
            );
        }
        chart.finish("Ratio of speeds", "times", Some(1.0))
    }

    /// What is left of the library's speed.
    fn share_chart(&self, library: usize) -> String {
        const MOST: f64 = 1.2;
        let x = |share: f64| LEFT + share.clamp(0.0, MOST) / MOST * (RIGHT - LEFT);
        let mut chart = Chart::new(LogScale { low: 1.0, high: 10.0 }, 19.0);
        for (row, share) in self.shares(library) {
            let middle = chart.row(row.group, &row.name);
            let _ = write!(
                chart.body,
                "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" rx=\"2\" style=\"fill:{}\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" style=\"font-size:11px\">{:.0} %</text>",
                middle - 5.0,
                x(share) - LEFT,
                color(0),
                x(share) + 6.0,
                middle + 4.0,
                100.0 * share
            );
        }
        let bottom = chart.y + 6.0;
        let mut grid = String::new();
        for percent in [0_u8, 25, 50, 75, 90, 100] {
            let at = x(f64::from(percent) / 100.0);
            let class = if percent == 90 { "even" } else { "grid" };
            let _ = write!(
                grid,
                "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{percent} %</text>",
                Chart::TOP,
                Chart::TOP - 8.0
            );
        }
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Share of the library's speed\">{grid}{}</svg>",
            bottom + 4.0,
            chart.body
        )
    }

    /// Latency over percentile for one operation.
    fn distribution_chart(&self, row: &Row) -> String {
        const TOP: f64 = 16.0;
        const BOTTOM: f64 = 250.0;
        const START: f64 = 70.0;
        // The last percent is drawn as wide as the middle: distances are those of a normal distribution.
        let positions = [0.0, 0.09, 0.17, 0.21, 0.33, 0.47, 0.60, 0.71, 0.77, 0.85, 0.875, 0.92, 1.0];
        let x = |share: f64| START + share * (WIDTH - START - 24.0);
        let curves = row.outcomes.iter().flatten().flat_map(|summary| summary.curve);
        let scale = LogScale::around(curves);
        let y = |value: f64| BOTTOM - scale.share(value) * (BOTTOM - TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Distribution of latency\">",
            BOTTOM + 44.0
        );
        for tick in scale.ticks() {
            let at = y(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{START}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} µs</text>",
                x(1.0),
                START - 8.0,
                at + 4.0,
                short(tick)
            );
        }
        for (percent, position) in CURVE.iter().zip(positions) {
            let label = match percent {
                0.0 => "fastest".to_owned(),
                100.0 => "slowest".to_owned(),
                // The two would touch their neighbours.
                5.0 | 99.5 => continue,
                percent => format!("{percent}%"),
            };
            let anchor = match percent {
                0.0 => "start",
                100.0 => "end",
                _ => "middle",
            };
            let at = x(position);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text class=\"soft\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
                BOTTOM + 18.0
            );
        }
        for (target, outcome) in row.outcomes.iter().enumerate() {
            let Ok(summary) = outcome else { continue };
            let mut points = String::new();
            for (value, position) in summary.curve.iter().zip(positions) {
                let _ = write!(points, "{:.1},{:.1} ", x(position), y(*value));
            }
            let _ = write!(
                svg,
                "<polyline points=\"{points}\" fill=\"none\" style=\"stroke:{}\" stroke-width=\"2.2\" \
                 stroke-linejoin=\"round\"/>",
                color(target)
            );
        }
        svg + "</svg>"
    }

    fn tiles(&self) -> String {
        let mut tiles = Vec::new();
        let find = |name: &str, target: usize| {
            self.rows.iter().find(|row| row.name == name)?.outcomes.get(target)?.as_ref().ok()
        };
        if let Some(echo) = find("echo 1 KiB", 1) {
            tiles.push((three(echo.per_second), "round trips a second over TCP, echo of 1 KiB".to_owned()));
        }
        if let Some((ours, theirs)) = self.compared
            && let Some(row) = self.rows.iter().find(|row| row.name == "echo 1 KiB")
            && let Some(ratio) = row.ratio(ours, theirs)
        {
            let name = &self.targets[theirs].0;
            tiles.push((
                format!("{ratio:.2}×"),
                format!("as fast as {name} (median), echo of 1 KiB over TCP"),
            ));
        }
        if let Some(echo) = find("echo 16 bytes", 0) {
            let value = format!("{} ns", three(echo.p50 * 1000.0));
            tiles.push((value, "for a small request in process, client and server together".to_owned()));
        }
        if let Some(gcm) = find("AES-256-GCM encrypt 1 KiB", 0) {
            let value = format!("{} MB/s", three(gcm.megabytes(1024)));
            tiles.push((value, "AES-256-GCM in requests of 1 KiB, in process".to_owned()));
        }
        if let Some(Memory { clients, busy, .. }) = self.memory {
            let value = format!("{} KiB", busy.div_ceil(1024));
            tiles.push((
                value,
                format!("server memory for a connected client that used all it has ({clients} clients)"),
            ));
        }
        let mut html = "<div class=\"tiles\">".to_owned();
        for (value, meaning) in tiles {
            let _ = write!(
                html,
                "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
                escape(&value),
                escape(&meaning)
            );
        }
        html + "</div>"
    }

    fn table(&self, target: usize) -> String {
        let mut html = "<table><thead><tr><th>Operation</th><th>p50 µs</th><th>p90 µs</th><th>p99 µs</th>\
                        <th>per second</th><th>MB/s</th><th>measured</th></tr></thead><tbody>"
            .to_owned();
        let mut group = "";
        let is_shown = |row: &&Row| self.library != Some(target) || row.outcomes[target].is_ok();
        for row in self.rows.iter().filter(is_shown) {
            if row.group != group {
                group = row.group;
                let _ = write!(html, "<tr class=\"group\"><td colspan=\"7\">{}</td></tr>", escape(group));
            }
            let _ = write!(html, "<tr><td>{}</td>", escape(&row.name));
            match &row.outcomes[target] {
                Ok(summary) => {
                    let speed =
                        if row.bytes > 0 { three(summary.megabytes(row.bytes)) } else { String::new() };
                    let _ = write!(
                        html,
                        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{speed}</td><td>{} times</td></tr>",
                        three(summary.p50),
                        three(summary.p90),
                        three(summary.p99),
                        three(summary.per_second),
                        summary.count
                    );
                }
                Err(error) => {
                    let _ = write!(html, "<td class=\"why\" colspan=\"6\">{}</td></tr>", escape(error));
                }
            }
        }
        html + "</tbody></table>"
    }
}

impl Row {
    /// How many times as fast one target is as another, from the medians.
    pub(super) fn ratio(&self, ours: usize, theirs: usize) -> Option<f64> {
        let (ours, theirs) =
            (self.outcomes.get(ours)?.as_ref().ok()?, self.outcomes.get(theirs)?.as_ref().ok()?);
        (ours.p50 > 0.0).then(|| theirs.p50 / ours.p50)
    }
}

/// Where the mark of one of several targets lies in a row.
fn lane(middle: f64, index: usize, count: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)] // A handful.
    let offset = index as f64 - (count as f64 - 1.0) / 2.0;
    middle + offset * 10.5
}

/// A round step, and how many of them reach `highest`.
fn linear_steps(highest: f64) -> (f64, f64) {
    let power = 10_f64.powf(highest.log10().floor());
    let step = [0.2, 0.5, 1.0, 2.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| highest / step <= 6.0)
        .unwrap_or(2.0 * power);
    (step, (highest / step).ceil())
}

/// The whole report.
pub(super) fn html(results: &Results) -> String {
    let machine = &results.machine;
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Casemate benchmark</title><style>{STYLE}</style></head><body><main>\
         <h1>Casemate benchmark</h1><p>casemate {} on {}, {} cores, {}; {}; {}&nbsp;s for each operation and server</p>",
        env!("CARGO_PKG_VERSION"),
        escape(&machine.processor),
        machine.cores,
        escape(&machine.system),
        escape(&results.date),
        results.seconds
    );
    html += &results.tiles();
    let mut section = |title: &str, text: &str, legend: String, chart: &str| {
        let _ = write!(
            html,
            "<h2>{}</h2><p>{}</p><div class=\"card\">{legend}{chart}</div>",
            escape(title),
            escape(text)
        );
    };
    if let Some((ours, theirs)) = results.compared {
        let name = &results.targets[theirs].0;
        section(
            &format!("Compared with {name}"),
            &format!(
                "How many times as fast our server answers over TCP, from the medians. Right of the line at 1 ours \
                 is faster, left of it {name}."
            ),
            results.legend(&[ours, theirs]),
            &results.ratio_chart(ours, theirs),
        );
    }
    if let Some(library) = results.library.filter(|&library| !results.shares(library).is_empty()) {
        section(
            "Share of the library's speed",
            "What is left, in process, of the speed of the cryptographic library called directly, for operations that \
             take it 20 µs and more: 1 means that client, messages, session, key store and key encodings cost nothing.",
            results.legend(&[0, library]),
            &results.share_chart(library),
        );
    }
    section(
        "Latency",
        "The time of a whole call, on a scale where equal distances are equal factors. The dot is the median, the \
         tick the 90th percentile; the line ends at the 99th.",
        results.legend(&results.main_targets()),
        &results.latency_chart(),
    );
    if let Some(chart) = results.throughput_chart(&[0]) {
        section(
            "Throughput in process",
            "Millions of bytes processed in a second, in requests of 1 KiB, one after the other.",
            results.legend(&[0]),
            &chart,
        );
    }
    let over_tcp: Vec<_> = (1..results.targets.len()).filter(|&one| Some(one) != results.library).collect();
    if let Some(chart) = results.throughput_chart(&over_tcp) {
        section(
            "Throughput over transports",
            "The same for one client that waits for each answer before it asks again.",
            results.legend(&over_tcp),
            &chart,
        );
    }
    let example = results.rows.iter().find(|row| row.name == "echo 1 KiB").or(results.rows.first());
    if let Some(row) = example {
        section(
            &format!("Distribution: {}", row.name),
            "Which share of the calls took no longer than so much. A line that stays low has few slow calls.",
            results.legend(&results.all_targets()),
            &results.distribution_chart(row),
        );
    }
    if !results.transports.is_empty() {
        section(
            "Transports and numbers of clients",
            "One client, and many at once, each with a connection of its own. Times are those of single calls.",
            String::new(),
            &transports::html(&results.transports),
        );
    }
    for (target, (name, description)) in results.targets.iter().enumerate() {
        section(&format!("All figures: {name}"), description, String::new(), &results.table(target));
    }
    if let Some(Memory { clients, idle, busy }) = results.memory {
        let _ = write!(
            html,
            "<h2>Memory</h2><p>With {clients} clients connected, the memory of the server process grew by \
             {} KiB for each of them. After each had filled its key cache and sent a packet of 8192 bytes, it was {} \
             KiB more than before the first one came.</p>",
            idle.div_ceil(1024),
            busy.div_ceil(1024)
        );
    }
    html += "<h2>How it was measured</h2><p>One client sends a request, waits for the response, and sends the next. \
             Servers take turns of about 20 ms, each after a warm-up of a tenth of that. Percentiles are over all \
             calls; calls per second are the median of the turns, so that another program that runs for a moment does \
             not count. Keys are of 32 bytes. Where it says inline key, the key travels in the request; otherwise the \
             server holds it.</p>";
    html + "</main></body></html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let scale = LogScale::around([0.15, 13.0, 99.0].into_iter());
        assert!((scale.low - 0.1).abs() < 1e-9 && (scale.high - 100.0).abs() < 1e-9);
        assert!((scale.share(0.1)).abs() < 1e-9 && (scale.share(1000.0) - 1.0).abs() < 1e-9);
        assert_eq!(scale.ticks().len(), 4);
        assert_eq!(linear_steps(2_350.0), (500.0, 5.0));
        assert_eq!(linear_steps(12_000.0), (2_000.0, 6.0));
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
