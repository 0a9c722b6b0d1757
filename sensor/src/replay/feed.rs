//! Frames in, windows out: the tables of the kernel path in ordinary memory, drained as the daemon drains them, in the
//! time of the recording. It must never lose a frame from the books, nor let a window wait for a clock of ours.

use sensor_common::{
    flow::Sighting,
    hash::Seed,
    parse::{Frame, Parsed},
};

use super::clock::CaptureClock;
use crate::{
    capture::CapturedFrame,
    source::MemoryTables,
    window::{Window, WindowBuilder, WindowSettings},
};

/// Size of the table: small enough for a processor's cache, since it may be drained at any frame.
const TABLE_BYTES: u64 = 4 << 20;

/// How frames become windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedSettings {
    /// Length of a window.
    pub window_ns: u64,
    /// The window stage.
    pub window: WindowSettings,
    /// Seed of the hashes.
    pub seed: u64,
}

/// A window of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedWindow {
    /// What was counted.
    pub window: Window,
    /// Unix nanoseconds of its start in the recording.
    pub wall_start_ns: i64,
    /// Unix nanoseconds of its end.
    pub wall_end_ns: i64,
}

/// See the module's description.
#[derive(Debug)]
pub struct Feed {
    window_ns: u64,
    tables: MemoryTables,
    builder: WindowBuilder,
    clock: CaptureClock,
    /// Start of the open window in pipeline time and in wall time.
    open: Option<(u64, i64)>,
    /// Packets of all windows so far.
    packets: u64,
}

impl Feed {
    /// A feed that has seen nothing.
    pub fn new(settings: &FeedSettings) -> Self {
        Self {
            window_ns: settings.window_ns.max(1),
            tables: MemoryTables::new(TABLE_BYTES, spread(settings.seed)),
            builder: WindowBuilder::new(settings.window, settings.seed),
            clock: CaptureClock::default(),
            open: None,
            packets: 0,
        }
    }

    /// Packets counted so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The recording's clock: what was odd about it.
    pub fn clock(&self) -> &CaptureClock {
        &self.clock
    }

    /// Counts a frame; windows that end before it go to `emit` first. The first window begins with the first frame.
    /// Returns what the parser made of the frame, or `None` for one that is counted as skipped.
    pub fn push(&mut self, frame: &CapturedFrame<'_>, emit: &mut dyn FnMut(ClosedWindow)) -> Option<&Parsed> {
        let now_ns = self.clock.tell(frame.time_ns);
        let (mut start_ns, _) = *self
            .open
            .get_or_insert_with(|| (now_ns, self.clock.wall_ns(now_ns)));
        while now_ns - start_ns >= self.window_ns {
            self.close(emit);
            start_ns += self.window_ns;
            self.open = Some((start_ns, self.clock.wall_ns(start_ns)));
        }
        // Unlike the kernel's, these tables can be drained between any two frames: no flow ever finds them full.
        if self.tables.is_tight() {
            self.tables.drain(&mut self.builder);
        }
        self.packets += 1;
        let about = Frame {
            start: frame.start,
            len: frame.wire_len,
            tag: 0,
            iface: frame.iface,
        };
        let seen = Sighting::packet(now_ns, frame.wire_len);
        self.tables.observe(frame.data, &about, seen)
    }

    /// Ends the last window. It keeps its full length, so that its rates compare with those of the others.
    pub fn finish(&mut self, emit: &mut dyn FnMut(ClosedWindow)) {
        if self.open.is_some() {
            self.close(emit);
            self.open = None;
        }
    }

    fn close(&mut self, emit: &mut dyn FnMut(ClosedWindow)) {
        let Some((start_ns, wall_start_ns)) = self.open else {
            return;
        };
        self.tables.drain(&mut self.builder);
        emit(ClosedWindow {
            window: self
                .builder
                .close(start_ns, start_ns.saturating_add(self.window_ns)),
            wall_start_ns,
            wall_end_ns: wall_start_ns.saturating_add_unsigned(self.window_ns),
        });
    }
}

/// Hash keys from one number (`SplitMix64`).
fn spread(seed: u64) -> Seed {
    let mut state = seed;
    core::array::from_fn(|_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use sensor_common::parse::Start;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn settings() -> FeedSettings {
        FeedSettings {
            window_ns: 10 * SECOND_NS,
            window: WindowSettings {
                max_flows: 1000,
                idle_timeout_ns: 60 * SECOND_NS,
                active_timeout_ns: 3600 * SECOND_NS,
            },
            seed: 7,
        }
    }

    /// An IPv4 packet of another protocol (253, for experiments), told apart by its source.
    fn packet(source: u32) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0];
        bytes.extend(source.to_be_bytes());
        bytes.extend([192, 0, 2, 1]);
        bytes
    }

    fn frame(time_ns: u64, data: &[u8]) -> CapturedFrame<'_> {
        CapturedFrame {
            time_ns,
            start: Start::Ip,
            data,
            wire_len: data.len() as u32,
            iface: 0,
            input: 0,
            number: 1,
        }
    }

    #[test]
    fn windows_follow_each_other_from_the_first_frame_through_silence() {
        let mut feed = Feed::new(&settings());
        let mut windows = Vec::new();
        let bytes = packet(1);
        for time in [3, 5, 47, 52] {
            feed.push(&frame(time * SECOND_NS, &bytes), &mut |closed| {
                windows.push(closed);
            });
        }
        feed.finish(&mut |closed| windows.push(closed));
        let starts: Vec<i64> = windows
            .iter()
            .map(|w| w.wall_start_ns / SECOND_NS as i64)
            .collect();
        assert_eq!(starts, [3, 13, 23, 33, 43]);
        let packets: Vec<u64> = windows.iter().map(|w| w.window.books.seen_packets).collect();
        assert_eq!(packets, [2, 0, 0, 0, 2]);
        assert!(
            windows
                .iter()
                .all(|w| w.wall_end_ns - w.wall_start_ns == 10_000_000_000)
        );
    }

    #[test]
    fn a_hundred_thousand_sources_are_all_in_the_books_of_a_small_table() {
        let mut feed = Feed::new(&settings());
        let mut windows = Vec::new();
        for source in 0..100_000u32 {
            let bytes = packet(source);
            let time = u64::from(source) * 100_000;
            feed.push(&frame(time, &bytes), &mut |closed| windows.push(closed));
        }
        feed.finish(&mut |closed| windows.push(closed));
        assert_eq!(windows.len(), 1);
        let window = &windows[0].window;
        assert_eq!(window.books.seen_packets, 100_000);
        assert_eq!(window.unaccounted_packets, 0);
        assert_eq!(window.flows.len(), 1000);
        assert_eq!(window.overflow_packets(), 99_000);
    }

    #[test]
    fn the_parser_s_view_is_returned_and_damaged_frames_are_counted_as_skipped() {
        let mut feed = Feed::new(&settings());
        let mut windows = Vec::new();
        let bytes = packet(9);
        let parsed = feed.push(&frame(0, &bytes), &mut |_| ()).unwrap();
        assert_eq!(parsed.key.proto, 253);
        assert!(feed.push(&frame(1, &bytes[..10]), &mut |_| ()).is_none());
        feed.finish(&mut |closed| windows.push(closed));
        assert_eq!(windows[0].window.books.seen_packets, 2);
        assert_eq!(windows[0].window.books.skipped_packets(), 1);
        assert_eq!(feed.packets(), 2);
    }
}
