//! Configuration: built-in defaults, then a TOML file, then `SENSOR_*` variables, then flags; the later wins.
//! What leaves this module is valid: no other module checks a setting again. It must never know what a setting does.
//!
//! One table ([`keys::all`]) declares every key. Parsing, `sensor config default` and docs/config.md are made from
//! it, so they cannot disagree.

use std::{fmt, net::SocketAddr, path::Path, path::PathBuf, time::Duration};

mod document;
mod file;
pub mod keys;
pub mod network;
pub mod pattern;
mod reload;
pub mod sinks;
pub mod value;

pub use document::{default_file, effective_file, markdown};
pub use network::Network;
pub use pattern::Pattern;
pub use reload::{Change, changes};
pub use sinks::SinkSettings;
use value::Value;

use crate::{detect::scorer::DetectorKind, privacy::AddressMode};

/// Where the file is looked for when neither `-c` nor `SENSOR_CONFIG` names one.
pub const DEFAULT_FILE: &str = "/etc/sensor/sensor.toml";

/// How programs are attached to the receive side of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// Native XDP, else TCX, else generic XDP, else TC by netlink.
    #[default]
    Auto,
    /// Native XDP or fail.
    Native,
    /// Generic XDP or fail.
    Generic,
    /// TC only.
    Tcx,
}

/// Where incidents are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Alerts {
    /// Standard output.
    #[default]
    Stdout,
    /// A file; a relative path is below the state directory.
    File(PathBuf),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Interfaces to watch; empty means those that hold a default route.
    pub interfaces: Vec<Pattern>,
    /// Length of a window, 1 to 300 s.
    pub window: Duration,
    /// How often the kernel tables are read, at most a window.
    pub drain_interval: Duration,
    /// A flow without packets for this long has ended.
    pub idle_timeout: Duration,
    /// A flow older than this is ended and begun anew.
    pub active_timeout: Duration,
    /// Time of live traffic that is learned from before anything alarms.
    pub learn: Duration,
    /// A model directory to use instead of learning.
    pub model: Option<PathBuf>,
    /// Where models, the journal and the token live.
    pub state_dir: PathBuf,
    /// Address of the HTTP listener.
    pub listen: SocketAddr,
    /// Memory for the kernel's flow tables, all CPUs together.
    pub table_bytes: u64,
    /// Flows that are remembered between windows.
    pub max_flows: usize,
    /// Hosts that are remembered between windows.
    pub max_hosts: usize,
    /// How to attach.
    pub attach: Attach,
    /// Whether to count transmitted packets too.
    pub egress: bool,
    /// Whether rare kernel-side events are logged.
    pub kernel_log: bool,
    /// False alarms a day that the operator accepts.
    pub alarm_budget_per_day: f64,
    /// What is learned when there is no model.
    pub detector: DetectorKind,
    /// Seed of everything random; `None` draws one at start.
    pub seed: Option<u64>,
    /// Where incidents go.
    pub alerts: Alerts,
    /// Size at which the journal is set aside; 0 is never.
    pub alerts_max_bytes: u64,
    /// Journals that were set aside and are kept.
    pub alerts_keep: u32,
    /// Stored updates of incidents older than this are removed.
    pub incidents_retention: Duration,
    /// While the incident database holds more, its oldest updates are removed.
    pub incidents_size: u64,
    /// Filter of log lines, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_level: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// Networks whose hosts are ours.
    pub local_networks: Vec<Network>,
    /// How addresses are written.
    pub privacy_addresses: AddressMode,
    /// Where the key of pseudonyms is; `None` is the one of the state directory.
    pub privacy_key_file: Option<PathBuf>,
    /// Outputs beside the journal.
    pub sinks: SinkSettings,
}

impl Settings {
    /// The journal's file, or `None` for standard output.
    pub fn alerts_path(&self) -> Option<PathBuf> {
        match &self.alerts {
            Alerts::Stdout => None,
            // `join` keeps an absolute path as it is.
            Alerts::File(path) => Some(self.state_dir.join(path)),
        }
    }

