//! What a model is trained on, from captures or flow files: rows of ordinary traffic, and the classes of malicious ones where there are
//! labels. It must never call a row ordinary that has a malicious packet.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{
    Feed, ReplayError,
    drive::{extractor_settings, feed_settings},
    stored,
    stream::stream,
};
use crate::{
    capture::{Captures, ReadReport},
    config::Settings,
    detect::scorer::DetectorKind,
    engine::{Learned, TrainingJob},
    evaluate::labeller::{Labeller, WindowLabels},
    features::{Extractor, RowKey, RowKind},
    labels::Labels,
};

/// How to learn.
#[derive(Debug)]
pub struct Lessons<'a> {
    /// Which packets are malicious; none without labels.
    pub labels: Option<&'a Labels>,
    /// Frames before each input.
    pub before: &'a [u64],
    /// The pipeline's settings.
    pub settings: &'a Settings,
    /// Seed of everything random.
    pub seed: u64,
    /// What to learn.
    pub detector: DetectorKind,
}

/// Reads captures into a training job.
///
/// # Errors
/// If a thread cannot be started.
pub fn learn(
    mut captures: Captures,
    lessons: &Lessons<'_>,
    progress: &mut (dyn FnMut(&Captures) + Send),
) -> Result<(TrainingJob, ReadReport), ReplayError> {
    let mut feed = Feed::new(&feed_settings(lessons.settings, lessons.seed));
    let mut extractor = Extractor::new(&extractor_settings(lessons.settings), lessons.seed);
    let mut learned = Learned::new(lessons.seed);
    let none = Labels::none();
    let labels = lessons.labels.unwrap_or(&none);
    stream(
        &mut captures,
        &mut feed,
        Labeller::new(labels, lessons.before),
        progress,
        &mut |closed, note| {
            let rows = extractor.rows(&closed.window);
            learned.add_labelled(&rows, closed.wall_end_ns, &|kind, key| class(&note, kind, key));
            ControlFlow::Continue(())
        },
    )
    .map_err(|source| ReplayError::Thread { source })?;
    Ok((job(learned, lessons, labels), captures.report()))
}

/// Reads flow files into a training job: the same as from the captures that they were made of. `progress` hears the
/// number of rows so far. Labels must be by interval.
///
/// # Errors
/// See [`StoredError`](stored::StoredError).
pub fn learn_stored(
    paths: &[PathBuf],
    lessons: &Lessons<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<TrainingJob, ReplayError> {
    let mut learned = Learned::new(lessons.seed);
    let none = Labels::none();
    let labels = lessons.labels.unwrap_or(&none);
    let mut count = 0;
    let window_ns = lessons.settings.window.as_nanos() as u64;
    stored::windows::<ReplayError>(paths, window_ns, &mut |window, _| {
        let note = WindowLabels::of_rows(labels, &window);
        learned.add_labelled(&window.rows, window.wall_end_ns, &|kind, key| {
            class(&note, kind, key)
        });
        count += (window.rows.flow.len() + window.rows.host.len()) as u64;
        progress(count);
        Ok(())
    })?;
    Ok(job(learned, lessons, labels))
}

fn job(learned: Learned, lessons: &Lessons<'_>, labels: &Labels) -> TrainingJob {
    TrainingJob::new(
        learned,
        lessons.detector,
        labels.names().to_vec(),
        lessons.seed,
        lessons.settings.window.as_nanos() as u64,
        None,
    )
}

/// The class of a row: of a flow that of its label, of a host that of the first label among its malicious flows.
fn class(note: &WindowLabels, kind: RowKind, key: &RowKey) -> u16 {
    if note.flows.is_empty() {
        return 0;
    }
    match kind {
        RowKind::Flow => note.flows.get(&key.flow).map_or(0, |label| label + 1),
        RowKind::Host => note.hosts.get(&key.initiator).map_or(0, |label| label + 1),
    }
}
