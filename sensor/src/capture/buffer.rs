//! The part of a stream that is in memory: read in large pieces, looked at in place.
//! It must never grow by a length that the stream itself claims; callers ask for no more than their own bounds.

use std::fmt;
use std::io::{ErrorKind, Read};

/// Bytes asked of the stream at once: small enough to stay in the cache until they are parsed.
const CHUNK: usize = 256 << 10;

/// A window that moves over a stream.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Stream offset of `bytes[start]`.
    offset: u64,
    ended: bool,
    /// Why the stream ended before its end.
    failure: Option<String>,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            failure: None,
        }
    }

    /// Makes at least `need` bytes available; false if the stream ends before them.
    #[inline]
    pub(super) fn ensure(&mut self, need: usize) -> bool {
        self.available() >= need || self.refill(need)
    }

    #[cold]
    fn refill(&mut self, need: usize) -> bool {
        // At the end of damaged data this is asked at every byte: nothing may be moved then.
        if self.ended {
            return false;
        }
        let left = self.available();
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, left);
        let room = need.max(left) + CHUNK;
        if self.bytes.len() < room {
            self.bytes.resize(room, 0);
        }
        while !self.ended && self.end < need {
            match self.source.read(&mut self.bytes[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.ended = true;
                    self.failure = Some(error.to_string());
                }
            }
        }
        self.end >= need
    }

    /// What is available now.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    #[inline]
    pub(super) const fn available(&self) -> usize {
        self.end - self.start
    }

    /// Where the available bytes begin in memory. Valid for [`Self::at`] until more is asked for.
    #[inline]
    pub(super) const fn position(&self) -> usize {
        self.start
    }

    /// Bytes of memory at a position that [`Self::position`] told, also after they were consumed.
    #[inline]
    pub(super) fn at(&self, position: usize, count: usize) -> &[u8] {
        self.bytes.get(position..position + count).unwrap_or_default()
    }

    /// Passes over `count` available bytes.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.available());
        self.start += count;
        self.offset += count as u64;
    }

    /// Passes over `count` bytes that need not fit into memory; returns how many there were.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        let mut left = count;
        while left > 0 && self.ensure(1) {
            let step = left.min(self.available() as u64);
            self.consume(step as usize);
            left -= step;
        }
        count - left
    }

    /// Offset in the stream of what is available.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Why the stream ended before its end, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Window")
            .field("offset", &self.offset)
            .field("available", &self.available())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
