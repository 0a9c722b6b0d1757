//! What hosts did over a minute, ten minutes and an hour: exponentially weighted means per window, for hosts that had
//! a host row. It must never hold more than `max_hosts`, and what it forgets first is the least active.

use std::collections::BTreeMap;

/// Time constants in seconds.
const SCALES_S: [f64; 3] = [60.0, 600.0, 3600.0];
/// A host not seen for this long is forgotten.
const FORGET_S: f64 = 86_400.0;
/// What a host did in less time than this is not what it usually does.
const USUAL_FROM_S: f64 = 300.0;

/// What enters the means from one window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) flows_opened: f32,
    pub(super) unanswered: f32,
    pub(super) bytes_out: f32,
    /// New peers and services; `None` while the history is being learned.
    pub(super) novel: Option<[f32; 2]>,
}

/// Means per window; the index is the scale (1 minute, 10 minutes, 1 hour).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Means {
    pub(super) flows_opened: [f32; 3],
    pub(super) unanswered: [f32; 3],
    pub(super) bytes_out: [f32; 3],
    pub(super) new_peers: [f32; 3],
    pub(super) new_services: [f32; 3],
}

/// What a host does per window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// Flows opened, over an hour.
    pub(super) opened_1h: f32,
    /// Attempts without an answer, over ten minutes.
    pub(super) unanswered_10m: f32,
    /// Bytes sent, over an hour.
    pub(super) bytes_out_1h: f32,
}

/// One decayed sum and the decayed number of windows behind it, per scale.
#[derive(Clone, Copy, Debug, Default)]
struct Decayed {
    sums: [[f32; 3]; 3],
    novel_sums: [[f32; 3]; 2],
    windows: [f32; 3],
    novel_windows: [f32; 3],
    last: u32,
    active_windows: u32,
}

/// Histories by address.
#[derive(Debug)]
pub(super) struct History {
    hosts: BTreeMap<[u8; 16], Decayed>,
    /// Decay per window, by scale.
    decay: [f64; 3],
    forget_windows: u32,
    /// Windows of history from which it says what is usual.
    usual_from: f64,
    max_hosts: usize,
}

impl History {
    /// An empty history; about 150 bytes per host.
    pub(super) fn new(max_hosts: usize, window_ns: u64) -> Self {
        let window_s = window_ns.max(1) as f64 / 1e9;
        Self {
            hosts: BTreeMap::new(),
            decay: SCALES_S.map(|scale_s| (-window_s / scale_s).exp()),
            forget_windows: (FORGET_S / window_s).min(f64::from(u32::MAX)) as u32,
            usual_from: USUAL_FROM_S / window_s,
            max_hosts,
        }
    }

    /// Whether the host had a row before.
    pub(super) fn knows(&self, address: &[u8; 16]) -> bool {
        self.hosts.contains_key(address)
    }

    /// What the host usually does, as of window `now` without that window's own; `None` for a host with less than five
    /// minutes of history.
    pub(super) fn usual(&self, address: &[u8; 16], now: u32) -> Option<Usual> {
        let host = self.hosts.get(address)?;
        // Up to the window before this one.
        let elapsed = f64::from(now.wrapping_sub(host.last).clamp(1, self.forget_windows.max(1)) - 1);
        let [_, tens, hours] = self.decay.map(|decay| (decay, decay.powf(elapsed)));
        // The decayed number of windows behind a scale.
        let windows = |scale: usize, (decay, faded): (f64, f64)| {
            f64::from(host.windows[scale]) * faded + (1.0 - faded) / (1.0 - decay)
        };
        let least = (1.0 - hours.0.powf(self.usual_from)) / (1.0 - hours.0);
        let known = windows(2, hours);
        (known >= least * (1.0 - 1e-3)).then(|| {
            let mean =
                |sum: f32, faded: f64, windows: f64| (f64::from(sum) * faded / windows.max(1.0)) as f32;
            Usual {
                opened_1h: mean(host.sums[0][2], hours.1, known),
                unanswered_10m: mean(host.sums[1][1], tens.1, windows(1, tens)),
                bytes_out_1h: mean(host.sums[2][2], hours.1, known),
            }
        })
    }

