//! Local hosts that have fallen silent: there is no row for what is not there, so silence needs a memory of its own. It must
//! never speak when everything is quiet at once (a cut link, a capture's end), nor hold more than [`MAX_HOSTS`].

use hashbrown::HashMap;

use crate::features::{Family, WindowRows};

/// Hosts remembered at most, 24 bytes each; more are not followed.
const MAX_HOSTS: usize = 16_384;
/// Windows in which a host must have sent something before its absence says anything.
const MIN_WINDOWS: u32 = 36;
/// Silence that is news: this many times the longest pause so far, and at least so long.
const TIMES_LONGEST: u64 = 5;
const MIN_SILENCE_NS: u64 = 120_000_000_000;
/// And at least so many windows, where they are long.
const MIN_SILENT_WINDOWS: u64 = 4;
/// How often a silence that goes on is told of, so that its incident stays open.
const REPEAT_NS: u64 = 240_000_000_000;
/// Hosts that must still be there, beside being more than those that are not.
const MIN_OTHERS: usize = 3;
/// A host not seen for this long has gone.
const FORGET_NS: u64 = 86_400_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    windows: u32,
    last_ns: u64,
    longest_ns: u64,
}

impl Seen {
    /// Silence from which on it is news.
    fn limit_ns(&self, window_ns: u64) -> u64 {
        (self.longest_ns.saturating_mul(TIMES_LONGEST))
            .max(MIN_SILENCE_NS)
            .max(MIN_SILENT_WINDOWS.saturating_mul(window_ns))
    }
}

/// A host that has fallen silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// Who.
    pub(super) host: [u8; 16],
    /// For how long.
    pub(super) silent_ns: u64,
    /// Its longest pause before.
    pub(super) longest_ns: u64,
    /// Windows in which it sent something.
    pub(super) windows: u32,
}

/// See the module's description.
#[derive(Debug)]
pub(super) struct Presence {
    hosts: HashMap<[u8; 16], Seen, foldhash::quality::FixedState>,
    window_ns: u64,
}

impl Presence {
    /// Nobody seen yet. `seed` keys the table, so that addresses cannot be chosen to collide.
    pub(super) fn new(seed: u64, window_ns: u64) -> Self {
        Self {
            hosts: HashMap::with_hasher(foldhash::quality::FixedState::with_seed(seed)),
            window_ns: window_ns.max(1),
        }
    }

    /// Takes in a window; returns who is silent and is to be told of now, by address.
    pub(super) fn window(&mut self, rows: &WindowRows) -> Vec<Silence> {
        let now_ns = rows.end_ns;
        for (key, facts) in rows.host.keys.iter().zip(&rows.host_facts) {
            if key.family == Family::Local && facts.packets_out > 0 {
                self.note(key.initiator, now_ns);
            }
        }
        let window_ns = self.window_ns;
        let (mut there, mut gone) = (0usize, 0usize);
        let mut silences = Vec::new();
        self.hosts.retain(|host, seen| {
            let silent_ns = now_ns.saturating_sub(seen.last_ns);
            if seen.windows >= MIN_WINDOWS {
                let limit_ns = seen.limit_ns(window_ns);
                if silent_ns < limit_ns {
                    there += usize::from(silent_ns <= seen.longest_ns.max(window_ns));
                } else {
                    gone += 1;
                    if (silent_ns - limit_ns) % REPEAT_NS.max(window_ns) < window_ns {
                        silences.push(Silence {
                            host: *host,
                            silent_ns,
                            longest_ns: seen.longest_ns,
                            windows: seen.windows,
                        });
                    }
                }
            }
            silent_ns < FORGET_NS
        });
        if there < MIN_OTHERS || there <= gone {
            return Vec::new();
        }
        silences.sort_unstable_by_key(|silence| silence.host);
        silences
    }

    fn note(&mut self, host: [u8; 16], now_ns: u64) {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&host) {
            return;
        }
        let seen = self.hosts.entry(host).or_insert(Seen {
            last_ns: now_ns,
            ..Seen::default()
        });
        seen.longest_ns = seen.longest_ns.max(now_ns.saturating_sub(seen.last_ns));
        (seen.last_ns, seen.windows) = (now_ns, seen.windows.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use sensor_common::flow::FlowKey;

    use super::*;
    use crate::features::{HostFacts, RowKey, RowKind, Rows};
    use bytemuck::Zeroable as _;

    const WINDOW_NS: u64 = 10_000_000_000;

    fn host(last: u8) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
    }

    fn window(number: u64, hosts: impl Iterator<Item = u8>) -> WindowRows {
        let mut rows = Rows::empty(RowKind::Host);
        let mut host_facts = Vec::new();
        for last in hosts {
            rows.keys.push(RowKey {
                flow: FlowKey::zeroed(),
                initiator: host(last),
                responder: [0; 16],
                packets: 1,
                bytes: 60,
                service_port: 0,
                initiator_port: 0,
                iface: 0,
                proto: 0,
                family: Family::Local,
            });
            host_facts.push(HostFacts {
                packets_out: 1,
                ..HostFacts::default()
            });
        }
        WindowRows {
            start_ns: number * WINDOW_NS,
            end_ns: (number + 1) * WINDOW_NS,
            coverage: 1.0,
            flow: Rows::empty(RowKind::Flow),
            host: rows,
            host_facts,
            hosts_over_limit: 0,
        }
    }

    /// Five hosts for `before` windows, then those of `after` for `silent` more; every silence that was told.
    fn told(before: u64, silent: u64, after: &[u8], pause_of_1: u64) -> Vec<(u64, Silence)> {
        let mut presence = Presence::new(1, WINDOW_NS);
        let mut told = Vec::new();
        for number in 0..before + silent {
            let of_1 = number % pause_of_1 == 0;
            let hosts: Vec<u8> = if number < before {
                (1..=5).filter(|last| *last != 1 || of_1).collect()
            } else {
                after.to_vec()
            };
            let silences = presence.window(&window(number, hosts.into_iter()));
            told.extend(silences.into_iter().map(|silence| (number - before, silence)));
        }
        told
    }

    #[test]
    fn a_host_that_is_always_there_is_missed_after_two_minutes_and_again_while_it_lasts() {
        let told = told(60, 90, &[2, 3, 4, 5], 1);
        let first = told[0];
        assert_eq!((first.1.host, first.1.silent_ns), (host(1), 120_000_000_000));
        // Two minutes, and then every four: within the five that keep an incident open.
        let at: Vec<u64> = told.iter().map(|(window, _)| *window).collect();
        assert_eq!(at, [11, 35, 59, 83]);
    }

    #[test]
    fn pauses_that_a_host_makes_are_no_silence() {
        // Every 20 windows: missed after five such pauses, not after two minutes.
        let told = told(20 * 40, 150, &[2, 3, 4, 5], 20);
        assert_eq!(told.first().map(|(window, _)| *window), Some(5 * 20 - 20));
    }

    #[test]
    fn nobody_is_missed_when_most_are_away_or_when_hardly_known() {
        assert_eq!(told(60, 90, &[], 1), []);
        assert_eq!(told(60, 90, &[5], 1), []);
        assert_eq!(told(30, 90, &[2, 3, 4, 5], 1), []);
    }

    #[test]
    fn a_million_hosts_stay_within_the_bound() {
        let mut presence = Presence::new(1, WINDOW_NS);
        for number in 0..1_000_000u128 {
            presence.note(number.to_be_bytes(), WINDOW_NS);
        }
        assert_eq!(presence.hosts.len(), MAX_HOSTS);
    }
}
