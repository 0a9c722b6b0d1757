//! `sensor train`: a model from recorded traffic.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    Failure, exit,
    offline::{self, Offline},
    progress::Progress,
};
use crate::{
    detect::scorer::DetectorKind,
    engine::TrainingJob,
    labels::Labels,
    model,
    replay::{
        ReplayError,
        lessons::{Lessons, learn, learn_stored},
        scan::{Rereadable, scan},
        stored::InputKind,
    },
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor train monday.pcap tuesday.pcap -o model
  sensor flows monday.pcap -o monday.parquet && sensor train monday.parquet -o model    the same model, later
  sensor train --detector forest --labels labels.csv attacks.pcap -o forest
  sensor evaluate --model model --labels labels.csv attack-day.pcap
  sensor run --model model

With --labels, malicious rows are left out of what autoencoder and k-means learn as normal, and a forest learns their
classes. Labels are CSV: `frame,label` or `start,end,src,dst,src_port,dst_port,proto,label`;
flow files have no frames and take the second form.";

/// Values of `--detector`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// Reconstruction error of a neural network
    Autoencoder,
    /// Distance to the nearest cluster
    Kmeans,
    /// Decision trees; needs --labels
    Forest,
    /// All that the data allow
    Ensemble,
}

impl From<Which> for DetectorKind {
    fn from(which: Which) -> Self {
        match which {
            Which::Autoencoder => Self::Autoencoder,
            Which::Kmeans => Self::Kmeans,
            Which::Forest => Self::Forest,
            Which::Ensemble => Self::Ensemble,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(super) struct Train {
    /// Captures of ordinary traffic, or flow files made of them (.parquet, .csv, .jsonl), read in order of time
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Directory of the new model
    #[arg(short, long, value_name = "MODEL_DIR")]
    output: PathBuf,
    /// What to learn
    #[arg(long, value_enum, value_name = "DETECTOR", default_value = "ensemble")]
    detector: Which,
    /// Which packets are malicious
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    offline: Offline,
}

pub(super) fn run(train: &Train, format: Option<&String>) -> Result<u8, Failure> {
    let settings = train.offline.loader(format).load()?;
    let labels = train.labels.as_deref().map(Labels::open).transpose()?;
    let lessons = Lessons {
        labels: labels.as_ref(),
        before: &[],
        settings: &settings,
        seed: train.offline.seed(&settings),
        detector: train.detector.into(),
    };
    let (job, code) = match InputKind::of(&train.inputs)? {
        InputKind::Captures => from_captures(train, &lessons)?,
        InputKind::FlowFiles => (from_flow_files(train, &lessons)?, 0),
    };
    let [flows, hosts] = job.rows();
    eprintln!("learning from {flows} flow rows and {hosts} host rows");
    let bar = Progress::share("train");
    let model = job
        .run(&mut |share| bar.show_share(share))
        .map_err(ReplayError::from)?;
    bar.done();
    model::files::save(&model, &train.output)
        .map_err(|cause| Failure::new(exit::FAILED, cause.to_string()))?;
    eprintln!("model {} in {}", model.id, train.output.display());
    Ok(code)
}

fn from_captures(train: &Train, lessons: &Lessons<'_>) -> Result<(TrainingJob, u8), Failure> {
    let rereadable = Rereadable::of(&train.inputs)?;
    let before = match lessons.labels {
        Some(labels) if labels.by_frame() && train.inputs.len() > 1 => scan(&rereadable)?.before,
        _ => Vec::new(),
    };
    let captures = rereadable.open()?;
    let bar = Progress::over(&captures, "read");
    let lessons = Lessons {
        before: &before,
        ..*lessons
    };
    let (job, report) = learn(captures, &lessons, &mut |captures| bar.show(captures))?;
    bar.done();
    for warning in report.warnings() {
        eprintln!("{warning}");
    }
    Ok((job, offline::code(&report)))
}

fn from_flow_files(train: &Train, lessons: &Lessons<'_>) -> Result<TrainingJob, Failure> {
    if lessons.labels.is_some_and(Labels::by_frame) {
        return Err(offline::frames_of_rows());
    }
    let bar = Progress::rows("read");
    let job = learn_stored(&train.inputs, lessons, &mut |rows| bar.show_rows(rows))?;
    bar.done();
    Ok(job)
}
