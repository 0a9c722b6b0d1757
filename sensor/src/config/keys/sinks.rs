//! Keys of the tables `sinks.*`. It must never hold a secret: configuration files are shown.

use std::time::Duration;

use super::{Key, name_of, one_of, path, quoted, rotation};
use crate::config::{
    sinks::{Facility, WebhookFormat, url},
    value::{Value, format_bytes, format_duration},
};

const SYSTEM_CA: &str = "\"/etc/ssl/certs/ca-certificates.crt\"";
const MOST_FILES: u64 = 1000;

const FORMAT: [(&str, WebhookFormat); 3] = [
    ("sensor", WebhookFormat::Sensor),
    ("ocsf", WebhookFormat::Ocsf),
    ("template", WebhookFormat::Template),
];

/// A file name, or nothing where the text is empty.
fn optional(value: &Value) -> Result<Option<std::path::PathBuf>, String> {
    match value.text()? {
        "" => Ok(None),
        _ => path(value).map(Some),
    }
}

fn shown(path: Option<&std::path::PathBuf>) -> String {
    path.map_or_else(|| quoted(""), |path| quoted(path.display()))
}

fn timeout(value: &Value) -> Result<Duration, String> {
    value.duration(Duration::from_millis(100), Duration::from_mins(1))
}

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "sinks.eve.file",
        env: "SENSOR_SINKS_EVE_FILE",
        default: "\"\"",
        values: "path (relative to `state_dir`), or empty for none",
        help: "Incidents as `alert` records of Suricata's EVE format, one JSON object a line.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.eve.file = file),
        get: |s| shown(s.sinks.eve.file.as_ref()),
    },
    Key {
        name: "sinks.eve.max_bytes",
        env: "SENSOR_SINKS_EVE_MAX_BYTES",
        default: "\"100MiB\"",
        values: "0 (never) or 64KiB to 1TiB",
        help: "Size at which the file is set aside and begun anew.",
        reloads: false,
        set: |s, v| rotation(v).map(|bytes| s.sinks.eve.max_bytes = bytes),
        get: |s| quoted(format_bytes(s.sinks.eve.max_bytes)),
    },
    Key {
        name: "sinks.eve.keep",
        env: "SENSOR_SINKS_EVE_KEEP",
        default: "5",
        values: "1 to 1000",
        help: "Files that were set aside and are kept, as `.1` (the newest) and so on.",
        reloads: false,
        set: |s, v| {
            v.integer(1, MOST_FILES)
                .map(|keep| s.sinks.eve.keep = keep as u32)
        },
        get: |s| s.sinks.eve.keep.to_string(),
    },
    Key {
        name: "sinks.ocsf.file",
        env: "SENSOR_SINKS_OCSF_FILE",
        default: "\"\"",
        values: "path (relative to `state_dir`), or empty for none",
        help: "Incidents as OCSF Detection Findings, one JSON object a line.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.ocsf.file = file),
        get: |s| shown(s.sinks.ocsf.file.as_ref()),
    },
    Key {
        name: "sinks.ocsf.max_bytes",
        env: "SENSOR_SINKS_OCSF_MAX_BYTES",
        default: "\"100MiB\"",
        values: "0 (never) or 64KiB to 1TiB",
        help: "Size at which the file is set aside and begun anew.",
        reloads: false,
        set: |s, v| rotation(v).map(|bytes| s.sinks.ocsf.max_bytes = bytes),
        get: |s| quoted(format_bytes(s.sinks.ocsf.max_bytes)),
    },
    Key {
        name: "sinks.ocsf.keep",
        env: "SENSOR_SINKS_OCSF_KEEP",
        default: "5",
        values: "1 to 1000",
        help: "Files that were set aside and are kept, as `.1` (the newest) and so on.",
        reloads: false,
        set: |s, v| {
            v.integer(1, MOST_FILES)
                .map(|keep| s.sinks.ocsf.keep = keep as u32)
        },
        get: |s| s.sinks.ocsf.keep.to_string(),
    },
    Key {
        name: "sinks.syslog.address",
        env: "SENSOR_SINKS_SYSLOG_ADDRESS",
        default: "\"\"",
        values: "`udp://`, `tcp://`, `tls://` HOST:PORT, or `unix:///dev/log`; empty for none",
        help: "Where incidents are sent as syslog messages (RFC 5424). Over UDP and a unix socket a message can be lost unseen.",
        reloads: false,
        set: |s, v| {
            s.sinks.syslog.address = match v.text()? {
                "" => None,
                text => Some(text.parse()?),
            };
            Ok(())
        },
        get: |s| s.sinks.syslog.address.as_ref().map_or_else(|| quoted(""), quoted),
    },
    Key {
        name: "sinks.syslog.facility",
        env: "SENSOR_SINKS_SYSLOG_FACILITY",
        default: "\"local0\"",
        values: "`user`, `daemon`, `authpriv`, `local0` to `local7`",
        help: "Facility of the messages.",
        reloads: false,
        set: |s, v| one_of(v, &Facility::NAMES).map(|facility| s.sinks.syslog.facility = facility),
        get: |s| name_of(s.sinks.syslog.facility, &Facility::NAMES),
    },
    Key {
        name: "sinks.syslog.ca_file",
        env: "SENSOR_SINKS_SYSLOG_CA_FILE",
        default: SYSTEM_CA,
        values: "path",
        help: "Certificates (PEM) of authorities that may vouch for a collector reached with `tls://`.",
        reloads: false,
        set: |s, v| path(v).map(|file| s.sinks.syslog.ca_file = file),
        get: |s| quoted(s.sinks.syslog.ca_file.display()),
    },
    Key {
        name: "sinks.webhook.url",
        env: "SENSOR_SINKS_WEBHOOK_URL",
        default: "\"\"",
        values: "http or https URL, or empty for none",
        help: "Where each update of an incident is posted. Redirects are not followed.",
        reloads: false,
        set: |s, v| {
            s.sinks.webhook.url = match v.text()? {
                "" => None,
                text => Some(url(text)?),
            };
            Ok(())
        },
        get: |s| quoted(s.sinks.webhook.url.as_deref().unwrap_or_default()),
    },
    Key {
        name: "sinks.webhook.format",
        env: "SENSOR_SINKS_WEBHOOK_FORMAT",
        default: "\"sensor\"",
        values: "`sensor`, `ocsf`, `template`",
        help: "The body: the journal's line, an OCSF Detection Finding, or what the template makes of the journal's line.",
        reloads: false,
        set: |s, v| one_of(v, &FORMAT).map(|format| s.sinks.webhook.format = format),
        get: |s| name_of(s.sinks.webhook.format, &FORMAT),
    },
    Key {
        name: "sinks.webhook.template_file",
        env: "SENSOR_SINKS_WEBHOOK_TEMPLATE_FILE",
        default: "\"\"",
        values: "path, or empty for none",
        help: "Template of the body, such as `{{ summary }}`; see docs/outputs.md.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.webhook.template_file = file),
        get: |s| shown(s.sinks.webhook.template_file.as_ref()),
    },
    Key {
        name: "sinks.webhook.content_type",
        env: "SENSOR_SINKS_WEBHOOK_CONTENT_TYPE",
        default: "\"application/json\"",
        values: "text",
        help: "`Content-Type` of the body.",
        reloads: false,
        set: |s, v| match v.text()? {
            text if !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~')) => {
                text.clone_into(&mut s.sinks.webhook.content_type);
                Ok(())
            }
            text => Err(format!(
                "expected a media type such as \"application/json\", found \"{text}\""
            )),
        },
        get: |s| quoted(&s.sinks.webhook.content_type),
    },
    Key {
        name: "sinks.webhook.secret_file",
        env: "SENSOR_SINKS_WEBHOOK_SECRET_FILE",
        default: "\"\"",
        values: "path, or empty for no signature",
        help: "File with the key that requests are signed with (Standard Webhooks): `whsec_` and base64, or plain text.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.webhook.secret_file = file),
        get: |s| shown(s.sinks.webhook.secret_file.as_ref()),
    },
    Key {
        name: "sinks.webhook.token_file",
        env: "SENSOR_SINKS_WEBHOOK_TOKEN_FILE",
        default: "\"\"",
        values: "path, or empty for none",
        help: "File with a bearer token for the server.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.webhook.http.token_file = file),
        get: |s| shown(s.sinks.webhook.http.token_file.as_ref()),
    },
    Key {
        name: "sinks.webhook.ca_file",
        env: "SENSOR_SINKS_WEBHOOK_CA_FILE",
        default: SYSTEM_CA,
        values: "path",
        help: "Certificates (PEM) of authorities that may vouch for an https server.",
        reloads: false,
        set: |s, v| path(v).map(|file| s.sinks.webhook.http.ca_file = file),
        get: |s| quoted(s.sinks.webhook.http.ca_file.display()),
    },
    Key {
        name: "sinks.webhook.timeout",
        env: "SENSOR_SINKS_WEBHOOK_TIMEOUT",
        default: "\"10s\"",
        values: "100ms to 60s",
        help: "Longest time of one request; after it the update is sent again, later.",
        reloads: false,
        set: |s, v| timeout(v).map(|limit| s.sinks.webhook.http.timeout = limit),
        get: |s| quoted(format_duration(s.sinks.webhook.http.timeout)),
    },
    Key {
        name: "sinks.alertmanager.url",
        env: "SENSOR_SINKS_ALERTMANAGER_URL",
        default: "\"\"",
        values: "http or https URL, or empty for none",
        help: "Prometheus Alertmanager that open incidents are sent to, without `/api/v2/alerts`.",
        reloads: false,
        set: |s, v| {
            s.sinks.alertmanager.url = match v.text()? {
                "" => None,
                text => Some(url(text)?),
            };
            Ok(())
        },
        get: |s| quoted(s.sinks.alertmanager.url.as_deref().unwrap_or_default()),
    },
    Key {
        name: "sinks.alertmanager.resolve_timeout",
        env: "SENSOR_SINKS_ALERTMANAGER_RESOLVE_TIMEOUT",
        default: "\"5m\"",
        values: "10s to 1d",
        help: "How long Alertmanager holds an incident that it hears nothing of; open incidents are repeated three times as often.",
        reloads: false,
        set: |s, v| {
            v.duration(Duration::from_secs(10), Duration::from_hours(24))
                .map(|time| s.sinks.alertmanager.resolve_timeout = time)
        },
        get: |s| quoted(format_duration(s.sinks.alertmanager.resolve_timeout)),
    },
    Key {
        name: "sinks.alertmanager.token_file",
        env: "SENSOR_SINKS_ALERTMANAGER_TOKEN_FILE",
        default: "\"\"",
        values: "path, or empty for none",
        help: "File with a bearer token for the server.",
        reloads: false,
        set: |s, v| optional(v).map(|file| s.sinks.alertmanager.http.token_file = file),
        get: |s| shown(s.sinks.alertmanager.http.token_file.as_ref()),
    },
    Key {
        name: "sinks.alertmanager.ca_file",
        env: "SENSOR_SINKS_ALERTMANAGER_CA_FILE",
        default: SYSTEM_CA,
        values: "path",
        help: "Certificates (PEM) of authorities that may vouch for an https server.",
        reloads: false,
        set: |s, v| path(v).map(|file| s.sinks.alertmanager.http.ca_file = file),
        get: |s| quoted(s.sinks.alertmanager.http.ca_file.display()),
    },
    Key {
        name: "sinks.alertmanager.timeout",
        env: "SENSOR_SINKS_ALERTMANAGER_TIMEOUT",
        default: "\"10s\"",
        values: "100ms to 60s",
        help: "Longest time of one request; after it the update is sent again, later.",
        reloads: false,
        set: |s, v| timeout(v).map(|limit| s.sinks.alertmanager.http.timeout = limit),
        get: |s| quoted(format_duration(s.sinks.alertmanager.http.timeout)),
    },
];
