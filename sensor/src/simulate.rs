//! Labelled captures from scenarios, alone or mixed into a real capture on its own hosts and time line.
//!
//! Everything here is generated from a seed: no clock, no file, no network. Frames go to a `Write` as they are made,
//! so that memory does not grow with the capture. It must never copy anything recorded but the frames of the base.

mod apps;
mod background;
mod cast;
mod datagrams;
mod frame;
mod host;
mod labels;
mod learned;
mod network;
mod parameter;
mod payload;
mod pcap;
mod random;
mod scenario;
mod schedule;
mod ssh;
mod stack;
mod stage;
mod survey;
mod tcp;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    rc::Rc,
};

use self::{
    background::Rhythm,
    cast::Cast,
    host::Label,
    labels::{LabelWriter, Labelled},
    random::Random,
    scenario::{Setup, Withheld},
    schedule::Run,
    stage::Stage,
};
use crate::capture::{CapturedFrame, FrameSource};

pub use self::{
    labels::LabelForm,
    parameter::{Parameter, Scale, Setting, Unit},
    pcap::PcapWriter,
    scenario::{SCENARIOS, Scenario, find},
    schedule::{Request, Shape},
    survey::Survey,
};

/// When captures without a base begin: Monday, 5 January 2026, 08:00 UTC. Fixed, so that a seed says everything.
const EPOCH_NS: u64 = 1_767_600_000_000_000_000;
/// Length of a capture when nobody says otherwise and the scenarios fit.
const DEFAULT_DURATION_NS: u64 = 600_000_000_000;
/// Frames between two reports of progress.
const REPORT_EVERY: u64 = 65_536;

/// Why a capture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// An unknown scenario, or one that begins after the end.
    #[error("{0}")]
    Scenario(String),
    /// An unknown parameter or a value that does not fit.
    #[error("{0}")]
    Parameter(String),
    /// The base has another link type.
    #[error(
        "the base capture is not Ethernet (frame {frame}): attacks are mixed in as Ethernet frames; take a base captured on an Ethernet interface"
    )]
    NotEthernet {
        /// Number of the first such frame.
        frame: u64,
    },
    /// The base has no frame.
    #[error("the base capture holds no frame: take a longer one")]
    EmptyBase,
    /// The base shows no local IPv4 host.
    #[error(
        "the base capture shows no IPv4 host of a local network, so there is nobody to play the victim; take a base captured where local hosts are seen"
    )]
    NoLocalHosts,
    /// The capture could not be written.
    #[error("the capture could not be written: {0}")]
    Capture(io::Error),
    /// The labels could not be written.
    #[error("the labels could not be written: {0}")]
    Labels(io::Error),
}

/// What to make.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The scenarios, in order.
    pub requests: Vec<Request>,
    /// How they are changed.
    pub shape: Shape,
    /// Everything random follows from it.
    pub seed: u64,
    /// Length of the capture; with a base, how much of it is taken.
    pub duration_ns: Option<u64>,
    /// Whether people of the background sleep at night.
    pub day_rhythm: bool,
    /// Form of the labels.
    pub label_form: LabelForm,
    /// Bytes kept of each made frame; the rest is cut as a capture with a snap length cuts it. 0 keeps all.
    pub snap_bytes: usize,
}

/// A base capture: what a first pass showed, and its frames once more from the beginning.
pub struct Base<'a> {
    /// The first pass.
    pub survey: Survey,
    /// The frames.
    pub frames: &'a mut dyn FrameSource,
}

impl std::fmt::Debug for Base<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base")
            .field("survey", &self.survey)
            .finish_non_exhaustive()
    }
}

