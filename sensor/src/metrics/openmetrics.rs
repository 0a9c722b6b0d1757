//! The OpenMetrics 1.0.0 text format, with exemplars on histogram buckets.
//! It must never write a family twice or an exemplar longer than the 128 characters the format allows.
//!
//! Specification: <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>.

use std::fmt::Write;

use prometheus::proto::{Histogram, LabelPair, MetricFamily, MetricType};

/// An example of what a bucket counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Community ID of the flow; empty for host rows.
    pub community_id: String,
    /// Incident the row belongs to.
    pub incident: String,
    /// The observed value.
    pub value: f64,
    /// When, as Unix time in seconds.
    pub timestamp_seconds: f64,
}

/// Most characters of an exemplar's label names and values together.
const EXEMPLAR_LIMIT: usize = 128;
/// Units that may end a name, in the order they are looked for.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

/// Finds the exemplar of a family's bucket, counted from 0.
pub(super) type Exemplars<'a> = dyn Fn(&str, usize) -> Option<Exemplar> + 'a;

/// Writes all families.
pub(super) fn encode(families: &[MetricFamily], exemplars: &Exemplars<'_>) -> String {
    let mut out = String::new();
    for family in families {
        encode_family(&mut out, family, exemplars);
    }
    out.push_str("# EOF\n");
    out
}

fn encode_family(out: &mut String, family: &MetricFamily, exemplars: &Exemplars<'_>) {
    let full = family.name();
    // The family is named without the suffix that its samples carry.
    let (name, kind, suffix) = match family.get_field_type() {
        MetricType::COUNTER => (full.strip_suffix("_total").unwrap_or(full), "counter", "_total"),
        MetricType::HISTOGRAM => (full, "histogram", ""),
        _ => match full.strip_suffix("_info") {
            Some(name) => (name, "info", "_info"),
            None => (full, "gauge", ""),
        },
    };
    let _ = writeln!(out, "# TYPE {name} {kind}");
    if let Some(unit) = UNITS
        .iter()
        .find(|unit| name.strip_suffix(**unit).is_some_and(|rest| rest.ends_with('_')))
    {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    let _ = writeln!(out, "# HELP {name} {}", escape(family.help()));
    for metric in family.get_metric() {
        let labels = metric.get_label();
        if kind == "histogram" {
            encode_histogram(out, name, labels, metric.get_histogram(), exemplars);
            continue;
        }
        let value = if kind == "counter" {
            metric.get_counter().get_value()
        } else {
            metric.get_gauge().get_value()
        };
        let _ = writeln!(out, "{name}{suffix}{} {}", label_set(labels, None), number(value));
    }
}

fn encode_histogram(
    out: &mut String,
    name: &str,
    labels: &[LabelPair],
    histogram: &Histogram,
    exemplars: &Exemplars<'_>,
) {
    let count = histogram.get_sample_count();
    let finite = histogram
        .get_bucket()
        .iter()
        .filter(|bucket| bucket.upper_bound().is_finite());
    let all = finite.map(|bucket| (number(bucket.upper_bound()), bucket.cumulative_count()));
    for (index, (bound, cumulative)) in all.chain([("+Inf".to_owned(), count)]).enumerate() {
        let _ = write!(
            out,
            "{name}_bucket{} {cumulative}",
            label_set(labels, Some(&bound))
        );
        if let Some(exemplar) = exemplars(name, index) {
            write_exemplar(out, &exemplar);
        }
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "{name}_sum{} {}",
        label_set(labels, None),
        number(histogram.get_sample_sum())
    );
    let _ = writeln!(out, "{name}_count{} {count}", label_set(labels, None));
}

fn write_exemplar(out: &mut String, exemplar: &Exemplar) {
    let pairs: Vec<(&str, &str)> = [
        ("community_id", exemplar.community_id.as_str()),
        ("incident", exemplar.incident.as_str()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect();
    let length: usize = pairs
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();
    if length > EXEMPLAR_LIMIT {
        return;
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    let _ = write!(
        out,
        " # {{{}}} {} {:.3}",
        pairs.join(","),
        number(exemplar.value),
        exemplar.timestamp_seconds
    );
}

fn label_set(labels: &[LabelPair], bound: Option<&str>) -> String {
    let pairs = labels
        .iter()
        .map(|pair| format!("{}=\"{}\"", pair.name(), escape(pair.value())));
    let all: Vec<String> = pairs
        .chain(bound.map(|bound| format!("le=\"{bound}\"")))
        .collect();
    if all.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", all.join(","))
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

/// A number in the canonical form of the format: always with a fraction or an exponent.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else {
        format!("{value:?}")
    }
}
