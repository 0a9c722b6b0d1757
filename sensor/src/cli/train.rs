//! `sensor train`: a model from recorded traffic.

use std::path::PathBuf;

use clap::Args;

use super::{
    Failure, exit,
    offline::{self, Offline},
    progress::Progress,
};
use crate::{
    capture::Captures,
    engine::{Learned, TrainingJob},
    features::Extractor,
    model,
    replay::{
        Feed, ReplayError, Unwatched,
        drive::{extractor_settings, feed_settings},
        stream,
    },
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor train monday.pcap tuesday.pcap -o model
  sensor evaluate --model model --labels labels.csv attack-day.pcap
  sensor run --model model";

#[derive(Args, Clone, Debug)]
pub(super) struct Train {
    /// Captures of ordinary traffic, read in order of time
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Directory of the new model
    #[arg(short, long, value_name = "MODEL_DIR")]
    output: PathBuf,
    #[command(flatten)]
    offline: Offline,
}

pub(super) fn run(train: &Train, format: Option<&String>) -> Result<u8, Failure> {
    let settings = train.offline.loader(format).load()?;
    let seed = train.offline.seed(&settings);
    let mut captures = Captures::open(&train.inputs).map_err(ReplayError::from)?;
    let mut feed = Feed::new(&feed_settings(&settings, seed));
    let mut extractor = Extractor::new(&extractor_settings(&settings), seed);
    let mut learned = Learned::new(seed);
    let bar = Progress::over(&captures, "read");
    stream(
        &mut captures,
        &mut feed,
        Unwatched,
        &mut |captures| bar.show(captures),
        &mut |closed, ()| {
            learned.add(&extractor.rows(&closed.window), closed.wall_end_ns);
            std::ops::ControlFlow::Continue(())
        },
    )
    .map_err(|source| ReplayError::Thread { source })?;
    bar.done();
    let window_ns = settings.window.as_nanos() as u64;
    let model = TrainingJob::new(learned, seed, window_ns, None)
        .run(&mut |_| ())
        .map_err(ReplayError::from)?;
    model::files::save(&model, &train.output)
        .map_err(|cause| Failure::new(exit::FAILED, cause.to_string()))?;
    eprintln!("model {} in {}", model.id, train.output.display());
    Ok(offline::code(&captures.report()))
}
