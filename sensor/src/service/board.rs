//! What the sensor shows of itself: health and status, gathered from all stages.
//! It must never grow without bound, nor make a stage wait for a reader.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use sensor_common::counter::IfaceCounters;
use serde_json::{Value, json};

use super::{capture::Capture, clock};
use crate::{
    config::Settings,
    engine::Phase,
    http::View,
    incidents::Place,
    metrics::{
        Metrics,
        label::{self, Stage},
    },
    probe::Mode,
};

/// How long the drain may be silent, on top of three intervals.
const DRAIN_PATIENCE_SECONDS: f64 = 5.0;
/// How long scoring may be silent, on top of three windows: a busy host may starve it for a while.
const SCORE_PATIENCE_SECONDS: f64 = 60.0;

/// The model in use, for people.
#[derive(Clone, Debug)]
pub(super) struct ModelFacts {
    pub(super) id: String,
    pub(super) detector: &'static str,
    pub(super) created_ns: i64,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    learning_progress: f64,
    model: Option<ModelFacts>,
    incidents_open: u64,
    /// Traffic at the last tick, and the rates since the one before.
    last: BTreeMap<String, (u64, IfaceCounters)>,
    rates: BTreeMap<String, Rates>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    receive_packets: f64,
    receive_bytes: f64,
    transmit_packets: f64,
    transmit_bytes: f64,
}

/// Gathers what is shown.
#[derive(Debug)]
pub(super) struct Board {
    metrics: Arc<Metrics>,
    capture: Arc<Capture>,
    settings: Arc<ArcSwap<Settings>>,
    drain_failing: Arc<AtomicBool>,
    incidents: Place,
    started_ns: u64,
    started_unix: f64,
    inner: Mutex<Inner>,
}

