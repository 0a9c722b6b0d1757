//! `sensor simulate`: opens files, shows progress, and says what was made. It must never generate anything itself.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{Failure, exit, print};
use crate::{
    capture::{Captures, ReadReport},
    config::value::{format_duration, parse_duration},
    simulate::{
        self, Base, LabelForm, Options, Outcome, Request, SCENARIOS, Setting, Shape, SimulateError, Survey,
    },
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor simulate list
  sensor simulate ordinary -o train.pcap.gz --labels train.csv --duration 1h
  sensor simulate syn-flood,ssh-brute-force -o mix.pcap --labels mix.csv --seed 7
  sensor simulate vertical-scan@4m,beaconing@10m -o mix.pcap --labels mix.csv --duration 30m
  sensor simulate vertical-scan --stretch 60 -o slow.pcap --labels slow.csv
  sensor simulate beaconing --set period=60s --set jitter=30% -o c2.pcap --labels c2.csv --duration 2h
  sensor simulate udp-flood --base office.pcapng -o attacked.pcap --labels attacked.csv

Several scenarios share one time line, one after the other from 40 % of the capture on; a single one begins at 60 %.
Without --duration a capture takes 10m, or longer if its scenarios need it. The same seed gives the same bytes.
With --base, hosts, services and times are those of the base, whose frames are copied unchanged.";

/// Form of the labels on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// For each malicious frame its number
    Frame,
    /// For each attack its time, addresses and ports
    Interval,
}

/// The arguments.
#[derive(Args, Clone, Debug)]
pub(crate) struct Simulate {
    /// Scenarios, separated by commas or spaces, each as NAME or NAME@OFFSET; or list
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<String>,
    /// Capture to write (pcap; gzip if it ends in .gz; - is standard output)
    #[arg(short, long, value_name = "CAPTURE")]
    output: Option<PathBuf>,
    /// Labels to write
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Real capture to mix the scenarios into
    #[arg(long, value_name = "CAPTURE")]
    base: Option<PathBuf>,
    /// What everything random follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Length of the capture; with --base, how much of it is taken [default: 10m, longer if needed]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// When the first scenario begins, from the beginning of the capture
    #[arg(long, value_name = "TIME", value_parser = duration)]
    start: Option<Duration>,
    /// Factor on how much is sent: packets, ports, attempts, bytes
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    intensity: f64,
    /// Factor on how long it takes to send the same: 10 to 600 for slow attacks
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = factor)]
    stretch: f64,
    /// Parameter of a scenario, as NAME=VALUE or SCENARIO.NAME=VALUE (`list` shows them); may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// Form of the labels
    #[arg(long, value_name = "FORM", default_value = "frame")]
    label_form: Form,
    /// Bytes kept of each frame that is made; headers need about 100
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    snaplen: usize,
    /// Let people of the background sleep at night (the capture begins at 08:00 UTC)
    #[arg(long)]
    day_rhythm: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "expected a time such as 30s, 10m or 2h".to_owned())
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok();
    factor
        .filter(|factor| (0.001..=100_000.0).contains(factor))
        .ok_or_else(|| "expected a factor from 0.001 to 100000".to_owned())
}

impl From<SimulateError> for Failure {
    fn from(cause: SimulateError) -> Self {
        let code = match &cause {
            SimulateError::Scenario(_) | SimulateError::Parameter(_) => exit::USAGE,
            SimulateError::NotEthernet { .. } | SimulateError::EmptyBase | SimulateError::NoLocalHosts => {
                exit::INPUT
            }
            SimulateError::Capture(_) | SimulateError::Labels(_) => exit::FAILED,
        };
        Self::new(code, cause.to_string())
    }
}

pub(super) fn run(arguments: &Simulate) -> Result<u8, Failure> {
    if let [word] = &arguments.scenarios[..]
        && word == "list"
    {
        print(&list())?;
        return Ok(0);
    }
    let mut requests = Vec::new();
    for text in &arguments.scenarios {
        requests.extend(Request::parse_list(text)?);
    }
    if requests.is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            "no scenario was named; `sensor simulate list` shows all",
        ));
    }
    let nanoseconds = |duration: Duration| duration.as_nanos() as u64;
    let options = Options {
        requests,
        shape: Shape {
            intensity: arguments.intensity,
            stretch: arguments.stretch,
            settings: arguments.settings.clone(),
            start_ns: arguments.start.map(nanoseconds),
        },
        seed: arguments.seed,
        duration_ns: arguments.duration.map(nanoseconds),
        day_rhythm: arguments.day_rhythm,
        label_form: match arguments.label_form {
            Form::Frame => LabelForm::Frame,
            Form::Interval => LabelForm::Interval,
        },
        snap_bytes: arguments.snaplen,
    };
    let (Some(capture), Some(labels)) = (&arguments.output, &arguments.labels) else {
        return Err(Failure::new(
            exit::USAGE,
            "name the files to write: -o CAPTURE --labels FILE",
        ));
    };
    make(&options, arguments.base.as_deref(), capture, labels)
}

