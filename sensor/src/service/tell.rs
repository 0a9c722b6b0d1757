//! The way of every incident update out of the pipeline: judged against what people have suppressed, then queued for the
//! journal and for the store, and logged. It must never wait, nor leave an update out of the store.

use std::sync::Arc;

use crate::{
    alert::{
        Alert, State,
        suppress::{Suppressor, Verdict},
    },
    incidents::{self, Rules, Update, restart::Leftover},
    metrics::{Metrics, label::Hidden},
    sink,
};

/// Tells updates to the journal and the store.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) journal: sink::Sender,
    pub(super) store: incidents::Sender,
    pub(super) rules: Rules,
    pub(super) metrics: Arc<Metrics>,
    suppressor: Suppressor,
}

impl Teller {
    pub(super) fn new(
        journal: sink::Sender,
        store: incidents::Sender,
        rules: Rules,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            journal,
            store,
            rules,
            metrics,
            suppressor: Suppressor::default(),
        }
    }

    /// Tells one update, or stores it only if a suppression hides it. The first that is told of an incident opens it for
    /// whoever listens, even if it was hidden before.
    pub(super) fn tell(&mut self, mut alert: Alert) {
        let now_ns = incidents::unix_ns(&alert.ts);
        let hidden_by = match self.suppressor.judge(&self.rules.load(), &alert, now_ns) {
            Verdict::Hide(rule) => Some(rule),
            Verdict::Tell { first } => {
                if first && alert.state == State::Update {
                    alert.state = State::Open;
                }
                None
            }
        };
        self.send(&alert, hidden_by);
    }

    /// Closes what an earlier run left open.
    pub(super) fn close(&self, leftovers: &[Leftover]) {
        for leftover in leftovers {
            self.send(&leftover.alert, leftover.suppressed_by);
        }
    }

    fn send(&self, alert: &Alert, hidden_by: Option<i64>) {
        let line = match serde_json::to_string(alert) {
            Ok(line) => line,
            Err(cause) => {
                tracing::error!(incident = alert.id, %cause, "this incident could not be written as JSON");
                return;
            }
        };
        self.store.send(Update::of(alert, line.clone(), hidden_by));
        let (severity, behaviour) = (alert.severity.label(), alert.behaviour.label());
        if let Some(rule) = hidden_by {
            self.metrics
                .alarms_suppressed
                .with_label_values(&[Hidden::Rule.as_str()])
                .inc();
            tracing::debug!(
                incident = alert.id,
                severity,
                behaviour,
                rule,
                "hidden: {}",
                alert.summary
            );
            return;
        }
        self.journal.send(line);
        match alert.state {
            State::Open => tracing::warn!(incident = alert.id, severity, behaviour, "{}", alert.summary),
            State::Update => tracing::info!(
                incident = alert.id,
                severity,
                behaviour,
                "goes on: {}",
                alert.summary
            ),
            State::Closed => tracing::info!(
                incident = alert.id,
                severity,
                behaviour,
                "over: {}",
                alert.summary
            ),
        }
    }
}
