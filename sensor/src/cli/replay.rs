//! `sensor replay`: recorded traffic through the whole pipeline. Prints incidents as JSON lines; talk goes to standard
//! error.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;

use super::{
    Failure,
    offline::{self, Offline},
    progress::Progress,
};
use crate::{
    capture::Captures,
    engine::Engine,
    replay::{
        Driven, ReplayError, Unwatched,
        drive::{drive, engine_settings, feed_settings},
        outputs::{Output, Scores, write_alerts},
        scan::{Rereadable, scan},
    },
    service::privacy_key,
};

pub(super) const EXAMPLES: &str = "Examples:
  sensor replay capture.pcap                          learn on the first quarter, then print incidents
  sensor replay --learn 30m monday.pcap tuesday.pcap  learn for half an hour of capture time
  sensor replay --model ./model --alerts incidents.jsonl --scores scores.csv capture.pcapng.zst
  tcpdump -w - -r big.pcap 'not port 22' | sensor replay --model ./model -

The same captures, model and seed give the same output to the byte.
Exit code 3: a capture was damaged; everything readable was used.";

#[derive(Args, Clone, Debug)]
pub(super) struct Replay {
    /// Captures (pcap or pcapng, also gzip or zstd; - is standard input), read in order of time
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Use this model instead of learning
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Where incidents are written as JSON lines; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    alerts: PathBuf,
    /// Where the score of every flow row is written as CSV; - is standard output
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// How much capture time to learn from [default: a quarter of the captures]
    #[arg(long, value_name = "TIME", conflicts_with = "model")]
    learn: Option<String>,
    #[command(flatten)]
    offline: Offline,
}

pub(super) fn run(replay: &Replay, format: Option<&String>) -> Result<u8, Failure> {
    let mut loader = replay.offline.loader(format);
    loader.flag("learn", "--learn", replay.learn.as_ref());
    let settings = loader.load()?;
    let seed = replay.offline.seed(&settings);
    let model = match &replay.model {
        Some(directory) => Some(offline::load_model(directory)?),
        None => None,
    };
    let rereadable;
    let (captures, learn_ns) = if model.is_some() || replay.learn.is_some() {
        let captures = Captures::open(&replay.captures).map_err(ReplayError::from)?;
        (captures, settings.learn.as_nanos() as u64)
    } else {
        rereadable = Rereadable::of(&replay.captures)?;
        let seen = scan(&rereadable)?;
        (rereadable.open()?, (seen.last_ns - seen.first_ns) / 4)
    };
    let names = privacy_key::offline(&settings)?;
    let mut alerts = Output::create(&replay.alerts)?;
    let mut scores = match &replay.scores {
        Some(path) => Some(Scores::create(path, names.clone())?),
        None => None,
    };
    let mut engine = engine_settings(&settings, seed, learn_ns, scores.is_some());
    engine.incidents.names = names;
    let mut engine = Engine::new(engine, model.map(Arc::new));
    let bar = Progress::over(&captures, "replay");
    let began = Instant::now();
    let (mut rows, mut incidents) = (0, 0);
    let driven = drive(
        captures,
        &feed_settings(&settings, seed),
        &mut engine,
        Unwatched,
        &mut |captures| bar.show(captures),
        &mut |closed, (), outcome| {
            rows += outcome.rows_scored.iter().sum::<u64>();
            incidents += outcome.incidents_opened.len();
            write_alerts(&mut alerts, &outcome.alerts)?;
            match &mut scores {
                Some(scores) => scores.write(closed.wall_start_ns, &outcome.scores),
                None => Ok(()),
            }
        },
    )?;
    bar.done();
    alerts.finish()?;
    if let Some(scores) = scores {
        scores.finish()?;
    }
    tell(&driven, rows, incidents, began.elapsed().as_secs_f64());
    Ok(offline::code(&driven.report))
}

fn tell(driven: &Driven, rows: u64, incidents: usize, seconds: f64) {
    offline::tell_books(driven, seconds);
    match (&driven.model, &driven.unlearned) {
        (Some(model), _) => eprintln!("model {}: {rows} rows scored, {incidents} incidents", model.id),
        (None, Some(cause)) => eprintln!("nothing was scored: {cause}"),
        (None, None) => {}
    }
}
