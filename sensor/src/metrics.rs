//! All metrics, declared once: the table below gives the registry, the exposition and docs/metrics.md.
//! It must never hold an address, port or flow as a label, nor more than [`MAX_SERIES`] series.

use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, CounterVec, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, Registry};

mod batch;
#[cfg(test)]
mod check;
pub mod docs;
mod family;
pub mod label;
mod openmetrics;
mod process;
mod table;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;

pub use batch::BatchHistogram;
pub use family::{Def, Kind};
pub use openmetrics::Exemplar;
pub use table::{Metrics, TABLE};

/// Most series one sensor may have.
pub const MAX_SERIES: usize = 300;
/// Interfaces that get series of their own; the rest is summed as `other`.
pub const MAX_INTERFACES: usize = 12;
/// The label value of the interfaces beyond [`MAX_INTERFACES`].
pub const OTHER_INTERFACES: &str = "other";

/// Content type of the classic text format.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Content type of OpenMetrics.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why metrics could not be made or written.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}; this is a defect of sensor, please report it")]
pub struct MetricsError(#[from] prometheus::Error);

/// Text formats of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The classic text format, version 0.0.4.
    Classic,
    /// OpenMetrics 1.0.0, with exemplars.
    OpenMetrics,
}

impl Format {
    /// The format an Accept header asks for; classic unless OpenMetrics is named with a higher weight.
    pub fn negotiate(accept: &str) -> Self {
        let mut classic = 0.0f32;
        let mut open = 0.0f32;
        for part in accept.split(',') {
            let mut fields = part.split(';').map(str::trim);
            let media = fields.next().unwrap_or_default().to_ascii_lowercase();
            let weight = fields
                .find_map(|field| field.strip_prefix("q=").and_then(|q| q.parse().ok()))
                .unwrap_or(1.0);
            match media.as_str() {
                "application/openmetrics-text" => open = weight,
                "text/plain" => classic = weight,
                _ => {}
            }
        }
        if open > 0.0 && open >= classic {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The Content-Type header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => CLASSIC,
            Self::OpenMetrics => OPENMETRICS,
        }
    }
}

impl Metrics {
    /// Raises a counter to an absolute value read elsewhere. It never goes back, even if the source does.
    pub fn raise(counter: &IntCounter, absolute: u64) {
        counter.inc_by(absolute.saturating_sub(counter.get()));
    }

    /// Raises a counter of seconds to an absolute value read elsewhere.
    pub fn raise_seconds(counter: &Counter, absolute: f64) {
        let missing = absolute - counter.get();
        if missing > 0.0 {
            counter.inc_by(missing);
        }
    }

    /// Sets a one-hot gauge: 1 for `current`, 0 for every other known value.
    pub fn one_hot(gauge: &GaugeVec, values: &[&str], current: &str) {
        for value in values {
            gauge
                .with_label_values(&[*value])
                .set(f64::from(u8::from(*value == current)));
        }
    }

    /// Keeps an exemplar for the bucket of the reconstruction error that its value falls into.
    pub fn keep_exemplar(&self, exemplar: Exemplar) {
        let bucket = table::ERROR_BUCKETS.partition_point(|bound| *bound < exemplar.value);
        self.exemplars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(bucket, exemplar);
    }

    /// Writes all metrics.
    ///
    /// # Errors
    /// If a family is inconsistent, which the tests exclude.
    pub fn render(&self, format: Format) -> Result<String, MetricsError> {
        self.refresh_process();
        let families = self.registry.gather();
        match format {
            Format::Classic => Ok(prometheus::TextEncoder::new().encode_to_string(&families)?),
            Format::OpenMetrics => {
                let exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(openmetrics::encode(&families, &|family, bucket| {
                    (family == table::ERROR_NAME)
                        .then(|| exemplars.get(&bucket))
                        .flatten()
                        .cloned()
                }))
            }
        }
    }
}

/// The latest exemplar of each bucket of the reconstruction error.
type Exemplars = Mutex<std::collections::BTreeMap<usize, Exemplar>>;
