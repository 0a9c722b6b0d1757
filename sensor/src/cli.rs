//! The command line: flags, exit codes, and what is printed where. Results go to standard output, talk to standard
//! error. It must never do work itself: each subcommand calls one module.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Override, Settings, value::Value};

mod config_command;
mod evaluate;
mod failure;
mod flows;
mod incidents;
pub mod log;
mod models;
mod offline;
mod progress;
mod replay;
mod simulate;
mod train;

pub use failure::Failure;

/// Exit codes of the contract.
pub mod exit {
    /// Failed while working.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Input unreadable or damaged.
    pub const INPUT: u8 = 3;
    /// Missing privilege or kernel feature.
    pub const PRIVILEGE: u8 = 4;
    /// A bar of `evaluate` was missed.
    pub const BAR: u8 = 5;
}

const EXAMPLES: &str = "Examples:
  sensor doctor                        what works on this host, and what is missing
  sensor run                           watch the interfaces that hold a default route
  sensor run -i eth0 -i 'veth*'        watch these, and matching ones that appear later
  sensor run --learn 2h --alerts -     learn for two hours, then print incidents as JSON lines
  sensor replay capture.pcap           the same over a recording, learning included
  sensor flows x.pcap -o x.parquet     every flow and host of a recording, for pandas or DuckDB
  sensor incidents list --open         what goes on now, and what people said about it
  sensor config default > sensor.toml  a commented configuration file to start from

Exit codes: 0 done, 1 failed while working, 2 wrong usage or configuration,
3 input unreadable or damaged, 4 missing privilege or kernel feature.";

const RUN_EXAMPLES: &str = "Examples:
  sensor run -i eth0
  sensor run -i eth0 --learn 10m --window 5s
  sensor run -c /etc/sensor/sensor.toml --model /var/lib/sensor/models/ae-0123456789ab
  SENSOR_LOG=debug sensor run -i eth0 --log-format json

SIGTERM and SIGINT end it in order, SIGHUP reloads the configuration and opens the journal anew.";

/// Network anomaly sensor: counts every packet in the kernel, learns what is normal on this host, and says when
/// traffic is not.
#[derive(Debug, Parser)]
#[command(name = "sensor", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Form of log lines on standard error: text or json
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch interfaces, learn what is normal, raise alarms
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Run captures through the whole pipeline: learn, detect, print incidents
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Replay),
    /// Write every row of the pipeline as Parquet, CSV or JSON lines
    #[command(after_help = flows::EXAMPLES)]
    Flows(flows::Flows),
    /// Learn a model from captures
    #[command(after_help = train::EXAMPLES)]
    Train(train::Train),
    /// Measure a model on labelled captures
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(evaluate::Evaluate),
    /// List incidents, say what they were, and hide what is expected
    #[command(subcommand, after_help = incidents::EXAMPLES)]
    Incidents(incidents::IncidentsCommand),
    /// Check what this kernel, this process and these interfaces allow
    #[command(
        after_help = "Examples:\n  sensor doctor\n  sensor doctor -i eth0\n\nExit code 4 if something that is needed is missing."
    )]
    Doctor(Source),
    /// Check, show or make a configuration file
    #[command(
        subcommand,
        after_help = "Examples:\n  sensor config default > sensor.toml\n  sensor config check -c sensor.toml"
    )]
    Config(ConfigCommand),
    /// Make a labelled capture of ordinary traffic with attacks, faults or harmless surprises in it
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(Box<simulate::Simulate>),
    /// List, show or verify models
    #[command(
        subcommand,
        after_help = "Examples:\n  sensor models list\n  sensor models verify /var/lib/sensor/models/ae-0123456789ab"
    )]
    Models(ModelsCommand),
}

