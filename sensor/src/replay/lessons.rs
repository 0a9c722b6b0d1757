//! What a model is trained on, from captures: rows of ordinary traffic, and the classes of malicious ones where there are
//! labels. It must never call a row ordinary that has a malicious packet.

use std::ops::ControlFlow;

use super::{
    Feed, ReplayError,
    drive::{extractor_settings, feed_settings},
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
    let window_ns = lessons.settings.window.as_nanos() as u64;
    let job = TrainingJob::new(
        learned,
        lessons.detector,
        labels.names().to_vec(),
        lessons.seed,
        window_ns,
        None,
    );
    Ok((job, captures.report()))
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
