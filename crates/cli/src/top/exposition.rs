//! A reader of the text format of Prometheus (version 0.0.4). It takes what the format's description allows and nothing
//! more.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Fault {}

/// What a server says of itself at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Exposition {
    pub(crate) samples: Vec<Sample>,
    /// The type of each family: `counter`, `gauge`, `histogram`, `summary` or `untyped`.
    pub(crate) types: BTreeMap<String, String>,
}

impl Exposition {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut seen = HashSet::new();
        let mut helped = HashSet::new();
        let mut family = String::new();
        let mut done = HashSet::new();
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(Fault { line: text.lines().count(), what: "the line has no end".to_owned() });
        }
        for (number, line) in (1..).zip(text.lines()) {
            let fail = |what: String| Fault { line: number, what };
            let mut enter = |name: &str, family: &mut String| -> Result<(), Fault> {
                if name != family {
                    done.insert(std::mem::replace(family, name.to_owned()));
                    if done.contains(name) {
                        return Err(fail(format!("the family {name} stands in two places")));
                    }
                }
                Ok(())
            };
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.trim_start().splitn(3, ' ');
                match (words.next(), words.next(), words.next()) {
                    (Some("HELP"), Some(name), _) => {
                        metric_name(name).map_err(fail)?;
                        enter(name, &mut family)?;
                        if !helped.insert(name.to_owned()) {
                            return Err(fail(format!("a second HELP of {name}")));
                        }
                    }
                    (Some("TYPE"), Some(name), Some(kind)) => {
                        metric_name(name).map_err(fail)?;
                        enter(name, &mut family)?;
                        if !matches!(kind, "counter" | "gauge" | "histogram" | "summary" | "untyped") {
                            return Err(fail(format!("{kind} is no type")));
                        }
                        if found.types.insert(name.to_owned(), kind.to_owned()).is_some() {
                            return Err(fail(format!("a second TYPE of {name}")));
                        }
                        if found.samples.iter().any(|sample| sample.name == name) {
                            return Err(fail(format!("the TYPE of {name} comes after its samples")));
                        }
                    }
                    (Some("TYPE"), ..) => return Err(fail("a TYPE without a type".to_owned())),
                    _ => {}
                }
            } else if !line.trim().is_empty() {
                let sample = sample(line).map_err(fail)?;
                enter(found.family_of(&sample.name), &mut family)?;
                if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                    return Err(fail(format!("{} stands twice with the same labels", sample.name)));
                }
                found.samples.push(sample);
            }
        }
        Ok(found)
    }

    /// The family that a sample belongs to.
    pub(crate) fn family_of<'a>(&'a self, sample: &'a str) -> &'a str {
        for suffix in ["_bucket", "_sum", "_count"] {
            if let Some(name) = sample.strip_suffix(suffix) {
                let is_of = |kind: &String| kind == "histogram" || (kind == "summary" && suffix != "_bucket");
                if self.types.get(name).is_some_and(is_of) {
                    return name;
                }
            }
        }
        sample
    }

    /// The samples of a name that have these labels, and perhaps others.
    pub(crate) fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|v| v == value);
            sample.name == name && labels.iter().all(has)
        })
    }

    /// The sum of the samples of a name that have these labels; `None` if there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut all = self.all(name, labels).peekable();
        all.peek()?;
        Some(all.map(|sample| sample.value).sum())
    }
}

fn is_name(text: &str, also: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || also.contains(c);
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn metric_name(text: &str) -> Result<(), String> {
    if is_name(text, ":") { Ok(()) } else { Err(format!("`{text}` is no name of a metric")) }
}

/// `NAME{LABEL="VALUE",…} VALUE`, perhaps with a timestamp behind it.
fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ', '\t']).ok_or("there is no value")?;
    let (name, mut rest) = line.split_at(end);
    metric_name(name)?;
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label has no value")?;
            if !is_name(label, "") {
                return Err(format!("`{label}` is no name of a label"));
            }
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("the label {label} stands twice"));
            }
            rest = match after.strip_prefix(',') {
                Some(after) => after,
                None if after.starts_with('}') => after,
                None => return Err("a comma is missing between labels".to_owned()),
            };
        }
        rest = rest.strip_prefix('}').unwrap_or(rest);
    }
    let mut words = rest.split_whitespace();
    let value = number(words.next().ok_or("there is no value")?)?;
    if let Some(time) = words.next() {
        time.parse::<i64>().map_err(|_| format!("`{time}` is no time"))?;
    }
    match words.next() {
        Some(word) => Err(format!("`{word}` is too much")),
        None => Ok(Sample { name: name.to_owned(), labels, value }),
    }
}

/// What stands before the closing quotation mark, and what comes after it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next() {
            Some('"') => return Ok((value, rest.as_str())),
            Some('\\') => value.push(match rest.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                _ => return Err("a backslash has no meaning here".to_owned()),
            }),
            Some(c) => value.push(c),
            None => return Err("a quotation mark is missing".to_owned()),
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ if text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) => {
            text.parse().map_err(|_| format!("`{text}` is no number"))
        }
        _ => Err(format!("`{text}` is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_format_allows() {
        let text = "# HELP http_requests_total The total.\n# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
                    http_requests_total{method=\"post\",code=\"400\",} 3e0\n\n# a comment\n\
                    escaped{path=\"C:\\\\D\",error=\"no\\n\\\"x\\\"\"} -1.5E+3\nplain 12.47\nodd{} +Inf -3\n\
                    # TYPE d histogram\nd_bucket{le=\"0.1\"} 1\nd_bucket{le=\"+Inf\"} 2\nd_sum 1\nd_count 2\n";
        let found = Exposition::parse(text).unwrap();
        assert_eq!(found.sum("http_requests_total", &[("method", "post")]), Some(1030.0));
        assert_eq!(found.sum("http_requests_total", &[("code", "400")]), Some(3.0));
        assert_eq!(found.sum("http_requests_total", &[("code", "404")]), None);
        assert_eq!(found.all("escaped", &[("error", "no\n\"x\"")]).next().unwrap().labels["path"], "C:\\D");
        assert_eq!(found.sum("odd", &[]), Some(f64::INFINITY));
        assert_eq!((found.family_of("d_sum"), found.family_of("plain_sum")), ("d", "plain_sum"));
    }

    #[test]
    fn what_it_does_not_allow() {
        for wrong in [
            "a 1",
            "a\n",
            "1a 1\n",
            "a{b} 1\n",
            "a{b=c} 1\n",
            "a{b=\"c} 1\n",
            "a{b=\"c\"d=\"e\"} 1\n",
            "a{b=\"c\",b=\"d\"} 1\n",
            "a{b-=\"c\"} 1\n",
            "a{b=\"\\c\"} 1\n",
            "a x\n",
            "a inf\n",
            "a 1 2 3\n",
            "a 1 2.5\n",
            "a 1\na 2\n",
            "a 1\nb 1\na{c=\"d\"} 1\n",
            "# TYPE a thing\n",
            "# TYPE a\n",
            "# TYPE a gauge\n# TYPE a gauge\n",
            "a 1\n# TYPE a gauge\n",
            "# HELP a b\n# HELP a b\n",
        ] {
            assert!(Exposition::parse(wrong).is_err(), "{wrong}");
        }
        let said = Exposition::parse("a 1\nb{ 2\n").unwrap_err().to_string();
        assert_eq!(said, "line 2: a label has no value");
    }
}
