//! The interfaces that are watched: attaches as they match, detaches as they vanish, and keeps their traffic counts
//! growing over a detach and a return. It must never touch an interface that no pattern names.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sensor_common::counter::IfaceCounters;

use crate::{
    config::Pattern,
    metrics::{MAX_INTERFACES, Metrics, OTHER_INTERFACES},
    probe::{Attachment, Probe, ProbeError, ProgramStats, follow::Link},
};

/// Traffic of one interface since the sensor started, over all its attachments.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    /// What was counted before the kernel's counters began anew.
    base: IfaceCounters,
    last: IfaceCounters,
}

impl Totals {
    fn update(&mut self, now: IfaceCounters) {
        // A device that came back may have a fresh slot, whose counters begin at zero.
        if now.receive_packets < self.last.receive_packets
            || now.transmit_packets < self.last.transmit_packets
        {
            self.base = self.sum();
        }
        self.last = now;
    }

    fn sum(&self) -> IfaceCounters {
        add(self.base, self.last)
    }
}

fn add(a: IfaceCounters, b: IfaceCounters) -> IfaceCounters {
    IfaceCounters {
        receive_packets: a.receive_packets + b.receive_packets,
        receive_bytes: a.receive_bytes + b.receive_bytes,
        transmit_packets: a.transmit_packets + b.transmit_packets,
        transmit_bytes: a.transmit_bytes + b.transmit_bytes,
    }
}

#[derive(Debug, Default)]
struct Books {
    /// Totals by interface name; the first [`MAX_INTERFACES`] names, and one entry for the rest.
    totals: BTreeMap<String, Totals>,
    /// Names by the slot that flow keys carry; kept after a detach for the flows still under way.
    names: BTreeMap<u16, String>,
    /// Failures that were logged, so that each is logged once until it changes.
    complained: BTreeMap<String, String>,
}

