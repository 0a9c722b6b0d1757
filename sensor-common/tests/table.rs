//! The flow table under floods: what survives, that nothing is lost from the books, and what the overflow sketch
//! still knows. Single records: segments, clocks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use bytemuck::Zeroable as _;
use sensor_common::{
    counter::Counters,
    flow::{FlowKey, FlowRecord, NET_IPV4, Sighting},
    hash::{self, Seed},
    observe::{Tables, observe},
    overflow::{CELLS, OverflowCell, REGISTERS},
    parse::{Frame, Parsed},
    table::{Bucket, Pair, WAYS},
};

const SEED: Seed = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    3,
    0xa409_3822_299f_31d0,
    5,
    0x082e_fa98_ec4e_6c89,
];
const SYN: u8 = 0x02;

/// One region of the kernel's tables in ordinary memory.
struct Memory {
    pairs: Vec<Pair>,
    cells: Vec<OverflowCell>,
}

impl Tables for Memory {
    fn pair(&mut self, hash: u64) -> Option<&mut Pair> {
        let mask = self.pairs.len() - 1;
        self.pairs.get_mut(hash as u32 as usize & mask)
    }

    fn cell(&mut self, index: u32) -> Option<&mut OverflowCell> {
        self.cells.get_mut(index as usize)
    }
}

struct Table {
    memory: Memory,
    books: Counters,
    scratch: Parsed,
    sent: u64,
    sent_bytes: u64,
}

impl Table {
    fn new(slots: usize) -> Self {
        Self {
            memory: Memory {
                pairs: vec![Pair::zeroed(); slots / WAYS / 2],
                cells: vec![OverflowCell::zeroed(); CELLS as usize],
            },
            books: Counters::default(),
            scratch: Parsed::zeroed(),
            sent: 0,
            sent_bytes: 0,
        }
    }

    /// A TCP frame between two IPv4 endpoints.
    fn send(&mut self, source: (u32, u16), target: (u32, u16), flags: u8) {
        let frame = tcp(source, target, flags);
        self.sent += 1;
        self.sent_bytes += frame.len() as u64;
        let seen = Sighting::packet(self.sent * 10_000, frame.len() as u32);
        observe(
            frame.as_slice(),
            &Frame::ethernet(frame.len() as u32),
            |_| seen,
            &SEED,
            &mut self.books,
            &mut self.memory,
            &mut self.scratch,
        );
    }

    fn records(&self) -> impl Iterator<Item = &FlowRecord> {
        self.memory.pairs.iter().flat_map(|pair| &pair.bucket).flat_map(|bucket| {
            bucket
                .tag
                .iter()
                .zip(&bucket.slot)
                .filter(|(tag, _)| **tag != 0)
                .map(|(_, record)| record)
        })
    }

    #[track_caller]
    fn assert_balanced(&self) {
        let packets: u64 = self.records().map(packets).sum();
        let bytes: u64 = self
            .records()
            .map(|record| record.half[0].bytes + record.half[1].bytes)
            .sum();
        assert_eq!(packets + self.books.overflow_packets, self.sent, "packets");
        assert_eq!(bytes + self.books.overflow_bytes, self.sent_bytes, "bytes");
        let cells = &self.memory.cells;
        assert_eq!(
            cells.iter().map(|cell| cell.packets).sum::<u64>(),
            self.books.overflow_packets
        );
        assert_eq!(
            cells.iter().map(|cell| cell.bytes).sum::<u64>(),
            self.books.overflow_bytes
        );
        let evicted: u64 = cells.iter().map(|cell| u64::from(cell.evicted_flows)).sum();
        assert_eq!(evicted, self.books.evicted_flows);
        assert_eq!(
            self.books.started_flows - self.books.evicted_flows,
            self.books.used_slots
        );
        assert_eq!(self.records().count() as u64, self.books.used_slots);
    }
}

fn packets(record: &FlowRecord) -> u64 {
    u64::from(record.half[0].packets) + u64::from(record.half[1].packets)
}

