//! What `cargo xtask eval` needs from the library beside the release binary: baselines that learn nothing, leaks of the
//! recording, classes of a forest row by row, and captures cut or stretched. Prints one JSON object. It must never
//! choose a threshold on the rows it reports on.

#![allow(clippy::print_stdout, reason = "a program")]

mod baselines;
mod captures;
mod classes;
mod rows;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "eval",
    about = "The part of `cargo xtask eval` that needs the library"
)]
struct Cli {
    /// Cargo says so to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Largest z-score, and packets per second per destination, on the rows of labelled captures.
    Baselines {
        #[command(flatten)]
        lessons: Lessons,
        #[command(flatten)]
        trial: Trial,
        /// Also count the events found where this share of benign rows is over the threshold.
        #[arg(long, default_value_t = 1e-3)]
        fpr: f64,
    },
    /// Features that alone separate malicious from benign rows.
    Leaks {
        #[command(flatten)]
        lessons: Lessons,
        #[command(flatten)]
        trial: Trial,
        /// Area under the ROC curve from which a feature is listed.
        #[arg(long, default_value_t = 0.999)]
        least: f64,
    },
    /// Precision, recall and F1 of each class of a forest on labelled captures.
    Classes {
        /// Directory of the forest's model.
        #[arg(long)]
        model: PathBuf,
        #[command(flatten)]
        trial: Trial,
    },
    /// A part of a capture, without labelled frames.
    Cut(captures::Cut),
    /// A capture whose attacks take longer: their conversations begin further apart, each unchanged.
    Stretch(captures::Stretch),
}

/// What baselines learn from.
#[derive(Clone, Debug, Args)]
struct Lessons {
    /// Captures.
    #[arg(long, required = true)]
    train: Vec<PathBuf>,
    /// Their labels; malicious rows are left out.
    #[arg(long)]
    train_labels: Option<PathBuf>,
}

/// Labelled captures to judge on: as many labels as captures.
#[derive(Clone, Debug, Args)]
struct Trial {
    /// Captures, each by itself.
    #[arg(long, required = true)]
    test: Vec<PathBuf>,
    /// The labels of each.
    #[arg(long, required = true)]
    labels: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let answer = match Cli::parse().action {
        None => {
            println!("eval: run by `cargo xtask eval`; `-- --help` shows what it can do");
            return Ok(());
        }
        Some(Action::Baselines { lessons, trial, fpr }) => {
            baselines::figures(&rows::lessons(&lessons)?, &rows::trial(&trial)?, fpr)
        }
        Some(Action::Leaks {
            lessons,
            trial,
            least,
        }) => baselines::leaks(&rows::lessons(&lessons)?, &rows::trial(&trial)?, least),
        Some(Action::Classes { model, trial }) => classes::figures(&model, &trial)?,
        Some(Action::Cut(cut)) => cut.run()?,
        Some(Action::Stretch(stretch)) => stretch.run()?,
    };
    println!("{answer}");
    Ok(())
}
