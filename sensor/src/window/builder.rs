//! The sink that sums records into the open window and closes it into a [`Window`].
//! It must account for every packet: in a flow, in the overflow, or in `unaccounted_packets`.

use sensor_common::{
    counter::Counters,
    flow::{FlowRecord, SYN},
    overflow::{Addition, OverflowCell},
};

use super::{
    Flow, FlowsEnded, Window, WindowSettings,
    flow::{Building, Opening},
    live::{Life, LiveFlows, NOT_ACTIVE},
    overflow::Targets,
};
use crate::source::FlowSink;

/// Adds up records until [`Self::close`], and follows flows across windows.
///
/// Memory: about 105 bytes per live flow, 416 more for each that had a packet in the open window.
#[derive(Debug)]
pub struct WindowBuilder {
    settings: WindowSettings,
    live: LiveFlows,
    active: Vec<Building>,
    targets: Targets,
    books: Counters,
    refused_records: u64,
    started: u64,
}

impl FlowSink for WindowBuilder {
    fn record(&mut self, record: &FlowRecord) {
        let Some(slot) = self.live.slot(&record.key) else {
            self.refuse(record);
            return;
        };
        let Some(life) = self.live.life(slot) else { return };
        if let Some(building) = self.active.get_mut(life.active as usize) {
            building.add(record);
            return;
        }
        life.active = self.active.len() as u32;
        let mut building = Building::new(record.key, slot);
        building.add(record);
        self.active.push(building);
    }

    fn overflow(&mut self, cell: &OverflowCell) {
        self.targets.add(cell);
    }

    fn books(&mut self, counters: &Counters) {
        self.books.add(counters);
    }
}

impl WindowBuilder {
    /// A builder without flows. `seed` keys the hashes: of outputs, only the count of sources of
    /// refused flows depends on it.
    pub fn new(settings: WindowSettings, seed: u64) -> Self {
        Self {
            settings,
            live: LiveFlows::new(settings.max_flows, seed),
            active: Vec::new(),
            targets: Targets::new(seed),
            books: Counters::default(),
            refused_records: 0,
            started: 0,
        }
    }

    /// Flows followed now.
    pub fn live_flows(&self) -> usize {
        self.live.len()
    }

    /// Ends the window that began at `start_ns`. Everything added since the last close belongs to it.
    pub fn close(&mut self, start_ns: u64, end_ns: u64) -> Window {
        let books = core::mem::take(&mut self.books);
        let mut ended = FlowsEnded {
            evicted: books.evicted_flows,
            ..FlowsEnded::default()
        };
        let flows = self.take_flows(&mut ended);
        self.expire(end_ns, &mut ended);
        let (overflow, overflow_unnamed) = self.targets.take();
        let in_flows: u64 = flows.iter().map(Flow::packets).sum();
        let in_overflow = overflow.iter().map(|cell| cell.packets).sum::<u64>() + overflow_unnamed.packets;
        let accounted = in_flows + in_overflow + books.skipped_packets();
        let coverage = if books.seen_packets == 0 {
            1.0
        } else {
            (in_flows as f64 / books.seen_packets as f64).min(1.0) as f32
        };
        Window {
            start_ns,
            end_ns,
            flows,
            overflow,
            overflow_unnamed,
            books,
            coverage,
            unaccounted_packets: books.seen_packets.abs_diff(accounted),
            refused_records: core::mem::take(&mut self.refused_records),
            flows_started: core::mem::take(&mut self.started) + books.evicted_flows,
            flows_ended: ended,
            live_flows: self.live.len() as u64,
        }
    }

    /// Finishes the flows of the window, sorted by key, and brings their lives up to date.
    fn take_flows(&mut self, ended: &mut FlowsEnded) -> Vec<Flow> {
        let mut active = core::mem::take(&mut self.active);
        // Sorting references moves 8 bytes instead of 400, comparing keys in place copies nothing.
        let mut order: Vec<&Building> = active.iter().collect();
        order.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        let mut flows = Vec::with_capacity(order.len());
        for building in order {
            if let Some(life) = self.live.life(building.slot) {
                self.started += u64::from(begins_anew(life, building, ended));
                flows.push(finish(life, building, ended));
            }
        }
        // Keep the room for the next window, but not the room of a flood that is over.
        let used = active.len();
        active.clear();
        active.shrink_to(used.saturating_mul(2));
        self.active = active;
        flows
    }

