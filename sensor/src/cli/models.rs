//! `sensor models`: list, show, verify. Reads model directories; it must never change one.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use super::{Failure, Loader, ModelsCommand, exit, print};
use crate::{
    model::{self, Model},
    service::Store,
};

pub(super) fn run(command: &ModelsCommand, format: Option<&String>) -> Result<u8, Failure> {
    match command {
        ModelsCommand::List(source) => {
            let settings = Loader::new(source, format).load()?;
            list(&settings.state_dir)
        }
        ModelsCommand::Show { model, source } => {
            let settings = Loader::new(source, format).load()?;
            let directory = match model {
                Some(name) => directory_of(&settings.state_dir, name),
                None => {
                    Store::current_in(&settings.state_dir)?.ok_or_else(|| no_current(&settings.state_dir))?
                }
            };
            let model = load(&directory)?;
            print(&describe(&directory, &model))?;
            Ok(0)
        }
        ModelsCommand::Verify { models, source } => {
            let settings = Loader::new(source, format).load()?;
            let directories: Vec<PathBuf> = if models.is_empty() {
                Store::models_in(&settings.state_dir)?
            } else {
                models
                    .iter()
                    .map(|name| directory_of(&settings.state_dir, name))
                    .collect()
            };
            verify(&directories)
        }
    }
}

/// A name with a slash, or of an existing directory, is a path; anything else is an id of the state directory.
fn directory_of(state_dir: &Path, name: &str) -> PathBuf {
    let path = PathBuf::from(name);
    if name.contains('/') || path.is_dir() {
        path
    } else {
        Store::model_path(state_dir, name)
    }
}

fn no_current(state_dir: &Path) -> Failure {
    Failure::new(
        exit::INPUT,
        format!(
            "{}: no current model; let `sensor run` learn one, or name a model",
            state_dir.display()
        ),
    )
}

fn load(directory: &Path) -> Result<Model, Failure> {
    model::files::load(directory).map_err(|cause| Failure::new(exit::INPUT, cause.to_string()))
}

fn created(model: &Model) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(model.created_ns))
        .and_then(|time| time.round(jiff::Unit::Second))
        .map_or_else(|_| "unknown time".to_owned(), |time| time.to_string())
}

fn list(state_dir: &Path) -> Result<u8, Failure> {
    let current = Store::current_in(state_dir)?;
    let mut out = format!(
        "{:<3}{:<18}{:<22}{:>10}  {}\n",
        "", "id", "created", "windows", "detector"
    );
    let mut code = 0;
    for directory in Store::models_in(state_dir)? {
        let mark = if current.as_ref() == Some(&directory) {
            "*"
        } else {
            ""
        };
        match model::files::load(&directory) {
            Ok(model) => {
                let _ = writeln!(
                    out,
                    "{mark:<3}{:<18}{:<22}{:>10}  {}",
                    model.id,
                    created(&model),
                    model.training.windows,
                    model.kind.label()
                );
            }
            Err(cause) => {
                eprintln!("sensor: {cause}");
                code = exit::INPUT;
            }
        }
    }
    print(&out)?;
    Ok(code)
}

fn describe(directory: &Path, model: &Model) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{name:<20}{value}");
    };
    line("directory", &directory.display());
    line("id", &model.id);
    line("detector", &model.kind.label());
    line("created", &created(model));
    line("replaces", &model.parent.as_deref().unwrap_or("nothing"));
    line("seed", &model.training.seed);
    line("learned windows", &model.training.windows);
    for (kind, training) in [("flow", &model.training.flow), ("host", &model.training.host)] {
        line(
            &format!("{kind} rows"),
            &format!(
                "{} trained, {} held out, {} calibrated",
                training.training_rows, training.held_out_rows, training.calibration_rows
            ),
        );
        if !training.dropped_features.is_empty() {
            line(&format!("{kind} not used"), &training.dropped_features.join(", "));
        }
    }
    out
}

fn verify(directories: &[PathBuf]) -> Result<u8, Failure> {
    let mut code = 0;
    for directory in directories {
        match model::files::load(directory) {
            Ok(model) => print(&format!("{}: whole, {}\n", directory.display(), model.id))?,
            Err(cause) => {
                eprintln!("sensor: {cause}");
                code = exit::INPUT;
            }
        }
    }
    if directories.is_empty() {
        eprintln!("sensor: no models here");
    }
    Ok(code)
}
