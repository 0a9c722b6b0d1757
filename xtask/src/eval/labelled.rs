//! The labelled captures of the collection: home-mix, its slow versions, westermo, modbus. Must never train on a row
//! that is judged.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::leaks;
use super::table::{Report, number, summaries};
use super::tools::{Replay, Tools, UNSUPERVISED, number_intervals, text};

/// Attacks of home-mix that have slow versions.
const SLOW: &str = "nmap_syn,nmap_xmas,ssh_bruteforce,masscan_tcp";
/// Scenarios mixed slowly into home-mix.
const SLOW_SCENARIOS: [&str; 5] = [
    "vertical-scan",
    "horizontal-scan",
    "ssh-brute-force",
    "ftp-brute-force",
    "rdp-brute-force",
];
const FACTORS: [u32; 3] = [10, 100, 600];
/// Half of the westermo capture, 2,730 s long.
const WESTERMO_HALF_S: &str = "1365";
/// Its hosts have addresses set aside for benchmarks, which nothing marks as local; whoever runs a sensor there says so.
const WESTERMO_NETWORKS: &str = "198.18.0.0/15";

/// What is learned from, and what it is tried on.
pub(super) struct Set<'a> {
    /// Name of the data.
    pub(super) name: &'a str,
    /// Benign, or with labels.
    pub(super) train: &'a Path,
    /// Labels of the training capture.
    pub(super) train_labels: Option<&'a Path>,
    /// Judged on.
    pub(super) test: &'a Path,
    /// Its labels.
    pub(super) labels: &'a Path,
}

impl Set<'_> {
    /// Trains, evaluates, adds baselines and leaks; the models in the order of [`UNSUPERVISED`].
    pub(super) fn run(&self, tools: &Tools, report: &mut Report) -> Result<Vec<PathBuf>> {
        let mut models = Vec::new();
        let mut fpr = 0.0;
        for detector in UNSUPERVISED {
            let model = tools.train(detector, self.name, &[self.train], self.train_labels)?;
            let figures = tools.evaluate(&model, self.test, self.labels)?;
            report.line(self.name, &figures);
            fpr = figures["fpr"].as_f64().unwrap_or(0.0);
            models.push(model);
        }
        for figures in list(&tools.library(self.library("baselines").chain(["--fpr", &fpr.to_string()]))?) {
            report.line(self.name, figures);
        }
        let found = tools.library(self.library("leaks"))?;
        leaks::add(self.name, &found, report);
        Ok(models)
    }

    fn library<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a str> {
        let paths = [
            action,
            "--train",
            text(self.train),
            "--test",
            text(self.test),
            "--labels",
            text(self.labels),
        ];
        let labels = self.train_labels.map(|labels| ["--train-labels", text(labels)]);
        paths.into_iter().chain(labels.into_iter().flatten())
    }
}

/// The elements of an array.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Home-mix: trained on one day, tried on another; and slow attacks. Returns the benign frames of the other day.
pub(super) fn homemix(tools: &Tools, data: &Path, report: &mut Report) -> Result<PathBuf> {
    let (train, dev) = (
        data.join("homemix/train.pcap.gz"),
        data.join("homemix/dev.pcap.gz"),
    );
    let labels = data.join("homemix/dev.labels.csv");
    let set = Set {
        name: "homemix",
        train: &train,
        train_labels: None,
        test: &dev,
        labels: &labels,
    };
    let models = set.run(tools, report)?;
    let benign = tools.file("homemix-benign.pcap");
    tools.library([
        "cut",
        text(&dev),
        "--without",
        text(&labels),
        "--output",
        text(&benign),
    ])?;
    let mut told = String::new();
    for (detector, model) in UNSUPERVISED.iter().zip(&models) {
        let incidents = tools.replay(&Replay::Model(model), &benign)?;
        told += &summaries(detector, &incidents);
    }
    report.aside("False incidents on the benign frames of homemix/dev", &told);

    let mut table = String::from(
        "| data | attack | autoencoder | kmeans | ensemble | named by the ensemble |\n|---|---|---|---|---|---|\n",
    );
    for factor in FACTORS {
        let (slow, slow_labels) = (
            tools.file(&format!("slow-{factor}.pcap")),
            tools.file(&format!("slow-{factor}.csv")),
        );
        let factor_text = factor.to_string();
        tools.library([
            "stretch",
            text(&dev),
            "--labels",
            text(&labels),
            "--keep",
            SLOW,
            "--factor",
            &factor_text,
            "--output",
            text(&slow),
            "--output-labels",
            text(&slow_labels),
        ])?;
        let name = format!("homemix, attacks ×{factor}");
        let mut figures = Vec::new();
        for model in &models {
            figures.push(tools.evaluate(model, &slow, &slow_labels)?);
            report.line(&name, figures.last().unwrap_or(&Value::Null));
        }
        found_per_label(&mut table, &name, &figures);
        for scenario in SLOW_SCENARIOS {
            let made = tools.simulate(
                &format!("slow-{scenario}-{factor}"),
                scenario,
                2,
                &["--start", "10m", "--stretch", &factor_text],
                Some(&benign),
            )?;
            let mut figures = Vec::new();
            for model in &models {
                figures.push(tools.evaluate(model, &made.capture, &made.labels)?);
            }
            found_per_label(
                &mut table,
                &format!("simulated into homemix, ×{factor}"),
                &figures,
            );
        }
    }
    report.part("Slow attacks", &table);
    Ok(benign)
}

