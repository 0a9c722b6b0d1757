//! Incidents as `alert` records of Suricata's EVE format, for tools that read those. It must never use a name that
//! Suricata's schema does not know: strict readers refuse the record.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    alert::{Alert, Severity, State},
    incidents::Stored,
};

/// Signature ids of ours begin here, in the range that is reserved for local rules; see [`signature_id`].
const FIRST_SIGNATURE: u32 = 1_900_000;
const SIGNATURES: u32 = 90_000;

#[derive(Serialize)]
struct Record<'a> {
    timestamp: String,
    flow_id: u64,
    event_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proto: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    community_id: Option<&'a str>,
    alert: Described<'a>,
}

#[derive(Serialize)]
struct Described<'a> {
    action: &'static str,
    gid: u32,
    signature_id: u32,
    rev: u32,
    signature: &'a str,
    category: &'static str,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<End<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<End<'a>>,
    metadata: Metadata,
}

#[derive(Serialize)]
struct End<'a> {
    ip: &'a str,
}

/// Lists of text are all that the schema allows here.
#[derive(Serialize)]
struct Metadata {
    created_at: [String; 1],
    updated_at: [String; 1],
    signature_severity: [String; 1],
    tag: Vec<String>,
}

/// The record as one line. Only addresses that are addresses are given: dropped ones are words.
pub(super) fn record(update: &Stored) -> Option<String> {
    let alert = &update.alert;
    let source = ip(&alert.actor);
    let target = alert.targets.first().and_then(|target| ip(target));
    let service = alert.services.first().map(|service| service.split_once('/'));
    let (proto, port) = match (service, alert.services.first()) {
        (Some(Some(("ip", number))), _) => (Some(number.to_owned()), None),
        (Some(Some((proto, port))), _) => (Some(proto.to_uppercase()), port.parse().ok()),
        (Some(None), Some(name)) => (Some(name.to_uppercase()), None),
        _ => (None, None),
    };
    let record = Record {
        timestamp: timestamp(&alert.ts)?,
        flow_id: flow_id(&alert.id),
        event_type: "alert",
        src_ip: source,
        dest_ip: target,
        dest_port: port,
        proto,
        community_id: alert.community_ids.first().map(String::as_str),
        alert: Described {
            action: "allowed",
            gid: 1,
            signature_id: signature_id(alert.behaviour.label()),
            rev: 1,
            signature: &alert.summary,
            category: category(alert),
            severity: severity(alert.severity),
            source: source.map(|ip| End { ip }),
            target: target.map(|ip| End { ip }),
            metadata: Metadata {
                created_at: [alert.first_seen.clone()],
                updated_at: [alert.last_seen.clone()],
                signature_severity: [alert.severity.label().to_owned()],
                tag: tags(update),
            },
        },
    };
    serde_json::to_string(&record).ok()
}

fn ip(text: &str) -> Option<&str> {
    text.parse::<IpAddr>().is_ok().then_some(text)
}

/// RFC 3339 in UTC as EVE has it: microseconds, and an offset without a colon.
fn timestamp(rfc3339: &str) -> Option<String> {
    let time: jiff::Timestamp = rfc3339.parse().ok()?;
    Some(format!("{time:.6}").replace('Z', "+0000"))
}

/// The same for all updates of an incident, so that viewers show them together; within what a double holds exactly.
fn flow_id(incident: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(incident.as_bytes()).into();
    digest
        .iter()
        .take(6)
        .fold(0, |id, byte| id << 8 | u64::from(*byte))
}

/// A number that belongs to the behaviour's name, whatever other behaviours there are.
fn signature_id(behaviour: &str) -> u32 {
    let digest: [u8; 32] = Sha256::digest(behaviour.as_bytes()).into();
    let number = digest
        .iter()
        .take(4)
        .fold(0u32, |id, byte| id << 8 | u32::from(*byte));
    FIRST_SIGNATURE + number % SIGNATURES
}

/// Suricata's own names of classes (`classification.config`), where one fits.
fn category(alert: &Alert) -> &'static str {
    match alert.technique.as_deref().and_then(|id| id.split('.').next()) {
        Some("T1046" | "T1018" | "T1595") => "Detection of a Network Scan",
        Some("T1498" | "T1499") => "Detection of a Denial of Service Attack",
        Some("T1110") => "Attempted User Privilege Gain",
        _ => "Potentially Bad Traffic",
    }
}

/// 1 is the most severe; Suricata's own classes end at 3, and viewers show 4 as informational.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical | Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
        Severity::Info => 4,
    }
}

fn tags(update: &Stored) -> Vec<String> {
    let alert = &update.alert;
    let state = match alert.state {
        State::Open => "open",
        State::Update => "update",
        State::Closed => "closed",
    };
    let mut tags = vec![
        format!("update:{}", super::update_id(update)),
        format!("incident:{}", alert.id),
        format!("state:{state}"),
        format!("behaviour:{}", alert.behaviour.label()),
    ];
    let optional = [
        ("sensor", Some(alert.sensor.as_str())),
        ("interface", Some(alert.interface.as_str())),
        ("technique", alert.technique.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            tags.push(format!("{name}:{value}"));
        }
    }
    tags
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_and_an_offset_without_a_colon() {
        assert_eq!(
            timestamp("2026-11-23T19:31:43.123Z").unwrap(),
            "2026-11-23T19:31:43.123000+0000"
        );
        assert_eq!(timestamp("yesterday"), None);
    }

    #[test]
    fn signature_ids_are_local_ones_and_differ_between_behaviours() {
        let ids: std::collections::BTreeSet<u32> = crate::alert::Behaviour::ALL
            .iter()
            .map(|behaviour| signature_id(behaviour.label()))
            .collect();
        assert_eq!(ids.len(), crate::alert::Behaviour::ALL.len());
        assert!(ids.iter().all(|id| (1_000_000..2_000_000).contains(id)));
    }
}