fn tcp(source: (u32, u16), target: (u32, u16), flags: u8) -> [u8; 54] {
    let mut frame = [0; 54];
    frame[12] = 0x08;
    frame[14] = 0x45;
    frame[17] = 40;
    frame[22] = 64;
    frame[23] = 6;
    frame[26..30].copy_from_slice(&source.0.to_be_bytes());
    frame[30..34].copy_from_slice(&target.0.to_be_bytes());
    frame[34..36].copy_from_slice(&source.1.to_be_bytes());
    frame[36..38].copy_from_slice(&target.1.to_be_bytes());
    frame[46] = 0x50;
    frame[47] = flags;
    frame
}

/// `SplitMix64` (Steele and others 2014).
fn scramble(value: u64) -> u64 {
    let mut z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

const SERVER: (u32, u16) = (0xc000_0201, 443);
const VICTIM: (u32, u16) = (0xc000_0202, 80);
const CLIENTS: u32 = 0x0a00_0000;

/// Share of the packets of 1,024 flows of 20 packets that are in records after `flood` packets of new flows for each.
fn survival(flood: u64) -> f64 {
    let mut table = Table::new(65_536);
    let mut new = 0u64;
    for _round in 0..20 {
        for client in 0..1_024 {
            table.send((CLIENTS + client, 40_000), SERVER, 0x10);
            for _ in 0..flood {
                new += 1;
                // A different source address and port for each.
                let source = scramble(new);
                table.send(
                    (0x1000_0000 | source as u32 >> 4, (source >> 40) as u16),
                    VICTIM,
                    SYN,
                );
            }
        }
    }
    table.assert_balanced();
    let server = std::net::Ipv4Addr::from(SERVER.0).to_ipv6_mapped().octets();
    let kept: u64 = table
        .records()
        .filter(|record| record.key.addr.contains(&server))
        .map(packets)
        .sum();
    let share = kept as f64 / (20.0 * 1_024.0);
    println!(
        "{flood} new flows for each packet: {:.2} % of 20,480 packets kept",
        100.0 * share
    );
    share
}

#[test]
fn a_flood_of_ten_to_one_costs_established_flows_next_to_nothing() {
    assert!(survival(10) > 0.99);
}

/// The spike's reference at 100:1: 83 % in a plain 4-way table, 48 % with probing, 94 % in the kernel's LRU.
#[test]
fn established_flows_survive_a_flood_of_a_hundred_to_one_better_than_in_the_reference() {
    assert!(survival(100) > 0.94);
}

#[test]
fn without_a_flood_every_packet_is_in_a_record() {
    assert!(survival(0) >= 1.0);
}

#[test]
fn nothing_is_lost_from_the_books_however_full_the_table() {
    for slots in [8, 64, 1_024] {
        let mut table = Table::new(slots);
        for step in 0..200_000 {
            let draw = scramble(step);
            // Few heavy flows and very many light ones, in both directions.
            let rank = 1u32 << (draw % 18);
            let client = (CLIENTS + (draw >> 32) as u32 % rank, 40_000);
            let (source, target) = if draw >> 20 & 1 == 0 {
                (client, SERVER)
            } else {
                (SERVER, client)
            };
            table.send(
                source,
                target,
                if (draw >> 21).is_multiple_of(8) { SYN } else { 0x10 },
            );
        }
        table.assert_balanced();
        assert!(table.books.evicted_flows > 0 && table.books.overflow_packets > 0);
    }
}

/// The standard estimate (Flajolet and others 2007) for the registers the table fills.
fn distinct(registers: &[u8; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
    let zeros: u32 = registers.iter().map(|rank| u32::from(*rank == 0)).sum();
    let raw = 0.709 * m * m / sum;
    if raw < 2.5 * m && zeros > 0 {
        m * (m / f64::from(zeros)).ln()
    } else {
        raw
    }
}

#[test]
fn the_sketch_names_the_victim_and_how_many_hit_it() {
    for sources in [2_000u64, 50_000, 400_000] {
        let mut table = Table::new(1_024);
        for source in 0..sources {
            let draw = scramble(source + 1);
            table.send((draw as u32, 1_024 + (draw >> 40) as u16 % 60_000), VICTIM, SYN);
            if source % 20 == 0 {
                // Others are hit, too, but less.
                table.send(
                    (CLIENTS + draw as u32 % 5_000, 50_000),
                    (SERVER.0 + (draw >> 50) as u32, 443),
                    SYN,
                );
            }
        }
        table.assert_balanced();
        let worst = table.memory.cells.iter().max_by_key(|cell| cell.packets).unwrap();
        assert_eq!(
            worst.target,
            std::net::Ipv4Addr::from(VICTIM.0).to_ipv6_mapped().octets()
        );
        assert_eq!(
            (worst.port, worst.proto, worst.kind >> 4),
            (VICTIM.1, 6, NET_IPV4)
        );
        // All but the records' packets, and hardly any other's; every one of them a SYN.
        assert!(worst.packets + 1_024 >= sources && worst.packets < sources + sources / 20);
        assert_eq!(u64::from(worst.syn_packets), worst.packets);
        assert!(u64::from(worst.votes) > worst.packets / 2);
        let estimate = distinct(&worst.sources);
        println!(
            "{sources} sources, {} packets in the cell, estimate {estimate:.0}",
            worst.packets
        );
        assert!(
            (estimate / worst.packets as f64 - 1.0).abs() < 0.3,
            "{estimate} of {sources}"
        );
    }
}

fn key_of(client: u32, port: u16) -> FlowKey {
    let frame = tcp((client, port), SERVER, 0);
    sensor_common::parse::parse(frame.as_slice(), &Frame::ethernet(54))
        .unwrap()
        .key
}

/// Pearson's statistic over degrees of freedom: near 1 for a uniform choice.
fn unevenness(buckets: usize, keys: impl Iterator<Item = FlowKey>, seed: &Seed) -> f64 {
    let mut counts = vec![0u32; buckets];
    let mut total = 0.0;
    for key in keys {
        counts[hash::key(key.words(), seed) as usize & (buckets - 1)] += 1;
        total += 1.0;
    }
    let mean = total / buckets as f64;
    let statistic: f64 = counts
        .iter()
        .map(|count| (f64::from(*count) - mean).powi(2) / mean)
        .sum();
    statistic / (buckets - 1) as f64
}

#[test]
fn neighbouring_flows_spread_over_the_buckets() {
    for seed in 0..8u64 {
        let seed: Seed = std::array::from_fn(|word| scramble(seed * 6 + word as u64 + 1));
        for (name, uneven) in [
            (
                "addresses",
                unevenness(
                    4_096,
                    (0..65_536).map(|client| key_of(CLIENTS + client, 40_000)),
                    &seed,
                ),
            ),
            (
                "ports",
                unevenness(4_096, (0..=u16::MAX).map(|port| key_of(CLIENTS, port)), &seed),
            ),
            (
                "every 256th address",
                unevenness(
                    4_096,
                    (0..65_536).map(|client| key_of(CLIENTS + (client << 8), 40_000)),
                    &seed,
                ),
            ),
        ] {
            println!("{name}: {uneven:.3}");
            assert!(uneven < 1.5, "{name}: {uneven}");
        }
    }
}

#[test]
fn another_seed_puts_flows_elsewhere() {
    let other: Seed = SEED.map(scramble);
    let same = (0..10_000)
        .map(|client| key_of(CLIENTS + client, 40_000))
        .filter(|key| (hash::key(key.words(), &SEED) ^ hash::key(key.words(), &other)).is_multiple_of(4_096))
        .count();
    // One in 4,096 by chance.
    assert!(same < 30, "{same} of 10,000 in the same bucket");
}

#[test]
fn a_cleared_bucket_is_an_empty_one() {
    let mut table = Table::new(8);
    for client in 0..100 {
        table.send((CLIENTS + client, 40_000), SERVER, SYN);
        table.send((CLIENTS, 40_000), SERVER, SYN);
    }
    assert_eq!(table.records().count(), 8);
    for bucket in &mut table.memory.pairs[0].bucket {
        bucket.clear();
    }
    assert_eq!(table.records().count(), 0);
    // Nothing of the time before is left: not the flows, not their weights, not the memory of who left.
    table.books = Counters::default();
    for client in 0..4 {
        table.send((CLIENTS + client, 40_000), SERVER, SYN);
    }
    assert_eq!(table.books.started_flows, 4);
    for bucket in &table.memory.pairs[0].bucket {
        assert!(bucket.weight.iter().all(|weight| *weight <= 1));
        assert_eq!(bucket.ghost, Bucket::zeroed().ghost);
    }
    assert!(table.records().all(|record| packets(record) == 1));
}