/// A line per label: which detector found how many of its events.
pub(super) fn found_per_label(table: &mut String, data: &str, figures: &[Value]) {
    let Some(last) = figures.last() else { return };
    for (index, label) in list(&last["labels"]).iter().enumerate() {
        let _ = write!(
            table,
            "| {data} | {} |",
            label["label"].as_str().unwrap_or_default()
        );
        for figures in figures {
            let label = &figures["labels"][index];
            let delay = figures["events"]["median_delay_s"].as_f64();
            let one = list(&figures["labels"]).len() == 1;
            let _ = match (label["detected"].as_u64(), label["events"].as_u64()) {
                (_, None | Some(0)) => write!(table, " no rows |"),
                (None | Some(0), _) => write!(table, " **missed** |"),
                (Some(1), Some(1)) if one => write!(table, " {} s |", number(delay, 0)),
                (Some(found), Some(events)) => write!(table, " {found}/{events} |"),
            };
        }
        let names = label["named_as"].as_object().into_iter().flatten();
        let names: Vec<String> = names.map(|(name, count)| format!("{name} {count}")).collect();
        let _ = writeln!(table, " {} |", names.join(", "));
    }
}

/// Westermo: learned on the first half without its bad events, tried on the second.
pub(super) fn westermo(tools: &Tools, data: &Path, report: &mut Report) -> Result<()> {
    let tools = &tools.with_local(WESTERMO_NETWORKS);
    let all = data.join("westermo/right_part1.pcap");
    let labels = data.join("westermo/right_part1.labels.csv");
    let (train, test) = (
        tools.file("westermo-train.pcap"),
        tools.file("westermo-test.pcap"),
    );
    tools.library([
        "cut",
        text(&all),
        "--to",
        WESTERMO_HALF_S,
        "--output",
        text(&train),
    ])?;
    tools.library([
        "cut",
        text(&all),
        "--from",
        WESTERMO_HALF_S,
        "--output",
        text(&test),
    ])?;
    let set = Set {
        name: "westermo",
        train: &train,
        train_labels: Some(&labels),
        test: &test,
        labels: &labels,
    };
    let models = set.run(tools, report)?;
    let (bad, good) = (tools.file("westermo-bad.csv"), tools.file("westermo-good.csv"));
    number_intervals(&labels, &bad)?;
    number_intervals(&data.join("westermo/right_part1.good-events.csv"), &good)?;
    let mut table =
        String::from("| label | events | autoencoder | kmeans | ensemble |\n|---|---|---|---|---|\n");
    let mut kinds: Vec<(String, u64, [u64; 3])> = Vec::new();
    for (place, model) in models.iter().enumerate() {
        for labels in [&bad, &good] {
            let figures = tools.evaluate(model, &test, labels)?;
            for label in list(&figures["labels"]) {
                let name = label["label"].as_str().unwrap_or_default();
                let kind = name.rsplit_once('.').map_or(name, |(kind, _)| kind);
                let at = kinds.iter().position(|held| held.0 == kind).unwrap_or_else(|| {
                    kinds.push((kind.to_owned(), 0, [0; 3]));
                    kinds.len() - 1
                });
                if let Some((_, events, found)) = kinds.get_mut(at) {
                    *events += if place == 0 {
                        label["events"].as_u64().unwrap_or(0)
                    } else {
                        0
                    };
                    if let Some(found) = found.get_mut(place) {
                        *found += label["detected"].as_u64().unwrap_or(0);
                    }
                }
            }
        }
    }
    for (kind, events, [first, second, third]) in kinds {
        let _ = writeln!(table, "| {kind} | {events} | {first} | {second} | {third} |");
    }
    report.part(
        "Westermo: events found in the second half (GOOD-SSH should be 0)",
        &table,
    );
    let mut told = String::new();
    for (detector, model) in UNSUPERVISED.iter().zip(&models) {
        told += &summaries(detector, &tools.replay(&Replay::Model(model), &test)?);
    }
    report.aside("Westermo: all incidents in the second half", &told);
    Ok(())
}

/// Modbus: each capture's benign rows teach, the other is tried on.
pub(super) fn modbus(tools: &Tools, data: &Path, report: &mut Report) -> [(&'static str, Result<()>); 2] {
    let capture = |name: &str| data.join(format!("modbus/{name}.pcap"));
    let labels = |name: &str| data.join(format!("modbus/{name}.labels.csv"));
    let (files, operate) = (
        "moving_two_files_modbus_6RTU",
        "characterization_modbus_6RTU_with_operate",
    );
    [
        ("modbus files→operate", files, operate),
        ("modbus operate→files", operate, files),
    ]
    .map(|(name, train, test)| {
        let set = Set {
            name,
            train: &capture(train),
            train_labels: Some(&labels(train)),
            test: &capture(test),
            labels: &labels(test),
        };
        (name, set.run(tools, report).map(|_| ()))
    })
}
