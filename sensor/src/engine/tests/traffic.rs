//! Synthetic traffic for the engine's tests: a small network with web, DNS, SSH and ping, and attacks on it.
//! Seeded; it must never read a clock.

use bytemuck::Zeroable;
use rand_chacha::rand_core::SeedableRng;
use sensor_common::counter::Counters;
use sensor_common::flow::{ACK, FIN, FlowKey, FlowRecord, NET_IPV4, NET_IPV6, PSH, RST, SYN, TICK_NS};

use crate::detect::{Seeded, below, unit_interval};
use crate::source::FlowSink;
use crate::window::{Window, WindowBuilder, WindowSettings};

pub(super) const WINDOW_NS: u64 = 2_000_000_000;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;

pub(super) fn lan(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

fn wan(network: u8, last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, network, last]
}

/// One flow's part of a window, from its initiator's view.
struct Talk {
    from: ([u8; 16], u16),
    to: ([u8; 16], u16),
    proto: u8,
    packets: [u32; 2],
    bytes: [u64; 2],
    opens: bool,
    closes: bool,
    reset: bool,
    start_ns: u64,
    span_ns: u64,
}

impl Talk {
    fn new(proto: u8, from: ([u8; 16], u16), to: ([u8; 16], u16), start_ns: u64) -> Self {
        Self {
            from,
            to,
            proto,
            packets: [1, 1],
            bytes: [80, 80],
            opens: true,
            closes: false,
            reset: false,
            start_ns,
            span_ns: 20_000_000,
        }
    }

    fn record(&self) -> FlowRecord {
        let swap = usize::from(self.from > self.to);
        let mut record = FlowRecord::zeroed();
        let ends = if swap == 1 {
            [self.to, self.from]
        } else {
            [self.from, self.to]
        };
        record.key = FlowKey {
            addr: [ends[0].0, ends[1].0],
            port: [ends[0].1, ends[1].1],
            proto: self.proto,
            kind: if self.proto == ICMP_V6 { NET_IPV6 } else { NET_IPV4 } << 4,
            ..FlowKey::zeroed()
        };
        record.first_half = swap as u8;
        record.first_ns = self.start_ns;
        record.last_ns = self.start_ns + self.span_ns;
        let packets = u64::from(self.packets[0] + self.packets[1]);
        record.iat_min_ticks = u32::MAX;
        if packets > 1 {
            let gap = self.span_ns / TICK_NS / (packets - 1);
            (record.iat_min_ticks, record.iat_max_ticks) = (gap as u32, gap as u32 * 2);
            record.iat_sumsq_ticks = gap * gap * (packets - 1);
        } else {
            record.last_ns = record.first_ns;
        }
        for (side, (packets, bytes)) in self.packets.into_iter().zip(self.bytes).enumerate() {
            let half = &mut record.half[side ^ swap];
            if packets == 0 {
                continue;
            }
            let mean = bytes / u64::from(packets);
            (half.packets, half.bytes) = (packets, bytes);
            half.payload_bytes = bytes.saturating_sub(u64::from(packets) * 54);
            half.len_sumsq = mean * mean * u64::from(packets) * 5 / 4;
            half.len_min = mean.min(60) as u16;
            half.len_max = (mean * 2).min(1514) as u16;
            (half.ttl_min, half.ttl_max) = (64, 64);
            if self.proto == TCP {
                half.flag_counts[ACK] = packets - u32::from(self.opens && side == 0);
                half.flag_counts[PSH] = packets / 3;
                half.flag_counts[SYN] = u32::from(self.opens && !(self.reset && side == 1));
                half.flag_counts[FIN] = u32::from(self.closes);
                half.flag_counts[RST] = u32::from(self.reset && side == 1);
            }
        }
        if self.proto == TCP && self.opens {
            record.syn_tick = 1;
            record.synack_tick = if self.packets[1] > 0 && !self.reset {
                1 + 400
            } else {
                0
            };
        }
        record
    }
}

