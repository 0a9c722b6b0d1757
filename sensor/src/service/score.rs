//! The thread that turns windows into incidents: runs the engine, publishes what it found, and hands over learning.
//! It must never do file I/O or wait for a sink: it would fall behind the traffic.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    board::{Board, ModelFacts},
    capture::Capture,
    clock,
    drain::Closed,
    store::Store,
    tell::Teller,
    train::{self, Trained},
};
use crate::{
    alert::{Severity, incident::IncidentSettings},
    config::{Network, Settings},
    engine::{Engine, EngineSettings, Outcome, Phase, Suppressed, Unscored},
    features::{ExtractorSettings, RowKind},
    metrics::{
        Exemplar, Metrics,
        label::{Lost, Stage},
    },
    model::{self, Model},
    privacy::AddressNames,
};

/// How often the outcome of a training is looked for while no window comes.
const TICK: Duration = Duration::from_millis(200);

/// What the thread is connected to.
pub(super) struct Surroundings {
    pub(super) windows: Receiver<Closed>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) board: Arc<Board>,
    pub(super) capture: Arc<Capture>,
    pub(super) store: Arc<Store>,
    pub(super) names: AddressNames,
    pub(super) teller: Teller,
}

/// The thread's state.
pub(super) struct ScoreStage {
    engine: Engine,
    alarm_budget_per_day: f64,
    training: Option<Receiver<Trained>>,
    around: Surroundings,
}

impl ScoreStage {
    pub(super) fn new(seed: u64, model: Option<Model>, around: Surroundings) -> Self {
        let settings = around.settings.load_full();
        let model = model.map(Arc::new);
        let mut stage = Self {
            engine: Engine::new(
                engine_settings(&settings, seed, around.names.clone()),
                model.clone(),
            ),
            alarm_budget_per_day: settings.alarm_budget_per_day,
            training: None,
            around,
        };
        if let Some(model) = model {
            stage.in_use(&model);
        } else {
            tracing::info!(learn = ?settings.learn, "no model yet: learning what is normal here");
        }
        stage.show_progress(0);
        stage
    }

