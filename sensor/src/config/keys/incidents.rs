//! Keys of the journal and of the incident database. They must come before all keys of tables.

use super::{DAY, Key, MIB, SECOND, path, quoted, rotation};
use crate::config::{
    Alerts,
    value::{format_bytes, format_duration},
};

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "alerts",
        env: "SENSOR_ALERTS",
        default: "\"alerts.jsonl\"",
        values: "path (relative to `state_dir`), or `-` for standard output",
        help: "Where incidents are written as JSON lines. SIGHUP opens the file anew (for logrotate).",
        reloads: false,
        set: |s, v| {
            s.alerts = if v.text()? == "-" {
                Alerts::Stdout
            } else {
                Alerts::File(path(v)?)
            };
            Ok(())
        },
        get: |s| match &s.alerts {
            Alerts::Stdout => quoted("-"),
            Alerts::File(path) => quoted(path.display()),
        },
    },
    Key {
        name: "alerts_max_bytes",
        env: "SENSOR_ALERTS_MAX_BYTES",
        default: "\"100MiB\"",
        values: "0 (never) or 64KiB to 1TiB",
        help: "Size at which the file of `alerts` is set aside and begun anew.",
        reloads: false,
        set: |s, v| rotation(v).map(|bytes| s.alerts_max_bytes = bytes),
        get: |s| quoted(format_bytes(s.alerts_max_bytes)),
    },
    Key {
        name: "alerts_keep",
        env: "SENSOR_ALERTS_KEEP",
        default: "5",
        values: "1 to 1000",
        help: "Files of `alerts` that were set aside and are kept, as `.1` (the newest) and so on.",
        reloads: false,
        set: |s, v| v.integer(1, 1000).map(|keep| s.alerts_keep = keep as u32),
        get: |s| s.alerts_keep.to_string(),
    },
    Key {
        name: "incidents_retention",
        env: "SENSOR_INCIDENTS_RETENTION",
        default: "\"365d\"",
        values: "1h to 3650d",
        help: "How long incidents, their updates and what was said about them are stored.",
        reloads: false,
        set: |s, v| {
            v.duration(60 * 60 * SECOND, 3650 * DAY)
                .map(|time| s.incidents_retention = time)
        },
        get: |s| quoted(format_duration(s.incidents_retention)),
    },
    Key {
        name: "incidents_size",
        env: "SENSOR_INCIDENTS_SIZE",
        default: "\"512MiB\"",
        values: "1MiB to 64GiB",
        help: "While the incident database holds more, its oldest updates are removed.",
        reloads: false,
        set: |s, v| {
            v.bytes(MIB, 64 * 1024 * MIB)
                .map(|bytes| s.incidents_size = bytes)
        },
        get: |s| quoted(format_bytes(s.incidents_size)),
    },
];
