//! `sensor flows`: captures to rows, in a file for other tools or as JSON lines on standard output. Talk goes to
//! standard error.

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use clap::{Args, ValueEnum};

use super::{Failure, Loader, offline, progress::Progress};
use crate::{
    capture::Captures,
    features::{Extractor, RowKind},
    flows::{FlowWriter, FlowsError, Format, Origin, Selection, WindowRef},
    replay::{
        Books, DEFAULT_SEED, Driven, Feed, ReplayError, Unwatched,
        drive::{count, extractor_settings, feed_settings},
        stream,
    },
    service::privacy_key,
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor flows capture.pcap -o flows.parquet     for pandas, DuckDB, Spark, `sensor train`
  sensor flows a.pcapng.zst b.pcapng.zst -o flows.csv
  sensor flows --rows host capture.pcap | jq -c '{src, host_peers}'
  tcpdump -w - -i eth0 | sensor flows - -o flows.parquet

docs/flows.md describes the columns.
Exit code 3: a capture was damaged; everything readable was used.";

#[derive(Args, Clone, Debug)]
pub(super) struct Flows {
    /// Captures (pcap or pcapng, also gzip or zstd; - is standard input), read in order of time
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// File to write: .parquet, .csv or .jsonl; - is JSON lines on standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Kind of rows to write
    #[arg(long, value_enum, default_value_t = Kind::All)]
    rows: Kind,
    /// Length of a window, such as 10s
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// Configuration file [default: /etc/sensor/sensor.toml if it exists]
    #[arg(short, long, value_name = "FILE", env = "SENSOR_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Flow,
    Host,
    All,
}

pub(super) fn run(flows: &Flows, format: Option<&String>) -> Result<u8, Failure> {
    let source = super::Source {
        config: flows.config.clone(),
        ..super::Source::default()
    };
    let mut loader = Loader::new(&source, format);
    loader.flag("window", "--window", flows.window.as_ref());
    let settings = loader.load()?;
    let to_stdout = flows.output.as_os_str() == "-";
    if !to_stdout {
        // Before anything is read: a typing error should not cost an hour.
        Format::of(&flows.output)?;
    }
    let mut captures = Captures::open(&flows.captures).map_err(ReplayError::from)?;
    let seed = settings.seed.unwrap_or(DEFAULT_SEED);
    let mut feed = Feed::new(&feed_settings(&settings, seed));
    let mut extractor = Extractor::new(&extractor_settings(&settings), seed);
    let names = privacy_key::offline(&settings)?;
    let mut writer = writer(flows, settings.window.as_nanos() as u64, to_stdout)?.with_names(names);

    let bar = Progress::over(&captures, "flows");
    let began = Instant::now();
    let names = captures.names();
    let mut books = Books::default();
    let mut written: Result<(), FlowsError> = Ok(());
    let streamed = stream(
        &mut captures,
        &mut feed,
        Unwatched,
        &mut |captures| bar.show(captures),
        &mut |closed, ()| {
            count(&mut books, &closed);
            let rows = extractor.rows(&closed.window);
            written = writer.write(&WindowRef {
                rows: &rows,
                flows: &closed.window.flows,
                wall_start_ns: closed.wall_start_ns,
                wall_end_ns: closed.wall_end_ns,
                interface_name: &|slot| names.get(slot),
            });
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        },
    );
    bar.done();
    streamed.map_err(|source| ReplayError::Thread { source })?;
    let rows = match written.and_then(|()| writer.finish()) {
        Ok(rows) => rows,
        // Whoever read along has seen enough.
        Err(cause) if to_stdout && cause.is_broken_pipe() => return Ok(0),
        Err(cause) => return Err(cause.into()),
    };
    let clock = feed.clock();
    books.odd_times = [clock.disordered, clock.set_back, clock.skipped];
    books.packets = feed.packets();
    let driven = Driven {
        books,
        report: captures.report(),
        unlearned: None,
        model: None,
    };
    offline::tell_books(&driven, began.elapsed().as_secs_f64());
    eprintln!("{rows} rows written to {}", target_name(flows, to_stdout));
    Ok(offline::code(&driven.report))
}

fn target_name(flows: &Flows, to_stdout: bool) -> String {
    if to_stdout {
        "standard output".into()
    } else {
        flows.output.display().to_string()
    }
}

fn writer(flows: &Flows, window_ns: u64, to_stdout: bool) -> Result<FlowWriter, FlowsError> {
    let origin = Origin {
        window_ns,
        inputs: flows
            .captures
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
    };
    let selection = match flows.rows {
        Kind::Flow => Selection::Only(RowKind::Flow),
        Kind::Host => Selection::Only(RowKind::Host),
        Kind::All => Selection::All,
    };
    if to_stdout {
        FlowWriter::stream(
            "standard output",
            std::io::stdout(),
            Format::JsonLines,
            &origin,
            selection,
        )
    } else {
        FlowWriter::create(&flows.output, &origin, selection)
    }
}