    /// Adds the host's window `now` and returns its means, this window included. Windows without the host count as
    /// zeros since its first.
    pub(super) fn add(&mut self, address: &[u8; 16], now: u32, sample: &Sample) -> Means {
        let host = self.hosts.entry(*address).or_insert_with(|| Decayed {
            last: now.wrapping_sub(1),
            ..Decayed::default()
        });
        let elapsed = f64::from(now.wrapping_sub(host.last).clamp(1, self.forget_windows.max(1)));
        let values = [sample.flows_opened, sample.unanswered, sample.bytes_out];
        for (scale, decay) in self.decay.iter().enumerate() {
            let faded = decay.powf(elapsed);
            // Σ decay^i over the elapsed windows.
            let windows = ((1.0 - faded) / (1.0 - decay)) as f32;
            let faded = faded as f32;
            for (sums, value) in host.sums.iter_mut().zip(values) {
                sums[scale] = sums[scale] * faded + value;
            }
            host.windows[scale] = host.windows[scale] * faded + windows;
            if let Some(novel) = sample.novel {
                for (sums, value) in host.novel_sums.iter_mut().zip(novel) {
                    sums[scale] = sums[scale] * faded + value;
                }
                let first = host.novel_windows[scale] == 0.0;
                host.novel_windows[scale] =
                    host.novel_windows[scale] * faded + if first { 1.0 } else { windows };
            }
        }
        host.last = now;
        host.active_windows = host.active_windows.saturating_add(1);
        let mean = |sums: [f32; 3], windows: [f32; 3]| -> [f32; 3] {
            core::array::from_fn(|scale| sums[scale] / windows[scale].max(1.0))
        };
        Means {
            flows_opened: mean(host.sums[0], host.windows),
            unanswered: mean(host.sums[1], host.windows),
            bytes_out: mean(host.sums[2], host.windows),
            new_peers: mean(host.novel_sums[0], host.novel_windows),
            new_services: mean(host.novel_sums[1], host.novel_windows),
        }
    }

    /// Forgets hosts not seen for a day, then the least active ones beyond the bound.
    pub(super) fn tidy(&mut self, now: u32) {
        let forget = self.forget_windows;
        self.hosts.retain(|_, host| now.wrapping_sub(host.last) <= forget);
        let excess = self.hosts.len().saturating_sub(self.max_hosts);
        if excess == 0 {
            return;
        }
        let mut ranked: Vec<_> = self
            .hosts
            .iter()
            .map(|(address, host)| (host.active_windows, host.last, *address))
            .collect();
        ranked.select_nth_unstable(excess - 1);
        for (_, _, address) in &ranked[..excess] {
            self.hosts.remove(address);
        }
    }

    /// Hosts held.
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const WINDOW_NS: u64 = 10_000_000_000;

    #[test]
    fn what_was_usual_over_an_hour_is_told_without_the_window_at_hand() {
        let mut history = History::new(10, WINDOW_NS);
        assert_eq!(history.usual(&[1; 16], 0), None);
        for window in 0..30 {
            // Five minutes are 30 windows.
            assert_eq!(history.usual(&[1; 16], window), None, "{window}");
            history.add(&[1; 16], window, &opened(4.0));
        }
        let usual = history.usual(&[1; 16], 30).unwrap().opened_1h;
        assert!((usual - 4.0).abs() < 1e-3, "{usual}");
        // Thirty silent windows halve it, and a little more: what lies further back weighs less.
        let usual = history.usual(&[1; 16], 60).unwrap().opened_1h;
        assert!(usual > 1.9 && usual < 2.0, "{usual}");
    }

    fn opened(flows: f32) -> Sample {
        Sample {
            flows_opened: flows,
            ..Sample::default()
        }
    }

    #[test]
    fn a_steady_rate_is_its_own_mean_at_every_scale_from_the_first_window() {
        let mut history = History::new(10, WINDOW_NS);
        for now in 0..50 {
            for mean in history.add(&[1; 16], now, &opened(7.0)).flows_opened {
                assert!((mean - 7.0).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn means_by_hand_with_silent_windows_between() {
        let mut history = History::new(10, WINDOW_NS);
        history.add(&[1; 16], 0, &opened(6.0));
        // Two silent windows, then 0: 6 a³ / (1 + a + a² + a³) with a = exp(-10/60).
        let mean = history.add(&[1; 16], 3, &opened(0.0)).flows_opened[0];
        let a = (-1.0_f32 / 6.0).exp();
        assert!(
            (mean - 6.0 * a * a * a / (1.0 + a + a * a + a * a * a)).abs() < 1e-4,
            "{mean}"
        );
    }

    #[test]
    fn novelty_counts_from_the_window_in_which_it_is_first_known() {
        let mut history = History::new(10, WINDOW_NS);
        for now in 0..10 {
            let means = history.add(&[1; 16], now, &opened(1.0));
            assert!(means.new_peers.iter().all(|mean| mean.abs() < 1e-9));
        }
        let sample = Sample {
            novel: Some([4.0, 2.0]),
            ..Sample::default()
        };
        let means = history.add(&[1; 16], 10, &sample);
        assert!((means.new_peers[2] - 4.0).abs() < 1e-4 && (means.new_services[1] - 2.0).abs() < 1e-4);
    }

    #[test]
    fn a_million_hosts_stay_within_the_bound_and_the_busiest_stay() {
        let mut history = History::new(1000, WINDOW_NS);
        for now in 0..3 {
            history.add(&[7; 16], now, &opened(1.0));
        }
        for host in 0..1_000_000_u128 {
            history.add(&(host << 8).to_be_bytes(), 3, &opened(1.0));
            if host % 10_000 == 9_999 {
                history.tidy(3);
                assert_eq!(history.len(), 1000);
            }
        }
        assert!(history.knows(&[7; 16]));
        history.tidy(3 + 8641);
        assert_eq!(history.len(), 0);
    }
}
