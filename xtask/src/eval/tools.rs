//! Starts the release binary and the library's part of the evaluation, with fixed seeds and budget. What they say goes to
//! a log; what they find comes back as JSON. Must never read a configuration of this machine.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::shell;

/// False alarms a day that are asked for.
pub(super) const BUDGET: f64 = 10.0;
/// Detectors that learn without labels.
pub(super) const UNSUPERVISED: [&str; 3] = ["autoencoder", "kmeans", "ensemble"];
/// Seed of every training and evaluation.
const SEED: &str = "1";

/// Programs and places of one run.
#[derive(Clone)]
pub(super) struct Tools {
    sensor: PathBuf,
    library: PathBuf,
    scratch: PathBuf,
    /// Networks whose hosts are ours, where they are not the usual private ones.
    local_networks: Option<&'static str>,
}

impl Tools {
    /// Uses `sensor`, and builds the library's part.
    pub(super) fn new(sensor: PathBuf) -> Result<Self> {
        let scratch = shell::target_directory().join("eval");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
        }
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            sensor,
            library: build_library()?,
            scratch,
            local_networks: None,
        })
    }

    /// The same, for a site whose hosts have addresses that do not say that they are local.
    pub(super) fn with_local(&self, networks: &'static str) -> Self {
        Self {
            local_networks: Some(networks),
            ..self.clone()
        }
    }

    /// A file of this run.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Trains on captures; the model's directory is named `name`.
    pub(super) fn train(
        &self,
        detector: &str,
        name: &str,
        inputs: &[&Path],
        labels: Option<&Path>,
    ) -> Result<PathBuf> {
        let model = self.file(&format!("model-{name}-{detector}"));
        let mut command = self.sensor("train");
        command.args(["--detector", detector, "--output"]).arg(&model);
        if let Some(labels) = labels {
            command.arg("--labels").arg(labels);
        }
        self.finish(with_budget(&mut command).args(inputs))?;
        Ok(model)
    }

    /// `sensor evaluate`.
    pub(super) fn evaluate(&self, model: &Path, capture: &Path, labels: &Path) -> Result<Value> {
        let mut command = self.sensor("evaluate");
        command.args(["--json", "-", "--model"]).arg(model);
        command.arg("--labels").arg(labels);
        parse(&self.finish(with_budget(&mut command).arg(capture))?)
    }

    /// Incidents of `sensor replay` as they were when they ended, with a model or after learning for a time.
    pub(super) fn replay(&self, how: &Replay<'_>, capture: &Path) -> Result<Vec<Value>> {
        let mut command = self.sensor("replay");
        match how {
            Replay::Model(model) => command.arg("--model").arg(model),
            Replay::Learn(time, detector) => command.args(["--learn", time]).env("SENSOR_DETECTOR", detector),
        };
        let lines = self.finish(with_budget(&mut command).arg(capture))?;
        let mut incidents: Vec<Value> = Vec::new();
        for line in lines.lines() {
            let alert = parse(line)?;
            let known = incidents.iter_mut().find(|held| held["id"] == alert["id"]);
            match known {
                Some(held) => *held = alert,
                None => incidents.push(alert),
            }
        }
        Ok(incidents)
    }

    /// `sensor simulate`; the names of capture and labels, and how many frames there are.
    pub(super) fn simulate(
        &self,
        name: &str,
        scenario: &str,
        seed: u32,
        more: &[&str],
        base: Option<&Path>,
    ) -> Result<Simulated> {
        let (capture, labels) = (
            self.file(&format!("{name}.pcap")),
            self.file(&format!("{name}.csv")),
        );
        let mut command = self.sensor("simulate");
        command.args([scenario, "--seed", &seed.to_string()]).args(more);
        command.arg("--output").arg(&capture).arg("--labels").arg(&labels);
        if let Some(base) = base {
            command.arg("--base").arg(base);
        }
        let (_, said) = self.both(&mut command)?;
        let frames = said
            .split_once(" frames over ")
            .and_then(|(before, _)| before.rsplit(['\n', '\r']).next())
            .and_then(|count| count.trim().parse().ok());
        Ok(Simulated {
            capture,
            labels,
            frames: frames.context("`sensor simulate` did not say how many frames it made")?,
        })
    }

    /// The scenarios: name, and whether it is benign.
    pub(super) fn scenarios(&self) -> Result<Vec<(String, bool)>> {
        let text = self.finish(self.sensor("simulate").arg("list"))?;
        let named = text.lines().filter(|line| !line.starts_with(' '));
        let scenarios = named.filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()? == "benign"))
        });
        Ok(scenarios.collect())
    }

    /// The library's part.
    pub(super) fn library(&self, arguments: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Value> {
        let mut command = Command::new(&self.library);
        parse(&self.finish(command.args(arguments.into_iter().map(|word| word.as_ref().to_owned())))?)
    }

    fn sensor(&self, action: &str) -> Command {
        let mut command = Command::new(&self.sensor);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("SENSOR_") {
                command.env_remove(name);
            }
        }
        if let Some(networks) = self.local_networks {
            command.env("SENSOR_LOCAL_NETWORKS", networks);
        }
        command.arg(action);
        command
    }

    fn finish(&self, command: &mut Command) -> Result<String> {
        self.both(command).map(|(printed, _)| printed)
    }

    /// Runs to the end; what was printed, and what was said on standard error.
    fn both(&self, command: &mut Command) -> Result<(String, String)> {
        let line = shell::text(command);
        let output = command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start `{line}`"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let log = self.file("log");
        let before = fs::read_to_string(&log).unwrap_or_default();
        fs::write(&log, format!("{before}$ {line}\n{said}"))?;
        ensure!(
            output.status.success(),
            "`{line}` ended with {}:\n{said}",
            output.status
        );
        Ok((String::from_utf8(output.stdout)?, said))
    }
}