fn make(options: &Options, base: Option<&Path>, capture: &Path, labels: &Path) -> Result<u8, Failure> {
    if let Some(base) = base
        && same_file(base, capture)
    {
        let message = format!(
            "{}: the base cannot be written over; name another file",
            base.display()
        );
        return Err(Failure::new(exit::USAGE, message));
    }
    // The base is read twice: once to know it, once to copy it. All that can be refused is refused before a file is made.
    let mut opened = match base {
        Some(path) => {
            let survey = Survey::of(&mut open(path)?, options.duration_ns)?;
            Some((survey, open(path)?))
        }
        None => None,
    };
    let to_capture = create(capture)?;
    let to_labels = create(labels)?;
    let shown = io::stderr().is_terminal();
    let mut progress = |frames: u64, share: f64| {
        if shown {
            eprint!("\r{frames} frames, {:.0} %", share * 100.0);
        }
    };
    let (base_used, mut source) = match opened.take() {
        Some((survey, source)) => (Some(survey), Some(source)),
        None => (None, None),
    };
    let base = match (base_used, &mut source) {
        (Some(survey), Some(frames)) => Some(Base { survey, frames }),
        _ => None,
    };
    let gzip = capture.extension().is_some_and(|suffix| suffix == "gz");
    let outcome = if gzip {
        let level = flate2::Compression::fast();
        let mut encoder = flate2::write::GzEncoder::new(to_capture, level);
        let outcome = simulate::simulate(options, base, &mut encoder, to_labels, &mut progress)?;
        let finished = encoder.finish().and_then(|mut out| out.flush());
        finished.map_err(SimulateError::Capture)?;
        outcome
    } else {
        simulate::simulate(options, base, to_capture, to_labels, &mut progress)?
    };
    if shown {
        eprint!("\r\x1b[K");
    }
    eprint!("{}", tell(&outcome, options));
    let report = source.map(|source| source.report()).unwrap_or_default();
    Ok(warn(&report))
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn open(path: &Path) -> Result<Captures, Failure> {
    if path == Path::new("-") {
        let message = "the base is read twice, so it cannot be standard input; write it to a file first";
        return Err(Failure::new(exit::USAGE, message));
    }
    Captures::open(&[path.to_owned()]).map_err(|cause| Failure::new(exit::INPUT, cause.to_string()))
}

fn warn(report: &ReadReport) -> u8 {
    for line in report.warnings() {
        eprintln!("sensor: {line}");
    }
    if report.is_damaged() { exit::INPUT } else { 0 }
}

fn create(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::with_capacity(1 << 18, io::stdout())));
    }
    let file = File::create(path).map_err(|cause| {
        Failure::new(
            exit::FAILED,
            format!(
                "{} cannot be written: {cause}; name a file in a directory that you may write to",
                path.display()
            ),
        )
    })?;
    Ok(Box::new(BufWriter::with_capacity(1 << 18, file)))
}

/// A time as people say it: 1h20m, 4m30s, 12s, 300ms.
fn short(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    if seconds == 0 {
        return format_duration(Duration::from_millis(ns / 1_000_000));
    }
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let shown = parts.iter().filter(|(count, _)| *count > 0).take(2);
    shown.fold(String::new(), |mut out, (count, unit)| {
        let _ = write!(out, "{count}{unit}");
        out
    })
}

/// What was made, for a person.
fn tell(outcome: &Outcome, options: &Options) -> String {
    let mut out = format!(
        "{} frames over {}, seed {}",
        outcome.frames,
        short(outcome.duration_ns),
        options.seed
    );
    if outcome.base_frames > 0 {
        let _ = write!(out, "; {} of them from the base", outcome.base_frames);
    }
    if outcome.withheld > 0 {
        let _ = write!(
            out,
            "; {} of the base left out (silent host or service)",
            outcome.withheld
        );
    }
    out.push('\n');
    for run in &outcome.runs {
        let what = if run.benign {
            "benign, no labels".to_owned()
        } else {
            format!("{} frames labelled", run.frames)
        };
        let (begin, length) = run.planned_ns;
        let _ = write!(
            out,
            "  {}: from {} for {}, {what}",
            run.name,
            short(begin),
            short(length)
        );
        out.push_str(if run.cut {
            " (cut by the end of the capture)\n"
        } else {
            "\n"
        });
    }
    if outcome.turned_away > 0 {
        let _ = writeln!(
            out,
            "  too much at once: {} conversations were left out",
            outcome.turned_away
        );
    }
    out
}

/// The table of scenarios, for a person.
fn list() -> String {
    let mut out = String::new();
    for scenario in SCENARIOS {
        let kind = match (scenario.benign, scenario.technique) {
            (true, _) => "benign",
            (false, Some(technique)) => technique,
            (false, None) => "-",
        };
        let _ = writeln!(out, "{:<27}{kind:<11}{}", scenario.name, scenario.summary);
        for parameter in scenario.parameters {
            let text = format!("{}={}", parameter.name, parameter.write(parameter.default));
            let _ = writeln!(out, "{:<4}{text:<21}{:<13}{}", "", "", parameter.help);
        }
    }
    out
}

#[cfg(test)]
mod tests;
