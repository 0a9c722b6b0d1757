//! Keys of the table `log`. It must never hold where log lines go: that is standard error.

use super::{Key, name_of, one_of, quoted};
use crate::config::LogFormat;

const LOG_FORMAT: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "log.level",
        env: "SENSOR_LOG",
        default: "\"info\"",
        values: "`error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,sensor::probe=debug`",
        help: "Which log lines are written to standard error.",
        reloads: true,
        set: |s, v| {
            let text = v.text()?;
            tracing_subscriber::EnvFilter::builder()
                .parse(text)
                .map_err(|cause| {
                    format!("\"{text}\": {cause}; write \"info\" or \"info,sensor::probe=debug\"")
                })?;
            text.clone_into(&mut s.log_level);
            Ok(())
        },
        get: |s| quoted(&s.log_level),
    },
    Key {
        name: "log.format",
        env: "SENSOR_LOG_FORMAT",
        default: "\"text\"",
        values: "`text`, `json`",
        help: "Form of log lines.",
        reloads: false,
        set: |s, v| one_of(v, &LOG_FORMAT).map(|format| s.log_format = format),
        get: |s| name_of(s.log_format, &LOG_FORMAT),
    },
];
