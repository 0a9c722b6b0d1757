//! What each host did in the open window, summed over its flows. Bounded by `max_hosts`: when more addresses appear,
//! hosts with a history come first, then local ones, and flow ends without an entry are counted.

use hashbrown::HashTable;
use sensor_common::flow::{ARP_REQUEST, NET_ARP, RST};

use super::{
    HostFacts,
    history::{History, Usual},
    keyed::Keyed,
    locality::LocalNetworks,
};
use crate::window::{Flow, Window};

/// ICMP, TCP, UDP and `ICMPv6`.
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP_V6: u8 = 58;

/// Set on the number of a flow end that has no entry: the rest is a hash, so that it still counts as a distinct peer.
pub(super) const NO_ENTRY: u32 = 0x8000_0000;

/// `ICMPv6` types of the network's own housekeeping: multicast listener reports (RFC 2710, RFC 3810), router and neighbour
/// discovery (RFC 4861), multicast router discovery (RFC 4286).
const HOUSEKEEPING_V6: [core::ops::RangeInclusive<u16>; 3] = [130..=137, 143..=143, 151..=153];

/// An attempt is not called unanswered until its peer had this long: TCP's first retransmission (RFC 6298), or a tenth
/// of a shorter window.
const ANSWER_GRACE_NS: u64 = 1_000_000_000;

/// One host in one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostWindow {
    pub(super) address: [u8; 16],
    pub(super) local: bool,
    pub(super) facts: HostFacts,
    pub(super) flows_active: u64,
    pub(super) udp_packets: u64,
    pub(super) icmp_packets: u64,
    /// Packets it sent to keep its place in an IPv6 network, see [`is_housekeeping`].
    pub(super) discovery_packets: u64,
    /// Opened unicast flows old enough to be judged.
    pub(super) judged: u64,
    /// Flows accepted that are old enough, and those of them without an answer.
    pub(super) judged_in: u64,
    pub(super) unanswered_in: u64,
    /// Distinct services of flows accepted.
    pub(super) services_in: u64,
    /// Entropy of the services of flows opened, in bits; NaN without any.
    pub(super) service_entropy: f32,
    /// Best regularity among the contacts made in this window; NaN without one.
    pub(super) regularity: f32,
    /// What it did per window before this one; `None` without enough history.
    pub(super) usual: Option<Usual>,
}

impl HostWindow {
    fn new(address: [u8; 16], local: bool) -> Self {
        Self {
            address,
            local,
            facts: HostFacts::default(),
            flows_active: 0,
            udp_packets: 0,
            icmp_packets: 0,
            discovery_packets: 0,
            judged: 0,
            judged_in: 0,
            unanswered_in: 0,
            services_in: 0,
            service_entropy: f32::NAN,
            regularity: f32::NAN,
            usual: None,
        }
    }
}

/// The hosts of one window and, per flow, the numbers of its two ends (in the order of the key's addresses).
#[derive(Debug)]
pub(super) struct Hosts {
    keyed: Keyed,
    /// Entries at most.
    limit: usize,
    index: HashTable<u32>,
    pub(super) list: Vec<HostWindow>,
    pub(super) ends: Vec<[u32; 2]>,
    /// Flow ends without an entry.
    pub(super) over_limit: u64,
}

impl Hosts {
    /// No hosts.
    pub(super) fn new(max_hosts: usize, keyed: Keyed) -> Self {
        let limit = max_hosts.min(NO_ENTRY as usize);
        Self {
            keyed,
            limit,
            index: HashTable::new(),
            list: Vec::new(),
            ends: Vec::new(),
            over_limit: 0,
        }
    }

    /// Starts a window: gives every endpoint its entry and sums the flows.
    pub(super) fn fill(&mut self, window: &Window, window_ns: u64, local: &LocalNetworks, history: &History) {
        self.number(window, local, |_, _| {});
        if self.over_limit > 0 {
            self.number(window, local, |hosts, window| {
                hosts.admit(window, local, |address| history.knows(address));
                hosts.admit(window, local, |address| local.contains(address));
            });
        }
        let grace_ns = grace_ns(window_ns);
        let ends = core::mem::take(&mut self.ends);
        for (flow, ends) in window.flows.iter().zip(&ends) {
            self.sum(flow, *ends, is_judged(flow, window.end_ns, grace_ns), local);
        }
        self.ends = ends;
    }

    /// Numbers the two ends of every flow, after those hosts that `first` admits.
    fn number(&mut self, window: &Window, local: &LocalNetworks, first: impl FnOnce(&mut Self, &Window)) {
        self.index.clear();
        self.list.clear();
        self.ends.clear();
        self.over_limit = 0;
        // Victims of overflow before all: in a flood they are what matters.
        for cell in &window.overflow {
            self.entry(&cell.target, local);
        }
        first(self, window);
        let mut last = None;
        for flow in &window.flows {
            let [low, high] = &flow.key.addr;
            // Flows are sorted by their lower address: it is mostly the one before.
            let number = match last {
                Some((address, number)) if address == *low => number,
                _ => self.entry(low, local),
            };
            last = Some((*low, number));
            let ends = [number, self.entry(high, local)];
            self.ends.push(ends);
            self.over_limit += ends.iter().filter(|&&end| end >= NO_ENTRY).count() as u64;
        }
    }