/// What became of one scenario.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// Its name.
    pub name: &'static str,
    /// Whether it is benign: then its frames are not counted here, nor labelled.
    pub benign: bool,
    /// When it was to begin, and for how long, nanoseconds from the beginning of the capture.
    pub planned_ns: (u64, u64),
    /// Labelled frames.
    pub frames: u64,
    /// Times of the first and last of them, nanoseconds since the Unix epoch.
    pub span_ns: Option<(u64, u64)>,
    /// Whether the end of the capture cut it.
    pub cut: bool,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Frames of the capture.
    pub frames: u64,
    /// Of these, copied from the base.
    pub base_frames: u64,
    /// Frames of the base left out because a scenario makes them impossible.
    pub withheld: u64,
    /// Actors that found no place, so that what they would have sent is missing.
    pub turned_away: u64,
    /// Length of the capture in nanoseconds.
    pub duration_ns: u64,
    /// The scenarios.
    pub runs: Vec<RunOutcome>,
}

/// Makes a capture and its labels. `progress` hears of frames written and of the share of time that is done.
///
/// # Errors
/// See [`SimulateError`].
pub fn simulate<C: Write, L: Write>(
    options: &Options,
    mut base: Option<Base<'_>>,
    capture: C,
    labels: L,
    progress: &mut dyn FnMut(u64, f64),
) -> Result<Outcome, SimulateError> {
    let (begin, fixed) = match &base {
        Some(base) => {
            let (first, last) = base.survey.span_ns.ok_or(SimulateError::EmptyBase)?;
            (first, Some(last - first + 1))
        }
        None => (EPOCH_NS, options.duration_ns),
    };
    let (runs, duration) = schedule::lay_out(&options.requests, &options.shape, fixed, DEFAULT_DURATION_NS)?;
    let end = begin + duration;
    let mut random = Random::new(options.seed);
    let mut stage = Stage::new(begin, end, &mut random);
    let cast = match &base {
        Some(base) => Rc::new(learned::build(&mut stage, &base.survey, &mut random)?),
        None => Rc::new(network::build(&mut stage, &mut random)),
    };
    let mut background = random.fork();
    if base.is_none() {
        let rhythm = Rhythm {
            by_day: options.day_rhythm,
        };
        background::start(&mut stage, &cast, rhythm, &mut background);
    }
    let (labelled, withheld) = start(&runs, &mut stage, &cast, &mut random);
    let writer = LabelWriter::new(labels, options.label_form, labelled).map_err(SimulateError::Labels)?;
    let mut output = Output {
        capture: PcapWriter::new(capture).map_err(SimulateError::Capture)?,
        labels: writer,
        vlan: base.as_ref().and_then(|base| base.survey.vlan()),
        snap_bytes: options.snap_bytes,
        tagged: Vec::new(),
        frames: 0,
    };
    let mut counts = (0, 0);
    let mut report = |frames: u64, time_ns: u64| {
        if frames.is_multiple_of(REPORT_EVERY) {
            progress(frames, (time_ns - begin) as f64 / duration as f64);
        }
    };
    while let Some(frame) = base.as_mut().and_then(|base| base.frames.next_frame()) {
        if frame.time_ns >= end
            || options
                .duration_ns
                .is_some_and(|limit| frame.time_ns > begin + limit)
        {
            break;
        }
        output.made_before(&mut stage, frame.time_ns, &mut report)?;
        if is_withheld(&withheld, &frame) {
            counts.1 += 1;
            continue;
        }
        output.copy(&frame)?;
        counts.0 += 1;
        report(output.frames, frame.time_ns.max(begin));
    }
    output.made_before(&mut stage, u64::MAX, &mut report)?;
    let (frames, labelled) = output.finish()?;
    let outcomes = runs.iter().zip(labelled).map(|(run, labelled)| RunOutcome {
        name: run.scenario.name,
        benign: run.scenario.benign,
        planned_ns: (run.offset_ns, run.length_ns),
        frames: labelled.frames,
        span_ns: labelled.span_ns,
        cut: run.cut,
    });
    Ok(Outcome {
        frames,
        base_frames: counts.0,
        withheld: counts.1,
        turned_away: stage.turned_away(),
        duration_ns: duration,
        runs: outcomes.collect(),
    })
}

