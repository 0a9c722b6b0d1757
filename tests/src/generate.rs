//! Random frames over the parser's whole scope, well-formed, truncated and corrupted, for differential tests.
//! It must never depend on anything but its seed.

/// A small generator (SplitMix64, Steele and others 2014): the tests need repeatability, not quality.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn fill(&mut self, frame: &mut Vec<u8>, count: usize) {
        frame.extend((0..count).map(|_| self.number() as u8));
    }
}

/// One frame, at least 14 bytes (the kernel's test run takes no less) and at most 1,500.
pub fn frame(random: &mut Random) -> Vec<u8> {
    let mut frame = Vec::with_capacity(256);
    ethernet(random, &mut frame, 0);
    if random.one_in(4) {
        let cut = 14 + random.below(frame.len() as u64 - 13) as usize;
        frame.truncate(cut.max(14));
    }
    if random.one_in(4) {
        for _ in 0..=random.below(4) {
            let at = random.below(frame.len() as u64) as usize;
            frame[at] = random.number() as u8;
        }
    }
    frame.truncate(1500);
    frame.resize(frame.len().max(14), 0);
    frame
}

fn ethernet(random: &mut Random, frame: &mut Vec<u8>, depth: u8) {
    frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, random.below(4) as u8]);
    let tags = random.pick(&[0, 0, 0, 1, 1, 2, 3]);
    for _ in 0..tags {
        frame.extend(random.pick(&[[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]]));
        let id = random.below(4) as u8;
        frame.extend([random.pick(&[0, 0x60]), id]);
    }
    match random.below(16) {
        0..8 => {
            frame.extend([0x08, 0x00]);
            ipv4(random, frame, depth);
        }
        8..13 => {
            frame.extend([0x86, 0xdd]);
            ipv6(random, frame, depth);
        }
        13 => {
            frame.extend([0x08, 0x06]);
            arp(random, frame);
        }
        14 => {
            let ethertype: [u8; 2] = random.pick(&[
                [0x88, 0x47],
                [0x88, 0x48],
                [0x88, 0x63],
                [0x88, 0x64],
                [0x88, 0xcc],
                [0x00, 0x26],
            ]);
            frame.extend(ethertype);
            random.fill(frame, 40);
        }
        _ => random.fill(frame, 46),
    }
}

fn arp(random: &mut Random, frame: &mut Vec<u8>) {
    frame.extend([
        0,
        random.pick(&[1, 1, 1, 6]),
        8,
        0,
        6,
        4,
        0,
        random.pick(&[1, 2, 3]),
    ]);
    frame.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, random.below(4) as u8]);
    frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, random.below(8) as u8]);
}

fn ipv4(random: &mut Random, frame: &mut Vec<u8>, depth: u8) {
    let options = random.pick(&[0usize, 0, 0, 1, 5, 10]);
    let header = 20 + 4 * options;
    let start = frame.len();
    let fragment: u16 = random.pick(&[0x4000, 0, 0, 0x2000, 0x2005, 0x0005]);
    frame.extend([0x40 | (header / 4) as u8, 0, 0, 0, 0, 1]);
    frame.extend(fragment.to_be_bytes());
    let proto = protocol(random, 1);
    frame.extend([
        random.pick(&[64, 63, 128]),
        proto,
        0,
        0,
        10,
        0,
        0,
        random.below(4) as u8,
    ]);
    frame.extend([10, 0, random.below(2) as u8, random.below(4) as u8]);
    random.fill(frame, 4 * options);
    transport(random, frame, proto, depth);
    let total = (frame.len() - start) as u16;
    let stated = random.pick(&[total, total, total, total, 0, total.wrapping_add(40), total / 2]);
    frame[start + 2..start + 4].copy_from_slice(&stated.to_be_bytes());
    // Link padding that is not payload.
    if random.one_in(6) {
        frame.extend([0; 6]);
    }
}

fn ipv6(random: &mut Random, frame: &mut Vec<u8>, depth: u8) {
    let start = frame.len();
    let proto = protocol(random, 58);
    let count = random.pick(&[0usize, 0, 0, 1, 2, 5, 6, 7, 8]);
    let chain: Vec<u8> = (0..count)
        .map(|_| random.pick(&[0, 43, 44, 51, 60, 135, 139, 140]))
        .collect();
    let next = |at: usize| chain.get(at).copied().unwrap_or(proto);
    frame.extend([0x60, 0, 0, 0, 0, 0, next(0), 64]);
    for _ in 0..2 {
        frame.extend([
            0x20,
            1,
            0x0d,
            0xb8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            random.below(4) as u8,
        ]);
    }
    for (at, kind) in chain.iter().enumerate() {
        let following = next(at + 1);
        match kind {
            44 => frame.extend([following, 0, 0, random.pick(&[0, 1, 8]), 0, 0, 0, 1]),
            51 => {
                frame.extend([following, 1]);
                random.fill(frame, 10);
            }
            _ => {
                let units = random.pick(&[0u8, 0, 1, 3]);
                frame.extend([following, units]);
                random.fill(frame, 6 + 8 * units as usize);
            }
        }
    }
    transport(random, frame, proto, depth);
    let length = (frame.len() - start - 40) as u16;
    let stated = random.pick(&[length, length, length, 0, length.wrapping_add(100)]);
    frame[start + 4..start + 6].copy_from_slice(&stated.to_be_bytes());
}