    fn unset() -> Self {
        Self {
            interfaces: Vec::new(),
            window: Duration::ZERO,
            drain_interval: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            active_timeout: Duration::ZERO,
            learn: Duration::ZERO,
            model: None,
            state_dir: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            table_bytes: 0,
            max_flows: 0,
            max_hosts: 0,
            attach: Attach::default(),
            egress: false,
            kernel_log: false,
            alarm_budget_per_day: 0.0,
            detector: DetectorKind::default(),
            seed: None,
            alerts: Alerts::default(),
            alerts_max_bytes: 0,
            alerts_keep: 0,
            incidents_retention: Duration::ZERO,
            incidents_size: 0,
            log_level: String::new(),
            log_format: LogFormat::default(),
            local_networks: Vec::new(),
            privacy_addresses: AddressMode::default(),
            privacy_key_file: None,
            sinks: SinkSettings::default(),
        }
    }
}

/// Where a value came from, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of built-in defaults.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: usize,
    },
    /// An environment variable.
    Environment(&'static str),
    /// A command-line flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}; name a readable file with -c, or leave it out")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the parser says.
        message: String,
    },
    /// No such key.
    #[error("{origin}: unknown key `{key}`{}", nearest_hint(*nearest))]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// The key as written.
        key: String,
        /// The known key that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// The value does not fit the key.
    #[error("{origin}: `{key}`: {message}")]
    BadValue {
        /// Where.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Two values that do not go together.
    #[error("`{first}` and `{second}`: {message}")]
    Conflict {
        /// One key.
        first: &'static str,
        /// The other key.
        second: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
}

fn nearest_hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `sensor config default` lists all keys".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}

/// Everything that is wrong with a configuration, so that one run of `sensor config check` shows it all.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A value that a flag gives to a key.
#[derive(Clone, Debug)]
pub struct Override {
    /// The key.
    pub key: &'static str,
    /// The flag, for messages.
    pub flag: &'static str,
    /// Its value as text, or several for a repeatable flag.
    pub value: Value,
}

/// Reads all layers.
///
/// `variables` looks up an environment variable; tests pass their own.
///
/// # Errors
/// Every [`Problem`] found in any layer.
pub fn load(
    path: Option<&Path>,
    variables: &dyn Fn(&str) -> Option<String>,
    overrides: &[Override],
) -> Result<Settings, Problems> {
    let mut problems = Vec::new();
    let mut settings = Settings::unset();
    let mut given = Vec::new();
    for key in keys::all() {
        match file::literal(key.default) {
            Ok(value) => given.push((key, value, Origin::Default)),
            Err(message) => problems.push(Problem::BadValue {
                origin: Origin::Default,
                key: key.name,
                message,
            }),
        }
    }
    if let Some(path) = path {
        match std::fs::read_to_string(path) {
            Ok(text) => file::read(&text, path, &mut given, &mut problems),
            Err(source) => problems.push(Problem::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }
    for key in keys::all() {
        if let Some(text) = variables(key.env) {
            given.push((key, Value::Text(text), Origin::Environment(key.env)));
        }
    }
    for flag in overrides {
        if let Some(key) = keys::find(flag.key) {
            given.push((key, flag.value.clone(), Origin::Flag(flag.flag)));
        }
    }
    for (key, value, origin) in given {
        if let Err(message) = (key.set)(&mut settings, &value) {
            problems.push(Problem::BadValue {
                origin,
                key: key.name,
                message,
            });
        }
    }
    if problems.is_empty() {
        check_together(&settings, &mut problems);
    }
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(Problems(problems))
    }
}

fn check_together(settings: &Settings, problems: &mut Vec<Problem>) {
    let webhook = &settings.sinks.webhook;
    if webhook.format == sinks::WebhookFormat::Template && webhook.template_file.is_none() {
        problems.push(Problem::Conflict {
            first: "sinks.webhook.format",
            second: "sinks.webhook.template_file",
            message: "name the template's file, or choose another format".into(),
        });
    }
    if settings.drain_interval > settings.window {
        problems.push(Problem::Conflict {
            first: "drain_interval",
            second: "window",
            message:
                "the tables must be read at least once a window: lower `drain_interval` or raise `window`"
                    .into(),
        });
    }
    if settings.idle_timeout < settings.window {
        problems.push(Problem::Conflict {
            first: "idle_timeout",
            second: "window",
            message: "a flow would end within one window: raise `idle_timeout` to at least `window`".into(),
        });
    }
    if settings.active_timeout < settings.idle_timeout {
        problems.push(Problem::Conflict {
            first: "active_timeout",
            second: "idle_timeout",
            message: "raise `active_timeout` to at least `idle_timeout`".into(),
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;
