//! One evaluation: labelled captures through the pipeline with a model, every flow row judged against its labels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::{
    events::Events,
    labeller::Labeller,
    tally::{CaptureFigures, Figures, ScoredRow, SpeedFigures},
};
use crate::{
    capture::Captures,
    config::Settings,
    engine::Engine,
    labels::Labels,
    model::{self, Model},
    replay::{
        Driven, ReplayError,
        drive::{drive, engine_settings, feed_settings},
    },
};

/// What to evaluate.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// Captures, in their order.
    pub captures: &'a [PathBuf],
    /// Frames before each of them.
    pub before: &'a [u64],
    /// Their labels.
    pub labels: &'a Labels,
    /// The pipeline's settings.
    pub settings: &'a Settings,
    /// Seed of the hashes.
    pub seed: u64,
}

impl Evaluation<'_> {
    /// Evaluates one model.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn run(
        &self,
        model: Arc<Model>,
        progress: &mut (dyn FnMut(&Captures) + Send),
    ) -> Result<(Figures, Driven), ReplayError> {
        let captures = Captures::open(self.captures)?;
        let settings = engine_settings(self.settings, self.seed, 0, true);
        let mut engine = Engine::new(settings, Some(Arc::clone(&model)));
        let mut rows: Vec<ScoredRow> = Vec::new();
        let mut events = Events::default();
        let began = Instant::now();
        let driven = drive(
            captures,
            &feed_settings(self.settings, self.seed),
            &mut engine,
            Labeller::new(self.labels, self.before),
            progress,
            &mut |closed, labels, outcome| {
                rows.extend(outcome.scores.iter().map(|row| ScoredRow {
                    score: row.score,
                    label: labels.flows.get(&row.key.flow).copied(),
                    alarm: row.alarm,
                }));
                events.window(&labels);
                for alert in &outcome.alerts {
                    events.alert(alert, u64::try_from(closed.wall_end_ns).unwrap_or(0));
                }
                Ok(())
            },
        )?;
        let took_s = began.elapsed().as_secs_f64().max(1e-9);
        let seconds = driven.books.last_ns.saturating_sub(driven.books.first_ns) as f64 / 1e9;
        let matched = events.judge(self.settings.window.as_nanos() as u64);
        let mut figures = Figures::of(&rows, self.labels.names(), &matched, seconds);
        figures.detector = model::DETECTOR.to_owned();
        figures.model.clone_from(&model.id);
        figures.threshold = engine
            .thresholds()
            .first()
            .map_or(0.0, |threshold| threshold.strength);
        figures.alarm_budget_per_day = self.settings.alarm_budget_per_day;
        figures.capture = CaptureFigures {
            packets: driven.books.packets,
            seconds,
        };
        figures.speed = SpeedFigures {
            packets_per_second: driven.books.packets as f64 / took_s,
            rows_per_second: rows.len() as f64 / took_s,
        };
        Ok((figures, driven))
    }
}
