//! From scores to alarms at the rate the operator asked for. Calibration rows come from other stretches of time than
//! the training rows; it must never look at a score that will be judged.
//!
//! A score means different things for a DNS answer and a TCP download, so each family of traffic has its own
//! distribution (the pooled one of its kind of row where a family has few rows). A row's *strength* is its score over
//! its family's 90 % quantile. What is alarmed is a host in a window (an alarm *unit*), by the strongest of its rows,
//! and so units are what the alarm thresholds are calibrated on: rows of one host are far from independent. Each pool
//! (kind of row) has its own threshold and an equal part of the budget (Bonferroni), so that the heavy tail of one
//! kind does not blind the other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::persistence::Persistence;
use super::tail::{PValue, Tail};

/// Families with fewer calibration rows than this use the pooled distribution of their kind.
const MIN_FAMILY_ROWS: usize = 200;
/// A family's normaliser is at least this share of the pooled one: a very regular family must not cry at its first
/// small irregularity.
const MIN_NORMALISER_SHARE: f32 = 0.2;
/// Least normaliser: scores come in units of their detectors' scale, below which nothing is unusual.
const MIN_NORMALISER: f32 = 1.0;
/// Rows of one unit that count for a family's distribution: a scan while learning is one unit with many rows.
const MAX_UNIT_ROWS: usize = 32;
/// At most this share of calibration units may be set aside as foreign (an attack during learning).
const MAX_FOREIGN_SHARE: f64 = 0.05;
/// Units above this many times the 90 % quantile may be foreign: rare ordinary units reach twice it in all our captures,
/// attacks three to ten times.
const FOREIGN_FENCE: f32 = 3.0;
/// What a host comes back to in more than this many of this many equal stretches of learning is not foreign.
const FOREIGN_STRETCHES: usize = 3;
const STRETCHES: usize = 10;
/// No threshold below this many times the 90 % quantile of rows.
const MIN_THRESHOLD: f64 = 1.5;
/// Where the data do not reach the rate asked for, no threshold below `MIN_THRESHOLD + PRIOR / √n` for n units. What
/// short learning has not seen is mostly the rare but ordinary: a refused connection, a stalled download.
const PRIOR: f64 = 15.0;
/// And this over n on top: of what is rare, the first hundred units may hold nothing at all.
const SHORT: f64 = 40.0;
/// The same for evidence over many windows, in powers of ten.
const MIN_EVIDENCE: f64 = 3.0;
const EVIDENCE_PRIOR: f64 = 60.0;
/// And for evidence this over n on top: it fades over 60 windows, so that few units hold hardly an independent one.
const EVIDENCE_SHORT: f64 = 500.0;
/// There it is also above the strongest calibration unit by at least, and at most, these shares of it over √n.
const BEYOND_LEAST: f64 = 1.0;
const BEYOND_MOST: f64 = 10.0;
/// Nanoseconds of a day.
const DAY_NS: f64 = 86_400e9;

/// One scored calibration row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredRow {
    /// Family of traffic, an index below the number of families.
    pub family: usize,
    /// The pool (kind of row) that the family belongs to.
    pub pool: usize,
    /// Alarm unit; rows of the same host and window share it, and units are numbered in the order of time.
    pub unit: u32,
    /// Window of the unit.
    pub window: u32,
    /// Number of the host, the same in all windows.
    pub host: u32,
    /// Score.
    pub score: f32,
}

/// The distribution of one family's, or one pool's, held-out scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the family or pool.
    pub name: String,
    /// Score that counts as strength 1.
    pub normaliser: f32,
    /// Held-out quantiles for readers: 50 %, 90 %, 99 % and the largest.
    pub quantiles: [f32; 4],
    /// Distribution for p-values.
    pub tail: Tail,
}

