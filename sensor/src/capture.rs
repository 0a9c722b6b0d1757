//! Captured frames: what every reader of recorded traffic hands on, whatever the file's format.
//! It must never interpret a packet beyond its link type; that is the parser's, which live traffic shares.

mod ahead;
mod buffer;
mod captures;
mod clock;
mod error;
mod link;
mod pcap;
mod pcapng;
mod reader;
mod report;
mod slots;
mod stream;
#[cfg(test)]
mod tests;

use sensor_common::parse::Start;

pub use captures::Captures;
pub use error::{CaptureError, NotACapture};
pub use reader::{CaptureReader, Head};
pub use report::{Damage, InputReport, Interface, MAX_DAMAGE, MAX_INTERFACES, ReadReport, What};
pub use slots::Names;

/// One frame of a capture, borrowed from the reader until the next is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// When it was captured, nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Where parsing begins, by the link type of the interface it was captured on.
    pub start: Start,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Length on the wire in bytes; at least as long as `data`.
    pub wire_len: u32,
    /// Slot of the interface, unique over all inputs: what goes into flow keys.
    pub iface: u16,
    /// Index of the input, in the order in which the inputs were named.
    pub input: u32,
    /// 1-based number of the frame within its input.
    pub number: u64,
}

/// A source of frames in order of time.
///
/// Not an iterator: a frame borrows the reader's buffer.
pub trait FrameSource {
    /// The next frame, or `None` at the end. Damage never ends the process: what could not be read is reported by the
    /// reader's own means when the frames are over.
    fn next_frame(&mut self) -> Option<CapturedFrame<'_>>;
}
