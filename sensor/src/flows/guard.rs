//! A bound on the length of lines: a damaged text file must not be read into memory as one line.
//! It must never change what passes through.

use std::io::{self, Read};

/// No line of ours comes near it.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Fails when a line does not end in time.
#[derive(Debug)]
pub(super) struct LineGuard<R> {
    input: R,
    since_newline: usize,
}

impl<R> LineGuard<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            since_newline: 0,
        }
    }
}

impl<R: Read> Read for LineGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        match read.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => self.since_newline = count - last - 1,
            None => self.since_newline += count,
        }
        if self.since_newline > MAX_LINE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {MAX_LINE_BYTES} bytes"),
            ));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_line_is_refused() {
        let mut guard = LineGuard::new(io::repeat(b'x'));
        let mut out = Vec::new();
        assert!(guard.read_to_end(&mut out).is_err());
        assert!(out.len() <= 2 * MAX_LINE_BYTES);
    }
}