/// Everything needed to judge rows and units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// By family index; `None` where the pool is used.
    pub families: Vec<Option<Group>>,
    /// By pool index.
    pub pools: Vec<Group>,
    /// By pool index: strength of the strongest row of each calibration unit.
    pub units: Vec<Tail>,
    /// Evidence that adds up over a host's windows, at each calibration unit (see [`persistence`](super::persistence)).
    pub persistence: Tail,
    /// Calibration units set aside as foreign.
    pub foreign_units: u64,
    /// Alarm units in a window on average, over all of learning.
    pub units_per_window: f32,
    /// Length of a window in learning.
    pub window_ns: u64,
}

/// The strength above which a unit is an alarm, and what that rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Units stronger than this alarm.
    pub strength: f64,
    /// Probability per unit that was asked for.
    pub asked_p: f64,
    /// The data could not support that probability: the threshold rests on the end of their reach and a margin.
    pub beyond_reach: bool,
}

impl Calibration {
    /// Calibrates on held-out rows.
    ///
    /// `family_names` and `pool_names` give the numbers of families and pools; `units_per_window` is counted over all
    /// of learning, because the operator's budget is spent on all units, not on the calibration sample.
    pub fn fit(
        rows: &[ScoredRow],
        family_names: &[&str],
        pool_names: &[&str],
        units_per_window: f64,
        window_ns: u64,
    ) -> Self {
        let mut of_unit: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        let counted: Vec<&ScoredRow> = rows
            .iter()
            .filter(|row| {
                let count = of_unit.entry((row.pool, row.unit)).or_default();
                *count += 1;
                *count <= MAX_UNIT_ROWS
            })
            .collect();
        let scores = |keep: &dyn Fn(&ScoredRow) -> bool| -> Vec<f32> {
            counted
                .iter()
                .filter(|row| keep(row))
                .map(|row| row.score)
                .collect()
        };
        let pools: Vec<Group> = pool_names
            .iter()
            .enumerate()
            .map(|(pool, name)| Group::fit(name, scores(&|row| row.pool == pool), 0.0))
            .collect();
        let families = family_names
            .iter()
            .enumerate()
            .map(|(family, name)| {
                let own = scores(&|row| row.family == family);
                let pool = rows
                    .iter()
                    .find(|row| row.family == family)
                    .map_or(0, |row| row.pool);
                let pooled = pools.get(pool).map_or(0.0, |group| group.normaliser);
                (own.len() >= MIN_FAMILY_ROWS).then(|| Group::fit(name, own, pooled * MIN_NORMALISER_SHARE))
            })
            .collect();
        let mut calibration = Self {
            families,
            pools,
            units: Vec::new(),
            persistence: Tail::fit(Vec::new()),
            foreign_units: 0,
            units_per_window: units_per_window as f32,
            window_ns,
        };
        let mut units = Vec::new();
        for pool in 0..pool_names.len() {
            let mut strongest = calibration.strongest(rows, pool);
            units.extend(strongest.iter().map(|unit| (pool, *unit)));
            calibration.foreign_units += set_foreign_aside(&mut strongest);
            let strengths = strongest.into_iter().map(|unit| unit.strength).collect();
            calibration.units.push(Tail::fit(strengths));
        }
        calibration.persistence = Tail::fit(calibration.evidence(&units));
        calibration
    }

    /// The strongest row of each unit of a pool, in the order of units.
    fn strongest(&self, rows: &[ScoredRow], pool: usize) -> Vec<Unit> {
        let of_pool = rows.iter().filter(|row| row.pool == pool);
        let mut units: Vec<Unit> = of_pool
            .map(|row| Unit {
                number: row.unit,
                window: row.window,
                host: row.host,
                strength: self.strength(row.family, pool, row.score),
            })
            .collect();
        units.sort_unstable_by(|a, b| a.number.cmp(&b.number).then(b.strength.total_cmp(&a.strength)));
        units.dedup_by_key(|unit| unit.number);
        units
    }

