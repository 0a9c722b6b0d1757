//! `sensor evaluate`: how good models are on labelled traffic, each at its own threshold. Figures go to standard output,
//! as a table or as JSON; talk goes to standard error.

mod bars;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::{
    Failure, exit,
    offline::{self, Offline},
    print,
    progress::Progress,
};
use crate::{
    evaluate::{
        report,
        run::{Evaluated, Evaluation},
        summary,
        tally::Figures,
    },
    labels::Labels,
    model::Model,
    replay::{
        outputs::Output,
        scan::{Rereadable, scan},
        stored::InputKind,
    },
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor evaluate --model model --labels labels.csv capture.pcap
  sensor evaluate --model model --labels labels.csv --report report.html capture.pcap
  sensor evaluate --model old --model new --labels labels.csv capture.pcap   both side by side
  sensor evaluate --model model --labels labels.csv --json - capture.pcap | jq .macro
  sensor evaluate --model model --labels labels.csv --min-f1 0.9 capture.pcap   exit code 5 below it

Labels are CSV: `frame,label` (1-based over all captures in order) or
`start,end,src,dst,src_port,dst_port,proto,label` (times in epoch seconds or RFC 3339, empty = any).
Flow files have no frames and take the second form.";

#[derive(Args, Clone, Debug)]
pub(super) struct Evaluate {
    /// Labelled captures, or flow files made of them (.parquet, .csv, .jsonl)
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The model; may be repeated to compare several
    #[arg(long = "model", value_name = "DIR", required = true)]
    models: Vec<PathBuf>,
    /// Which packets are malicious
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Where all figures are written, one JSON object per model and line; - is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where a report with curves, timeline and tables is written, one HTML file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    offline: Offline,
    #[command(flatten)]
    bars: bars::Bars,
}

pub(super) fn run(evaluate: &Evaluate, format: Option<&String>) -> Result<u8, Failure> {
    let settings = evaluate.offline.loader(format).load()?;
    let labels = Labels::open(&evaluate.labels)?;
    let models: Vec<Arc<Model>> = evaluate
        .models
        .iter()
        .map(|directory| offline::load_model(directory).map(Arc::new))
        .collect::<Result<_, _>>()?;
    let kind = InputKind::of(&evaluate.inputs)?;
    if kind == InputKind::FlowFiles && labels.by_frame() {
        return Err(offline::frames_of_rows());
    }
    // Opened before the work, so that a typing error does not cost an hour.
    let mut json = evaluate.json.as_deref().map(Output::create).transpose()?;
    let mut report = evaluate.report.as_deref().map(Output::create).transpose()?;
    let evaluation = Evaluation {
        inputs: &evaluate.inputs,
        before: &[],
        labels: &labels,
        settings: &settings,
        seed: evaluate.offline.seed(&settings),
    };
    let (evaluated, code) = match kind {
        InputKind::Captures => on_captures(&evaluation, &models)?,
        InputKind::FlowFiles => (on_flow_files(&evaluation, &models)?, 0),
    };
    if let Some(output) = &mut json {
        for model in &evaluated {
            let line = serde_json::to_string(&model.figures)
                .map_err(|cause| Failure::new(exit::FAILED, cause.to_string()))?;
            output.write(&line)?;
            output.write("\n")?;
        }
    }
    if let Some(output) = json {
        output.finish()?;
    }
    if let Some(output) = &mut report {
        let inputs: Vec<String> = evaluate.inputs.iter().map(|path| name(path)).collect();
        output.write(&report::html(&evaluated, &inputs, &name(&evaluate.labels)))?;
    }
    if let Some(output) = report {
        output.finish()?;
    }
    let figures: Vec<&Figures> = evaluated.iter().map(|model| &model.figures).collect();
    tell(evaluate, &figures)?;
    let missed = tell_missed(&evaluate.bars, &figures);
    Ok(if code == 0 && missed { exit::BAR } else { code })
}

fn on_captures(evaluation: &Evaluation<'_>, models: &[Arc<Model>]) -> Result<(Vec<Evaluated>, u8), Failure> {
    let rereadable = Rereadable::of(evaluation.inputs)?;
    let before = if evaluation.labels.by_frame() && evaluation.inputs.len() > 1 {
        scan(&rereadable)?.before
    } else {
        Vec::new()
    };
    let evaluation = Evaluation {
        before: &before,
        ..*evaluation
    };
    let mut all = Vec::new();
    let mut code = 0;
    for (index, model) in models.iter().enumerate() {
        let captures = rereadable.open()?;
        let bar = Progress::over(&captures, "evaluate");
        let (evaluated, driven) =
            evaluation.captures(captures, Arc::clone(model), &mut |captures| bar.show(captures))?;
        bar.done();
        if index == 0 {
            let packets_per_second = evaluated.figures.speed.packets_per_second.max(1e-9);
            offline::tell_books(&driven, driven.books.packets as f64 / packets_per_second);
            code = offline::code(&driven.report);
        }
        all.push(evaluated);
    }
    Ok((all, code))
}

fn on_flow_files(evaluation: &Evaluation<'_>, models: &[Arc<Model>]) -> Result<Vec<Evaluated>, Failure> {
    let mut all = Vec::new();
    for model in models {
        let bar = Progress::rows("evaluate");
        all.push(evaluation.flow_files(Arc::clone(model), &mut |rows| bar.show_rows(rows))?);
        bar.done();
    }
    Ok(all)
}

/// The table: the result where no JSON is asked for or it goes to a file, talk where JSON has standard output.
fn tell(evaluate: &Evaluate, figures: &[&Figures]) -> Result<(), Failure> {
    let json_on_stdout = evaluate.json.as_deref() == Some(Path::new("-"));
    let report_on_stdout = evaluate.report.as_deref() == Some(Path::new("-"));
    if !json_on_stdout && !report_on_stdout {
        return print(&summary::text(figures));
    }
    if figures.len() > 1 {
        eprint!("{}", summary::text(figures));
    }
    Ok(())
}

/// Says which bars were missed; whether any was.
fn tell_missed(bars: &bars::Bars, figures: &[&Figures]) -> bool {
    let mut any = false;
    for figures in figures {
        for missed in bars.missed(figures) {
            any = true;
            eprintln!("bar missed by {}: {missed}", summary::model_name(figures));
        }
    }
    any
}

/// The last part of a path: a report that is passed on should not tell where its files were.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
