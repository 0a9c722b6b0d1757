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
    journal: sink::Sender,
    store: incidents::Sender,
    rules: Rules,
    metrics: Arc<Metrics>,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        alert::{
            Severity,
            suppress::{Rule, Scope},
        },
        incidents::{FILE, Retention, Writer, WriterSettings, restart, tests::alert},
        sink::{Journal, Target},
    };

    #[test]
    fn what_a_rule_hides_is_stored_and_counted_but_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let lines = dir.path().join("alerts.jsonl");
        let journal = Journal::start(
            Target::File(lines.clone()),
            sink::Rotation::default(),
            100,
            Arc::clone(&metrics),
        )
        .unwrap();
        let bounds = WriterSettings {
            capacity: 100,
            retention: Retention {
                age_ns: i64::MAX,
                max_bytes: u64::MAX,
            },
        };
        let database = incidents::open(&dir.path().join(FILE)).unwrap();
        let store = Writer::start(database, bounds, Arc::clone(&metrics)).unwrap();
        let rules = Rules::default();
        rules.store(Arc::new(vec![Rule {
            id: 5,
            scope: Scope {
                service: Some("tcp/22".to_owned()),
                ..Scope::default()
            },
            expires_ns: i64::MAX,
        }]));
        let mut teller = Teller::new(journal.sender(), store.sender(), rules, Arc::clone(&metrics));
        teller.tell(alert("hidden", State::Open, 0));
        let mut other = alert("told", State::Open, 1);
        other.services = vec!["udp/53".to_owned()];
        teller.tell(other);
        let mut risen = alert("hidden", State::Update, 2);
        risen.severity = Severity::High;
        teller.tell(risen);
        journal.close(Duration::from_mins(1));
        store.close(Duration::from_mins(1));

        let told: Vec<Alert> = std::fs::read_to_string(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told: Vec<_> = told
            .iter()
            .map(|alert| (alert.id.as_str(), alert.state))
            .collect();
        // The escalation is the first that anybody hears of it.
        assert_eq!(told, [("told", State::Open), ("hidden", State::Open)]);
        let hidden = metrics.alarms_suppressed.with_label_values(&["rule"]).get();
        assert_eq!(hidden, 1);
        let database = incidents::Database::open(&dir.path().join(FILE)).unwrap();
        let stored = database.timeline("hidden", 10).unwrap();
        assert_eq!(stored.len(), 2);
        assert_eq!(
            (stored[0].suppressed_by, stored[1].suppressed_by),
            (Some(5), None)
        );
        assert_eq!(restart::leftovers(&database, 0).unwrap().len(), 2);
    }
}
