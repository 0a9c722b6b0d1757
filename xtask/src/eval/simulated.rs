//! Simulated traffic: every scenario by itself and all in one capture, harmless surprises, and a forest that learns the
//! scenarios' classes. Training and trial never share a seed.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::labelled::{Set, found_per_label, list};
use super::table::{Report, number, share, summaries};
use super::tools::{Replay, Tools, UNSUPERVISED, join_labels, text};

/// The ordinary traffic that is learned from.
const TRAINING: [&str; 2] = ["--duration", "60m"];
/// Length of a capture with one scenario.
const ONE: [&str; 2] = ["--duration", "20m"];
/// Length of a capture with all scenarios.
const ALL: [&str; 2] = ["--duration", "2h"];

/// Anomaly detectors on every scenario.
pub(super) fn run(tools: &Tools, report: &mut Report) -> Result<()> {
    let scenarios = tools.scenarios()?;
    let train = tools.simulate("ordinary", "ordinary", 1, &TRAINING, None)?;
    let attacks = attacks(&scenarios);
    let mix = tools.simulate("simulated-mix", &attacks, 2, &ALL, None)?;
    let set = Set {
        name: "simulated, all in one",
        train: &train.capture,
        train_labels: None,
        test: &mix.capture,
        labels: &mix.labels,
    };
    let models = set.run(tools, report)?;

    let mut table = String::from(
        "| data | attack | autoencoder | kmeans | ensemble | named by the ensemble |\n|---|---|---|---|---|---|\n",
    );
    let mut surprises = String::from("| surprise | autoencoder | kmeans | ensemble |\n|---|---|---|---|\n");
    let mut told = String::new();
    for (scenario, benign) in &scenarios {
        let made = tools.simulate(&format!("sim-{scenario}"), scenario, 2, &ONE, None)?;
        let mut figures = Vec::new();
        for model in &models {
            figures.push(tools.evaluate(model, &made.capture, &made.labels)?);
        }
        if *benign {
            let counts = figures
                .iter()
                .map(|figures| figures["incidents"]["total"].to_string());
            let counts: Vec<String> = counts.collect();
            let _ = writeln!(surprises, "| {scenario} | {} |", counts.join(" | "));
            for (detector, model) in UNSUPERVISED.iter().zip(&models) {
                let incidents = tools.replay(&Replay::Model(model), &made.capture)?;
                told += &summaries(&format!("{scenario}, {detector}"), &incidents);
            }
        } else {
            let wrong: Vec<String> = figures
                .iter()
                .map(|figures| figures["incidents"]["false"].to_string())
                .collect();
            let data = format!("simulated (false incidents {})", wrong.join(", "));
            found_per_label(&mut table, &data, &figures);
        }
    }
    report.part("Simulated attacks, each in its own capture", &table);
    report.part("Harmless surprises: incidents", &surprises);
    report.aside("Harmless surprises: those incidents", &told);
    Ok(())
}

fn attacks(scenarios: &[(String, bool)]) -> String {
    let attacks = scenarios.iter().filter(|(_, benign)| !benign);
    attacks
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(",")
}

/// A forest: taught with two captures of all scenarios, one of them on a real base, and tried on others of the same
/// classes, one of them on a real base of another day, and on the real attacks of home-mix.
pub(super) fn forest(tools: &Tools, data: Option<(&Path, &Path)>, report: &mut Report) -> Result<()> {
    let attacks = attacks(&tools.scenarios()?);
    let mut lessons = vec![tools.simulate("forest-a", &attacks, 11, &ALL, None)?];
    let mut trials = vec![tools.simulate("forest-c", &attacks, 13, &ALL, None)?];
    if let Some((data, benign)) = data {
        let base = data.join("homemix/train.pcap.gz");
        lessons.push(tools.simulate("forest-b", &attacks, 12, &[], Some(&base))?);
        trials.push(tools.simulate("forest-d", &attacks, 14, &[], Some(benign))?);
    }
    let labels = tools.file("forest.csv");
    join_labels(&lessons.iter().collect::<Vec<_>>(), &labels)?;
    let captures: Vec<&Path> = lessons.iter().map(|made| made.capture.as_path()).collect();
    let model = tools.train("forest", "forest", &captures, Some(&labels))?;
    let mut arguments = vec!["classes", "--model", text(&model)];
    for (name, trial) in ["simulated, other seed", "simulated into homemix/dev"]
        .iter()
        .zip(&trials)
    {
        report.line(name, &tools.evaluate(&model, &trial.capture, &trial.labels)?);
        arguments.extend(["--test", text(&trial.capture), "--labels", text(&trial.labels)]);
    }
    if let Some((data, _)) = data {
        let (dev, labels) = (
            data.join("homemix/dev.pcap.gz"),
            data.join("homemix/dev.labels.csv"),
        );
        report.line(
            "homemix (taught by simulations)",
            &tools.evaluate(&model, &dev, &labels)?,
        );
    }
    let classes = tools.library(arguments)?;
    report.part("Forest: classes of rows", &class_table(&classes));
    Ok(())
}

fn class_table(classes: &Value) -> String {
    let mut text = format!(
        "Macro F1 over attack classes: {}.\n\n| class | rows | precision | recall | F1 |\n|---|---|---|---|---|\n",
        number(classes["macro_f1"].as_f64(), 3)
    );
    for class in list(&classes["classes"]) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            class["class"].as_str().unwrap_or_default(),
            class["rows"],
            share(&class["precision"]),
            share(&class["recall"]),
            share(&class["f1"])
        );
    }
    text += "\nMost confused:\n\n";
    for mixed in list(&classes["confused"]) {
        let word = |key: &str| mixed[key].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "- {} rows of {} taken for {}",
            mixed["rows"],
            word("class"),
            word("taken_for")
        );
    }
    text
}
