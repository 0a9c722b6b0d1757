//! A week of single devices: incidents a day after learning for two days, and a device's model on devices it has never
//! seen. Nothing malicious is known in these captures, so every incident counts as false.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::table::{Report, summaries};
use super::tools::{BUDGET, Replay, Tools, UNSUPERVISED, text};

const DEVICES: [&str; 4] = ["blink-cam-01", "blink-cam-02", "lockly-hub-01", "sifely-hub-01"];
const LEARN: &str = "48h";
const LEARN_S: f64 = 48.0 * 3600.0;
const DAY_S: f64 = 24.0 * 3600.0;

/// Runs it.
pub(super) fn run(tools: &Tools, data: &Path, report: &mut Report) -> Result<()> {
    let capture = |device: &str| data.join(format!("benign-week/{device}.pcap"));
    let mut told = String::new();
    let mut own = String::from(
        "| device | days after learning | autoencoder | kmeans | ensemble | asked |\n|---|---|---|---|---|---|\n",
    );
    let mut first_days = Vec::new();
    for device in DEVICES {
        let learned = tools.file(&format!("{device}-48h.pcap"));
        let seconds = |cut: &serde_json::Value| {
            let time = |key: &str| cut[key].as_f64().context("a capture without times");
            Ok::<f64, anyhow::Error>(time("last_s")? - time("first_s")?)
        };
        let whole = tools.library([
            "cut",
            text(&capture(device)),
            "--output",
            text(&tools.file("whole.pcap")),
        ])?;
        tools.library([
            "cut",
            text(&capture(device)),
            "--to",
            &LEARN_S.to_string(),
            "--output",
            text(&learned),
        ])?;
        let days = (seconds(&whole)? - LEARN_S) / DAY_S;
        let _ = write!(own, "| {device} | {days:.1} |");
        for detector in UNSUPERVISED {
            let incidents = tools.replay(&Replay::Learn(LEARN, detector), &capture(device))?;
            let count = incidents.len();
            let _ = write!(own, " {count}: {:.2} a day |", count as f64 / days);
            told += &summaries(&format!("{device}, {detector}"), &incidents);
        }
        let _ = writeln!(own, " {BUDGET} a day |");
        // A camera that hardly sends in two days is learned for as long as it takes, as `replay` does.
        let model = match tools.train("ensemble", device, &[&learned], None) {
            Ok(model) => (model, "two days"),
            Err(_) => (
                tools.train("ensemble", device, &[&capture(device)], None)?,
                "the whole week",
            ),
        };
        first_days.push((device, model));
    }
    report.part("benign-week: incidents after learning two days", &own);
    report.aside("benign-week: those incidents", &told);

    let mut other = format!("| model of | {} |\n|---|---|---|---|---|\n", DEVICES.join(" | "));
    for (device, (model, learned)) in &first_days {
        let _ = write!(other, "| {device}, {learned} |");
        for stranger in DEVICES {
            if stranger == *device {
                other += " – |";
                continue;
            }
            let incidents = tools.replay(&Replay::Model(model), &capture(stranger))?;
            let _ = write!(other, " {} |", incidents.len());
        }
        other.push('\n');
    }
    report.part(
        "benign-week: incidents in the whole week of a device that the model has never seen (ensemble)",
        &other,
    );
    Ok(())
}
