//! One output of lines that survives short writes: a line that was begun is finished before the next.
//! It must never start a line in the middle of another.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
};

use super::Target;

/// An output and how far the current line has come.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    file: Option<File>,
    /// Bytes of the current line (newline included) that are already written.
    written: usize,
}

impl Output {
    pub(super) const fn new(target: Target) -> Self {
        Self {
            target,
            file: None,
            written: 0,
        }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    /// Opens the output. A file whose last line has no end (the sensor was killed) gets one.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let mut file = match &self.target {
            Target::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Target::File(path) => OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?,
        };
        if matches!(self.target, Target::File(_)) && ends_inside_a_line(&mut file) {
            file.write_all(b"\n")?;
        }
        self.file = Some(file);
        self.written = 0;
        Ok(())
    }

    /// Forgets the file; the current line is written whole into the next one.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Writes a line and its newline, going on where the last failed attempt stopped.
    pub(super) fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.open()?;
        let Some(file) = self.file.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        while let Some(rest) = bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        self.written = 0;
        Ok(())
    }
}

/// Only ordinary files can tell; for others (pipes, devices) the answer is no.
fn ends_inside_a_line(file: &mut File) -> bool {
    let mut last = [0u8; 1];
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0)
        && file.seek(SeekFrom::End(-1)).is_ok()
        && file.read_exact(&mut last).is_ok()
        && last != *b"\n"
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Stdout => f.write_str("standard output"),
            Target::File(path) => write!(f, "{}", path.display()),
        }
    }
}
