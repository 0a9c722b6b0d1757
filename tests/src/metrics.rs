//! Reads Prometheus text, so that tests ask for values by name and labels instead of searching strings.
//!
//! Understands what the sensor writes (sample lines with optional labels); comments are skipped. Must never be used
//! to write metrics.

use std::collections::BTreeMap;

/// One line of the exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Metric name, with `_bucket`, `_sum` or `_count` where the line has it.
    pub name: String,
    /// Label values by label name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// One scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// Parses the body of `/metrics`; lines that are no samples are skipped.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    /// All samples, in the order of the text.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The value of the first sample called `name` that has all of `labels`.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).next().map(|sample| sample.value)
    }

    /// The sum over all samples called `name` that have all of `labels`; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(key, value)| sample.labels.get(*key).is_some_and(|found| found == value))
        })
    }
}

fn parse_line(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = if let Some((name, rest)) = line.split_once('{') {
        let (labels, rest) = parse_labels(rest)?;
        (name, labels, rest)
    } else {
        let (name, rest) = line.split_once(' ')?;
        (name, BTreeMap::new(), rest)
    };
    let value = match rest.split_ascii_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// Parses `a="1",b="2"} rest`, with the three escapes of the format (`\\`, `\"`, `\n`).
fn parse_labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(key.trim().to_owned(), value);
        rest = after.get(end + 1..)?;
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "tests: the values are written as they are read")]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_labels_and_escapes_are_undone() {
        let metrics = Metrics::parse(
            "# HELP a text\n# TYPE a counter\na 3\nb{x=\"1\",y=\"q\\\"}\\\\\"} 2.5\nb{x=\"2\"} 4 1700000000\nc +Inf\nbroken{\n",
        );
        assert_eq!(metrics.samples().len(), 4);
        assert_eq!(metrics.value("a", &[]), Some(3.0));
        assert_eq!(metrics.value("b", &[("y", "q\"}\\")]), Some(2.5));
        assert_eq!(metrics.value("b", &[("x", "2")]), Some(4.0));
        assert_eq!(metrics.sum("b", &[]), 6.5);
        assert_eq!(metrics.value("c", &[]), Some(f64::INFINITY));
        assert_eq!(metrics.value("b", &[("x", "3")]), None);
    }
}
