//! The detector's life as one pure state machine: windows in, outcomes out. Learning → calibrating (training runs
//! elsewhere) → detecting. No I/O, no clock, no threads: wall times come with the windows, and replaying a capture
//! twice gives identical outcomes. It must never stop counting because there is nothing to detect with.

mod evidence;
mod fit;
pub mod job;
mod judge;
mod learned;
pub mod outcome;
mod presence;
mod recalibrate;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::alert::incident::{IncidentSettings, Incidents};
use crate::detect::calibrate::Threshold;
use crate::detect::scorer::DetectorKind;
use crate::features::{Extractor, ExtractorSettings, WindowRows};
use crate::model::Model;
use crate::window::Window;

pub use job::{TrainError, TrainingJob};
pub use learned::Learned;
pub use outcome::{ErrorHistogram, Exemplar, Outcome, ScoreRow, Suppressed, Unscored};

use self::evidence::Evidence;
use self::judge::Bench;
use self::presence::{Presence, Silence};
use self::recalibrate::Recalibration;

/// Windows with less than this share of their packets in flow rows are not learned from.
const MIN_LEARNING_COVERAGE: f32 = 0.5;
const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_HOURS: i64 = 24;

/// How to run the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSettings {
    /// Nominal length of a window.
    pub window_ns: u64,
    /// How much traffic time to learn from.
    pub learn_ns: u64,
    /// False alarms a day that the operator accepts.
    pub alarm_budget_per_day: f64,
    /// Seed of training and of hashes.
    pub seed: u64,
    /// Name of the sensor in alerts.
    pub sensor: String,
    /// Whether outcomes carry the score of every flow row.
    pub keep_scores: bool,
    /// Bounds and rhythms of incidents.
    pub incidents: IncidentSettings,
    /// The feature stage.
    pub extractor: ExtractorSettings,
    /// What to learn.
    pub detector: DetectorKind,
}

/// Where in its life the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Collecting ordinary traffic; nothing alarms.
    Learning,
    /// Enough was collected; the model is being trained.
    Calibrating,
    /// Scoring with a model.
    Detecting,
    /// There is a model, but the last window could not be scored in full.
    Degraded,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 4] = [Self::Learning, Self::Calibrating, Self::Detecting, Self::Degraded];

    /// Value of the `phase` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Calibrating => "calibrating",
            Self::Detecting => "detecting",
            Self::Degraded => "degraded",
        }
    }
}

/// See the module's description.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    extractor: Extractor,
    phase: Phase,
    learned: Learned,
    /// Traffic time to collect before the next attempt to train.
    goal_ns: u64,
    problem: Option<TrainError>,
    model: Option<(Arc<Model>, Vec<Threshold>)>,
    incidents: Incidents,
    /// Incidents opened, by hour of wall time, the last 24.
    opened_by_hour: VecDeque<(i64, u64)>,
    drift: f64,
    evidence: Evidence,
    recalibration: Recalibration,
    presence: Presence,
    /// End of the last window that was scored.
    scored_ns: Option<u64>,
}

impl Engine {
    /// An engine that detects with `model`, or learns first.
    pub fn new(settings: EngineSettings, model: Option<Arc<Model>>) -> Self {
        let mut engine = Self {
            extractor: Extractor::new(&settings.extractor, settings.seed),
            phase: Phase::Learning,
            learned: Learned::new(settings.seed),
            goal_ns: settings.learn_ns,
            problem: None,
            model: None,
            incidents: Incidents::new(settings.incidents.clone(), settings.sensor.clone()),
            opened_by_hour: VecDeque::new(),
            drift: 1.0,
            evidence: Evidence::new(settings.seed),
            recalibration: Recalibration::default(),
            presence: Presence::new(settings.seed, settings.window_ns),
            scored_ns: None,
            settings,
        };
        if let Some(model) = model {
            engine.install(model);
        }
        engine
    }

    /// Where in its life the engine is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Share of learning that is done, 0 to 1; 1 with a model.
    pub fn learning_progress(&self) -> f64 {
        match self.phase {
            Phase::Learning => (self.learned.duration_ns as f64 / self.goal_ns.max(1) as f64).min(1.0),
            _ => 1.0,
        }
    }

    /// Why learning goes on although its time is over, if it does.
    pub fn learning_problem(&self) -> Option<&TrainError> {
        self.problem.as_ref()
    }

    /// The model in use.
    pub fn model(&self) -> Option<&Arc<Model>> {
        self.model.as_ref().map(|(model, _)| model)
    }

    /// The alarm thresholds in use by kind of row, and what they rest on; empty without a model.
    pub fn thresholds(&self) -> &[Threshold] {
        self.model.as_ref().map_or(&[], |(_, thresholds)| thresholds)
    }

    /// Changes the alarm budget; takes effect with the next window.
    pub fn set_alarm_budget(&mut self, alarm_budget_per_day: f64) {
        self.settings.alarm_budget_per_day = alarm_budget_per_day;
        if let Some((model, thresholds)) = &mut self.model {
            *thresholds = model.calibration.thresholds(alarm_budget_per_day);
        }
    }

    /// Uses a model from the next window on.
    pub fn install(&mut self, model: Arc<Model>) {
        let thresholds = model.calibration.thresholds(self.settings.alarm_budget_per_day);
        self.model = Some((model, thresholds));
        self.phase = Phase::Detecting;
        self.drift = 1.0;
        self.evidence = Evidence::new(self.settings.seed);
        self.recalibration = Recalibration::default();
        self.problem = None;
        self.learned = Learned::new(self.settings.seed);
    }

