//! The stateful stage from windows to rows. All state is bounded by `max_hosts`; it reads no clock and its only
//! randomness is the seed of its hashes.

use std::collections::BTreeMap;

use sensor_common::overflow::REGISTERS;

use super::{
    HostFacts, RowKind, Rows, WindowRows, flow_row,
    graph::Graph,
    history::History,
    host_row,
    hosts::{Hosts, grace_ns, is_judged},
    keyed::Keyed,
    locality::LocalNetworks,
    sources,
};
use crate::window::Window;

/// Windows before the history of peers and services is called learned: until then nothing is new.
pub(super) const LEARNING_WINDOWS: u32 = 6;

/// Bounds and context of the feature stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractorSettings {
    /// Hosts followed at most, in one window and over time; about 1 KiB each.
    pub max_hosts: usize,
    /// Nominal length of a window.
    pub window_ns: u64,
    /// Local networks as (address, prefix length in the 128-bit form: an IPv4 /24 is 120); none means RFC 1918,
    /// unique local and link-local.
    pub local_networks: Vec<([u8; 16], u8)>,
}

/// Turns windows into rows, remembering what is usual for whom.
#[derive(Debug)]
pub struct Extractor {
    window_ns: u64,
    local: LocalNetworks,
    hosts: Hosts,
    graph: Graph,
    history: History,
    /// End of the first window: windows are numbered from there.
    epoch_ns: Option<u64>,
    windows: u32,
}

impl Extractor {
    /// An extractor without history. `seed` keys its hash tables.
    pub fn new(settings: &ExtractorSettings, seed: u64) -> Self {
        let keyed = Keyed::new(seed);
        let window_ns = settings.window_ns.max(1);
        Self {
            window_ns,
            local: LocalNetworks::new(&settings.local_networks),
            hosts: Hosts::new(settings.max_hosts, keyed.clone()),
            graph: Graph::new(settings.max_hosts, window_ns, keyed),
            history: History::new(settings.max_hosts, window_ns),
            epoch_ns: None,
            windows: 0,
        }
    }

    /// Hosts with a history now.
    pub fn known_hosts(&self) -> usize {
        self.history.len()
    }

    /// Rows of one window. Windows must come in the order of time.
    pub fn rows(&mut self, window: &Window) -> WindowRows {
        let epoch_ns = *self.epoch_ns.get_or_insert(window.end_ns);
        let now = (window.end_ns.saturating_sub(epoch_ns) + self.window_ns / 2) / self.window_ns;
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let learned = self.windows >= LEARNING_WINDOWS;
        self.windows = self.windows.saturating_add(1);
        self.hosts
            .fill(window, self.window_ns, &self.local, &self.history);
        self.add_overflow(window);
        for host in &mut self.hosts.list {
            if host.facts.packets_out > 0 {
                host.usual = self.history.usual(&host.address, now);
            }
        }
        self.graph.walk(&window.flows, &mut self.hosts, now, learned);
        let flow = self.flow_rows(window, learned);
        let (host, host_facts) = self.host_rows(now, learned);
        WindowRows {
            start_ns: window.start_ns,
            end_ns: window.end_ns,
            coverage: window.coverage,
            flow,
            host,
            host_facts,
            hosts_over_limit: self.hosts.over_limit,
        }
    }

    /// Overflow cells feed the row of the host they are aimed at.
    fn add_overflow(&mut self, window: &Window) {
        let mut registers: BTreeMap<usize, ([u8; REGISTERS], u64)> = BTreeMap::new();
        for cell in &window.overflow {
            let Some(number) = self.hosts.find(&cell.target) else {
                continue;
            };
            let Some(host) = self.hosts.list.get_mut(number) else {
                continue;
            };
            let facts = &mut host.facts;
            facts.overflow_packets += cell.packets;
            facts.packets_in += cell.packets;
            facts.bytes_in += cell.bytes;
            facts.syns_received += u64::from(cell.syn_packets);
            facts.syns_received_unanswered += u64::from(cell.syn_packets);
            let (union, heaviest) = registers.entry(number).or_insert(([0; REGISTERS], 0));
            for (held, rank) in union.iter_mut().zip(cell.sources) {
                *held = (*held).max(rank);
            }
            if cell.packets > *heaviest {
                *heaviest = cell.packets;
                (facts.overflow_port, facts.overflow_proto) = (cell.port, cell.proto);
            }
        }
        for (number, (union, _)) in registers {
            if let Some(host) = self.hosts.list.get_mut(number) {
                host.facts.overflow_sources = sources::estimate(&union).round() as u64;
            }
        }
    }

    fn flow_rows(&self, window: &Window, learned: bool) -> Rows {
        let mut values = Vec::with_capacity(window.flows.len() * flow_row::WIDTH);
        let mut keys = Vec::with_capacity(window.flows.len());
        let grace_ns = grace_ns(self.window_ns);
        let parts = window.flows.iter().zip(&self.hosts.ends).zip(&self.graph.context);
        for ((flow, ends), context) in parts {
            let from = usize::from(flow.initiator & 1);
            let hosts = flow_row::Ends {
                initiator: self.hosts.get(ends[from]),
                responder: self.hosts.get(ends[1 - from]),
            };
            let judged = is_judged(flow, window.end_ns, grace_ns);
            let key = flow_row::key(flow, &self.local);
            let sides = [&key.initiator, &key.responder].map(|address| self.local.contains(address));
            let place = flow_row::Place {
                judged,
                sides,
                group: self.local.is_group(&key.responder),
                learned,
            };
            values.extend_from_slice(&flow_row::values(flow, context, hosts, place));
            keys.push(key);
        }
        Rows {
            kind: RowKind::Flow,
            width: flow_row::WIDTH,
            values,
            keys,
        }
    }

    fn host_rows(&mut self, now: u32, learned: bool) -> (Rows, Vec<HostFacts>) {
        let mut rows = Rows::empty(RowKind::Host);
        let mut facts = Vec::new();
        for number in host_row::select(&self.hosts, &self.local, &self.history) {
            let Some(host) = self.hosts.list.get(number) else {
                continue;
            };
            let means = self
                .history
                .add(&host.address, now, &host_row::sample(host, learned));
            rows.values
                .extend_from_slice(&host_row::values(host, &means, learned));
            rows.keys.push(host_row::key(host));
            facts.push(host.facts);
        }
        self.history.tidy(now);
        (rows, facts)
    }
}
