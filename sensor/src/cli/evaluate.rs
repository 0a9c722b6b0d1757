//! `sensor evaluate`: how good a model is on labelled captures, at its own threshold.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{
    Failure, exit,
    offline::{self, Offline},
    print,
    progress::Progress,
};
use crate::{
    capture::Captures,
    evaluate::run::Evaluation,
    labels::Labels,
    replay::{
        ReplayError,
        outputs::Output,
        scan::{Rereadable, scan},
    },
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor evaluate --model model --labels labels.csv capture.pcap
  sensor evaluate --model model --labels labels.csv --json - capture.pcap | jq .macro
  sensor evaluate --model model --labels labels.csv --min-f1 0.9 capture.pcap   exit code 5 below it

Labels are CSV: `frame,label` (1-based over all captures in order) or
`start,end,src,dst,src_port,dst_port,proto,label` (times in epoch seconds or RFC 3339, empty = any).";

#[derive(Args, Clone, Debug)]
pub(super) struct Evaluate {
    /// Labelled captures
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The model
    #[arg(long, value_name = "DIR", required = true)]
    model: PathBuf,
    /// Which packets are malicious
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Where all figures are written as one JSON object; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    offline: Offline,
}

pub(super) fn run(evaluate: &Evaluate, format: Option<&String>) -> Result<u8, Failure> {
    let settings = evaluate.offline.loader(format).load()?;
    let seed = evaluate.offline.seed(&settings);
    let labels = Labels::open(&evaluate.labels)?;
    let model = Arc::new(offline::load_model(&evaluate.model)?);
    let rereadable = Rereadable::of(&evaluate.inputs)?;
    let before = if labels.by_frame() && evaluate.inputs.len() > 1 {
        scan(rereadable.paths())?.before
    } else {
        Vec::new()
    };
    let evaluation = Evaluation {
        captures: rereadable.paths(),
        before: &before,
        labels: &labels,
        settings: &settings,
        seed,
    };
    let bar = Progress::over(
        &Captures::open(rereadable.paths()).map_err(ReplayError::from)?,
        "evaluate",
    );
    let (figures, driven) = evaluation.run(model, &mut |captures| bar.show(captures))?;
    bar.done();
    let json =
        serde_json::to_string(&figures).map_err(|cause| Failure::new(exit::FAILED, cause.to_string()))?;
    match &evaluate.json {
        Some(path) => {
            let mut output = Output::create(path)?;
            output.write(&json)?;
            output.write("\n")?;
            output.finish()?;
        }
        None => print(&format!("{json}\n"))?,
    }
    offline::tell_books(&driven, 1.0);
    Ok(offline::code(&driven.report))
}