    fn admit(&mut self, window: &Window, local: &LocalNetworks, wanted: impl Fn(&[u8; 16]) -> bool) {
        for address in window.flows.iter().flat_map(|flow| &flow.key.addr) {
            if self.list.len() >= self.limit {
                return;
            }
            if wanted(address) {
                self.entry(address, local);
            }
        }
    }

    /// The number of the host, or `NO_ENTRY` and a hash.
    fn entry(&mut self, address: &[u8; 16], local: &LocalNetworks) -> u32 {
        let hash = self.keyed.address(address);
        let list = &self.list;
        let same = |number: &u32| {
            list.get(*number as usize)
                .is_some_and(|host| host.address == *address)
        };
        if let Some(number) = self.index.find(hash, same) {
            return *number;
        }
        if list.len() >= self.limit {
            return NO_ENTRY | (hash >> 33) as u32;
        }
        let number = list.len() as u32;
        self.list.push(HostWindow::new(*address, local.contains(address)));
        let (list, keyed) = (&self.list, &self.keyed);
        self.index.insert_unique(hash, number, |&other| {
            list.get(other as usize)
                .map_or(0, |host| keyed.address(&host.address))
        });
        number
    }

    /// The number of a host that has an entry.
    pub(super) fn find(&self, address: &[u8; 16]) -> Option<usize> {
        let same = |number: &u32| {
            self.list
                .get(*number as usize)
                .is_some_and(|host| host.address == *address)
        };
        self.index
            .find(self.keyed.address(address), same)
            .map(|&number| number as usize)
    }

    /// The host with this number, if it has an entry.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut HostWindow> {
        self.list.get_mut(number as usize)
    }

    /// The host with this number, if it has an entry.
    pub(super) fn get(&self, number: u32) -> Option<&HostWindow> {
        self.list.get(number as usize)
    }

    fn sum(&mut self, flow: &Flow, ends: [u32; 2], judged: bool, local: &LocalNetworks) {
        let packets = flow.packets();
        for (side, &end) in ends.iter().enumerate() {
            let Some(host) = self.get_mut(end) else { continue };
            let (sent, received) = (&flow.half[side], &flow.half[1 - side]);
            host.flows_active += 1;
            host.facts.packets_out += sent.packets;
            host.facts.bytes_out += sent.bytes;
            host.facts.packets_in += received.packets;
            host.facts.bytes_in += received.bytes;
            if flow.key.network() == NET_ARP {
                host.facts.arp_requests += u64::from(sent.flag_counts[ARP_REQUEST]);
                continue;
            }
            if is_housekeeping(flow) {
                host.discovery_packets += sent.packets;
                continue;
            }
            match flow.key.proto {
                TCP => {
                    host.facts.resets_sent += u64::from(sent.flag_counts[RST]);
                    host.facts.resets_received += u64::from(received.flag_counts[RST]);
                }
                UDP => host.udp_packets += packets,
                ICMP | ICMP_V6 => host.icmp_packets += packets,
                _ => {}
            }
        }
        if flow.opened() && !is_housekeeping(flow) {
            self.sum_opened(flow, ends, judged, local);
        }
    }

    fn sum_opened(&mut self, flow: &Flow, ends: [u32; 2], judged: bool, local: &LocalNetworks) {
        let from = usize::from(flow.initiator & 1);
        let unicast = !local.is_group(&flow.key.addr[1 - from]);
        let syn = u64::from(flow.key.proto == TCP && flow.syn_ns != 0);
        let refused = flow.synack_ns != 0 || flow.back().flag_counts[RST] > 0;
        let syn_unanswered = if judged && !refused { syn } else { 0 };
        let unanswered = u64::from(judged && unicast && !flow.answered());
        if let Some(host) = self.get_mut(ends[from]) {
            host.judged += u64::from(judged && unicast);
            host.facts.flows_opened += 1;
            host.facts.unanswered += unanswered;
            host.facts.syns_sent += syn;
            host.facts.syns_sent_unanswered += syn_unanswered;
        }
        if let Some(host) = self.get_mut(ends[1 - from]) {
            host.judged_in += u64::from(judged);
            host.unanswered_in += unanswered;
            host.facts.flows_accepted += 1;
            host.facts.syns_received += syn;
            host.facts.syns_received_unanswered += syn_unanswered;
        }
    }
}

/// Whether the flow only keeps the network going: ARP, and the `ICMPv6` messages that do its work. Hosts send them when a
/// timer runs out, so they are no contacts, and nothing is unusual about a minute with one or without.
pub(super) fn is_housekeeping(flow: &Flow) -> bool {
    let (_, kind) = flow.initiator_endpoint();
    flow.key.network() == NET_ARP
        || flow.key.proto == ICMP_V6 && HOUSEKEEPING_V6.iter().any(|kinds| kinds.contains(&kind))
}

/// Whether enough time was left in the window for an answer to the flow's first packet.
pub(super) fn is_judged(flow: &Flow, end_ns: u64, grace_ns: u64) -> bool {
    flow.first_ns.saturating_add(grace_ns) <= end_ns
}

/// The grace for this length of window.
pub(super) fn grace_ns(window_ns: u64) -> u64 {
    ANSWER_GRACE_NS.min(window_ns / 10)
}
