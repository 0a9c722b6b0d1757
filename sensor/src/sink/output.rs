//! One output of lines that survives short writes: a line that was begun is finished before the next; a file that has
//! grown large is set aside. It must never start a line in the middle of another, nor lose one because a file cannot be
//! set aside.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::Target;

/// When a file is set aside, as `NAME.1`, and how many of those are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Size that a file does not outgrow, unless by one line that is longer; 0 is never.
    pub max_bytes: u64,
    /// Files set aside that are kept.
    pub keep: u32,
}

/// An output and how far the current line has come.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    rotation: Rotation,
    file: Option<File>,
    /// Bytes in the file.
    size: u64,
    /// Bytes of the current line (newline included) that are already written.
    written: usize,
}

impl Output {
    pub(super) const fn new(target: Target, rotation: Rotation) -> Self {
        Self {
            target,
            rotation,
            file: None,
            size: 0,
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
        self.size = file.metadata().map_or(0, |meta| meta.len());
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
        if self.written == 0 {
            self.make_room(line.len() as u64 + 1)?;
        }
        let Some(file) = self.file.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        while let Some(rest) = bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.size += count as u64;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        self.written = 0;
        Ok(())
    }

    /// Sets the file aside if the next line does not fit.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let Rotation { max_bytes, keep } = self.rotation;
        if let Target::File(path) = &self.target
            && max_bytes > 0
            && self.size > 0
            && self.size + bytes > max_bytes
        {
            match set_aside(path, keep) {
                Ok(()) => {
                    self.file = None;
                    self.open()?;
                }
                Err(cause) => {
                    tracing::error!(path = %path.display(), %cause, "this file cannot be set aside and grows on");
                    // Not at every line.
                    self.size = 0;
                }
            }
        }
        Ok(())
    }
}

/// Moves every older file one number up, and the file itself to number 1.
fn set_aside(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..keep).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
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
