//! One evaluation: labelled captures or flow files through the engine with a model, every flow row judged against its
//! labels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::{
    detail::{Contributions, Detail, Timeline},
    events::Events,
    labeller::{Labeller, WindowLabels},
    tally::{CaptureFigures, Figures, ScoredRow, SpeedFigures, ThresholdFigures},
};
use crate::{
    capture::Captures,
    config::Settings,
    detect::calibrate::Threshold,
    engine::{Engine, Outcome},
    labels::Labels,
    model::{Model, pool_names},
    replay::{
        Driven, ReplayError,
        drive::{drive, engine_settings, feed_settings},
        stored,
    },
};

/// What to evaluate.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// Captures or flow files, in their order.
    pub inputs: &'a [PathBuf],
    /// Frames before each of them.
    pub before: &'a [u64],
    /// Their labels.
    pub labels: &'a Labels,
    /// The pipeline's settings.
    pub settings: &'a Settings,
    /// Seed of the hashes.
    pub seed: u64,
}

/// What came out for one model.
#[derive(Debug)]
pub struct Evaluated {
    /// The figures of the contract.
    pub figures: Figures,
    /// What a report draws.
    pub detail: Detail,
    /// The model.
    pub model: Arc<Model>,
}

/// Everything that adds up over windows.
#[derive(Default)]
struct Sums {
    rows: Vec<ScoredRow>,
    events: Events,
    timeline: Timeline,
    contributions: Contributions,
    packets: u64,
    span_ns: Option<(i64, i64)>,
}

impl Sums {
    fn window(&mut self, span_ns: (i64, i64), labels: &WindowLabels, outcome: &Outcome) {
        let unsigned = |time_ns: i64| u64::try_from(time_ns).unwrap_or(0);
        let before = self.rows.len();
        self.rows.extend(outcome.scores.iter().map(|row| ScoredRow {
            score: row.score,
            label: labels.flows.get(&row.key.flow).copied(),
            alarm: row.alarm,
        }));
        let rows = self.rows.get(before..).unwrap_or_default();
        self.timeline
            .window(unsigned(span_ns.0), unsigned(span_ns.1), rows);
        self.events.window(labels);
        for alert in &outcome.alerts {
            self.events.alert(alert, unsigned(span_ns.1));
            self.contributions.alert(alert);
        }
        let first_ns = self.span_ns.map_or(span_ns.0, |(first_ns, _)| first_ns);
        self.span_ns = Some((first_ns, span_ns.1));
    }
}

impl Evaluation<'_> {
    /// Evaluates one model on captures.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn captures(
        &self,
        captures: Captures,
        model: Arc<Model>,
        progress: &mut (dyn FnMut(&Captures) + Send),
    ) -> Result<(Evaluated, Driven), ReplayError> {
        let mut engine = self.engine(&model);
        let mut sums = Sums::default();
        let began = Instant::now();
        let driven = drive(
            captures,
            &feed_settings(self.settings, self.seed),
            &mut engine,
            Labeller::new(self.labels, self.before),
            progress,
            &mut |closed, labels, outcome| {
                sums.window((closed.wall_start_ns, closed.wall_end_ns), &labels, &outcome);
                Ok(())
            },
        )?;
        sums.packets = driven.books.packets;
        let took_s = began.elapsed().as_secs_f64();
        Ok((self.evaluated(sums, &engine, model, took_s), driven))
    }

    /// Evaluates one model on flow files; `progress` hears the number of rows. The labels must be by interval.
    ///
    /// # Errors
    /// See [`StoredError`](stored::StoredError).
    pub fn flow_files(
        &self,
        model: Arc<Model>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Evaluated, ReplayError> {
        let mut engine = self.engine(&model);
        let mut sums = Sums::default();
        let began = Instant::now();
        stored::windows::<ReplayError>(self.inputs, self.window_ns(), &mut |window, name| {
            let labels = WindowLabels::of_rows(self.labels, &window);
            let outcome = engine.rows(&window.rows, window.wall_end_ns, name);
            sums.packets += window.rows.flow.keys.iter().map(|key| key.packets).sum::<u64>();
            sums.window((window.wall_start_ns, window.wall_end_ns), &labels, &outcome);
            progress(sums.rows.len() as u64);
            Ok(())
        })?;
        let took_s = began.elapsed().as_secs_f64();
        Ok(self.evaluated(sums, &engine, model, took_s))
    }

    fn window_ns(&self) -> u64 {
        self.settings.window.as_nanos() as u64
    }

    fn engine(&self, model: &Arc<Model>) -> Engine {
        let settings = engine_settings(self.settings, self.seed, 0, true);
        Engine::new(settings, Some(Arc::clone(model)))
    }

    fn evaluated(&self, sums: Sums, engine: &Engine, model: Arc<Model>, took_s: f64) -> Evaluated {
        let (first_ns, last_ns) = sums.span_ns.unwrap_or_default();
        let seconds = last_ns.saturating_sub(first_ns).max(0) as f64 / 1e9;
        let matched = sums.events.judge(self.window_ns());
        let mut figures = Figures::of(&sums.rows, self.labels.names(), &matched, seconds);
        model.kind.label().clone_into(&mut figures.detector);
        figures.model.clone_from(&model.id);
        figures.thresholds = thresholds(engine.thresholds());
        figures.threshold = figures.thresholds.first().map_or(0.0, |first| first.strength);
        figures.alarm_budget_per_day = self.settings.alarm_budget_per_day;
        figures.capture = CaptureFigures {
            packets: sums.packets,
            seconds,
        };
        let took_s = took_s.max(1e-9);
        figures.speed = SpeedFigures {
            packets_per_second: sums.packets as f64 / took_s,
            rows_per_second: sums.rows.len() as f64 / took_s,
        };
        Evaluated {
            detail: Detail::new(&sums.rows, sums.timeline, matched, sums.contributions),
            figures,
            model,
        }
    }
}

/// One threshold per kind of row, then that of evidence over many windows.
fn thresholds(thresholds: &[Threshold]) -> Vec<ThresholdFigures> {
    let names = pool_names().into_iter().chain(["persistence"]);
    names
        .zip(thresholds)
        .map(|(of, threshold)| ThresholdFigures {
            of,
            strength: threshold.strength,
            asked_p: threshold.asked_p,
            beyond_reach: threshold.beyond_reach,
        })
        .collect()
}
