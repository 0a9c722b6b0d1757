//! `sensor incidents`: what the store holds, beside a running sensor or without one, and what people say about it. It must
//! never make a database, nor wait for the sensor.

use std::{io::Write, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Loader, Source, exit, print};
use crate::{
    alert::Alert,
    config::Settings,
    incidents::{
        Database, FILE,
        feedback::{Feedback, Opinion},
        query::{Filter, Listed, severity, since_ns},
        scope::{ScopeText, behaviour},
        suppression::{NewSuppression, Suppression},
    },
    service::clock,
};

mod text;

pub(super) const EXAMPLES: &str = "Examples:
  sensor incidents list --open
  sensor incidents list --since 7d --severity high --json
  sensor incidents show 3f2a
  sensor incidents ack 3f2a --verdict benign --note 'the nightly backup'
  sensor incidents suppress --incident 3f2a --reason 'our scanner' --expires 30d --dry-run
  sensor incidents suppress --actor 192.0.2.0/24 --behaviour vertical_scan --reason audit --expires 7d
  sensor incidents suppressions
  sensor incidents unsuppress 3
  sensor incidents labels -o labels.csv

The beginning of an id is enough where it fits only one incident. Works while the sensor runs; a
suppression is in force within two seconds.";

/// The time a dry run looks back at.
const DRY_RUN: Duration = Duration::from_hours(7 * 24);
/// Updates shown of one incident: the latest.
const TIMELINE: usize = 50;