fn protocol(random: &mut Random, icmp: u8) -> u8 {
    random.pick(&[
        6, 6, 6, 17, 17, 17, icmp, icmp, 132, 33, 136, 47, 4, 41, 50, 89, 59, 2,
    ])
}

fn transport(random: &mut Random, frame: &mut Vec<u8>, proto: u8, depth: u8) {
    let port = |random: &mut Random| random.pick(&[22u16, 53, 80, 443, 4789, 8472, 6081, 40_000]);
    match proto {
        6 => {
            frame.extend(port(random).to_be_bytes());
            frame.extend(port(random).to_be_bytes());
            random.fill(frame, 8);
            let offset = random.pick(&[5u8, 5, 8, 15, 2]);
            frame.extend([offset << 4, random.number() as u8]);
            random.fill(frame, 6 + 4 * (offset.max(5) as usize - 5));
            let payload = random.below(64) as usize;
            random.fill(frame, payload);
        }
        17 | 136 => {
            frame.extend(port(random).to_be_bytes());
            let to = port(random);
            frame.extend(to.to_be_bytes());
            frame.extend([0, 50, 0, 0]);
            match to {
                4789 | 8472 if depth == 0 => {
                    frame.extend(random.pick(&[[8, 0, 0, 0], [8, 0, 0, 0], [0, 0, 0, 0], [8, 0, 0, 1]]));
                    frame.extend([0, 0, random.below(4) as u8, 0]);
                    ethernet(random, frame, depth + 1);
                }
                6081 if depth == 0 => geneve(random, frame, depth),
                _ => {
                    let payload = random.below(64) as usize;
                    random.fill(frame, payload);
                }
            }
        }
        1 | 58 => {
            let kind = random.pick(&[0u8, 3, 8, 9, 10, 11, 13, 128, 129, 133, 135, 136, 1]);
            frame.extend([kind, random.below(3) as u8]);
            random.fill(frame, 6 + 16);
        }
        47 if depth == 0 => gre(random, frame, depth),
        4 if depth == 0 => ipv4(random, frame, depth + 1),
        41 if depth == 0 => ipv6(random, frame, depth + 1),
        _ => random.fill(frame, 24),
    }
}

fn geneve(random: &mut Random, frame: &mut Vec<u8>, depth: u8) {
    let options = random.pick(&[0u8, 0, 2, 63]);
    let (kind, inside): ([u8; 2], u8) = random.pick(&[
        ([0x65, 0x58], 0),
        ([0x65, 0x58], 0),
        ([0x08, 0x00], 1),
        ([0x86, 0xdd], 2),
    ]);
    frame.extend([random.pick(&[0u8, 0, 0, 0x40]) | options, 0]);
    frame.extend(kind);
    frame.extend([0, 1, random.below(4) as u8, 0]);
    random.fill(frame, 4 * options as usize);
    match inside {
        0 => ethernet(random, frame, depth + 1),
        1 => ipv4(random, frame, depth + 1),
        _ => ipv6(random, frame, depth + 1),
    }
}

fn gre(random: &mut Random, frame: &mut Vec<u8>, depth: u8) {
    let flags = random.pick(&[0u8, 0, 0x80, 0x20, 0x10, 0xb0, 0x40]);
    let (kind, inside): ([u8; 2], u8) = random.pick(&[
        ([0x65, 0x58], 0),
        ([0x08, 0x00], 1),
        ([0x08, 0x00], 1),
        ([0x86, 0xdd], 2),
    ]);
    frame.extend([flags, random.pick(&[0u8, 0, 0, 0, 1])]);
    frame.extend(kind);
    let words = flags.count_ones() as usize;
    for _ in 0..words {
        frame.extend([0, 0, 0, random.below(4) as u8]);
    }
    match inside {
        0 => ethernet(random, frame, depth + 1),
        1 => ipv4(random, frame, depth + 1),
        _ => ipv6(random, frame, depth + 1),
    }
}
