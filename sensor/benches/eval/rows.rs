//! Rows of captures with their labels, made by the same stages as `sensor train` and `sensor evaluate` use. It must
//! never make rows of its own.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use sensor::{
    capture::Captures,
    evaluate::labeller::Labeller,
    features::{Extractor, ExtractorSettings, FlowColumn, Rows},
    labels::Labels,
    replay::{Feed, FeedSettings, stream},
    window::WindowSettings,
};

use crate::{Lessons, Trial};

/// Length of a window, the default of the sensor.
pub(crate) const WINDOW_NS: u64 = 10_000_000_000;
/// Seed of the hashes, that of the sensor's offline commands.
const SEED: u64 = 1;

/// One row of a labelled capture.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Raw values.
    pub(crate) values: Vec<f32>,
    /// Name of its label, an index into [`Set::names`]; `None` is benign.
    pub(crate) label: Option<u16>,
    /// Which capture it is of.
    pub(crate) capture: usize,
    /// End of its window, Unix nanoseconds.
    pub(crate) at_ns: u64,
    /// Who opened the flow.
    pub(crate) initiator: [u8; 16],
    /// Packets per second to the flow's responder, all flows together.
    pub(crate) destination_rate: f32,
}

/// Rows of captures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    /// Flow rows in order of time, capture by capture.
    pub(crate) rows: Vec<Row>,
    /// Names of the labels.
    pub(crate) names: Vec<String>,
    /// Length of all captures together.
    pub(crate) seconds: f64,
}

/// Rows to learn from: benign ones only.
pub(crate) fn lessons(lessons: &Lessons) -> Result<Set> {
    let mut set = Set::default();
    let labels = match &lessons.train_labels {
        Some(path) => Labels::open(path)?,
        None => Labels::none(),
    };
    read(&lessons.train, &labels, &mut set)?;
    set.rows.retain(|row| row.label.is_none());
    Ok(set)
}

/// Rows to judge.
pub(crate) fn trial(trial: &Trial) -> Result<Set> {
    ensure!(
        trial.test.len() == trial.labels.len(),
        "as many --labels as --test are needed"
    );
    let mut set = Set::default();
    for (capture, labels) in trial.test.iter().zip(&trial.labels) {
        read(std::slice::from_ref(capture), &Labels::open(labels)?, &mut set)?;
    }
    Ok(set)
}

/// Adds the rows of captures that share a time line.
fn read(paths: &[PathBuf], labels: &Labels, set: &mut Set) -> Result<()> {
    let names: Vec<u16> = labels
        .names()
        .iter()
        .map(|name| number(&mut set.names, name))
        .collect();
    let capture = set.rows.last().map_or(0, |row| row.capture + 1);
    let mut span: Option<(i64, i64)> = None;
    windows(paths, labels, &mut |rows, window, at_ns| {
        let rates = destination_rates(rows);
        for (index, key) in rows.keys.iter().enumerate() {
            let label = window
                .get(&(key.flow.addr, key.flow.port, key.flow.proto))
                .and_then(|label| names.get(usize::from(*label)).copied());
            set.rows.push(Row {
                values: rows.row(index).to_vec(),
                label,
                capture,
                at_ns: u64::try_from(at_ns).unwrap_or(0),
                initiator: key.initiator,
                destination_rate: rates.get(&key.responder).copied().unwrap_or(0.0),
            });
        }
        let (first, _) = *span.get_or_insert((at_ns, at_ns));
        span = Some((first, at_ns));
    })?;
    set.seconds += span.map_or(0.0, |(first, last)| {
        (last - first + WINDOW_NS as i64) as f64 / 1e9
    });
    Ok(())
}

/// What names a flow in a window.
type FlowName = ([[u8; 16]; 2], [u16; 2], u8);

/// Gets the flow rows of a window, the labels of its flows, and the window's end.
type Each<'a> = &'a mut dyn FnMut(&Rows, &BTreeMap<FlowName, u16>, i64);

/// Calls `each` with the flow rows of every window, the labels of its flows, and the window's end.
pub(crate) fn windows(paths: &[PathBuf], labels: &Labels, each: Each<'_>) -> Result<()> {
    let mut captures = Captures::open(paths)?;
    let mut feed = Feed::new(&FeedSettings {
        window_ns: WINDOW_NS,
        window: WindowSettings {
            max_flows: 131_072,
            idle_timeout_ns: 60_000_000_000,
            active_timeout_ns: 1_800_000_000_000,
        },
        seed: SEED,
    });
    let settings = ExtractorSettings {
        max_hosts: 16_384,
        window_ns: WINDOW_NS,
        local_networks: Vec::new(),
    };
    let mut extractor = Extractor::new(&settings, SEED);
    let before = vec![0; paths.len()];
    stream(
        &mut captures,
        &mut feed,
        Labeller::new(labels, &before),
        &mut |_| (),
        &mut |closed, note| {
            let rows = extractor.rows(&closed.window);
            let labels = note
                .flows
                .iter()
                .map(|(key, label)| ((key.addr, key.port, key.proto), *label))
                .collect();
            each(&rows.flow, &labels, closed.wall_end_ns);
            ControlFlow::Continue(())
        },
    )?;
    Ok(())
}

/// The labels of a file.
pub(crate) fn labels(path: &Path) -> Result<Labels> {
    Ok(Labels::open(path)?)
}

/// Packets per second that each address was sent in a window.
fn destination_rates(rows: &Rows) -> BTreeMap<[u8; 16], f32> {
    let mut rates: BTreeMap<[u8; 16], f32> = BTreeMap::new();
    let window_s = WINDOW_NS as f32 / 1e9;
    for (index, key) in rows.keys.iter().enumerate() {
        let row = rows.row(index);
        let packets = |column: FlowColumn| row.get(column as usize).copied().unwrap_or(0.0);
        *rates.entry(key.responder).or_default() += packets(FlowColumn::PacketsOut) / window_s;
        *rates.entry(key.initiator).or_default() += packets(FlowColumn::PacketsIn) / window_s;
    }
    rates
}

/// The number of a name, which is added if it is new.
fn number(names: &mut Vec<String>, name: &str) -> u16 {
    let place = names.iter().position(|held| held == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    });
    place as u16
}
