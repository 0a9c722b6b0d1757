//! The table of all configuration keys: name, default, meaning and how a value becomes a setting.
//! It must never hold a default that its own `set` refuses (tested).

use std::{path::PathBuf, time::Duration};

use crate::detect::scorer::DetectorKind;

mod incidents;
mod log;
mod privacy;
mod sinks;

use super::{
    Attach, Settings,
    value::{Value, format_bytes, format_duration},
};

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Name in the file; a dot separates table and key.
    pub name: &'static str,
    /// Environment variable that overrides the file.
    pub env: &'static str,
    /// Default as a TOML literal.
    pub default: &'static str,
    /// Values it takes.
    pub values: &'static str,
    /// What it does.
    pub help: &'static str,
    /// Whether SIGHUP applies a change without a restart.
    pub reloads: bool,
    /// Puts a value into the settings.
    pub set: fn(&mut Settings, &Value) -> Result<(), String>,
    /// Writes the setting as a TOML literal.
    pub get: fn(&Settings) -> String,
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const MIB: u64 = 1 << 20;

fn one_of<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, String> {
    let text = value.text()?;
    choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            format!("expected one of {}, found \"{text}\"", names.join(", "))
        })
}

fn name_of<T: Copy + PartialEq>(value: T, choices: &[(&'static str, T)]) -> String {
    quoted(
        choices
            .iter()
            .find(|(_, choice)| *choice == value)
            .map_or("", |(name, _)| name),
    )
}

fn quoted(text: impl std::fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn quoted_list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

fn parsed_list<T: std::str::FromStr<Err = String>>(value: &Value) -> Result<Vec<T>, String> {
    value.list()?.iter().map(|text| text.parse()).collect()
}

fn path(value: &Value) -> Result<PathBuf, String> {
    match value.text()? {
        "" => Err("expected a path, found empty text".into()),
        text => Ok(PathBuf::from(text)),
    }
}

/// A size of files: none, or large enough that setting aside stays rare.
fn rotation(value: &Value) -> Result<u64, String> {
    match value {
        Value::Integer(0) => Ok(0),
        Value::Text(text) if matches!(text.trim(), "0" | "0B") => Ok(0),
        other => other.bytes(64 << 10, 1 << 40),
    }
}

/// A forest learns from labels, which live traffic has none of.
const DETECTOR: [(&str, DetectorKind); 3] = [
    ("autoencoder", DetectorKind::Autoencoder),
    ("kmeans", DetectorKind::Kmeans),
    ("ensemble", DetectorKind::Ensemble),
];

const ATTACH: [(&str, Attach); 4] = [
    ("auto", Attach::Auto),
    ("native", Attach::Native),
    ("generic", Attach::Generic),
    ("tcx", Attach::Tcx),
];

/// All keys, in the order of the default file. Keys of tables (with a dot) come last, as TOML wants it.
pub fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
        .chain(incidents::KEYS)
        .chain(log::KEYS)
        .chain(privacy::KEYS)
        .chain(sinks::KEYS)
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name)
}

/// Keys of the sensor itself.
const KEYS: &[Key] = &[
    Key {
        name: "interfaces",
        env: "SENSOR_INTERFACES",
        default: "[]",
        values: "list of names or patterns (`*`, `?`)",
        help: "Interfaces to watch, such as \"eth0\" or \"wlan*\". Matching interfaces that appear later are watched too. \
               Empty: the interfaces that hold a default route.",
        reloads: true,
        set: |s, v| parsed_list(v).map(|list| s.interfaces = list),
        get: |s| quoted_list(&s.interfaces),
    },
    Key {
        name: "window",
        env: "SENSOR_WINDOW",
        default: "\"10s\"",
        values: "1s to 300s",
        help: "Length of a window: traffic is scored once a window. A model belongs to the window it was learned with.",
        reloads: false,
        set: |s, v| v.duration(SECOND, SECOND * 300).map(|window| s.window = window),
        get: |s| quoted(format_duration(s.window)),
    },
    Key {
        name: "drain_interval",
        env: "SENSOR_DRAIN_INTERVAL",
        default: "\"1s\"",
        values: "100ms to 300s, at most `window`",
        help: "How often the kernel's flow tables are read. They are read earlier when they are half full.",
        reloads: true,
        set: |s, v| {
            v.duration(SECOND / 10, SECOND * 300)
                .map(|interval| s.drain_interval = interval)
        },
        get: |s| quoted(format_duration(s.drain_interval)),
    },
    Key {
        name: "idle_timeout",
        env: "SENSOR_IDLE_TIMEOUT",
        default: "\"300s\"",
        values: "1s to 1d, at least `window`",
        help: "A flow without packets for this long has ended.",
        reloads: false,
        set: |s, v| v.duration(SECOND, DAY).map(|timeout| s.idle_timeout = timeout),
        get: |s| quoted(format_duration(s.idle_timeout)),
    },
    Key {
        name: "active_timeout",
        env: "SENSOR_ACTIVE_TIMEOUT",
        default: "\"1h\"",
        values: "1s to 7d, at least `idle_timeout`",
        help: "A flow that lasts longer than this is ended and begun anew.",
        reloads: false,
        set: |s, v| {
            v.duration(SECOND, DAY * 7)
                .map(|timeout| s.active_timeout = timeout)
        },
        get: |s| quoted(format_duration(s.active_timeout)),
    },
    Key {
        name: "learn",
        env: "SENSOR_LEARN",
        default: "\"30m\"",
        values: "10s to 30d",
        help: "How much live traffic is learned from before the first model is made. Nothing alarms until then.",
        reloads: false,
        set: |s, v| v.duration(SECOND * 10, DAY * 30).map(|learn| s.learn = learn),
        get: |s| quoted(format_duration(s.learn)),
    },
    Key {
        name: "model",
        env: "SENSOR_MODEL",
        default: "\"\"",
        values: "path of a model directory, or empty",
        help: "A model to use instead of the one in the state directory. Empty: the current one of the state directory, \
               or learn a new one.",
        reloads: false,
        set: |s, v| {
            let text = v.text()?;
            s.model = (!text.is_empty()).then(|| PathBuf::from(text));
            Ok(())
        },
        get: |s| {
            quoted(
                s.model
                    .as_deref()
                    .unwrap_or_else(|| std::path::Path::new(""))
                    .display(),
            )
        },
    },
    Key {
        name: "state_dir",
        env: "SENSOR_STATE_DIR",
        default: "\"/var/lib/sensor\"",
        values: "path",
        help: "Where models, the journal of incidents and the access token live.",
        reloads: false,
        set: |s, v| path(v).map(|path| s.state_dir = path),
        get: |s| quoted(s.state_dir.display()),
    },
    Key {
        name: "listen",
        env: "SENSOR_LISTEN",
        default: "\"127.0.0.1:9477\"",
        values: "ADDRESS:PORT",
        help: "Address of the HTTP listener. On an address that is not loopback, everything but /metrics, /healthz and \
               /readyz needs the bearer token in `token` of the state directory.",
        reloads: false,
        set: |s, v| {
            let text = v.text()?;
            s.listen = text.parse().map_err(|_| {
                format!("\"{text}\" is no address: write \"127.0.0.1:9477\" or \"[::1]:9477\"")
            })?;
            Ok(())
        },
        get: |s| quoted(s.listen),
    },
    Key {
        name: "table_bytes",
        env: "SENSOR_TABLE_BYTES",
        default: "\"32MiB\"",
        values: "1MiB to 16GiB",
        help: "Memory for the kernel's flow tables, for all CPUs together.",
        reloads: false,
        set: |s, v| v.bytes(MIB, 16 * 1024 * MIB).map(|bytes| s.table_bytes = bytes),
        get: |s| quoted(format_bytes(s.table_bytes)),
    },
    Key {
        name: "max_flows",
        env: "SENSOR_MAX_FLOWS",
        default: "131072",
        values: "1000 to 10000000",
        help: "Flows that are remembered between windows. Beyond it the longest idle ones are ended early and counted.",
        reloads: false,
        set: |s, v| {
            v.integer(1_000, 10_000_000)
                .map(|flows| s.max_flows = flows as usize)
        },
        get: |s| s.max_flows.to_string(),
    },
    Key {
        name: "max_hosts",
        env: "SENSOR_MAX_HOSTS",
        default: "4096",
        values: "16 to 1000000",
        help: "Hosts that are remembered between windows. Beyond it the longest silent ones are forgotten.",
        reloads: false,
        set: |s, v| v.integer(16, 1_000_000).map(|hosts| s.max_hosts = hosts as usize),
        get: |s| s.max_hosts.to_string(),
    },
    Key {
        name: "attach",
        env: "SENSOR_ATTACH",
        default: "\"auto\"",
        values: "`auto`, `native`, `generic`, `tcx`",
        help: "How received packets are seen. `auto` tries native XDP, then TCX, then generic XDP, then TC by netlink.",
        reloads: false,
        set: |s, v| one_of(v, &ATTACH).map(|attach| s.attach = attach),
        get: |s| name_of(s.attach, &ATTACH),
    },
    Key {
        name: "egress",
        env: "SENSOR_EGRESS",
        default: "true",
        values: "`true`, `false`",
        help: "Whether transmitted packets are counted too.",
        reloads: false,
        set: |s, v| v.boolean().map(|egress| s.egress = egress),
        get: |s| s.egress.to_string(),
    },
    Key {
        name: "kernel_log",
        env: "SENSOR_KERNEL_LOG",
        default: "true",
        values: "`true`, `false`",
        help: "Whether rare events of the kernel programs (such as the start of an overflow) are logged.",
        reloads: false,
        set: |s, v| v.boolean().map(|log| s.kernel_log = log),
        get: |s| s.kernel_log.to_string(),
    },
    Key {
        name: "alarm_budget_per_day",
        env: "SENSOR_ALARM_BUDGET_PER_DAY",
        default: "1",
        values: "0.001 to 1000",
        help: "How many false alarms a day are acceptable; thresholds are set to keep it.",
        reloads: true,
        set: |s, v| {
            v.number(0.001, 1_000.0)
                .map(|budget| s.alarm_budget_per_day = budget)
        },
        get: |s| s.alarm_budget_per_day.to_string(),
    },
    Key {
        name: "detector",
        env: "SENSOR_DETECTOR",
        default: "\"ensemble\"",
        values: "`autoencoder`, `kmeans`, `ensemble`",
        help: "What is learned when there is no model: a neural network, clusters, or both with the mean of their scores.",
        reloads: false,
        set: |s, v| one_of(v, &DETECTOR).map(|detector| s.detector = detector),
        get: |s| name_of(s.detector, &DETECTOR),
    },
    Key {
        name: "seed",
        env: "SENSOR_SEED",
        default: "\"random\"",
        values: "`random` or a whole number",
        help: "Seed of training and of hashing. A number makes runs repeatable; `random` cannot be guessed by an attacker.",
        reloads: false,
        set: |s, v| {
            s.seed = match v {
                Value::Text(text) if text == "random" => None,
                other => Some(
                    other
                        .integer(0, i64::MAX as u64)
                        .map_err(|message| format!("{message}, or \"random\""))?,
                ),
            };
            Ok(())
        },
        get: |s| s.seed.map_or_else(|| quoted("random"), |seed| seed.to_string()),
    },
    Key {
        name: "local_networks",
        env: "SENSOR_LOCAL_NETWORKS",
        default: "[\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"169.254.0.0/16\", \"fc00::/7\", \"fe80::/10\"]",
        values: "list of networks",
        help: "Networks whose hosts are ours: each gets its own rows, whatever its volume.",
        reloads: false,
        set: |s, v| parsed_list(v).map(|list| s.local_networks = list),
        get: |s| quoted_list(&s.local_networks),
    },
];
