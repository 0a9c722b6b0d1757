//! Values before they are known to fit, and the units people write: `10s`, `64MiB`.
//! It must never guess a unit: a bare number where a unit is needed is refused with the two likely spellings.

use std::time::Duration;

/// A value as the file, the environment or a flag gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; what the environment and flags always give.
    Text(String),
    /// A whole number of a TOML file.
    Integer(i64),
    /// A fractional number of a TOML file.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
    /// Something that no key takes, named for the message.
    Other(&'static str),
}

impl Value {
    /// What was found, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(list) => format!("{list:?}"),
            Self::Other(kind) => format!("a {kind}"),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("expected text in quotes, found {}", other.describe())),
        }
    }

    /// A switch.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn boolean(&self) -> Result<bool, String> {
        match self {
            Self::Boolean(flag) => Ok(*flag),
            Self::Text(text) if matches!(text.as_str(), "true" | "1" | "yes") => Ok(true),
            Self::Text(text) if matches!(text.as_str(), "false" | "0" | "no") => Ok(false),
            other => Err(format!("expected true or false, found {}", other.describe())),
        }
    }

    /// A whole number between `low` and `high`.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn integer(&self, low: u64, high: u64) -> Result<u64, String> {
        let number = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| {
                format!(
                    "expected a whole number from {low} to {high}, found {}",
                    self.describe()
                )
            })
    }

    /// A number between `low` and `high`.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn number(&self, low: f64, high: f64) -> Result<f64, String> {
        let number = match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| {
                format!(
                    "expected a number from {low} to {high}, found {}",
                    self.describe()
                )
            })
    }

    /// A list; text (of the environment) is split at commas.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn list(&self) -> Result<Vec<String>, String> {
        match self {
            Self::List(list) => Ok(list.clone()),
            Self::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()),
            other => Err(format!(
                "expected a list such as [\"a\", \"b\"], found {}",
                other.describe()
            )),
        }
    }

    /// A duration with a unit, between `low` and `high`.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn duration(&self, low: Duration, high: Duration) -> Result<Duration, String> {
        let parsed = match self {
            Self::Text(text) => parse_duration(text),
            Self::Integer(number) => {
                return Err(format!(
                    "{number} has no unit: write \"{number}s\" or \"{number}m\""
                ));
            }
            _ => None,
        };
        let found = parsed.ok_or_else(|| {
            format!(
                "expected a duration such as \"10s\", \"500ms\" or \"30m\", found {}",
                self.describe()
            )
        })?;
        if (low..=high).contains(&found) {
            Ok(found)
        } else {
            Err(format!(
                "{} is out of range: write {} to {}",
                self.describe(),
                format_duration(low),
                format_duration(high)
            ))
        }
    }

    /// A size in bytes, between `low` and `high`.
    ///
    /// # Errors
    /// What was expected, when it is something else.
    pub fn bytes(&self, low: u64, high: u64) -> Result<u64, String> {
        let parsed = match self {
            Self::Text(text) => parse_bytes(text),
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        parsed
            .filter(|bytes| (low..=high).contains(bytes))
            .ok_or_else(|| {
                format!(
                    "expected a size from {} to {} such as \"64MiB\", found {}",
                    format_bytes(low),
                    format_bytes(high),
                    self.describe()
                )
            })
    }
}

const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim()))
}

/// Reads `10s`, `500ms`, `30m`, `1h`, `2d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let (_, scale_ms) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.checked_mul(*scale_ms)?))
}

/// Reads `64MiB`, `512KiB`, `1GiB`, `4096` or `4096B`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    if let Ok(bytes) = text.trim().parse() {
        return Some(bytes);
    }
    let (number, unit) = split_unit(text)?;
    let (_, scale) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

/// Writes a duration with the largest unit that divides it.
pub fn format_duration(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    let (unit, scale) = TIME_UNITS
        .iter()
        .rev()
        .find(|(_, scale)| ms >= *scale && ms.is_multiple_of(*scale))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", ms / scale)
}

/// Writes a size with the largest unit that divides it.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, scale) = SIZE_UNITS
        .iter()
        .rev()
        .find(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / scale)
}