    /// The persistence of each calibration unit, as the detector would have summed it.
    fn evidence(&self, units: &[(usize, Unit)]) -> Vec<f32> {
        // The least p-value of all pools, by window and host.
        let mut least: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for (pool, unit) in units {
            let p_value = self.unit_p_value(*pool, unit.strength).value;
            let held = least.entry((unit.window, unit.host)).or_insert(1.0);
            *held = held.min(p_value);
        }
        let mut hosts: BTreeMap<u32, Persistence> = BTreeMap::new();
        let one = |((window, host), p_value): ((u32, u32), f64)| {
            hosts.entry(host).or_default().add(window, p_value)
        };
        least.into_iter().map(one).collect()
    }

    fn group(&self, family: usize, pool: usize) -> Option<&Group> {
        self.families
            .get(family)
            .and_then(Option::as_ref)
            .or_else(|| self.pools.get(pool))
    }

    /// A row's score relative to its kind of traffic: 1 is the 90 % quantile.
    pub fn strength(&self, family: usize, pool: usize, score: f32) -> f32 {
        self.group(family, pool)
            .map_or(0.0, |group| score / group.normaliser)
    }

    /// p-value of one row within its kind of traffic.
    pub fn row_p_value(&self, family: usize, pool: usize, score: f32) -> PValue {
        self.group(family, pool).map_or(
            PValue {
                value: 1.0,
                extrapolated: false,
            },
            |group| group.tail.p_value(score),
        )
    }

    /// p-value of a unit by its strongest row in one pool, corrected for the number of pools.
    pub fn unit_p_value(&self, pool: usize, strength: f32) -> PValue {
        let Some(tail) = self.units.get(pool) else {
            return PValue {
                value: 1.0,
                extrapolated: false,
            };
        };
        let p = tail.p_value(strength);
        PValue {
            value: (p.value * self.units.len() as f64).min(1.0),
            ..p
        }
    }

    /// The thresholds, by pool, that spend `alarm_budget_per_day` on ordinary traffic; the last is that of evidence over
    /// many windows.
    pub fn thresholds(&self, alarm_budget_per_day: f64) -> Vec<Threshold> {
        let share = alarm_budget_per_day / (self.units.len() + 1) as f64;
        self.units
            .iter()
            .map(|units| self.threshold(units, [MIN_THRESHOLD, PRIOR, SHORT], share))
            .chain([self.threshold(
                &self.persistence,
                [MIN_EVIDENCE, EVIDENCE_PRIOR, EVIDENCE_SHORT],
                share,
            )])
            .collect()
    }

    /// The threshold that spends `alarm_budget_per_day` on units like these.
    ///
    /// Within the data and the reach of the tail model this is the quantile asked for. Beyond it nothing can be
    /// promised from the data, so the threshold is conservative: the quantile at the end of the reach widened by half
    /// for every further power of ten, between the largest calibration strength times `1 + 1/√n` and times `1 + 10/√n`
    /// (n units), and at least `1.5 + 15/√n + 40/n` (for evidence `3 + 60/√n + 500/n`).
    fn threshold(
        &self,
        units: &Tail,
        [least, prior, short]: [f64; 3],
        alarm_budget_per_day: f64,
    ) -> Threshold {
        let windows_per_day = DAY_NS / self.window_ns.max(1) as f64;
        let asked_p = alarm_budget_per_day / (windows_per_day * f64::from(self.units_per_window.max(1.0)));
        let asked_p = asked_p.clamp(1e-12, 0.5);
        let n = (units.n as f64).max(1.0);
        let (quantile, beyond_reach) = units.score_at(asked_p);
        let mut strength = quantile;
        if asked_p * (n + 1.0) < 1.0 {
            let end = 1.0 / (super::tail::REACH * n);
            if beyond_reach {
                strength *= 1.0 + 0.5 * (end / asked_p).log10();
            }
            // Scores are bounded: a tail fitted to a few peaks may not run away from them.
            let beyond = |share: f64| f64::from(units.largest()) * (1.0 + share / n.sqrt());
            strength = strength.clamp(beyond(BEYOND_LEAST), beyond(BEYOND_MOST));
            strength = strength.max(least + prior / n.sqrt() + short / n);
        }
        Threshold {
            strength: strength.max(least),
            asked_p,
            beyond_reach,
        }
    }

