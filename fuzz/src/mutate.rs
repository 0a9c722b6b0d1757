//! Seeded mutations for the smoke run, where libFuzzer's are not at hand.
//! They must never depend on anything but the generator, so that a failure can be had again.

use sensor_tests::generate::Random;

/// Numbers at which code errs.
const NUMBERS: [u32; 12] = [
    0,
    1,
    4,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x4_0000,
    0x7fff_ffff,
    0xffff_fff0,
    0xffff_ffff,
];

/// Changes `input` in one to four places; `other` is where spliced bytes come from.
pub fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8], max_len: usize) {
    for _ in 0..=random.below(4) {
        step(random, input, other);
    }
    input.truncate(max_len);
}

fn step(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    if input.is_empty() {
        input.push(random.number() as u8);
        return;
    }
    let at = random.below(input.len() as u64) as usize;
    let longest = longest(random, input.len() - at);
    let length = 1 + random.below(longest) as usize;
    match random.below(9) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.number() as u8,
        2 => {
            let number = NUMBERS[random.below(NUMBERS.len() as u64) as usize];
            let bytes = if random.below(2) == 0 {
                number.to_le_bytes()
            } else {
                number.to_be_bytes()
            };
            let width = [1, 2, 4][random.below(3) as usize];
            for (to, from) in input[at..].iter_mut().zip(&bytes[..width]) {
                *to = *from;
            }
        }
        3 => input[at] = input[at].wrapping_add(random.below(9) as u8).wrapping_sub(4),
        4 => {
            input.drain(at..at + length);
        }
        5 => {
            let copy = input[at..at + length].to_vec();
            let to = random.below(input.len() as u64 + 1) as usize;
            input.splice(to..to, copy);
        }
        6 => input.truncate(at),
        7 => {
            let noise: Vec<u8> = (0..length).map(|_| random.number() as u8).collect();
            input.splice(at..at, noise);
        }
        _ => {
            let from = random.below(other.len() as u64 + 1) as usize;
            let end = (from + length).min(other.len());
            input.splice(at..at, other[from..end].iter().copied());
        }
    }
}

/// Mostly short stretches, at times up to all that is left.
fn longest(random: &mut Random, left: usize) -> u64 {
    let left = left.max(1) as u64;
    if random.below(4) == 0 { left } else { left.min(16) }
}
