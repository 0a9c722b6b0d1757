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

/// Runs all of it, or what `only` names, with the binary `sensor`; prints the tables.
pub(crate) fn run(sensor: PathBuf, only: &[Data]) -> Result<()> {
    let began = Instant::now();
    let tools = Tools::new(sensor)?;
    let collection = sensor_tests::data::capture("README.md");
    let data = collection.as_deref().and_then(Path::parent);
    let mut report = Report::default();
    let wants = |data: Data| only.is_empty() || only.contains(&data);
    let mut benign = None;
    if let Some(data) = data {
        if wants(Data::Homemix) || wants(Data::Forest) {
            benign = Some(labelled::homemix(&tools, data, &mut report)?);
        }
        if wants(Data::BenignWeek) {
            week::run(&tools, data, &mut report)?;
        }
        if wants(Data::Westermo) {
            labelled::westermo(&tools, data, &mut report)?;
        }
        if wants(Data::Modbus) {
            labelled::modbus(&tools, data, &mut report)?;
        }
    } else if !only.is_empty() && !wants(Data::Simulated) && !wants(Data::Forest) {
        bail!("the collection of captures is not there, and without it there is nothing to evaluate on");
    }
    if wants(Data::Simulated) {
        simulated::run(&tools, &mut report)?;
    }
    if wants(Data::Forest) {
        simulated::forest(&tools, data.zip(benign.as_deref()), &mut report)?;
    }
    println!("{}", report.text());
    eprintln!("took {} s", began.elapsed().as_secs());
    Ok(())
}
