//! When scenarios begin, how long they take, and how long the capture is. It must never start anything.

use super::{
    SimulateError,
    parameter::{Setting, Values},
    scenario::{self, Scenario},
};

/// A scenario as asked for: `NAME` or `NAME@OFFSET`.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// When it begins, nanoseconds into the capture; chosen when absent.
    pub offset_ns: Option<u64>,
}

impl Request {
    /// Reads a list such as `syn-flood,ssh-brute-force@6m`.
    ///
    /// # Errors
    /// An unknown name, or an offset that is no time.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, SimulateError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let (name, offset) = match part.split_once('@') {
                    Some((name, offset)) => (name, Some(offset)),
                    None => (part, None),
                };
                let scenario = scenario::find(name).map_err(SimulateError::Scenario)?;
                let offset_ns = offset.map(|offset| {
                    crate::config::value::parse_duration(offset)
                        .map(|offset| offset.as_nanos() as u64)
                        .ok_or_else(|| {
                            SimulateError::Scenario(format!("{part}: write the offset as in {name}@4m"))
                        })
                });
                Ok(Self {
                    scenario,
                    offset_ns: offset_ns.transpose()?,
                })
            })
            .collect()
    }
}

/// What changes the shape of scenarios.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Factor on how much is sent.
    pub intensity: f64,
    /// Factor on how slowly it goes.
    pub stretch: f64,
    /// Values of parameters.
    pub settings: Vec<Setting>,
    /// When the first scenario begins that has no offset of its own.
    pub start_ns: Option<u64>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            intensity: 1.0,
            stretch: 1.0,
            settings: Vec::new(),
            start_ns: None,
        }
    }
}

/// One run of a scenario on the time line.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) scenario: &'static Scenario,
    pub(super) values: Values,
    pub(super) offset_ns: u64,
    pub(super) length_ns: u64,
    /// Whether it does not fit into the capture.
    pub(super) cut: bool,
}

/// Where the first of several scenarios begins, a single one, and where all should be over, as shares of the capture.
const FIRST: f64 = 0.4;
const SINGLE: f64 = 0.6;
const LAST: f64 = 0.97;
/// Share of its slot that a scenario takes: between two there is a pause.
const FILL: f64 = 0.8;
/// Calls or probes that make a scenario without a length recognisable.
const ENOUGH: f64 = 8.0;

/// Lays out the runs. `fixed_ns` is the length of the capture if it cannot grow; otherwise it grows from `least_ns`
/// until everything fits. Returns the runs and the length.
pub(super) fn lay_out(
    requests: &[Request],
    shape: &Shape,
    fixed_ns: Option<u64>,
    least_ns: u64,
) -> Result<(Vec<Run>, u64), SimulateError> {
    check_settings(requests, &shape.settings)?;
    let mut planned = Vec::new();
    for request in requests {
        let scenario = request.scenario;
        let factors = (shape.intensity, shape.stretch);
        let values = Values::new(scenario.parameters, scenario.name, &shape.settings, factors)
            .map_err(|cause| SimulateError::Parameter(format!("{}: {cause}", scenario.name)))?;
        planned.push((request, values));
    }
    let slots = planned
        .iter()
        .filter(|(request, _)| request.offset_ns.is_none())
        .count()
        .max(1) as f64;
    let share = if slots > 1.0 { FIRST } else { SINGLE };
    let fill = if slots > 1.0 { FILL } else { 1.0 };
    let needed = |values: &Values| values.get("length").max(ENOUGH * values.get("period")) * 1e9;
    let mut duration = fixed_ns.unwrap_or(least_ns) as f64;
    if fixed_ns.is_none() {
        for (request, values) in &planned {
            let need = needed(values);
            duration = duration.max(match (request.offset_ns, shape.start_ns) {
                (Some(offset), _) => (offset as f64 + need) / LAST,
                (None, Some(start)) => (start as f64 + need * slots / fill) / LAST,
                (None, None) => need * slots / fill / (LAST - share),
            });
        }
    }
    let first = shape.start_ns.map_or(share * duration, |start| start as f64);
    let slot = (LAST * duration - first).max(0.0) / slots;
    let mut begin = first;
    let mut runs = Vec::new();
    for (request, values) in planned {
        let (offset, room) = match request.offset_ns {
            Some(offset) => (offset as f64, LAST * duration - offset as f64),
            None => (begin, slot * fill),
        };
        if request.offset_ns.is_none() {
            begin += slot;
        }
        if offset >= duration {
            return Err(SimulateError::Scenario(format!(
                "{}: begins at {:.0} s, but the capture is only {:.0} s long; give a longer --duration or an earlier start",
                request.scenario.name,
                offset / 1e9,
                duration / 1e9
            )));
        }
        let own = values.get("length") * 1e9;
        let length = if own > 0.0 { own } else { room.max(1.0) };
        runs.push(Run {
            scenario: request.scenario,
            cut: offset + length > duration,
            values,
            offset_ns: offset as u64,
            length_ns: length as u64,
        });
    }
    Ok((runs, duration as u64))
}

/// Every setting must be for a scenario that runs and has the parameter.
fn check_settings(requests: &[Request], settings: &[Setting]) -> Result<(), SimulateError> {
    for setting in settings {
        let fits = |request: &Request| {
            let scenario = request.scenario;
            setting
                .scenario
                .as_deref()
                .is_none_or(|name| name == scenario.name)
                && scenario.parameters.iter().any(|own| own.name == setting.name)
        };
        if !requests.iter().any(fits) {
            let known: Vec<&str> = requests
                .iter()
                .flat_map(|request| request.scenario.parameters.iter().map(|own| own.name))
                .collect();
            return Err(SimulateError::Parameter(format!(
                "no scenario asked for has a parameter \"{}\"; there are: {}",
                setting.name,
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            )));
        }
    }
    Ok(())
}