    /// Whether all numbers are finite and usable (for loaded models).
    pub fn is_sound(&self) -> bool {
        let groups = self.families.iter().flatten().chain(&self.pools);
        groups.into_iter().all(|group| {
            group.normaliser.is_finite()
                && group.normaliser > 0.0
                && group.tail.is_sound()
                && group.tail.n > 0
        }) && self.units.len() == self.pools.len()
            && self.units.iter().all(|units| units.is_sound() && units.n > 0)
            && self.persistence.is_sound()
            && self.persistence.n > 0
            && self.units_per_window.is_finite()
            && self.units_per_window > 0.0
            && self.window_ns > 0
    }
}

impl Group {
    fn fit(name: &str, scores: Vec<f32>, floor: f32) -> Self {
        let tail = Tail::fit(scores);
        let quantiles = [
            tail.quantile(0.5),
            tail.quantile(0.9),
            tail.quantile(0.99),
            tail.largest(),
        ];
        Self {
            name: name.to_owned(),
            normaliser: tail.quantile(0.9).max(floor).max(MIN_NORMALISER),
            quantiles,
            tail,
        }
    }
}

/// One alarm unit of the calibration.
#[derive(Clone, Copy, Debug)]
struct Unit {
    number: u32,
    window: u32,
    host: u32,
    strength: f32,
}

/// Drops units that stand so far off the others that they are another kind of thing (an attack while learning), at
/// most [`MAX_FOREIGN_SHARE`] of them: above [`FOREIGN_FENCE`] times the 90 % quantile. A host that is mostly ordinary and does this all over the time
/// of learning is no attacker: that is rare and ordinary, and stays. Returns how many.
fn set_foreign_aside(units: &mut Vec<Unit>) -> u64 {
    let mut strengths: Vec<f32> = units.iter().map(|unit| unit.strength).collect();
    strengths.sort_unstable_by(f32::total_cmp);
    let fence = FOREIGN_FENCE * super::quantile(&strengths, 0.9).max(1e-6);
    if strengths.last().is_none_or(|largest| *largest <= fence) {
        return 0;
    }
    let mut hosts: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
    for unit in units.iter() {
        hosts.entry(unit.host).or_default().push(*unit);
    }
    let span = units
        .iter()
        .map(|unit| unit.window)
        .fold((u32::MAX, 0), |(first, last), window| {
            (first.min(window), last.max(window))
        });
    hosts.retain(|_, units| !comes_back(units, fence, span));
    let mut foreign: Vec<f32> = units
        .iter()
        .filter(|unit| unit.strength > fence && hosts.contains_key(&unit.host))
        .map(|unit| unit.strength)
        .collect();
    foreign.sort_unstable_by(|a, b| b.total_cmp(a));
    foreign.truncate((units.len() as f64 * MAX_FOREIGN_SHARE).floor() as usize);
    let Some(least) = foreign.last().copied() else {
        return 0;
    };
    let before = units.len();
    units.retain(|unit| unit.strength < least || !hosts.contains_key(&unit.host));
    (before - units.len()) as u64
}

/// Whether one host's units above `fence` are the smaller part of all of its units, and are found in more than
/// [`FOREIGN_STRETCHES`] of [`STRETCHES`] equal stretches of the windows from `first` to `last`.
fn comes_back(units: &[Unit], fence: f32, (first, last): (u32, u32)) -> bool {
    let length = u64::from(last - first) + 1;
    let mut seen = [false; STRETCHES];
    let mut count = 0;
    for unit in units.iter().filter(|unit| unit.strength > fence) {
        count += 1;
        let stretch = u64::from(unit.window - first) * STRETCHES as u64 / length;
        if let Some(seen) = seen.get_mut(stretch as usize) {
            *seen = true;
        }
    }
    count * 2 < units.len() && seen.iter().filter(|seen| **seen).count() > FOREIGN_STRETCHES
}

#[cfg(test)]
mod tests;
