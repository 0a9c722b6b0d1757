//! Parameters of scenarios: declared with name, unit and default, set as `NAME=VALUE` or `SCENARIO.NAME=VALUE`.
//! It must never accept a name or a unit that is not declared.

use crate::config::value::{format_bytes, format_duration, parse_bytes, parse_duration};

/// What a parameter is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A whole number of things.
    Count,
    /// Seconds, written `30s`, `5m`.
    Time,
    /// Bytes, written `40MiB`.
    Bytes,
    /// A share, written `0.2` or `20%`.
    Share,
    /// One of these words; the value is its index.
    Choice(&'static [&'static str]),
}

/// What makes a parameter larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Nothing.
    Fixed,
    /// `--intensity`: how much is sent.
    Amount,
    /// `--stretch`: how slowly it goes.
    Pace,
}

/// The declaration of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Its value when nobody sets it, in the unit.
    pub default: f64,
    /// What makes it larger.
    pub scale: Scale,
    /// What it is.
    pub help: &'static str,
}

/// A value that a user gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The scenario it is for; `None` for all that have the parameter.
    pub scenario: Option<String>,
    /// The parameter.
    pub name: String,
    /// Its value, as written.
    pub text: String,
}

impl Setting {
    /// Reads `NAME=VALUE` or `SCENARIO.NAME=VALUE`.
    ///
    /// # Errors
    /// What is expected, when it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!(
                "\"{text}\": write NAME=VALUE or SCENARIO.NAME=VALUE, such as period=30s"
            ));
        };
        let (scenario, name) = match name.split_once('.') {
            Some((scenario, name)) => (Some(scenario.trim().to_owned()), name),
            None => (None, name),
        };
        Ok(Self {
            scenario,
            name: name.trim().to_owned(),
            text: value.trim().to_owned(),
        })
    }
}

impl Parameter {
    /// Reads a value in the unit of the parameter.
    ///
    /// # Errors
    /// What is expected, when it is something else.
    pub fn read(&self, text: &str) -> Result<f64, String> {
        let expected = |what: &str| format!("{}: expected {what}, found \"{text}\"", self.name);
        match self.unit {
            Unit::Count => text
                .parse::<u32>()
                .ok()
                .filter(|count| *count > 0)
                .map(f64::from)
                .ok_or_else(|| expected("a whole number over 0")),
            Unit::Time => parse_duration(text)
                .filter(|time| !time.is_zero())
                .map(|time| time.as_secs_f64())
                .ok_or_else(|| expected("a time such as 30s or 5m")),
            Unit::Bytes => parse_bytes(text)
                .filter(|bytes| (1..=1 << 40).contains(bytes))
                .map(|bytes| bytes as f64)
                .ok_or_else(|| expected("a size such as 40MiB")),
            Unit::Share => {
                let share = match text.strip_suffix('%') {
                    Some(percent) => percent.parse::<f64>().map(|percent| percent / 100.0),
                    None => text.parse(),
                };
                share
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| expected("a share such as 0.2 or 20%"))
            }
            Unit::Choice(words) => words
                .iter()
                .position(|word| *word == text)
                .map(|index| index as f64)
                .ok_or_else(|| expected(&format!("one of {}", words.join(", ")))),
        }
    }

    /// A value as one would write it.
    pub fn write(&self, value: f64) -> String {
        match self.unit {
            Unit::Count => format!("{value:.0}"),
            Unit::Time => format_duration(std::time::Duration::from_secs_f64(value)),
            Unit::Bytes => format_bytes(value as u64),
            Unit::Share => format!("{:.0}%", value * 100.0),
            Unit::Choice(words) => words.get(value as usize).copied().unwrap_or_default().to_owned(),
        }
    }
}

/// The values of one run of a scenario.
#[derive(Clone, Debug)]
pub(super) struct Values(Vec<(&'static str, f64)>);

impl Values {
    /// Defaults, then settings, then the factors of intensity and stretch.
    pub(super) fn new(
        declared: &[Parameter],
        scenario: &str,
        settings: &[Setting],
        (intensity, stretch): (f64, f64),
    ) -> Result<Self, String> {
        let mut values = Vec::with_capacity(declared.len());
        for parameter in declared {
            let mut value = parameter.default;
            let fits = |setting: &&Setting| {
                setting.name == parameter.name
                    && setting.scenario.as_deref().is_none_or(|name| name == scenario)
            };
            for setting in settings.iter().filter(fits) {
                value = parameter.read(&setting.text)?;
            }
            value *= match parameter.scale {
                Scale::Fixed => 1.0,
                Scale::Amount => intensity,
                Scale::Pace => stretch,
            };
            if parameter.unit == Unit::Count {
                value = value.round().max(1.0);
            }
            values.push((parameter.name, value));
        }
        Ok(Self(values))
    }

    /// The value of a declared parameter; 0 for others.
    pub(super) fn get(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(own, _)| *own == name);
        found.map_or(0.0, |(_, value)| *value)
    }

    /// A count.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.get(name) as u64
    }

    /// A time in nanoseconds.
    pub(super) fn time_ns(&self, name: &str) -> u64 {
        (self.get(name) * 1e9) as u64
    }

    /// Whether a choice is its second word.
    pub(super) fn is_second(&self, name: &str) -> bool {
        self.get(name) as usize == 1
    }
}
