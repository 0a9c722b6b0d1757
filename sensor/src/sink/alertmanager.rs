//! Open incidents as firing alerts of Prometheus Alertmanager (API version 2): repeated while they are open, resolved when
//! they are closed. It must never leave an alert firing of which nothing will be heard again: each carries an end that
//! repeating moves on.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    post::Post,
    set::SinksError,
    worker::{Deliver, Failure},
};
use crate::{
    alert::{Alert, State, rfc3339},
    config::sinks::AlertmanagerSink,
    incidents::Stored,
    service::clock,
};

/// Open incidents that are repeated; the engine holds fewer open at once.
const MOST_OPEN: usize = 4096;
/// How often an alert is repeated before it would be resolved by its silence.
const REPEATS: u32 = 3;

/// An alert that fires.
struct Firing {
    labels: Value,
    annotations: Value,
    starts_at: String,
    sent_ns: i64,
}

/// Alertmanager.
pub(super) struct Alertmanager {
    post: Post,
    resolve_timeout: Duration,
    open: BTreeMap<String, Firing>,
}

impl Alertmanager {
    pub(super) fn new(url: &str, settings: &AlertmanagerSink) -> Result<Self, SinksError> {
        let url = format!("{}/api/v2/alerts", url.trim_end_matches('/'));
        Ok(Self {
            post: Post::new(url, &settings.http)?,
            resolve_timeout: settings.resolve_timeout,
            open: BTreeMap::new(),
        })
    }

    fn send(&self, alerts: &[Value]) -> Result<(), Failure> {
        let body = Value::from(alerts).to_string();
        self.post.send("application/json", &[], body.as_bytes())
    }

    fn until(&self, now_ns: i64) -> String {
        rfc3339(now_ns.saturating_add(self.resolve_timeout.as_nanos() as i64))
    }
}

impl Deliver for Alertmanager {
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure> {
        let alert = &update.alert;
        let now_ns = clock::unix_ns();
        let firing = Firing {
            labels: labels(alert),
            annotations: annotations(update),
            starts_at: alert.first_seen.clone(),
            sent_ns: now_ns,
        };
        let mut alerts = Vec::new();
        // Labels are its identity there: with another severity or behaviour it is another alert, and the first one ends.
        if let Some(before) = self.open.get(&alert.id)
            && before.labels != firing.labels
        {
            alerts.push(before.posted(&alert.ts));
        }
        let ends_at = if alert.state == State::Closed {
            alert.ts.clone()
        } else {
            self.until(now_ns)
        };
        alerts.push(firing.posted(&ends_at));
        self.send(&alerts)?;
        if alert.state == State::Closed {
            self.open.remove(&alert.id);
        } else {
            let full = self.open.len() >= MOST_OPEN;
            match self.open.entry(alert.id.clone()) {
                Entry::Occupied(mut held) => drop(held.insert(firing)),
                Entry::Vacant(_) if full => {
                    tracing::warn!(
                        incident = alert.id,
                        "too many open incidents: this one is not repeated to Alertmanager"
                    );
                }
                Entry::Vacant(place) => drop(place.insert(firing)),
            }
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failure> {
        let now_ns = clock::unix_ns();
        let rhythm_ns = (self.resolve_timeout / REPEATS).as_nanos() as i64;
        let ends_at = self.until(now_ns);
        let due: Vec<Value> = self
            .open
            .values()
            .filter(|firing| now_ns.saturating_sub(firing.sent_ns) >= rhythm_ns)
            .map(|firing| firing.posted(&ends_at))
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        self.send(&due)?;
        for firing in self.open.values_mut() {
            if now_ns.saturating_sub(firing.sent_ns) >= rhythm_ns {
                firing.sent_ns = now_ns;
            }
        }
        Ok(())
    }
}

impl Firing {
    fn posted(&self, ends_at: &str) -> Value {
        json!({
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": self.starts_at,
            "endsAt": ends_at,
        })
    }
}

fn labels(alert: &Alert) -> Value {
    let mut labels = BTreeMap::from([
        ("alertname", "SensorIncident"),
        ("severity", alert.severity.label()),
        ("behaviour", alert.behaviour.label()),
        ("incident", alert.id.as_str()),
    ]);
    if !alert.sensor.is_empty() {
        labels.insert("sensor", &alert.sensor);
    }
    json!(labels)
}

fn annotations(update: &Stored) -> Value {
    let alert = &update.alert;
    let reasons: Vec<&str> = alert.reasons.iter().map(|reason| reason.text.as_str()).collect();
    json!({
        "summary": alert.summary,
        "reasons": reasons.join("; "),
        "actor": alert.actor,
        "targets": alert.targets.join(", "),
        "technique": alert.technique.clone().unwrap_or_default(),
        "update": super::update_id(update),
    })
}