/// The network.
pub(super) struct Network {
    rng: Seeded,
    builder: WindowBuilder,
    now_ns: u64,
    next_port: u16,
    pending: Vec<Talk>,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        let settings = WindowSettings {
            max_flows: 200_000,
            idle_timeout_ns: 60_000_000_000,
            active_timeout_ns: 1_800_000_000_000,
        };
        Self {
            rng: Seeded::seed_from_u64(seed),
            builder: WindowBuilder::new(settings, seed),
            now_ns: 1_000_000_000_000,
            next_port: 32_768,
            pending: Vec::new(),
        }
    }

    fn port(&mut self) -> u16 {
        self.next_port = if self.next_port > 60_000 {
            32_768
        } else {
            self.next_port + 1
        };
        self.next_port
    }

    fn at(&mut self) -> u64 {
        self.now_ns + below(&mut self.rng, WINDOW_NS as usize * 9 / 10) as u64
    }

    /// Skewed sizes: most small, few large.
    fn size(&mut self, low: f32, high: f32) -> f32 {
        let share = unit_interval(&mut self.rng).powi(2);
        low * (high / low).powf(share)
    }

    /// Ordinary traffic of one window.
    pub(super) fn ordinary(&mut self) {
        for client in 2..8u8 {
            for _ in 0..below(&mut self.rng, 4) {
                self.web(client);
            }
            for _ in 0..below(&mut self.rng, 3) {
                self.dns(client);
            }
            if below(&mut self.rng, 4) == 0 {
                self.ping(client);
            }
        }
        for client in [2, 5] {
            self.ssh(client);
        }
    }

    /// Every client reads a dozen pages.
    pub(super) fn rush(&mut self) {
        for client in 2..8 {
            for _ in 0..10 + below(&mut self.rng, 4) {
                self.web(client);
            }
        }
    }

    /// Only one in `keep` of this window's flows happens.
    pub(super) fn thin_out(&mut self, keep: usize) {
        let mut index = 0;
        self.pending.retain(|_| {
            index += 1;
            index % keep == 0
        });
    }

    /// What an IPv6 router's timers send: neighbour solicitations (answered), advertisements, listener reports.
    pub(super) fn housekeeping(&mut self, window: u64) {
        let v6 = |head: [u8; 2], last: u8| {
            let mut address = [0; 16];
            (address[0], address[1], address[15]) = (head[0], head[1], last);
            address
        };
        let (router, all) = (v6([0xfe, 0x80], 1), v6([0xff, 2], 1));
        let mut say = |from: ([u8; 16], u16), to: ([u8; 16], u16), packets: [u32; 2]| {
            let start_ns = self.at();
            let mut talk = Talk::new(ICMP_V6, from, to, start_ns);
            (talk.packets, talk.bytes) = (packets, packets.map(|count| u64::from(count) * 86));
            self.pending.push(talk);
        };
        let neighbour = v6([0xfd, 0x77], (window % 5) as u8 + 20);
        match window % 3 {
            0 => say((router, 135), (neighbour, 136), [1, 1]),
            1 => say((neighbour, 135), (router, 136), [1, 1]),
            _ => say((neighbour, 143), (v6([0xff, 2], 0x16), 0), [2, 0]),
        }
        if window.is_multiple_of(7) {
            say((router, 134), (all, 133), [1, 0]);
        }
    }

    fn web(&mut self, client: u8) {
        let server = if below(&mut self.rng, 3) == 0 {
            lan(10)
        } else {
            wan(113, below(&mut self.rng, 12) as u8)
        };
        let start_ns = self.at();
        let port = self.port();
        let tls = if below(&mut self.rng, 4) == 0 { 80 } else { 443 };
        let mut talk = Talk::new(TCP, (lan(client), port), (server, tls), start_ns);
        let body = self.size(600.0, 400_000.0);
        talk.packets = [6 + (body / 2800.0) as u32, 5 + (body / 1400.0) as u32];
        talk.bytes = [
            u64::from(talk.packets[0]) * 70 + 500,
            body as u64 + u64::from(talk.packets[1]) * 60,
        ];
        talk.span_ns = self.size(5e6, 4e8) as u64;
        talk.closes = true;
        if below(&mut self.rng, 40) == 0 {
            (talk.reset, talk.closes, talk.packets, talk.bytes) = (true, false, [1, 1], [74, 60]);
        }
        self.pending.push(talk);
    }

    fn dns(&mut self, client: u8) {
        let (start_ns, port) = (self.at(), self.port());
        let mut talk = Talk::new(UDP, (lan(client), port), (lan(1), 53), start_ns);
        talk.bytes = [self.size(70.0, 100.0) as u64, self.size(90.0, 500.0) as u64];
        talk.span_ns = self.size(3e5, 3e7) as u64;
        self.pending.push(talk);
    }

    fn ping(&mut self, client: u8) {
        let start_ns = self.at();
        let mut talk = Talk::new(ICMP, (lan(client), 8), (lan(1), 0), start_ns);
        talk.bytes = [98, 98];
        self.pending.push(talk);
    }

    fn ssh(&mut self, client: u8) {
        let mut talk = Talk::new(
            TCP,
            (lan(client), 40_000 + u16::from(client)),
            (lan(11), 22),
            self.now_ns + 1_000_000,
        );
        let keys = 1 + below(&mut self.rng, 20) as u32;
        (talk.packets, talk.opens) = ([keys * 2, keys * 2], false);
        talk.bytes = [u64::from(keys) * 200, u64::from(keys) * 260];
        talk.span_ns = 1_500_000_000;
        self.pending.push(talk);
    }

    /// One host tries `ports` ports of another; most answer with a reset.
    pub(super) fn vertical_scan(&mut self, attacker: u8, target: u8, ports: u16) {
        for port in 1..=ports {
            let (start_ns, from) = (self.at(), self.port());
            let mut talk = Talk::new(TCP, (lan(attacker), from), (lan(target), port), start_ns);
            (talk.reset, talk.bytes, talk.span_ns) = (port % 97 != 0, [60, 60], 200_000);
            self.pending.push(talk);
        }
    }

    /// One host tries one port of `hosts` strangers; few answer.
    pub(super) fn horizontal_scan(&mut self, attacker: u8, hosts: u8, port: u16) {
        for host in 0..hosts {
            let (start_ns, from) = (self.at(), self.port());
            let mut talk = Talk::new(TCP, (lan(attacker), from), (wan(7, host), port), start_ns);
            (talk.packets, talk.bytes) = if host % 10 == 0 {
                ([1, 1], [60, 60])
            } else {
                ([1, 0], [60, 0])
            };
            talk.reset = host % 10 == 0;
            self.pending.push(talk);
        }
    }

    /// SYN packets to one service from as many forged sources.
    pub(super) fn syn_flood(&mut self, victim: u8, packets: u32, answered: bool) {
        for _ in 0..packets {
            let mut source = wan(0, 0);
            for byte in &mut source[12..] {
                *byte = 11 + below(&mut self.rng, 200) as u8;
            }
            let (start_ns, from) = (self.at(), 1024 + below(&mut self.rng, 60_000) as u16);
            let mut talk = Talk::new(TCP, (source, from), (lan(victim), 80), start_ns);
            (talk.packets, talk.bytes) = if answered {
                ([1, 1], [60, 60])
            } else {
                ([1, 0], [60, 0])
            };
            self.pending.push(talk);
        }
    }

    /// Repeated log-ins to one service.
    pub(super) fn brute_force(&mut self, attacker: u8, target: u8, attempts: u32) {
        for _ in 0..attempts {
            let (start_ns, from) = (self.at(), self.port());
            let mut talk = Talk::new(TCP, (lan(attacker), from), (lan(target), 22), start_ns);
            (talk.packets, talk.bytes, talk.closes) = ([12, 11], [2200, 2600], true);
            self.pending.push(talk);
        }
    }

    /// A large upload by an ordinary client to an ordinary server.
    pub(super) fn upload(&mut self, client: u8, bytes: u64) {
        let (start_ns, port) = (self.now_ns + 1000, self.port());
        let mut talk = Talk::new(TCP, (lan(client), port), (wan(113, 3), 443), start_ns);
        (talk.packets, talk.bytes) = (
            [(bytes / 1400) as u32, (bytes / 2800) as u32],
            [bytes, bytes / 40],
        );
        talk.span_ns = WINDOW_NS * 9 / 10;
        self.pending.push(talk);
    }

    /// Ends the window.
    pub(super) fn close(&mut self) -> Window {
        let mut books = Counters::default();
        for talk in self.pending.drain(..) {
            let record = talk.record();
            books.seen_packets += u64::from(record.half[0].packets + record.half[1].packets);
            books.started_flows += 1;
            self.builder.record(&record);
        }
        self.builder.books(&books);
        let start_ns = self.now_ns;
        self.now_ns += WINDOW_NS;
        self.builder.close(start_ns, self.now_ns)
    }
}