/// Where settings come from, and the flags that several commands share.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Source {
    /// Interface to watch, a name or a pattern such as 'eth*'; may be repeated
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,
    /// Configuration file [default: /etc/sensor/sensor.toml if it exists]
    #[arg(short, long, value_name = "FILE", env = "SENSOR_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of models, incidents, journal and token
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct Run {
    #[command(flatten)]
    source: Source,
    /// Use this model instead of learning
    #[arg(long, value_name = "DIR")]
    model: Option<String>,
    /// Address of the HTTP listener
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Length of a window, such as 10s
    #[arg(long, value_name = "TIME")]
    window: Option<String>,
    /// How long to learn, such as 30m
    #[arg(long, value_name = "TIME")]
    learn: Option<String>,
    /// Where incidents are written as JSON lines; - is standard output
    #[arg(long, value_name = "FILE")]
    alerts: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what is wrong with the configuration, all at once
    Check(Source),
    /// Print the configuration in force: file, environment and flags together
    Show(Source),
    /// Print a commented file with all keys and their defaults
    Default,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models of the state directory
    List(Source),
    /// Print what a model knows about itself
    Show {
        /// Id of a model in the state directory, or a model directory; default: the current one
        model: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Check that models are whole and fit this sensor
    Verify {
        /// Ids or model directories; default: all of the state directory
        models: Vec<String>,
        #[command(flatten)]
        source: Source,
    },
}

/// Reads the layers of the configuration again, for SIGHUP.
#[derive(Clone, Debug)]
pub struct Loader {
    path: Option<PathBuf>,
    overrides: Vec<Override>,
}

impl Loader {
    fn new(source: &Source, log_format: Option<&String>) -> Self {
        let path = source.config.clone().or_else(|| {
            let default = PathBuf::from(config::DEFAULT_FILE);
            default.exists().then_some(default)
        });
        let mut loader = Self {
            path,
            overrides: Vec::new(),
        };
        if !source.interfaces.is_empty() {
            let value = Value::List(source.interfaces.clone());
            loader.overrides.push(Override {
                key: "interfaces",
                flag: "-i",
                value,
            });
        }
        loader.flag("state_dir", "--state-dir", source.state_dir.as_ref());
        loader.flag("log.format", "--log-format", log_format);
        loader
    }

    fn flag(&mut self, key: &'static str, flag: &'static str, text: Option<&String>) {
        if let Some(text) = text {
            self.overrides.push(Override {
                key,
                flag,
                value: Value::Text(text.clone()),
            });
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// All problems of all layers.
    pub fn load(&self) -> Result<Settings, config::Problems> {
        config::load(
            self.path.as_deref(),
            &|name| std::env::var(name).ok(),
            &self.overrides,
        )
    }
}

/// Parses the arguments, runs the command and turns its outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(cause) => {
            // Help and version are answers, not errors; clap knows which stream and code they have.
            let _ = cause.print();
            return ExitCode::from(u8::try_from(cause.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("sensor: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let format = cli.log_format.as_ref();
    match cli.command {
        Command::Run(run) => {
            let mut loader = Loader::new(&run.source, format);
            loader.flag("model", "--model", run.model.as_ref());
            loader.flag("listen", "--listen", run.listen.as_ref());
            loader.flag("window", "--window", run.window.as_ref());
            loader.flag("learn", "--learn", run.learn.as_ref());
            loader.flag("alerts", "--alerts", run.alerts.as_ref());
            let settings = loader.load()?;
            let filter = log::init(settings.log_format, &settings.log_level)?;
            crate::service::run(settings, &loader, &filter)?;
            Ok(0)
        }
        Command::Doctor(source) => {
            let settings = Loader::new(&source, format).load()?;
            // A name that does not exist is wrong usage, not a missing feature.
            for name in settings.interfaces.iter().filter_map(config::Pattern::literal) {
                crate::probe::follow::link(name)?;
            }
            let report = crate::doctor::examine(&settings);
            print(&report.to_string())?;
            Ok(if report.complete() { 0 } else { exit::PRIVILEGE })
        }
        Command::Replay(command) => replay::run(&command, format),
        Command::Flows(command) => flows::run(&command, format),
        Command::Train(command) => train::run(&command, format),
        Command::Evaluate(command) => evaluate::run(&command, format),
        Command::Config(command) => config_command::run(&command, format),
        Command::Models(command) => models::run(&command, format),
        Command::Incidents(command) => incidents::run(&command, format),
        Command::Simulate(arguments) => simulate::run(&arguments),
    }
}

/// Writes a result to standard output; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::FAILED, format!("standard output: {cause}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let arguments =
            "sensor run -i eth0 -i wlan* --window 20s --learn 2m --alerts - --listen [::1]:1 --state-dir /s";
        let cli = Cli::try_parse_from(arguments.split(' ')).unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        let mut loader = Loader::new(&run.source, None);
        loader.path = None;
        loader.flag("window", "--window", run.window.as_ref());
        loader.flag("alerts", "--alerts", run.alerts.as_ref());
        let settings = loader.load().unwrap();
        assert_eq!(settings.interfaces.len(), 2);
        assert_eq!(settings.window.as_secs(), 20);
        assert_eq!(settings.alerts_path(), None);
        assert_eq!(settings.state_dir, PathBuf::from("/s"));
    }
}
