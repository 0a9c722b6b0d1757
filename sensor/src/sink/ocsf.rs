//! Incidents as OCSF Detection Findings (schema 1.8.0, class 2004), the reasons as anomaly analyses: what was observed and
//! what is usual. It must never claim a profile whose attributes it does not give.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::{
    alert::{Alert, Severity, State},
    incidents::Stored,
};

/// Version of the schema.
const SCHEMA: &str = "1.8.0";
/// Detection Finding, of the category Findings.
const CLASS: u64 = 2004;
const CATEGORY: u64 = 2;
/// Analytic type: learning (machine or deep learning).
const LEARNING: u64 = 4;
/// Observable type: IP address.
const IP_ADDRESS: u64 = 2;

/// The finding as one line.
pub(super) fn record(update: &Stored) -> Option<String> {
    finding(update).map(|finding| finding.to_string())
}

/// The finding.
pub(super) fn finding(update: &Stored) -> Option<Value> {
    let alert = &update.alert;
    // Create, Update, Close; the status is New, In Progress, Resolved.
    let (activity, status) = match alert.state {
        State::Open => (1, 1),
        State::Update => (2, 2),
        State::Closed => (3, 4),
    };
    let time = milliseconds(&alert.ts)?;
    let mut finding = json!({
        "activity_id": activity,
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "severity_id": severity(alert.severity),
        "status_id": status,
        "time": time,
        "is_alert": alert.state != State::Closed,
        "message": alert.summary,
        "metadata": {
            "version": SCHEMA,
            "uid": super::update_id(update),
            "sequence": update.seq,
            "product": {
                "name": "sensor",
                "vendor_name": "sensor",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "finding_info": finding_info(alert)?,
    });
    let optional = [
        ("anomaly_analyses", analyses(alert)),
        ("evidences", evidences(alert)),
        ("observables", observables(alert)),
    ];
    let object = finding.as_object_mut()?;
    for (name, list) in optional {
        if !list.is_empty() {
            object.insert(name.to_owned(), Value::Array(list));
        }
    }
    if !alert.sensor.is_empty() {
        object
            .get_mut("metadata")?
            .as_object_mut()?
            .insert("log_provider".to_owned(), json!(alert.sensor));
    }
    Some(finding)
}

fn finding_info(alert: &Alert) -> Option<Value> {
    let mut info = json!({
        "uid": alert.id,
        "title": alert.behaviour.label(),
        "desc": alert.summary,
        "types": [alert.behaviour.label()],
        "created_time": milliseconds(&alert.first_seen)?,
        "first_seen_time": milliseconds(&alert.first_seen)?,
        "last_seen_time": milliseconds(&alert.last_seen)?,
        "modified_time": milliseconds(&alert.ts)?,
        "analytic": {
            "type_id": LEARNING,
            "name": alert.detectors.keys().cloned().collect::<Vec<_>>().join("+"),
            "uid": alert.model,
        },
    });
    if let Some(technique) = &alert.technique {
        let (whole, part) = match technique.split_once('.') {
            Some((whole, _)) => (whole, Some(technique)),
            None => (technique.as_str(), None),
        };
        let mut attack = Map::new();
        attack.insert("technique".to_owned(), json!({ "uid": whole }));
        if let Some(part) = part {
            attack.insert("sub_technique".to_owned(), json!({ "uid": part }));
        }
        info.as_object_mut()?
            .insert("attacks".to_owned(), json!([attack]));
    }
    Some(info)
}

/// One analysis of the host: each reason is an anomaly, with the usual range of the same feature as its baseline.
fn analyses(alert: &Alert) -> Vec<Value> {
    if alert.reasons.is_empty() {
        return Vec::new();
    }
    let victim = alert.targets.first().map(String::as_str);
    let about = if alert.actor.is_empty() {
        victim.unwrap_or("network")
    } else {
        &alert.actor
    };
    let mut anomalies = Vec::new();
    let mut baselines = Vec::new();
    for reason in &alert.reasons {
        anomalies.push(json!({
            "observation_parameter": reason.feature,
            "observation_type": "Deviation Analysis",
            "observed_pattern": reason.text,
            "observations": [{ "value": reason.observed.to_string() }],
        }));
        let usual =
            [reason.low, reason.expected, reason.high].map(|value| json!({ "value": value.to_string() }));
        baselines.push(json!({
            "observation_parameter": reason.feature,
            "observation_type": "Distribution Analysis",
            "observed_pattern": "1 % quantile, expected value and 99 % quantile",
            "observations": usual,
        }));
    }
    vec![json!({
        "analysis_targets": [{ "name": about, "type": "Host" }],
        "anomalies": anomalies,
        "baselines": baselines,
    })]
}

/// What each pair of actor and target shares; dropped addresses are words and stand in the name.
fn evidences(alert: &Alert) -> Vec<Value> {
    let end = |text: &str, port: Option<u16>| {
        let mut end = Map::new();
        let name = if text.parse::<IpAddr>().is_ok() {
            "ip"
        } else {
            "name"
        };
        end.insert(name.to_owned(), json!(text));
        if let Some(port) = port {
            end.insert("port".to_owned(), json!(port));
        }
        Value::Object(end)
    };
    let port = match alert.services.as_slice() {
        [service] => service.split_once('/').and_then(|(proto, port)| {
            matches!(proto, "tcp" | "udp" | "sctp")
                .then(|| port.parse().ok())
                .flatten()
        }),
        _ => None,
    };
    alert
        .targets
        .iter()
        .map(|target| {
            let mut evidence = Map::new();
            if !alert.actor.is_empty() {
                evidence.insert("src_endpoint".to_owned(), end(&alert.actor, None));
            }
            evidence.insert("dst_endpoint".to_owned(), end(target, port));
            Value::Object(evidence)
        })
        .collect()
}

fn observables(alert: &Alert) -> Vec<Value> {
    let actor = (!alert.actor.is_empty()).then_some(("evidences.src_endpoint.ip", &alert.actor));
    let targets = alert
        .targets
        .iter()
        .map(|target| ("evidences.dst_endpoint.ip", target));
    actor
        .into_iter()
        .chain(targets)
        .filter(|(_, address)| address.parse::<IpAddr>().is_ok())
        .map(|(name, address)| json!({ "name": name, "type_id": IP_ADDRESS, "value": address }))
        .collect()
}

const fn severity(severity: Severity) -> u64 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// RFC 3339 as milliseconds since 1970.
fn milliseconds(rfc3339: &str) -> Option<i64> {
    Some(rfc3339.parse::<jiff::Timestamp>().ok()?.as_millisecond())
}