/// What a replay detects with.
pub(super) enum Replay<'a> {
    /// A model.
    Model(&'a Path),
    /// What a detector learns from the first part of the capture.
    Learn(&'a str, &'a str),
}

/// A capture made by the simulator.
pub(super) struct Simulated {
    pub(super) capture: PathBuf,
    pub(super) labels: PathBuf,
    pub(super) frames: u64,
}

/// A path as an argument of [`Tools::library`].
pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn with_budget(command: &mut Command) -> &mut Command {
    command.args(["--seed", SEED, "--alarm-budget", &BUDGET.to_string()])
}

fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json).with_context(|| {
        let start: String = json.chars().take(200).collect();
        format!("expected JSON, found `{start}`")
    })
}

/// Builds the benchmark target that holds the library's part and returns its path.
fn build_library() -> Result<PathBuf> {
    let mut cargo = shell::cargo([
        "bench",
        "--package",
        "sensor",
        "--bench",
        "eval",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    eprintln!("$ {}", shell::text(&cargo));
    let output = cargo.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the library's part does not build");
    let messages = String::from_utf8(output.stdout)?;
    for message in messages.lines().filter_map(|line| parse(line).ok()) {
        if message["target"]["name"] == "eval"
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(executable.into());
        }
    }
    bail!("cargo did not say where the benchmark `eval` is")
}

/// Joins labels of captures that are read one after the other: frames are numbered over all of them.
pub(super) fn join_labels(parts: &[&Simulated], to: &Path) -> Result<()> {
    let mut joined = String::from("frame,label\n");
    let mut before = 0;
    for part in parts {
        let text = fs::read_to_string(&part.labels)?;
        for line in text.lines().skip(1) {
            let (frame, label) = line.split_once(',').context("labels without a comma")?;
            let frame: u64 = frame.parse()?;
            // Writing to a String cannot fail.
            let _ = writeln!(joined, "{},{label}", before + frame);
        }
        before += part.frames;
    }
    fs::write(to, joined).with_context(|| format!("cannot write {}", to.display()))
}

/// Gives every interval a label of its own, so that each is an event.
pub(super) fn number_intervals(labels: &Path, to: &Path) -> Result<()> {
    let text = fs::read_to_string(labels)?;
    let numbered = text.lines().enumerate().map(|(index, line)| match index {
        0 => format!("{line}\n"),
        _ => format!("{line}.{index}\n"),
    });
    File::create(to)?;
    fs::write(to, numbered.collect::<String>())?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let directory = env::temp_dir().join(format!("sensor-eval-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn joined_labels_count_frames_over_all_captures() {
        let directory = scratch("join");
        let part = |name: &str, text: &str, frames| {
            let labels = directory.join(name);
            fs::write(&labels, text).unwrap();
            Simulated {
                capture: PathBuf::new(),
                labels,
                frames,
            }
        };
        let (first, second) = (
            part("a", "frame,label\n3,scan\n", 10),
            part("b", "frame,label\n1,flood\n", 5),
        );
        let joined = directory.join("joined");
        join_labels(&[&first, &second], &joined).unwrap();
        let text = fs::read_to_string(&joined).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(text, "frame,label\n3,scan\n11,flood\n");
    }

    #[test]
    fn every_interval_becomes_an_event_of_its_own() {
        let directory = scratch("intervals");
        let (from, to) = (directory.join("from"), directory.join("to"));
        fs::write(&from, "start,end,label\n1,2,scan\n3,4,scan\n").unwrap();
        number_intervals(&from, &to).unwrap();
        let text = fs::read_to_string(&to).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(text, "start,end,label\n1,2,scan.1\n3,4,scan.2\n");
    }
}
