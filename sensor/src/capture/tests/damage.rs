//! Damaged captures: what is readable is read, what is lost is told with its offset, and nothing panics.

use proptest::prelude::*;

use super::write::{self, Order};
use super::{Seen, read};
use crate::capture::{MAX_DAMAGE, What};

/// The frames of a made-up capture.
fn expected(count: u64) -> Vec<Seen> {
    (1..=count)
        .map(|number| Seen::new(write::frame_ns(number), &write::frame(number), number))
        .collect()
}

/// Offsets at which the records of a made-up pcap end, its header's end first.
fn pcap_ends(count: u64) -> Vec<usize> {
    (0..=count).map(|number| write::pcap(number).len()).collect()
}

#[test]
fn a_pcap_cut_at_any_byte_gives_every_whole_frame_and_the_offset() {
    let (whole, ends) = (write::pcap(4), pcap_ends(4));
    for length in 24..=whole.len() {
        let frames = ends.iter().filter(|end| **end <= length).count() - 1;
        let (seen, report) = read(&whole[..length]).unwrap();
        assert_eq!(seen, expected(frames as u64), "cut at {length}");
        assert_eq!(report.bytes, length as u64);
        if ends.contains(&length) {
            assert_eq!(report.damage, []);
            continue;
        }
        assert_eq!(report.damage.len(), 1, "cut at {length}");
        let damage = &report.damage[0];
        assert_eq!(damage.what, What::Truncated);
        assert_eq!(damage.offset_bytes, ends[frames] as u64);
        assert_eq!(damage.lost_bytes, (length - ends[frames]) as u64);
    }
    for length in 0..24 {
        read(&whole[..length]).unwrap_err();
    }
}

#[test]
fn a_pcapng_cut_at_any_byte_gives_every_whole_frame_and_the_offset() {
    let whole = write::pcapng(4);
    let ends: Vec<usize> = (0..=4).map(|count| write::pcapng(count).len()).collect();
    for length in write::section(Order::Little).len()..=whole.len() {
        let frames = ends
            .iter()
            .filter(|end| **end <= length)
            .count()
            .saturating_sub(1);
        let (seen, report) = read(&whole[..length]).unwrap();
        assert_eq!(seen, expected(frames as u64), "cut at {length}");
        let at_end = ends.contains(&length) || length == write::section(Order::Little).len();
        assert_eq!(report.damage.is_empty(), at_end, "cut at {length}");
        if let Some(damage) = report.damage.first() {
            assert_eq!(damage.what, What::Truncated);
            assert_eq!(damage.offset_bytes + damage.lost_bytes, length as u64);
        }
    }
}

/// Puts garbage in place of, or between, records and expects the frames around it.
fn around(garbage: &[u8]) {
    for (whole, at) in [
        (write::pcap(20), write::pcap(10).len()),
        (write::pcapng(20), write::pcapng(10).len()),
    ] {
        let mut file = whole[..at].to_vec();
        file.extend(garbage);
        file.extend(&whole[at..]);
        let (seen, report) = read(&file).unwrap();
        let data: Vec<_> = seen.iter().map(|seen| &seen.data).collect();
        let wanted = expected(20);
        assert_eq!(data, wanted.iter().map(|seen| &seen.data).collect::<Vec<_>>());
        assert_eq!(report.damage.len(), 1);
        let damage = &report.damage[0];
        assert_eq!(damage.what, What::BadRecord);
        assert_eq!(
            (damage.offset_bytes, damage.lost_bytes),
            (at as u64, garbage.len() as u64)
        );
    }
}

#[test]
fn reading_goes_on_behind_garbage_in_the_middle() {
    around(&[0xff; 999]);
    // A hole, as a crash leaves it in a file.
    around(&[0; 4_096]);
    let noise: Vec<u8> = (0..700_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80)
        .collect();
    around(&noise);
}

#[test]
fn a_record_that_lost_bytes_costs_itself_and_its_neighbours_at_most() {
    let whole = write::pcap(30);
    let ends = pcap_ends(30);
    // Ten bytes missing in the middle of record 12.
    let mut file = whole[..ends[12] - 15].to_vec();
    file.extend(&whole[ends[12] - 5..]);
    let (seen, report) = read(&file).unwrap();
    assert_eq!(seen[..11], expected(11));
    let (_, after): (Vec<_>, Vec<_>) = (expected(13), expected(30).split_off(13));
    let tail: Vec<_> = seen[seen.len() - after.len()..]
        .iter()
        .map(|seen| &seen.data)
        .collect();
    assert_eq!(tail, after.iter().map(|seen| &seen.data).collect::<Vec<_>>());
    assert_eq!(report.damage.len(), 1);
}

#[test]
fn an_absurd_length_is_never_believed() {
    for captured in [300_000, 1 << 24, 0x7fff_ffff, u32::MAX] {
        let mut file = write::pcap(5);
        let at = file.len() as u64;
        let mut bad = write::record(Order::Little, write::BEGIN_S, 0, &[1; 40], 40);
        bad[8..12].copy_from_slice(&u32::to_le_bytes(captured));
        file.extend(bad);
        let (seen, report) = read(&file).unwrap();
        assert_eq!(seen, expected(5));
        assert_eq!(report.damage[0].offset_bytes, at);
    }
    for length in [0, 8, 13, 64 << 20, u32::MAX] {
        for kind in [1, 2, 3, 6, 10, 0x0a0d_0d0a] {
            let mut file = write::pcapng(5);
            let at = file.len() as u64;
            let mut bad = write::block(Order::Little, kind, &[0x4d; 40]);
            bad[4..8].copy_from_slice(&u32::to_le_bytes(length));
            file.extend(bad);
            let (seen, report) = read(&file).unwrap();
            assert_eq!(seen, expected(5));
            assert_eq!(report.damage[0].offset_bytes, at, "{kind} {length}");
        }
    }
}

#[test]
fn endless_damage_is_bounded_and_counted() {
    let mut file = write::pcapng(0);
    for _ in 0..MAX_DAMAGE + 36 {
        file.extend(write::enhanced(Order::Little, 9, 1, &[1; 60], 60));
    }
    let (_, report) = read(&file).unwrap();
    assert_eq!(report.damage.len(), MAX_DAMAGE);
    assert_eq!(report.damage_beyond, 36);
}

proptest! {
    #[test]
    fn flipped_bits_never_panic_and_frames_before_them_all_come(
        ng in any::<bool>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
    ) {
        let build: fn(u64) -> Vec<u8> = if ng { write::pcapng } else { write::pcap };
        let mut file = build(30);
        let mut first = file.len();
        for (index, bit) in flips {
            let at = index.index(file.len());
            file[at] ^= 1 << bit;
            first = first.min(at);
        }
        let before = (0..=30).filter(|count| build(*count).len() <= first).count();
        let Ok((seen, report)) = read(&file) else {
            prop_assert_eq!(before, 0);
            return Ok(());
        };
        let before = before.saturating_sub(1);
        prop_assert!(seen.len() >= before);
        prop_assert_eq!(&seen[..before], &expected(before as u64)[..]);
        prop_assert_eq!(report.bytes, file.len() as u64);
    }

    #[test]
    fn any_bytes_behind_a_header_never_panic(
        ng in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let mut file = if ng { write::pcapng(1) } else { write::pcap(1) };
        file.extend(bytes);
        let (seen, report) = read(&file).unwrap();
        prop_assert_eq!(&seen[..1], &expected(1)[..]);
        prop_assert_eq!(report.bytes, file.len() as u64);
    }
}
