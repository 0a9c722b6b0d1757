//! Captures made from captures: cut by time, without their attacks, or with slower ones. It must never change a frame's
//! bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sensor::{
    capture::{Captures, FrameSource as _},
    labels::Labels,
    simulate::PcapWriter,
};
use sensor_common::parse::{Frame, Start, parse};
use serde_json::{Value, json};

/// Which part of a capture to keep.
#[derive(Clone, Debug, Args)]
pub(crate) struct Cut {
    input: PathBuf,
    #[arg(short, long)]
    output: PathBuf,
    /// Leave the frames out that these labels name.
    #[arg(long)]
    without: Option<PathBuf>,
    /// Seconds from the first frame.
    #[arg(long, default_value_t = 0.0)]
    from: f64,
    /// Seconds from the first frame.
    #[arg(long, default_value_t = f64::INFINITY)]
    to: f64,
}

/// How to slow attacks down.
#[derive(Clone, Debug, Args)]
pub(crate) struct Stretch {
    input: PathBuf,
    #[arg(long)]
    labels: PathBuf,
    /// The attacks to keep; all others are left out.
    #[arg(long, required = true, value_delimiter = ',')]
    keep: Vec<String>,
    /// How many times further apart conversations begin.
    #[arg(long)]
    factor: f64,
    #[arg(short, long)]
    output: PathBuf,
    /// Labels of the new capture.
    #[arg(long)]
    output_labels: PathBuf,
}

/// A frame, kept.
struct Kept {
    time_ns: u64,
    wire_len: u32,
    data: Vec<u8>,
    label: Option<u16>,
    /// What it is a part of: a flow, or itself.
    conversation: Option<([[u8; 16]; 2], [u16; 2], u8)>,
}

fn read(path: &Path, labels: &Labels) -> Result<Vec<Kept>> {
    let mut captures = Captures::open(&[path.to_owned()])?;
    let mut kept = Vec::new();
    while let Some(frame) = captures.next_frame() {
        ensure!(
            frame.start == Start::Ethernet,
            "{}: frame {} is no Ethernet frame",
            path.display(),
            frame.number
        );
        let parsed = parse(frame.data, &Frame::ethernet(frame.wire_len)).ok();
        kept.push(Kept {
            time_ns: frame.time_ns,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
            label: labels.of(frame.number, frame.time_ns, parsed.as_ref()),
            conversation: parsed.map(|parsed| (parsed.key.addr, parsed.key.port, parsed.key.proto)),
        });
    }
    Ok(kept)
}

fn write(path: &Path, frames: &[Kept]) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut writer = PcapWriter::new(BufWriter::new(file))?;
    for frame in frames {
        writer.write(frame.time_ns, frame.wire_len, &frame.data)?;
    }
    writer.finish()?;
    Ok(())
}

impl Cut {
    pub(crate) fn run(&self) -> Result<Value> {
        let labels = match &self.without {
            Some(path) => Labels::open(path)?,
            None => Labels::none(),
        };
        let mut frames = read(&self.input, &labels)?;
        let first_ns = frames.iter().map(|frame| frame.time_ns).min().unwrap_or(0);
        frames.retain(|frame| {
            let at = (frame.time_ns - first_ns) as f64 / 1e9;
            frame.label.is_none() && (self.from..self.to).contains(&at)
        });
        frames.sort_by_key(|frame| frame.time_ns);
        write(&self.output, &frames)?;
        let span = |frames: &[Kept]| Some((frames.first()?.time_ns, frames.last()?.time_ns));
        let (first, last) = span(&frames).unwrap_or_default();
        Ok(json!({"frames": frames.len(), "first_s": first as f64 / 1e9, "last_s": last as f64 / 1e9}))
    }
}

impl Stretch {
    /// Each conversation of an attack begins `factor` times later after the attack's start than it did, and goes on as it
    /// did; what would begin after the capture's end is left out.
    pub(crate) fn run(&self) -> Result<Value> {
        let labels = Labels::open(&self.labels)?;
        let names = labels.names();
        let mut frames = read(&self.input, &labels)?;
        let name = |label: u16| names.get(usize::from(label)).map_or("", String::as_str);
        frames.retain(|frame| {
            let wanted = |label| self.keep.iter().any(|keep| keep == name(label));
            frame.label.is_none_or(wanted)
        });
        let end_ns = frames.iter().map(|frame| frame.time_ns).max().unwrap_or(0);
        let mut starts: BTreeMap<u16, u64> = BTreeMap::new();
        let mut shifts = BTreeMap::new();
        for frame in &mut frames {
            let Some(label) = frame.label else { continue };
            let start = *starts.entry(label).or_insert(frame.time_ns);
            let late = ((frame.time_ns - start) as f64 * (self.factor - 1.0)) as u64;
            let shift = match frame.conversation {
                Some(conversation) => *shifts.entry((label, conversation)).or_insert(late),
                None => late,
            };
            frame.time_ns += shift;
        }
        frames.retain(|frame| frame.time_ns <= end_ns);
        frames.sort_by_key(|frame| frame.time_ns);
        write(&self.output, &frames)?;
        let mut out = BufWriter::new(File::create(&self.output_labels)?);
        writeln!(out, "frame,label")?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (index, frame) in frames.iter().enumerate() {
            if let Some(label) = frame.label {
                writeln!(out, "{},{}", index + 1, name(label))?;
                *counts.entry(name(label)).or_default() += 1;
            }
        }
        out.flush()?;
        Ok(json!({"frames": frames.len(), "attacks": counts}))
    }
}
