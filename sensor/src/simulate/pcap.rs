//! Writes captures: classic pcap with nanosecond time stamps, Ethernet. It must never change a frame's bytes.

use std::io::{self, Write};

/// Magic number of a capture with nanosecond time stamps.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Link type of Ethernet.
const ETHERNET: u32 = 1;
/// Longest frame that readers accept.
const SNAPLEN: u32 = 262_144;

/// A writer of captures.
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
    frames: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the header of the file.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC_NANOSECONDS.to_le_bytes())?;
        // Version 2.4, UTC, accuracy unknown.
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&SNAPLEN.to_le_bytes())?;
        out.write_all(&ETHERNET.to_le_bytes())?;
        Ok(Self { out, frames: 0 })
    }

    /// Writes one frame; `wire_len` is its length in bytes before it was cut, if it was. Returns its 1-based number.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn write(&mut self, time_ns: u64, wire_len: u32, data: &[u8]) -> io::Result<u64> {
        let mut head = [0; 16];
        let fields = [
            (time_ns / 1_000_000_000) as u32,
            (time_ns % 1_000_000_000) as u32,
            data.len() as u32,
            wire_len,
        ];
        for (place, field) in head.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        self.out.write_all(&head)?;
        self.out.write_all(data)?;
        self.frames += 1;
        Ok(self.frames)
    }

    /// Flushes, and gives back what was written to.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
