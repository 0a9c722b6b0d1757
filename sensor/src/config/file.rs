//! The TOML file: every leaf with its line, unknown names refused with the nearest known one.
//! It must never skip a key silently.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{
    Origin, Problem,
    keys::{self, Key},
    value::Value,
};

/// Values that were given so far, the later overriding the earlier.
pub(super) type Given = Vec<(&'static Key, Value, Origin)>;

/// Reads a whole file.
pub(super) fn read(text: &str, path: &Path, given: &mut Given, problems: &mut Vec<Problem>) {
    let at = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: line_of(text, offset),
    };
    match DeTable::parse(text) {
        Ok(table) => walk(table.get_ref(), "", &at, given, problems),
        Err(cause) => {
            let origin = at(cause.span().map_or(0, |span| span.start));
            problems.push(Problem::Syntax {
                origin,
                message: cause.message().to_owned(),
            });
        }
    }
}

/// Reads one TOML literal (a default of the table of keys).
pub(super) fn literal(text: &str) -> Result<Value, String> {
    DeValue::parse(text)
        .map(|value| convert(value.get_ref()))
        .map_err(|cause| cause.message().to_owned())
}

fn walk(
    table: &DeTable<'_>,
    prefix: &str,
    at: &dyn Fn(usize) -> Origin,
    given: &mut Given,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let origin = at(key.span().start);
        if let Some(known) = keys::find(&name) {
            given.push((known, convert(value.get_ref()), origin));
        } else if let (DeValue::Table(inner), true) = (value.get_ref(), is_table(&name)) {
            walk(inner, &format!("{name}."), at, given, problems);
        } else {
            problems.push(Problem::UnknownKey {
                origin,
                nearest: nearest(&name),
                key: name,
            });
        }
    }
}

fn is_table(name: &str) -> bool {
    keys::all().any(|key| {
        key.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The known key that is spelled most like `name`, if any is close enough to be meant.
fn nearest(name: &str) -> Option<&'static str> {
    keys::all()
        .map(|key| (strsim::jaro_winkler(name, key.name), key.name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let digits: String = integer.as_str().chars().filter(|c| *c != '_').collect();
            i64::from_str_radix(&digits, integer.radix())
                .map_or(Value::Other("number out of range"), Value::Integer)
        }
        DeValue::Float(float) => float
            .as_str()
            .replace('_', "")
            .parse()
            .map_or(Value::Other("number"), Value::Float),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(_) => Value::Other("date"),
        DeValue::Table(_) => Value::Other("table"),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect();
            texts.map_or(Value::Other("list of something other than texts"), Value::List)
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