    /// Hands out the training job once, when learning is over and enough was learned; the phase is then calibrating
    /// until [`Self::install`] or [`Self::training_failed`]. With too little traffic learning goes on for half as long
    /// again, and [`Self::learning_problem`] says why.
    pub fn take_training_job(&mut self) -> Option<TrainingJob> {
        if self.phase != Phase::Learning || self.learned.duration_ns < self.goal_ns {
            return None;
        }
        if let Err(error) = job::enough(&self.learned) {
            self.problem = Some(error);
            self.goal_ns += (self.settings.learn_ns / 2).max(self.settings.window_ns);
            return None;
        }
        self.phase = Phase::Calibrating;
        self.problem = None;
        let learned = core::mem::replace(&mut self.learned, Learned::new(self.settings.seed));
        Some(TrainingJob::new(
            learned,
            self.settings.detector,
            Vec::new(),
            self.settings.seed,
            self.settings.window_ns,
            None,
        ))
    }

    /// Why there is no model, at the end of all traffic.
    pub fn why_not_learned(&mut self) -> TrainError {
        match self.problem.take() {
            Some(problem) => problem,
            None => TrainError::TooShort {
                have_s: self.learned.duration_ns / 1_000_000_000,
                need_s: self.goal_ns / 1_000_000_000,
            },
        }
    }

    /// The job that was handed out failed: learning begins again.
    pub fn training_failed(&mut self, error: TrainError) {
        self.problem = Some(error);
        if self.model.is_none() {
            self.phase = Phase::Learning;
            self.goal_ns = self.settings.learn_ns;
        }
    }

    /// Takes in one window. `wall_end_ns` is the Unix time of its end; `iface_name` names interface slots.
    pub fn window(
        &mut self,
        window: &Window,
        wall_end_ns: i64,
        iface_name: &dyn Fn(u16) -> String,
    ) -> Outcome {
        let rows = self.extractor.rows(window);
        self.rows(&rows, wall_end_ns, iface_name)
    }

    /// Takes in the rows of one window; see [`Self::window`].
    pub fn rows(
        &mut self,
        rows: &WindowRows,
        wall_end_ns: i64,
        iface_name: &dyn Fn(u16) -> String,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        // While learning, too: what it learns there is how long each host pauses.
        let silences = self.presence.window(rows);
        let count = (rows.flow.len() + rows.host.len()) as u64;
        match self.phase {
            Phase::Learning if rows.coverage < MIN_LEARNING_COVERAGE => {
                outcome.unscored(Unscored::Coverage, count);
            }
            Phase::Learning => {
                self.learned.add(rows, wall_end_ns);
                outcome.unscored(Unscored::Learning, count);
            }
            Phase::Calibrating => outcome.unscored(Unscored::Calibrating, count),
            Phase::Detecting | Phase::Degraded => {
                self.detect(rows, &silences, wall_end_ns, iface_name, &mut outcome);
            }
        }
        outcome.incidents_open = self.incidents.open_by_severity();
        outcome.alarm_rate_per_day = self.opened_last_day(wall_end_ns, outcome.incidents_opened.len() as u64);
        outcome
    }

    fn detect(
        &mut self,
        rows: &WindowRows,
        silences: &[Silence],
        now_ns: i64,
        iface_name: &dyn Fn(u16) -> String,
        outcome: &mut Outcome,
    ) {
        let Some((model, thresholds)) = &self.model else {
            return;
        };
        let bench = Bench {
            model,
            thresholds,
            raised: self.recalibration.factor() as f32,
            seed: self.settings.seed,
            keep_scores: self.settings.keep_scores,
            now_ns,
            iface_name,
            names: &self.settings.incidents.names,
        };
        let since_ns = rows
            .end_ns
            .saturating_sub(self.scored_ns.unwrap_or(rows.start_ns));
        let windows = (since_ns + self.settings.window_ns / 2) / self.settings.window_ns.max(1);
        self.evidence
            .advance(u32::try_from(windows).unwrap_or(u32::MAX).max(1));
        self.scored_ns = Some(rows.end_ns);
        let flagged = bench.flagged(rows, &mut self.drift, &mut self.evidence, outcome);
        bench.report(rows, &flagged, &mut self.incidents, outcome);
        for silence in silences {
            bench.silent(silence, &mut self.incidents, outcome);
        }
        self.incidents.close_idle(now_ns, &model.id, &mut outcome.alerts);
        if !self.settings.incidents.names.is_plain() {
            // Until here they are in the order of addresses, which would tell about them.
            outcome.alerts.sort_by(|a, b| a.id.cmp(&b.id));
        }
        outcome.drift_ratio = self.drift;
        outcome.threshold_factor = self.recalibration.factor();
        let opened = outcome.incidents_opened.iter();
        let unnamed = opened.filter(|(_, behaviour)| !behaviour.is_specific()).count();
        self.recalibration
            .window(unnamed as u64, since_ns, self.settings.alarm_budget_per_day);
        let failed = outcome
            .rows_unscored
            .get(Unscored::Error as usize)
            .copied()
            .unwrap_or(0);
        self.phase = if failed > 0 {
            Phase::Degraded
        } else {
            Phase::Detecting
        };
    }

    /// Incidents opened in the last 24 hours, by full hours, `new` ones included.
    fn opened_last_day(&mut self, now_ns: i64, new: u64) -> f64 {
        let hour = now_ns.div_euclid(HOUR_NS);
        match self.opened_by_hour.back_mut() {
            Some((last, count)) if *last == hour => *count += new,
            _ => self.opened_by_hour.push_back((hour, new)),
        }
        while self
            .opened_by_hour
            .front()
            .is_some_and(|(first, _)| *first <= hour - DAY_HOURS)
        {
            self.opened_by_hour.pop_front();
        }
        self.opened_by_hour.iter().map(|(_, count)| *count as f64).sum()
    }
}

#[cfg(test)]
mod tests;