impl Board {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        capture: Arc<Capture>,
        settings: Arc<ArcSwap<Settings>>,
        drain_failing: Arc<AtomicBool>,
        incidents: Place,
    ) -> Self {
        let inner = Inner {
            phase: Phase::Learning,
            learning_progress: 0.0,
            model: None,
            incidents_open: 0,
            last: BTreeMap::new(),
            rates: BTreeMap::new(),
        };
        Self {
            metrics,
            capture,
            settings,
            drain_failing,
            incidents,
            started_ns: clock::monotonic_ns(),
            started_unix: clock::unix_seconds(),
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the model's life stands, and how many incidents are open.
    pub(super) fn progress(&self, phase: Phase, learning_progress: f64, incidents_open: u64) {
        let mut inner = self.lock();
        inner.phase = phase;
        inner.learning_progress = learning_progress;
        inner.incidents_open = incidents_open;
    }

    /// A model was put into use.
    pub(super) fn model(&self, facts: ModelFacts) {
        let metrics = &self.metrics;
        metrics.model_info.reset();
        metrics
            .model_info
            .with_label_values(&[facts.id.as_str(), facts.detector])
            .set(1.0);
        metrics
            .model_trained_timestamp_seconds
            .set(facts.created_ns as f64 / 1e9);
        self.lock().model = Some(facts);
    }

    /// Computes rates; called once a second.
    pub(super) fn tick(&self) {
        let now_ns = clock::monotonic_ns();
        let totals = self.capture.totals();
        let mut inner = self.lock();
        let mut rates = BTreeMap::new();
        let mut last = BTreeMap::new();
        for (name, now) in totals {
            if let Some((then_ns, then)) = inner.last.get(&name) {
                let seconds = now_ns.saturating_sub(*then_ns) as f64 / 1e9;
                let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds.max(1e-3);
                let found = Rates {
                    receive_packets: rate(now.receive_packets, then.receive_packets),
                    receive_bytes: rate(now.receive_bytes, then.receive_bytes),
                    transmit_packets: rate(now.transmit_packets, then.transmit_packets),
                    transmit_bytes: rate(now.transmit_bytes, then.transmit_bytes),
                };
                rates.insert(name.clone(), found);
            }
            last.insert(name, (now_ns, now));
        }
        inner.rates = rates;
        inner.last = last;
    }

    fn phase(&self, inner: &Inner) -> Phase {
        if self.problems().is_empty() {
            inner.phase
        } else {
            Phase::Degraded
        }
    }

    /// What is wrong now, in sentences.
    fn problems(&self) -> Vec<String> {
        let mut found = self.blindness();
        found.extend(self.incidents.problem());
        found
    }

    /// What keeps the sensor from counting, in sentences.
    fn blindness(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.drain_failing.load(Ordering::Relaxed) {
            found.push("the kernel tables cannot be read: see the log".to_owned());
        }
        if self.capture.attachments().is_empty() {
            found.push("attached to no interface".to_owned());
        }
        found
    }

    /// Seconds since a stage last did something; since the start if it never did.
    fn silence_seconds(&self, stage: Stage) -> f64 {
        let beat = self
            .metrics
            .heartbeat_timestamp_seconds
            .with_label_values(&[stage.as_str()])
            .get();
        clock::unix_seconds() - beat.max(self.started_unix)
    }
}

impl View for Board {
    fn refresh(&self) {
        self.capture.refresh(&self.metrics);
        let inner = self.lock();
        let metrics = &self.metrics;
        Metrics::one_hot(&metrics.phase, label::PHASE.values, self.phase(&inner).label());
        metrics.learning_progress_ratio.set(inner.learning_progress);
        metrics
            .alarm_budget_per_day
            .set(self.settings.load().alarm_budget_per_day);
    }

    fn health(&self) -> Result<(), Vec<String>> {
        let settings = self.settings.load();
        let mut found = Vec::new();
        for (stage, limit) in [
            (
                Stage::Drain,
                3.0 * settings.drain_interval.as_secs_f64() + DRAIN_PATIENCE_SECONDS,
            ),
            (
                Stage::Score,
                3.0 * settings.window.as_secs_f64() + SCORE_PATIENCE_SECONDS,
            ),
        ] {
            let silence = self.silence_seconds(stage);
            if silence > limit {
                found.push(format!(
                    "stage {} has not moved for {silence:.0} s",
                    stage.as_str()
                ));
            }
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn readiness(&self) -> Result<(), Vec<String>> {
        let mut found = self.blindness();
        if self.metrics.drain_duration_seconds.get_sample_count() == 0 {
            found.push("the kernel tables have not been read yet".to_owned());
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn status(&self) -> Value {
        let totals = self.capture.totals();
        let attachments = self.capture.attachments();
        let problems = self.problems();
        let inner = self.lock();
        let metrics = &self.metrics;
        let rate = |name: &str| inner.rates.get(name).copied().unwrap_or_default();
        let interfaces: Vec<Value> = attachments
            .iter()
            .map(|held| {
                let sum = totals.get(&held.name).copied().unwrap_or_default();
                let rates = rate(&held.name);
                json!({
                    "name": held.name,
                    "ingress": held.ingress.label(),
                    "egress": held.egress.map(Mode::label),
                    "notes": held.notes,
                    "receive_packets": sum.receive_packets,
                    "receive_bytes": sum.receive_bytes,
                    "transmit_packets": sum.transmit_packets,
                    "transmit_bytes": sum.transmit_bytes,
                    "receive_packets_per_second": rates.receive_packets,
                    "transmit_packets_per_second": rates.transmit_packets,
                })
            })
            .collect();
        let skipped: u64 = sensor_common::counter::Skip::ALL
            .iter()
            .map(|skip| metrics.packets_skipped.with_label_values(&[skip.label()]).get())
            .sum();
        let model = inner.model.as_ref().map(|model| {
            json!({
                "id": model.id,
                "detector": model.detector,
                "created": crate::alert::rfc3339(model.created_ns),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "phase": self.phase(&inner).label(),
            "problems": problems,
            "learning_progress_ratio": inner.learning_progress,
            "uptime_seconds": clock::monotonic_ns().saturating_sub(self.started_ns) as f64 / 1e9,
            "window_seconds": self.settings.load().window.as_secs_f64(),
            "windows": metrics.windows.get(),
            "interfaces": interfaces,
            "packets_per_second": inner.rates.values().map(|r| r.receive_packets + r.transmit_packets).sum::<f64>(),
            "bits_per_second": inner.rates.values().map(|r| 8.0 * (r.receive_bytes + r.transmit_bytes)).sum::<f64>(),
            "flows_live": metrics.flows_live.get(),
            "flow_table_entries": metrics.flow_table_entries.get(),
            "flow_table_capacity": metrics.flow_table_capacity.get(),
            "packets_overflow": metrics.packets_overflow.get(),
            "packets_skipped": skipped,
            "model": model,
            "alarm_budget_per_day": self.settings.load().alarm_budget_per_day,
            "incidents_open": inner.incidents_open,
        })
    }
}
