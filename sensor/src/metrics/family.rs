//! How a row of the table of metrics becomes a registered family.
//! It must never know a particular metric.

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts,
    core::{Atomic, Collector, GenericCounterVec},
};

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by bucket, with sum and count.
    Histogram,
}

impl Kind {
    /// Its name in the exposition formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A label of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// All values it can take; empty when they are only known at run time.
    pub values: &'static [&'static str],
    /// What bounds the values that are only known at run time.
    pub bound: &'static str,
}

/// One row of the table of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Def {
    /// Full name.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// Type.
    pub kind: Kind,
    /// Labels.
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
}

impl Def {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help.trim())
    }

    fn label_names(&self) -> Vec<&'static str> {
        self.labels.iter().map(|label| label.name).collect()
    }

    /// The values of a single label that is fully known: such series exist from the start, at zero.
    fn known_values(&self) -> &'static [&'static str] {
        match self.labels {
            [only] => only.values,
            _ => &[],
        }
    }
}

/// A type of the `prometheus` crate that a row of the table can become.
pub(super) trait Family: Sized + Clone + Collector + 'static {
    /// Its kind.
    const KIND: Kind;
    /// Makes the family.
    fn create(def: &Def) -> prometheus::Result<Self>;
}

impl Family for IntCounter {
    const KIND: Kind = Kind::Counter;
    fn create(def: &Def) -> prometheus::Result<Self> {
        Self::with_opts(def.opts())
    }
}

impl Family for Counter {
    const KIND: Kind = Kind::Counter;
    fn create(def: &Def) -> prometheus::Result<Self> {
        Self::with_opts(def.opts())
    }
}

impl Family for Gauge {
    const KIND: Kind = Kind::Gauge;
    fn create(def: &Def) -> prometheus::Result<Self> {
        Self::with_opts(def.opts())
    }
}

impl Family for Histogram {
    const KIND: Kind = Kind::Histogram;
    fn create(def: &Def) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts::new(def.name, def.help.trim()).buckets(def.buckets.to_vec()))
    }
}

fn counter_vec<P: Atomic>(def: &Def) -> prometheus::Result<GenericCounterVec<P>> {
    let family = GenericCounterVec::new(def.opts(), &def.label_names())?;
    for value in def.known_values() {
        family.get_metric_with_label_values(&[*value])?;
    }
    Ok(family)
}

impl Family for IntCounterVec {
    const KIND: Kind = Kind::Counter;
    fn create(def: &Def) -> prometheus::Result<Self> {
        counter_vec(def)
    }
}

impl Family for CounterVec {
    const KIND: Kind = Kind::Counter;
    fn create(def: &Def) -> prometheus::Result<Self> {
        counter_vec(def)
    }
}

impl Family for GaugeVec {
    const KIND: Kind = Kind::Gauge;
    fn create(def: &Def) -> prometheus::Result<Self> {
        let family = Self::new(def.opts(), &def.label_names())?;
        for value in def.known_values() {
            family.get_metric_with_label_values(&[*value])?;
        }
        Ok(family)
    }
}
