//! `cargo xtask eval`: how well the sensor detects, on the captures of the collection and on simulated ones, beside
//! baselines that learn nothing. Prints Markdown on standard output. Must never tune anything.

mod labelled;
mod leaks;
mod simulated;
mod table;
mod tools;
mod week;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::{table::Report, tools::Tools};

/// What is evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Data {
    /// A home network with seven attacks, and slow versions of them.
    Homemix,
    /// A week of single devices.
    BenignWeek,
    /// An industrial network.
    Westermo,
    /// A SCADA laboratory.
    Modbus,
    /// Every scenario of `sensor simulate`.
    Simulated,
    /// A forest taught with simulated attacks.
    Forest,
}

/// Runs all of it, or what `only` names, with the binary `sensor`; prints the tables. False when something could
/// not be judged.
pub(crate) fn run(sensor: PathBuf, only: &[Data]) -> Result<bool> {
    let began = Instant::now();
    let tools = Tools::new(sensor)?;
    let collection = sensor_tests::data::capture("README.md");
    let data = collection.as_deref().and_then(Path::parent);
    let mut report = Report::default();
    let wants = |data: Data| only.is_empty() || only.contains(&data);
    let mut benign = None;
    let mut failed = 0;
    let mut tried = |report: &mut Report, name: &str, result: Result<()>| {
        if let Err(error) = result {
            failed += 1;
            report.part(&format!("{name}: not judged"), &format!("{error:#}"));
        }
    };
    if let Some(data) = data {
        if wants(Data::Homemix) || wants(Data::Forest) {
            let result = labelled::homemix(&tools, data, &mut report).map(|path| benign = Some(path));
            tried(&mut report, "homemix", result);
        }
        if wants(Data::BenignWeek) {
            let result = week::run(&tools, data, &mut report);
            tried(&mut report, "benign-week", result);
        }
        if wants(Data::Westermo) {
            let result = labelled::westermo(&tools, data, &mut report);
            tried(&mut report, "westermo", result);
        }
        if wants(Data::Modbus) {
            for (name, result) in labelled::modbus(&tools, data, &mut report) {
                tried(&mut report, name, result);
            }
        }
    } else if !only.is_empty() && !wants(Data::Simulated) && !wants(Data::Forest) {
        bail!("the collection of captures is not there, and without it there is nothing to evaluate on");
    }
    if wants(Data::Simulated) {
        let result = simulated::run(&tools, &mut report);
        tried(&mut report, "simulated", result);
    }
    if wants(Data::Forest) {
        let result = simulated::forest(&tools, data.zip(benign.as_deref()), &mut report);
        tried(&mut report, "forest", result);
    }
    let asides = tools.file("incidents.md");
    std::fs::write(&asides, report.asides())?;
    println!("{}", report.text());
    eprintln!("incidents by their summaries: {}", asides.display());
    eprintln!("took {} s", began.elapsed().as_secs());
    Ok(failed == 0)
}
