//! A strict reader of both exposition formats, as an oracle for the tests: what is not plainly right is refused.
//! It must never share code with what it checks.

use std::collections::{BTreeMap, BTreeSet};

/// A sample as it was read.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
    pub(super) exemplar: Option<BTreeMap<String, String>>,
}

/// Reads an exposition.
pub(super) fn parse(text: &str, open: bool) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut current = String::new();
    let mut lines = text.lines().peekable();
    if !text.ends_with('\n') {
        return Err("no newline at the end".into());
    }
    while let Some(line) = lines.next() {
        if open && line == "# EOF" {
            return if lines.peek().is_none() {
                finish(samples, &types, open)
            } else {
                Err("text after EOF".into())
            };
        }
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, family, rest) = (words.next(), words.next(), words.next());
            let (Some(keyword), Some(family), Some(rest)) = (keyword, family, rest) else {
                return Err(format!("bad comment: {line}"));
            };
            match keyword {
                "TYPE" if types.insert(family.into(), rest.into()).is_some() => {
                    return Err(format!("second TYPE of {family}"));
                }
                "HELP" if !helped.insert(family.to_owned()) => {
                    return Err(format!("second HELP of {family}"));
                }
                "UNIT" if !open || !family.ends_with(&format!("_{rest}")) => {
                    return Err(format!("bad unit: {line}"));
                }
                "TYPE" | "HELP" | "UNIT" => family.clone_into(&mut current),
                _ => return Err(format!("unknown comment: {line}")),
            }
            continue;
        }
        let sample = parse_sample(line, open).map_err(|why| format!("{why}: {line}"))?;
        if !sample.name.starts_with(current.as_str()) {
            return Err(format!("sample outside its family {current}: {line}"));
        }
        if !seen.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(format!("duplicate series: {line}"));
        }
        samples.push(sample);
    }
    if open {
        Err("no # EOF".into())
    } else {
        finish(samples, &types, open)
    }
}

/// Rules about a family as a whole.
fn finish(samples: Vec<Sample>, types: &BTreeMap<String, String>, open: bool) -> Result<Vec<Sample>, String> {
    let mut last_bucket: BTreeMap<String, f64> = BTreeMap::new();
    for sample in &samples {
        let stem = ["_bucket", "_sum", "_count", "_total", "_info"]
            .iter()
            .find_map(|suffix| {
                sample
                    .name
                    .strip_suffix(suffix)
                    .filter(|stem| types.contains_key(*stem))
            })
            .unwrap_or(&sample.name);
        let kind = types
            .get(stem)
            .ok_or_else(|| format!("no TYPE for {}", sample.name))?;
        let suffix = sample.name.strip_prefix(stem).unwrap_or_default();
        let fits = match kind.as_str() {
            "counter" => {
                sample.value >= 0.0
                    && if open {
                        suffix == "_total"
                    } else {
                        sample.name.ends_with("_total")
                    }
            }
            "gauge" => suffix.is_empty() && !sample.name.ends_with("_total"),
            "info" => open && suffix == "_info" && (sample.value - 1.0).abs() < f64::EPSILON,
            "histogram" => matches!(suffix, "_bucket" | "_sum" | "_count"),
            _ => false,
        };
        if !fits {
            return Err(format!("{} does not fit type {kind}", sample.name));
        }
        if suffix == "_bucket" {
            let bound = sample.labels.get("le").ok_or("bucket without le")?;
            if open && bound != "+Inf" && !bound.contains(['.', 'e']) {
                return Err(format!("le=\"{bound}\" is not canonical"));
            }
            let before = last_bucket.insert(stem.to_owned(), sample.value).unwrap_or(0.0);
            if sample.value < before {
                return Err(format!("{} falls", sample.name));
            }
        }
        if suffix == "_count" && last_bucket.get(stem) != Some(&sample.value) {
            return Err(format!("{stem}: +Inf bucket and count differ"));
        }
        if sample.exemplar.is_some() && suffix != "_bucket" {
            return Err(format!("exemplar on {}", sample.name));
        }
    }
    Ok(samples)
}

fn parse_sample(line: &str, open: bool) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    let first = name.chars().next().ok_or("no name")?;
    if !(first.is_ascii_lowercase()
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
    {
        return Err("bad name".into());
    }
    let (labels, rest) = if rest.starts_with('{') {
        parse_labels(rest)?
    } else {
        (BTreeMap::new(), rest)
    };
    let rest = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let (value, exemplar) = match rest.split_once(" # ") {
        None => (rest, None),
        Some(_) if !open => return Err("exemplar in the classic format".into()),
        Some((value, exemplar)) => {
            let (labels, rest) = parse_labels(exemplar)?;
            let length: usize = labels
                .iter()
                .map(|(k, v)| k.chars().count() + v.chars().count())
                .sum();
            let numbers: Vec<_> = rest.split_whitespace().map(str::parse::<f64>).collect();
            if length > 128 || numbers.len() != 2 || numbers.iter().any(Result::is_err) {
                return Err("bad exemplar".into());
            }
            (value, Some(labels))
        }
    };
    let value = value.parse().map_err(|_| "bad value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
        exemplar,
    })
}

fn parse_labels(text: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{').ok_or("no {")?;
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, after) = rest.split_once("=\"").ok_or("bad label")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return Err(format!("bad label name {name}"));
        }
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or("open quote")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().ok_or("open escape")?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => return Err(format!("bad escape {c}")),
                },
                (_, c) => value.push(c),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        rest = after.get(end + 1..).ok_or("bad end")?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}