/// Starts all runs. Returns what their labels are made of, and what the base must not show.
fn start(
    runs: &[Run],
    stage: &mut Stage,
    cast: &Rc<Cast>,
    random: &mut Random,
) -> (Vec<Labelled>, Vec<Withheld>) {
    let (mut labelled, mut withheld) = (Vec::new(), Vec::new());
    for (index, run) in runs.iter().enumerate() {
        let mut patterns = Vec::new();
        let label = if run.scenario.benign {
            Label::BENIGN
        } else {
            Label(index as u16 + 1)
        };
        let mut setup = Setup {
            random: random.fork(),
            label,
            begin_ns: stage.begin_ns() + run.offset_ns,
            length_ns: run.length_ns,
            values: run.values.clone(),
            patterns: &mut patterns,
            withheld: &mut withheld,
            stage,
            cast,
        };
        (run.scenario.start)(&mut setup);
        labelled.push(Labelled {
            name: run.scenario.name,
            patterns,
            ..Labelled::default()
        });
    }
    (labelled, withheld)
}

fn is_withheld(rules: &[Withheld], frame: &CapturedFrame<'_>) -> bool {
    let now = |rule: &&Withheld| (rule.begin_ns..rule.end_ns).contains(&frame.time_ns);
    rules.iter().filter(now).any(|rule| {
        let is_host = |at: usize| frame.data.get(at..at + 6) == Some(&rule.host[..]);
        match rule.port {
            None => is_host(6),
            Some(port) => survey::tcp_ports(frame)
                .is_some_and(|(from, to)| is_host(6) && from == port || is_host(0) && to == port),
        }
    })
}

/// Where frames and labels go.
struct Output<C, L> {
    capture: PcapWriter<C>,
    labels: LabelWriter<L>,
    vlan: Option<u16>,
    snap_bytes: usize,
    tagged: Vec<u8>,
    frames: u64,
}

impl<C: Write, L: Write> Output<C, L> {
    /// Writes the frames that the stage makes before a time.
    fn made_before(
        &mut self,
        stage: &mut Stage,
        time_ns: u64,
        report: &mut impl FnMut(u64, u64),
    ) -> Result<(), SimulateError> {
        while stage.ready().is_some_and(|next| next < time_ns) {
            let Some(made) = stage.next_frame() else {
                return Ok(());
            };
            let mut data = made.data;
            if let (Some(vlan), Some((addresses, rest))) = (self.vlan, data.split_at_checked(12)) {
                self.tagged.clear();
                self.tagged.extend_from_slice(addresses);
                self.tagged.extend_from_slice(&[0x81, 0]);
                self.tagged.extend_from_slice(&vlan.to_be_bytes());
                self.tagged.extend_from_slice(rest);
                data = &self.tagged;
            }
            let kept = match self.snap_bytes {
                0 => data,
                limit => data.get(..limit).unwrap_or(data),
            };
            let number = self
                .capture
                .write(made.time_ns, data.len() as u32, kept)
                .map_err(SimulateError::Capture)?;
            self.frames = number;
            self.labels
                .note(number, made.time_ns, made.label)
                .map_err(SimulateError::Labels)?;
            report(number, made.time_ns);
        }
        Ok(())
    }

    fn copy(&mut self, frame: &CapturedFrame<'_>) -> Result<(), SimulateError> {
        self.frames = self
            .capture
            .write(frame.time_ns, frame.wire_len, frame.data)
            .map_err(SimulateError::Capture)?;
        Ok(())
    }

    fn finish(self) -> Result<(u64, Vec<Labelled>), SimulateError> {
        self.capture.finish().map_err(SimulateError::Capture)?;
        let labelled = self.labels.finish().map_err(SimulateError::Labels)?;
        Ok((self.frames, labelled))
    }
}