/// The watched interfaces.
#[derive(Debug)]
pub(super) struct Capture {
    probe: Mutex<Probe>,
    patterns: Mutex<Vec<Pattern>>,
    books: Mutex<Books>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Capture {
    pub(super) fn new(probe: Probe, patterns: Vec<Pattern>) -> Self {
        Self {
            probe: Mutex::new(probe),
            patterns: Mutex::new(patterns),
            books: Mutex::default(),
        }
    }

    /// Attaches at start. An interface that is named without wildcards must exist and take the programs.
    pub(super) fn attach_first(&self, links: &[Link]) -> Result<(), ProbeError> {
        let named: Vec<String> = lock(&self.patterns)
            .iter()
            .filter_map(|pattern| pattern.literal().map(str::to_owned))
            .collect();
        for name in named {
            self.attach(&name)?;
        }
        self.reconcile(links);
        Ok(())
    }

    fn attach(&self, name: &str) -> Result<(), ProbeError> {
        let mut probe = lock(&self.probe);
        let known: BTreeSet<u32> = probe.attachments().iter().map(|held| held.ifindex).collect();
        let attachment = probe.attach(name)?;
        drop(probe);
        if !known.contains(&attachment.ifindex) {
            report(&attachment);
        }
        lock(&self.books).names.insert(attachment.slot, attachment.name);
        Ok(())
    }

    /// Brings the attachments in line with the interfaces that exist and the patterns that are in force.
    pub(super) fn reconcile(&self, links: &[Link]) {
        let patterns = lock(&self.patterns).clone();
        let wanted = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        for held in self.attachments() {
            let exists = links.iter().any(|link| link.ifindex == held.ifindex);
            if !exists || !wanted(&held.name) {
                self.refresh_totals();
                lock(&self.probe).detach(&held.name);
                tracing::info!(interface = held.name, gone = !exists, "detached");
            }
        }
        for link in links.iter().filter(|link| wanted(&link.name)) {
            let outcome = self.attach(&link.name);
            let mut books = lock(&self.books);
            match outcome {
                Ok(()) => {
                    books.complained.remove(&link.name);
                    drop(books);
                    lock(&self.probe).changed(link);
                }
                Err(cause) => {
                    let text = cause.to_string();
                    if books.complained.insert(link.name.clone(), text.clone()).as_ref() != Some(&text) {
                        tracing::warn!("{text}");
                    }
                }
            }
        }
        let existing: BTreeSet<&str> = links.iter().map(|link| link.name.as_str()).collect();
        lock(&self.books)
            .complained
            .retain(|name, _| existing.contains(name.as_str()));
    }

    /// Replaces the patterns; takes effect with the next [`Self::reconcile`].
    pub(super) fn watch(&self, patterns: Vec<Pattern>) {
        *lock(&self.patterns) = patterns;
    }

    pub(super) fn attachments(&self) -> Vec<Attachment> {
        lock(&self.probe).attachments().to_vec()
    }

    /// Detaches from everything.
    pub(super) fn detach_all(&self) {
        for held in self.attachments() {
            lock(&self.probe).detach(&held.name);
        }
    }

    pub(super) fn program_stats(&self) -> Vec<ProgramStats> {
        lock(&self.probe).program_stats()
    }

    pub(super) fn take_kernel_log(&self) -> Option<crate::probe::KernelLog> {
        lock(&self.probe).take_kernel_log()
    }

    /// Names of all slots that were ever used.
    pub(super) fn names(&self) -> BTreeMap<u16, String> {
        lock(&self.books).names.clone()
    }

    fn refresh_totals(&self) {
        let counters = lock(&self.probe).interface_counters();
        let mut books = lock(&self.books);
        let mut rest = IfaceCounters::default();
        let mut crowded = false;
        for (name, now) in counters {
            if !books.totals.contains_key(&name) && books.totals.len() >= MAX_INTERFACES {
                rest = add(rest, now);
                crowded = true;
                continue;
            }
            books.totals.entry(name).or_default().update(now);
        }
        if crowded {
            books
                .totals
                .entry(OTHER_INTERFACES.to_owned())
                .or_default()
                .update(rest);
        }
    }

    /// Traffic by interface since start.
    pub(super) fn totals(&self) -> BTreeMap<String, IfaceCounters> {
        self.refresh_totals();
        lock(&self.books)
            .totals
            .iter()
            .map(|(name, totals)| (name.clone(), totals.sum()))
            .collect()
    }

    /// Writes everything that is read from the kernel at scrape time.
    pub(super) fn refresh(&self, metrics: &Metrics) {
        let totals = self.totals();
        metrics.interface_attached.reset();
        for held in self.attachments() {
            let name = if totals.contains_key(&held.name) {
                held.name.as_str()
            } else {
                OTHER_INTERFACES
            };
            for mode in [Some(held.ingress), held.egress].into_iter().flatten() {
                metrics
                    .interface_attached
                    .with_label_values(&[name, mode.label()])
                    .set(1.0);
            }
        }
        for (name, sum) in &totals {
            let label = &[name.as_str()];
            Metrics::raise(
                &metrics.interface_receive_packets.with_label_values(label),
                sum.receive_packets,
            );
            Metrics::raise(
                &metrics.interface_receive_bytes.with_label_values(label),
                sum.receive_bytes,
            );
            Metrics::raise(
                &metrics.interface_transmit_packets.with_label_values(label),
                sum.transmit_packets,
            );
            Metrics::raise(
                &metrics.interface_transmit_bytes.with_label_values(label),
                sum.transmit_bytes,
            );
        }
        for program in self.program_stats() {
            let label = &[program.name.as_str()];
            Metrics::raise(&metrics.bpf_runs.with_label_values(label), program.runs);
            Metrics::raise_seconds(
                &metrics.bpf_run_seconds.with_label_values(label),
                program.run_ns as f64 / 1e9,
            );
        }
    }
}

fn report(attachment: &Attachment) {
    tracing::info!(
        interface = attachment.name,
        ingress = attachment.ingress.label(),
        egress = attachment.egress.map_or("none", |mode| mode.label()),
        "attached"
    );
    for note in &attachment.notes {
        tracing::warn!(interface = attachment.name, "{note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_counts_grow_over_a_fresh_slot() {
        let counters = |packets| IfaceCounters {
            receive_packets: packets,
            receive_bytes: packets * 100,
            ..Default::default()
        };
        let mut totals = Totals::default();
        for (now, expected) in [(5, 5), (9, 9), (2, 11), (4, 13), (0, 13), (1, 14)] {
            totals.update(counters(now));
            assert_eq!(totals.sum().receive_packets, expected);
            assert_eq!(totals.sum().receive_bytes, expected * 100);
        }
    }
}