    /// Runs until the drain thread has ended and its last window is scored.
    pub(super) fn run(mut self) {
        loop {
            match self.around.windows.recv_timeout(TICK) {
                Ok(closed) => self.score(&closed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.collect_training();
        }
    }

    fn score(&mut self, closed: &Closed) {
        let metrics = Arc::clone(&self.around.metrics);
        if !closed.complete {
            // Rates of a fraction of a window cannot be compared with those that were learned.
            let rows = closed.window.flows.len() as u64;
            metrics
                .rows_unscored
                .with_label_values(&[Lost::Shutdown.as_str()])
                .inc_by(rows);
            return;
        }
        let budget = self.around.settings.load().alarm_budget_per_day;
        if budget.to_bits() != self.alarm_budget_per_day.to_bits() {
            self.alarm_budget_per_day = budget;
            self.engine.set_alarm_budget(budget);
        }
        let names: BTreeMap<u16, String> = self.around.capture.names();
        let name = |slot: u16| names.get(&slot).cloned().unwrap_or_default();
        let began_ns = clock::monotonic_ns();
        let outcome = self.engine.window(&closed.window, closed.wall_end_ns, &name);
        let took_ns = clock::monotonic_ns().saturating_sub(began_ns);
        metrics.scoring_duration_seconds.observe(took_ns as f64 / 1e9);
        let incidents_open = outcome.incidents_open.iter().sum();
        self.publish(outcome);
        let lag_ns = clock::unix_ns().saturating_sub(closed.wall_end_ns).max(0);
        metrics.window_lag_seconds.set(lag_ns as f64 / 1e9);
        let beat = metrics
            .heartbeat_timestamp_seconds
            .with_label_values(&[Stage::Score.as_str()]);
        beat.set(clock::unix_seconds());
        if let Some(problem) = self.engine.learning_problem()
            && self.engine.phase() == Phase::Learning
        {
            tracing::debug!("learning goes on: {problem}");
        }
        if self.training.is_none()
            && let Some(job) = self.engine.take_training_job()
        {
            let [flows, hosts] = job.rows();
            tracing::info!(
                flow_rows = flows,
                host_rows = hosts,
                "enough was learned: training begins"
            );
            self.training = Some(train::start(
                job,
                Arc::clone(&metrics),
                Arc::clone(&self.around.store),
            ));
        }
        self.show_progress(incidents_open);
    }

    fn show_progress(&self, incidents_open: u64) {
        self.around.board.progress(
            self.engine.phase(),
            self.engine.learning_progress(),
            incidents_open,
        );
    }

    fn collect_training(&mut self) {
        let Some(receiver) = &self.training else { return };
        match receiver.try_recv() {
            Err(TryRecvError::Empty) => return,
            Ok(Trained::Model(model)) => {
                self.engine.install(Arc::clone(&model));
                self.in_use(&model);
            }
            Ok(Trained::Failed(cause)) => {
                tracing::error!("training failed, learning begins again: {cause}");
                self.engine.training_failed(cause);
            }
            Err(TryRecvError::Disconnected) => {
                tracing::error!(
                    "the training thread ended without an outcome; restart the sensor to learn again"
                );
            }
        }
        self.training = None;
        self.show_progress(0);
    }

    /// Publishes which model is in use.
    fn in_use(&mut self, model: &Model) {
        let metrics = &self.around.metrics;
        metrics.model_swaps.inc();
        let rows = model.training.flow.calibration_rows + model.training.host.calibration_rows;
        metrics.calibration_rows.set(rows as f64);
        let facts = ModelFacts {
            id: model.id.clone(),
            detector: model.kind.label(),
            created_ns: model.created_ns,
        };
        self.around.board.model(facts);
        tracing::info!(model = model.id, "detecting");
    }

    fn publish(&mut self, outcome: Outcome) {
        let metrics = &self.around.metrics;
        for kind in RowKind::ALL {
            let index = model::pool_index(kind);
            let label = &[kind.label()];
            let of = |counts: &[u64; 2]| counts.get(index).copied().unwrap_or(0);
            metrics
                .rows_scored
                .with_label_values(label)
                .inc_by(of(&outcome.rows_scored));
            metrics
                .alarms
                .with_label_values(label)
                .inc_by(of(&outcome.alarms));
        }
        for (reason, rows) in Unscored::ALL.iter().zip(outcome.rows_unscored) {
            metrics
                .rows_unscored
                .with_label_values(&[reason.label()])
                .inc_by(rows);
        }
        for (reason, alarms) in Suppressed::ALL.iter().zip(outcome.suppressed) {
            metrics
                .alarms_suppressed
                .with_label_values(&[reason.label()])
                .inc_by(alarms);
        }
        for (severity, behaviour) in &outcome.incidents_opened {
            metrics
                .incidents
                .with_label_values(&[severity.label(), behaviour.label()])
                .inc();
        }
        for (severity, open) in Severity::ALL.iter().zip(outcome.incidents_open) {
            metrics
                .incidents_open
                .with_label_values(&[severity.label()])
                .set(open as f64);
        }
        metrics.alarm_rate_per_day.set(outcome.alarm_rate_per_day);
        metrics.model_drift_ratio.set(outcome.drift_ratio);
        metrics.model_threshold_ratio.set(outcome.threshold_factor);
        metrics
            .reconstruction_error
            .add(&outcome.errors.counts, outcome.errors.sum);
        if let Some(exemplar) = &outcome.exemplar {
            metrics.keep_exemplar(Exemplar {
                community_id: exemplar.community_id.clone(),
                incident: exemplar.incident_id.clone(),
                value: exemplar.error,
                timestamp_seconds: clock::unix_seconds(),
            });
        }
        for alert in outcome.alerts {
            self.around.teller.tell(alert);
        }
    }
}

fn engine_settings(settings: &Settings, seed: u64, names: AddressNames) -> EngineSettings {
    let window_ns = settings.window.as_nanos() as u64;
    EngineSettings {
        window_ns,
        learn_ns: settings.learn.as_nanos() as u64,
        alarm_budget_per_day: settings.alarm_budget_per_day,
        seed,
        sensor: host_name(),
        keep_scores: false,
        detector: settings.detector,
        incidents: IncidentSettings {
            names,
            ..IncidentSettings::default()
        },
        extractor: ExtractorSettings {
            max_hosts: settings.max_hosts,
            window_ns,
            local_networks: settings.local_networks.iter().map(Network::mapped).collect(),
        },
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| String::new(), |name| name.trim().to_owned())
}
