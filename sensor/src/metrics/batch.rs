//! A histogram that is fed whole batches: counts by bucket and their sum, as scoring makes them once a window.
//! It must never be fed single values: that is what `prometheus::Histogram` is for.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    core::{Collector, Desc},
    proto,
};

use super::family::{Def, Family, Kind};

#[derive(Debug)]
struct Inner {
    desc: Desc,
    bounds: &'static [f64],
    /// Counts by bucket (not cumulative, the last one open), and the sum of the values.
    held: Mutex<(Vec<u64>, f64)>,
}

/// A histogram of batches.
#[derive(Clone, Debug)]
pub struct BatchHistogram(Arc<Inner>);

impl BatchHistogram {
    /// Adds a batch: counts by bucket, not cumulative, with one more than there are bounds, and the sum of the values.
    pub fn add(&self, counts: &[u64], sum: f64) {
        let mut held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        for (total, count) in held.0.iter_mut().zip(counts) {
            *total += count;
        }
        held.1 += sum;
    }
}

impl Collector for BatchHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(self.0.bounds.len());
        for (bound, count) in self.0.bounds.iter().zip(&held.0) {
            cumulative += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(held.0.iter().sum());
        histogram.set_sample_sum(held.1);
        let mut metric = proto::Metric::default();
        metric.set_histogram(histogram);
        let mut family = proto::MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

impl Family for BatchHistogram {
    const KIND: Kind = Kind::Histogram;
    fn create(def: &Def) -> prometheus::Result<Self> {
        let help = def.help.trim().to_owned();
        let desc = Desc::new(
            def.name.to_owned(),
            help,
            Vec::new(),
            std::collections::HashMap::default(),
        )?;
        let counts = vec![0; def.buckets.len() + 1];
        Ok(Self(Arc::new(Inner {
            desc,
            bounds: def.buckets,
            held: Mutex::new((counts, 0.0)),
        })))
    }
}
