//! What the commands over captures share: their flags, how models are loaded, and what is said at the end.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, Loader, exit};
use crate::{
    capture::ReadReport,
    config::Settings,
    model::{self, Model},
    replay::{DEFAULT_SEED, Driven},
};

/// Flags of every command over captures.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Offline {
    /// Configuration file [default: /etc/sensor/sensor.toml if it exists]
    #[arg(short, long, value_name = "FILE", env = "SENSOR_CONFIG")]
    config: Option<PathBuf>,
    /// Length of a window, such as 10s
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// False alarms a day that are accepted
    #[arg(long, value_name = "NUMBER")]
    alarm_budget: Option<String>,
    /// Seed of everything random [default: 1]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl Offline {
    pub(super) fn loader(&self, format: Option<&String>) -> Loader {
        let source = super::Source {
            config: self.config.clone(),
            ..super::Source::default()
        };
        let mut loader = Loader::new(&source, format);
        loader.flag("window", "--window", self.window.as_ref());
        loader.flag(
            "alarm_budget_per_day",
            "--alarm-budget",
            self.alarm_budget.as_ref(),
        );
        loader
    }

    pub(super) fn seed(&self, settings: &Settings) -> u64 {
        self.seed.or(settings.seed).unwrap_or(DEFAULT_SEED)
    }
}

/// A model from a directory.
pub(super) fn load_model(directory: &Path) -> Result<Model, Failure> {
    model::files::load(directory).map_err(|cause| Failure::new(exit::INPUT, cause.to_string()))
}

/// Why labels by frame cannot be used with flow files.
pub(super) fn frames_of_rows() -> Failure {
    Failure::new(
        exit::USAGE,
        "labels by frame say nothing about the rows of a flow file: use labels of the form `start,end,src,dst,src_port,dst_port,proto,label`, or the capture itself",
    )
}

/// Exit code after reading: damage is not silent.
pub(super) fn code(report: &ReadReport) -> u8 {
    if report.is_damaged() { exit::INPUT } else { 0 }
}

/// Says what was read and where every packet went.
pub(super) fn tell_books(driven: &Driven, seconds: f64) {
    for warning in driven.report.warnings() {
        eprintln!("{warning}");
    }
    let books = &driven.books;
    let skipped: u64 = books.skipped.iter().map(|(_, packets)| packets).sum();
    let reasons: Vec<String> = books
        .skipped
        .iter()
        .map(|(reason, packets)| format!("{reason} {packets}"))
        .collect();
    eprintln!(
        "{} packets in {:.0} s of capture: {} in flows, {} beyond the flow table, {skipped} skipped{}{}",
        books.packets,
        books.last_ns.saturating_sub(books.first_ns) as f64 / 1e9,
        books.in_flows,
        books.overflow,
        if reasons.is_empty() { "" } else { ": " },
        reasons.join(", "),
    );
    let [disordered, set_back, skipped] = books.odd_times;
    if disordered + set_back + skipped > 0 {
        eprintln!(
            "times: {disordered} frames out of order, the clock set back {set_back} times, {skipped} pauses of more than a week cut short"
        );
    }
    eprintln!(
        "{} windows, {} flow rows in {seconds:.2} s ({:.0} packets/s)",
        books.windows,
        books.flow_rows,
        books.packets as f64 / seconds.max(1e-9),
    );
}
