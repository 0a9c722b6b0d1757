//! Settings of the outputs that read incidents from the database: which are on, and where they send. It must never hold
//! a secret, only the names of files with one.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// All of them; each is off until it is told where to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkSettings {
    /// Records as Suricata writes them.
    pub eve: FileSink,
    /// OCSF Detection Findings.
    pub ocsf: FileSink,
    /// Syslog.
    pub syslog: SyslogSink,
    /// HTTP POST.
    pub webhook: WebhookSink,
    /// Prometheus Alertmanager.
    pub alertmanager: AlertmanagerSink,
}

/// A file of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSink {
    /// The file; a relative path is below the state directory. `None`: off.
    pub file: Option<PathBuf>,
    /// Size at which it is set aside and begun anew; 0 is never.
    pub max_bytes: u64,
    /// Files that were set aside and are kept.
    pub keep: u32,
}

/// Syslog, RFC 5424.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyslogSink {
    /// Where to. `None`: off.
    pub address: Option<SyslogAddress>,
    /// Facility, 0 to 23.
    pub facility: Facility,
    /// Certificates of authorities that may vouch for a TLS collector, PEM.
    pub ca_file: PathBuf,
}

/// Where syslog messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// One datagram each (RFC 5426); `host:port`.
    Udp(String),
    /// A stream with octet counts (RFC 6587); `host:port`.
    Tcp(String),
    /// The same in TLS (RFC 5425); `host:port`.
    Tls(String),
    /// A datagram socket of this machine.
    Unix(PathBuf),
}

impl SyslogAddress {
    const FORMS: &'static str = "expected udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH, such as \"tls://logs:6514\"";
}

impl FromStr for SyslogAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{}, found \"{text}\"", Self::FORMS);
        let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
        if scheme == "unix" {
            return if rest.starts_with('/') {
                Ok(Self::Unix(rest.into()))
            } else {
                Err(refused())
            };
        }
        let (host, port) = rest.rsplit_once(':').ok_or_else(refused)?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || bare_v6 || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(refused());
        }
        match scheme {
            "udp" => Ok(Self::Udp(rest.to_owned())),
            "tcp" => Ok(Self::Tcp(rest.to_owned())),
            "tls" => Ok(Self::Tls(rest.to_owned())),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// A syslog facility by its usual name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// Names and numbers (RFC 5424, table 1) of those that an application may use.
    pub const NAMES: [(&'static str, Self); 11] = [
        ("user", Self(1)),
        ("daemon", Self(3)),
        ("authpriv", Self(10)),
        ("local0", Self(16)),
        ("local1", Self(17)),
        ("local2", Self(18)),
        ("local3", Self(19)),
        ("local4", Self(20)),
        ("local5", Self(21)),
        ("local6", Self(22)),
        ("local7", Self(23)),
    ];
}

/// What a webhook's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The journal's line.
    #[default]
    Sensor,
    /// An OCSF Detection Finding.
    Ocsf,
    /// What a template makes of it.
    Template,
}

/// HTTP POST, one request for each update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookSink {
    /// Where to. `None`: off.
    pub url: Option<String>,
    /// The body.
    pub format: WebhookFormat,
    /// The template.
    pub template_file: Option<PathBuf>,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Key of the signature.
    pub secret_file: Option<PathBuf>,
    /// How to speak to the server.
    pub http: HttpSettings,
}

/// Alertmanager's API, version 2.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertmanagerSink {
    /// Where to, without the path of the API. `None`: off.
    pub url: Option<String>,
    /// How long an alert lives there without being repeated.
    pub resolve_timeout: Duration,
    /// How to speak to the server.
    pub http: HttpSettings,
}

/// What HTTP outputs have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpSettings {
    /// A bearer token.
    pub token_file: Option<PathBuf>,
    /// Certificates of authorities that may vouch for the server, PEM.
    pub ca_file: PathBuf,
    /// Longest time of a request.
    pub timeout: Duration,
}

/// A URL that can be posted to.
///
/// # Errors
/// What was expected.
pub(super) fn url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match host {
        // What stands before an @ would be shown with the configuration.
        Some(host) if !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(format!(
            "expected http://HOST[:PORT][/PATH] or https in the same way, without user and password (see `token_file`), found \"{text}\""
        )),
    }
}
