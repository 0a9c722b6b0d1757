//! Incidents as syslog messages (RFC 5424): the summary as text, everything a rule may look at as structured data. It must
//! never let a value end the element it stands in, or a message the line.

use std::fmt::Write;

use super::{
    wire::Wire,
    worker::{Deliver, Failure},
};
use crate::{
    alert::{Severity, State},
    config::sinks::Facility,
    incidents::Stored,
};

/// Name of the structured data. The number is the one reserved for documentation (RFC 5612): we have none of our own.
const ELEMENT: &str = "incident@32473";

/// Syslog over one of its transports.
pub(super) struct Syslog {
    facility: Facility,
    process: u32,
    wire: Wire,
}

impl Syslog {
    pub(super) fn new(facility: Facility, wire: Wire) -> Self {
        Self {
            facility,
            process: std::process::id(),
            wire,
        }
    }
}

impl Deliver for Syslog {
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure> {
        let message = message(update, self.facility, self.process);
        self.wire.send(update.seq, message.as_bytes())
    }

    fn confirmed(&mut self, delivered: u64) -> Result<u64, Failure> {
        self.wire.confirmed(delivered)
    }
}

fn message(update: &Stored, facility: Facility, process: u32) -> String {
    let alert = &update.alert;
    let priority = u32::from(facility.0) * 8 + severity(alert.severity);
    let host = header(&alert.sensor, 255);
    let state = match alert.state {
        State::Open => "open",
        State::Update => "update",
        State::Closed => "closed",
    };
    let mut data = format!("[{ELEMENT}");
    let values = [
        ("id", super::update_id(update)),
        ("incident", alert.id.clone()),
        ("state", state.to_owned()),
        ("severity", alert.severity.label().to_owned()),
        ("behaviour", alert.behaviour.label().to_owned()),
        ("actor", alert.actor.clone()),
        ("targets", alert.targets.join(",")),
        ("target_count", alert.target_count.to_string()),
        ("services", alert.services.join(",")),
        ("technique", alert.technique.clone().unwrap_or_default()),
        ("score", alert.score.to_string()),
        ("p_value", format!("{:e}", alert.p_value)),
        ("packets", alert.packets.to_string()),
        ("bytes", alert.bytes.to_string()),
        ("first_seen", alert.first_seen.clone()),
        ("last_seen", alert.last_seen.clone()),
    ];
    for (name, value) in values {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(data, " {name}=\"{}\"", escaped(&value));
        }
    }
    data.push(']');
    // The byte order mark says that the text is UTF-8.
    format!(
        "<{priority}>1 {} {host} sensor {process} INCIDENT {data} \u{feff}{}",
        alert.ts,
        without_controls(&alert.summary)
    )
}

/// RFC 5424, table 2.
const fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

/// A field of the header: printable ASCII without spaces, or nothing.
fn header(text: &str, limit: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(limit).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// A value of structured data (RFC 5424, section 6.3.3).
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in without_controls(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn without_controls(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::trial::numbered;

    #[test]
    fn a_message_has_the_fields_of_the_standard_in_order() {
        let mut update = numbered(7);
        update.alert.sensor = "edge box".to_owned();
        let text = message(&update, Facility(16), 42);
        let expected = format!(
            "<132>1 {} edgebox sensor 42 INCIDENT [incident@32473 ",
            update.alert.ts
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.contains(&format!(" id=\"{}-7\"", update.alert.id).replace(" id", "id")),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("] \u{feff}{}", update.alert.summary)),
            "{text}"
        );
    }

    #[test]
    fn no_value_ends_its_element_or_the_line() {
        let mut update = numbered(1);
        update.alert.actor = "a\"]\\\n[x@1 b=\"c".to_owned();
        update.alert.summary = "one\ntwo".to_owned();
        let text = message(&update, Facility(1), 1);
        assert!(text.contains(r#"actor="a\"\]\\ [x@1 b=\"c""#), "{text}");
        assert!(text.ends_with("one two") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_host_name_is_ascii_and_never_missing() {
        assert_eq!(header("", 10), "-");
        assert_eq!(header("büro ß\u{7}", 10), "bro");
        assert_eq!(header("0123456789ab", 10), "0123456789");
    }
}
