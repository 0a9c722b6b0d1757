//! The incident database: updates written per second, and how long questions take among 100,000 incidents.
//!
//! `cargo bench -p sensor --bench incidents`. It must never measure an empty or a tiny file: numbers are of the size the
//! store has after a year.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sensor::{
    alert::{Alert, Behaviour, Severity, State, rfc3339},
    incidents::{
        Database, FILE, Outbox, Update,
        query::Filter,
        scope::{ScopeText, behaviour},
    },
};
use serde_json::json;

const INCIDENTS: i64 = 100_000;
const BATCH: usize = 256;
const SECOND: i64 = 1_000_000_000;
const START_NS: i64 = 1_700_000_000 * SECOND;

/// An update of the size they have: five reasons, a few targets.
fn alert(number: i64) -> Result<Alert, serde_json::Error> {
    let at = rfc3339(START_NS + number * 300 * SECOND);
    let reason = json!({
        "feature": "flows_unanswered_10m", "observed": 1004.0, "expected": 2.25, "low": 0.0, "high": 6.0,
        "contribution": 0.2, "text": "opened 1,004 connections that nobody answered in 10 minutes; usual: 0 to 6"
    });
    let behaviour = Behaviour::ALL[number as usize % Behaviour::ALL.len()];
    serde_json::from_value(json!({
        "ts": at, "event": "incident", "id": format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)),
        "state": State::Closed, "severity": Severity::ALL[number as usize % 5], "behaviour": behaviour,
        "score": 7.5, "p_value": 1e-4, "actor": format!("10.0.{}.{}", number / 250 % 250, number % 250),
        "targets": ["198.51.100.1", "198.51.100.2", "198.51.100.3"], "target_count": 3, "services": ["tcp/22"],
        "first_seen": at, "last_seen": at, "rows": 3, "packets": 1000, "bytes": 60000,
        "reasons": [reason, reason, reason, reason, reason],
        "summary": "10.0.0.1 opened 1,004 connections to 998 ports of 198.51.100.1 in 10 s; usual at this hour: 0 to 6",
        "technique": "T1046", "community_ids": ["1:wCb3OG7yAFWelaUydu0D+125CLM="], "model": "ae-0123456789ab",
        "detectors": {"autoencoder": 2.0, "kmeans": 1.0}, "sensor": "box", "interface": "eth0"
    }))
}

/// The median of several runs.
fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed()
        })
        .collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join(FILE);
    let mut database = Database::create(&path)?;
    let mut updates = Vec::with_capacity(INCIDENTS as usize);
    for number in 0..INCIDENTS {
        let alert = alert(number)?;
        updates.push(Update::of(&alert, serde_json::to_string(&alert)?, None));
    }
    println!(
        "bytes of a line: {}",
        updates.first().map_or(0, |update| update.json.len())
    );
    let began = Instant::now();
    for batch in updates.chunks(BATCH) {
        database.record(batch)?;
    }
    let rate = updates.len() as f64 / began.elapsed().as_secs_f64();
    println!("updates/s, {BATCH} in a transaction: {rate:.0}");
    let began = Instant::now();
    for update in updates.iter().take(2000) {
        database.record(std::slice::from_ref(update))?;
    }
    println!(
        "updates/s, one in a transaction: {:.0}",
        2000.0 / began.elapsed().as_secs_f64()
    );
    println!(
        "MiB of the file: {:.0}",
        std::fs::metadata(&path)?.len() as f64 / f64::from(1 << 20)
    );

    let page = |changes: Filter| Filter { limit: 50, ..changes };
    let ask = |what: &str, filter: &Filter| {
        println!(
            "{what}: {:?}",
            median(|| database.list(filter).map(|found| found.len()))
        );
    };
    ask("first page of 50", &page(Filter::default()));
    let middle = Filter {
        before: Some(INCIDENTS / 2),
        ..Filter::default()
    };
    ask("page in the middle", &page(middle));
    let open = Filter {
        open: Some(true),
        ..Filter::default()
    };
    ask("open ones, of which there are none", &page(open));
    let rare = Filter {
        behaviour: Some(behaviour("syn_flood")?),
        severity: Some(Severity::Critical),
        since_ns: Some(START_NS + (INCIDENTS - 1000) * 300 * SECOND),
        ..Filter::default()
    };
    ask("three filters, fewer than a page", &page(rare));
    let id = alert(77_777)?.id;
    println!(
        "one by a prefix: {:?}",
        median(|| database.incident_of(&id[..9]).is_ok())
    );
    let actor = ScopeText {
        actor: "10.0.7.0/24".into(),
        ..ScopeText::default()
    };
    println!(
        "dry run over all: {:?}",
        median(|| database.would_hide(&actor, 0).map(|found| found.hidden))
    );
    println!(
        "dry run over 7 days: {:?}",
        median(|| {
            let since_ns = START_NS + INCIDENTS * 300 * SECOND - 7 * 86_400 * SECOND;
            database.would_hide(&actor, since_ns).map(|found| found.hidden)
        })
    );
    println!(
        "256 updates for a sink: {:?}",
        median(|| Database::open(&path).and_then(|mut own| own.after(50_000, 256)))
    );
    Ok(())
}