/// Where the incidents are.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Where {
    /// Configuration file [default: /etc/sensor/sensor.toml if it exists]
    #[arg(short, long, value_name = "FILE", env = "SENSOR_CONFIG")]
    config: Option<PathBuf>,
    /// State directory of the sensor
    #[arg(long, value_name = "DIR")]
    state_dir: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentsCommand {
    /// List incidents, the latest first
    List(List),
    /// Show one incident: reasons, its life, what was said about it
    Show {
        /// Id of the incident, or the beginning of it
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Say what an incident was: benign, confirmed, or a note
    Ack(Ack),
    /// Hide incidents like these for a time
    Suppress(Suppress),
    /// List suppressions: scope, author, reason, expiry, how many incidents they hid
    Suppressions {
        /// Also those that are over
        #[arg(long)]
        all: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Where,
    },
    /// End a suppression before it expires
    Unsuppress {
        /// Number of the suppression
        id: i64,
        #[command(flatten)]
        place: Where,
    },
    /// Write confirmed and benign incidents as labels for `sensor train --labels`
    Labels {
        /// File to write; - is standard output
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        output: PathBuf,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those that go on
    #[arg(long)]
    open: bool,
    /// Only those at least this severe: info, low, medium, high, critical
    #[arg(long, value_name = "S", value_parser = |text: &str| severity(text))]
    severity: Option<crate::alert::Severity>,
    /// Only those of this behaviour, such as `brute_force`
    #[arg(long, value_name = "B", value_parser = |text: &str| behaviour(text))]
    behaviour: Option<crate::alert::Behaviour>,
    /// Only those with an update since then: 7d, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON lines: those of the journal with what the store knows besides
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Args, Debug)]
pub(crate) struct Ack {
    /// Id of the incident, or the beginning of it
    id: String,
    /// benign, confirmed or note
    #[arg(long, value_name = "VERDICT")]
    verdict: crate::incidents::feedback::Judgement,
    /// In words
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Who says so [default: the user who runs this]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    #[command(flatten)]
    place: Where,
}

#[derive(Args, Debug)]
pub(crate) struct Suppress {
    /// Network of the actor
    #[arg(long, value_name = "CIDR")]
    actor: Option<String>,
    /// Network that holds all targets
    #[arg(long, value_name = "CIDR")]
    target: Option<String>,
    /// Behaviour, such as `brute_force`
    #[arg(long, value_name = "B")]
    behaviour: Option<String>,
    /// Service, such as tcp/22
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Take the scope of this incident; other flags replace parts of it
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// For how long, such as 30d; at most a year
    #[arg(long, value_name = "TIME", required_unless_present = "dry_run")]
    expires: Option<String>,
    /// Who says so [default: the user who runs this]
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only say what it would have hidden in the last 7 days
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Where,
}

impl Where {
    fn settings(&self, format: Option<&String>) -> Result<Settings, Failure> {
        let source = Source {
            config: self.config.clone(),
            state_dir: self.state_dir.clone(),
            ..Source::default()
        };
        Ok(Loader::new(&source, format).load()?)
    }

    fn open(&self, format: Option<&String>) -> Result<Database, Failure> {
        let settings = self.settings(format)?;
        Ok(Database::open(&settings.state_dir.join(FILE))?)
    }
}

pub(super) fn run(command: &IncidentsCommand, format: Option<&String>) -> Result<u8, Failure> {
    match command {
        IncidentsCommand::List(wanted) => list(wanted, &wanted.place.open(format)?)?,
        IncidentsCommand::Show { id, json, place } => show(id, *json, &place.open(format)?)?,
        IncidentsCommand::Ack(wanted) => ack(wanted, &mut wanted.place.open(format)?)?,
        IncidentsCommand::Suppress(wanted) => suppress(wanted, &mut wanted.place.open(format)?)?,
        IncidentsCommand::Suppressions { all, json, place } => {
            suppressions(*all, *json, &place.open(format)?)?;
        }
        IncidentsCommand::Unsuppress { id, place } => {
            place.open(format)?.unsuppress(*id, clock::unix_ns())?;
            print(&format!("suppression {id} is over\n"))?;
        }
        IncidentsCommand::Labels { output, place } => {
            let settings = place.settings(format)?;
            let database = Database::open(&settings.state_dir.join(FILE))?;
            labels(output, &database, settings.window)?;
        }
    }
    Ok(0)
}

fn json_lines(values: impl Iterator<Item = Value>) -> String {
    let mut out = String::new();
    for value in values {
        out.push_str(&value.to_string());
        out.push('\n');
    }
    out
}

fn list(wanted: &List, database: &Database) -> Result<(), Failure> {
    let since = wanted
        .since
        .as_deref()
        .map(|text| since_ns(text, clock::unix_ns()));
    let filter = Filter {
        open: wanted.open.then_some(true),
        severity: wanted.severity,
        behaviour: wanted.behaviour,
        since_ns: since
            .transpose()
            .map_err(|cause| Failure::new(exit::USAGE, cause))?,
        before: None,
        limit: wanted.limit,
    };
    let found = pages(database, filter)?;
    if wanted.json {
        return print(&json_lines(found.into_iter().map(Listed::into_json)));
    }
    if found.is_empty() {
        eprintln!("no such incidents");
        return Ok(());
    }
    print(&text::list(&found))
}

/// All pages of a list, up to its limit.
fn pages(database: &Database, mut filter: Filter) -> Result<Vec<Listed>, Failure> {
    let mut found = Vec::new();
    loop {
        let page = database.list(&filter)?;
        filter.limit = filter.limit.saturating_sub(page.len());
        filter.before = page.last().map(|last| last.number);
        let over = page.is_empty();
        found.extend(page);
        if over || filter.limit == 0 {
            return Ok(found);
        }
    }
}

fn show(id: &str, json: bool, database: &Database) -> Result<(), Failure> {
    let found = database.incident_of(id)?;
    let timeline = database.timeline(&found.id, TIMELINE)?;
    let feedback = database.feedback_on(&found.id)?;
    if json {
        let mut incident = found.into_json();
        if let Some(fields) = incident.as_object_mut() {
            fields.insert("timeline".to_owned(), json!(timeline));
            let feedback: Vec<Value> = feedback.iter().map(Feedback::to_json).collect();
            fields.insert("feedback".to_owned(), feedback.into());
        }
        return print(&format!("{incident:#}\n"));
    }
    let rule = match found.suppressed_by {
        Some(rule) => database
            .suppressions()?
            .into_iter()
            .find(|known| known.id == rule),
        None => None,
    };
    print(&text::incident(&found, rule.as_ref(), &timeline, &feedback))
}

/// Who runs this: the person behind sudo, if there is one.
fn author(given: Option<&String>) -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    given
        .cloned()
        .or_else(|| of("SUDO_USER"))
        .or_else(|| of("USER"))
        .or_else(|| of("LOGNAME"))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn ack(wanted: &Ack, database: &mut Database) -> Result<(), Failure> {
    let incident = database.incident_of(&wanted.id)?;
    let opinion = Opinion {
        verdict: wanted.verdict,
        author: author(wanted.author.as_ref()),
        text: wanted.note.clone(),
    };
    let (entry, _) = database.judge(&incident.id, &opinion, None, clock::unix_ns())?;
    print(&format!(
        "incident {}: {} ({})\n",
        entry.incident,
        entry.verdict.label(),
        entry.author
    ))
}

fn scope(wanted: &Suppress, database: &Database) -> Result<ScopeText, Failure> {
    let mut scope = ScopeText::default();
    if let Some(id) = &wanted.incident {
        let incident = database.incident_of(id)?;
        let alert: Alert = serde_json::from_value(incident.alert).map_err(|cause| {
            let message =
                format!("incident {id} was stored by another version: {cause}; write the scope with flags");
            Failure::new(exit::INPUT, message)
        })?;
        scope = ScopeText::of(&alert);
    }
    for (part, flag) in [
        (&mut scope.actor, &wanted.actor),
        (&mut scope.target, &wanted.target),
        (&mut scope.behaviour, &wanted.behaviour),
        (&mut scope.service, &wanted.service),
    ] {
        if let Some(given) = flag {
            part.clone_from(given);
        }
    }
    Ok(scope)
}

fn suppress(wanted: &Suppress, database: &mut Database) -> Result<(), Failure> {
    let now_ns = clock::unix_ns();
    let scope = scope(wanted, database)?;
    let since_ns = now_ns.saturating_sub(DRY_RUN.as_nanos() as i64);
    let found = database.would_hide(&scope, since_ns)?;
    if wanted.dry_run {
        return print(&text::dry_run(&found));
    }
    let new = NewSuppression {
        scope,
        author: author(wanted.author.as_ref()),
        reason: wanted.reason.clone().unwrap_or_default(),
        expires: wanted.expires.clone().unwrap_or_default(),
    };
    let written = database.suppress(&new, now_ns)?;
    print(&text::written(&written, &found))
}

fn suppressions(all: bool, json: bool, database: &Database) -> Result<(), Failure> {
    let now_ns = clock::unix_ns();
    let mut found = database.suppressions()?;
    found.retain(|suppression| all || suppression.in_force(now_ns));
    if json {
        return print(&json_lines(found.iter().map(Suppression::to_json)));
    }
    if found.is_empty() {
        eprintln!("no suppressions{}", if all { "" } else { " in force" });
        return Ok(());
    }
    print(&text::suppressions(&found, now_ns))
}

fn labels(output: &std::path::Path, database: &Database, window: Duration) -> Result<(), Failure> {
    let found = database.export_labels(window.as_nanos() as i64)?;
    if output.as_os_str() == "-" {
        print(&String::from_utf8_lossy(&found.csv))?;
    } else {
        std::fs::File::create(output)
            .and_then(|mut file| file.write_all(&found.csv))
            .map_err(|cause| {
                let message = format!(
                    "labels {}: {cause}; name a file that can be written",
                    output.display()
                );
                Failure::new(exit::FAILED, message)
            })?;
    }
    eprintln!("labelled incidents: {}", found.incidents);
    if found.skipped > 0 {
        eprintln!("left out, for they name no host: {}", found.skipped);
    }
    Ok(())
}