    fn expire(&mut self, end_ns: u64, ended: &mut FlowsEnded) {
        let settings = self.settings;
        self.live.retain(|life| {
            let was_active = life.active != NOT_ACTIVE;
            life.active = NOT_ACTIVE;
            if life.ended {
                return was_active;
            }
            if end_ns.saturating_sub(life.last_ns) >= settings.idle_timeout_ns {
                ended.idle += 1;
                return false;
            }
            if end_ns.saturating_sub(life.born_ns) >= settings.active_timeout_ns {
                ended.active += 1;
                return false;
            }
            true
        });
    }

    /// A record beyond `max_flows` goes to the overflow cell of its responder.
    fn refuse(&mut self, record: &FlowRecord) {
        self.refused_records += 1;
        let mut building = Building::new(record.key, NOT_ACTIVE);
        building.add(record);
        let (_, initiator) = building.opening();
        let from = usize::from(initiator & 1);
        let key = &record.key;
        let syn_packets = if key.proto == 6 {
            record.half[from].flag_counts[SYN]
        } else {
            0
        };
        self.targets.add_packets(&Addition {
            target: key.addr[1 - from],
            source_hash: self.targets.source_hash(&key.addr[from]),
            packets: u64::from(record.half[0].packets) + u64::from(record.half[1].packets),
            bytes: record.half[0].bytes + record.half[1].bytes,
            syn_packets,
            evicted_flows: 0,
            port: key.port[1 - from],
            iface: key.iface,
            proto: key.proto,
            kind: key.kind,
        });
    }
}

/// UDP, and its port for DNS.
const UDP: u8 = 17;
const DNS: u16 = 53;
/// After an answer, another DNS question from the same port this much later is another exchange: resolvers take a random
/// port for each question (RFC 5452), and with many of them some port comes again within the idle timeout.
const DNS_PAUSE_NS: u64 = 1_000_000_000;

/// Whether this window's packets are a new flow; then the life is emptied. A new SYN on a connection that has ended is,
/// and so is a DNS question after a pause.
fn begins_anew(life: &mut Life, building: &Building, ended: &mut FlowsEnded) -> bool {
    let dns = life.key.proto == UDP && life.key.port.contains(&DNS);
    let answered = life.packets.iter().all(|packets| *packets > 0);
    let asked_again = dns && answered && building.first_ns().saturating_sub(life.last_ns) >= DNS_PAUSE_NS;
    ended.idle += u64::from(asked_again);
    let reused = life.ended && building.syn_ns() != 0;
    if reused || asked_again {
        life.restart();
    }
    life.born_ns == 0
}

fn finish(life: &mut Life, building: &Building, ended: &mut FlowsEnded) -> Flow {
    let mut flow = building.finish(life.last_ns);
    let (opening, initiator) = building.opening();
    if life.born_ns == 0 {
        life.born_ns = flow.first_ns.max(1);
        (life.opening, life.initiator) = (opening, initiator);
    } else if opening > life.opening && opening >= Opening::SynAck {
        (life.opening, life.initiator) = (opening, initiator);
    }
    let syn_ns = if flow.syn_ns != 0 {
        flow.syn_ns
    } else {
        life.syn_ns
    };
    flow.handshake_ns = (syn_ns != 0 && flow.synack_ns >= syn_ns).then(|| flow.synack_ns - syn_ns);
    life.syn_ns = if flow.synack_ns == 0 { syn_ns } else { 0 };
    flow.born_ns = life.born_ns;
    flow.prior_last_ns = life.last_ns;
    flow.prior_packets = life.packets;
    flow.initiator = life.initiator;
    life.last_ns = life.last_ns.max(flow.last_ns).max(1);
    life.packets[0] += flow.half[0].packets;
    life.packets[1] += flow.half[1].packets;
    life.fin_halves |= building.fin_halves;
    if !life.ended {
        if building.reset {
            ended.rst += 1;
            life.ended = true;
        } else if life.fin_halves == 0b11 {
            ended.fin += 1;
            life.ended = true;
        }
    }
    flow
}
