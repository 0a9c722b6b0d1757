//! From scores to words: what a strong row means, whom it concerns, and when to say so.
//! Pure: no I/O, no clock; times come with the window. It must never flood anyone: one incident per actor (or victim)
//! and behaviour, updates at most once a minute.
//!
//! - [`behaviour`]: names, MITRE ATT&CK techniques, severities.
//! - [`classify`]: which behaviour the evidence of a window shows.
//! - [`explain`]: reasons and the one-sentence summary.
//! - [`incident`]: grouping over time.
//! - [`suppress`]: what people do not want to hear of again.
//! - [`community_id`]: the flow identifier shared with other tools.

pub mod behaviour;
pub mod classify;
pub mod community_id;
pub mod explain;
pub mod incident;
pub mod suppress;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::privacy::address_text;
pub use behaviour::{Behaviour, Severity};

/// State of an incident in an [`Alert`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// First alert of the incident.
    Open,
    /// It goes on, became more severe, got another name, or (after `closed`, without a name) its host stands out again.
    Update,
    /// It ended: nothing more was seen of it for a while.
    Closed,
}

/// One feature's part in an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Column name.
    pub feature: String,
    /// Raw value.
    pub observed: f64,
    /// Value expected from the rest of the row.
    pub expected: f64,
    /// Lower end of the usual range (1 % quantile in training).
    pub low: f64,
    /// Upper end of the usual range (99 % quantile in training).
    pub high: f64,
    /// Share of the score, 0 to 1.
    pub contribution: f64,
    /// In words.
    pub text: String,
}

/// One update of one incident: a line of the journal. The form is a contract with users' scripts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Time of this update, RFC 3339.
    pub ts: String,
    /// Always `incident`.
    pub event: String,
    /// Identity of the incident.
    pub id: String,
    /// Open, update or closed.
    pub state: State,
    /// Severity now.
    pub severity: Severity,
    /// What it looks like.
    pub behaviour: Behaviour,
    /// Strongest autoencoder score so far.
    pub score: f64,
    /// Smallest p-value of a host and window so far.
    pub p_value: f64,
    /// Who does it; empty for floods of which no source sent most (spoofed or distributed): the victim is in `targets`.
    pub actor: String,
    /// To whom, a bounded sample.
    pub targets: Vec<String>,
    /// To how many (the most in one window, if more than are remembered).
    pub target_count: u64,
    /// Services concerned, such as `tcp/22`, a bounded sample.
    pub services: Vec<String>,
    /// First window of the incident, RFC 3339.
    pub first_seen: String,
    /// Last window with activity, RFC 3339.
    pub last_seen: String,
    /// Rows over the threshold or absorbed by the incident.
    pub rows: u64,
    /// Packets of the actor's (or victim's) traffic in the windows concerned.
    pub packets: u64,
    /// Bytes of it.
    pub bytes: u64,
    /// Features that carry the error, strongest first.
    pub reasons: Vec<Reason>,
    /// One sentence.
    pub summary: String,
    /// MITRE ATT&CK technique, where one fits.
    pub technique: Option<String>,
    /// Community IDs of strong flows, a bounded sample.
    pub community_ids: Vec<String>,
    /// Id of the model that scored.
    pub model: String,
    /// Score of each detector.
    pub detectors: BTreeMap<String, f64>,
    /// Name of the sensor.
    pub sensor: String,
    /// Interface of the strongest row; empty for rows of a whole host.
    pub interface: String,
}

/// Unix nanoseconds as RFC 3339 in UTC with milliseconds; times outside of jiff's range give its nearest end.
pub fn rfc3339(unix_ns: i64) -> String {
    let timestamp = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}

/// A service as text: `tcp/22`, `udp/53`, `icmp`, `arp`, `ip/47`.
pub fn service_text(proto: u8, port: u16) -> String {
    match proto {
        0 => "arp".to_owned(),
        1 => "icmp".to_owned(),
        58 => "icmpv6".to_owned(),
        6 => format!("tcp/{port}"),
        17 => format!("udp/{port}"),
        132 => format!("sctp/{port}"),
        other => format!("ip/{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        assert_eq!(rfc3339(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    }
}
