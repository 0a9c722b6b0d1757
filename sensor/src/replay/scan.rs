//! A first look at captures, for what has to be known before they are read: their time span and their frames.
//! It must never keep frames.

use std::path::{Path, PathBuf};

use super::ReplayError;
use crate::capture::{Captures, FrameSource as _};

/// What a first look tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Time of the first frame, Unix nanoseconds.
    pub first_ns: u64,
    /// Largest time of a frame.
    pub last_ns: u64,
    /// Frames before each input, by the order in which inputs were named.
    pub before: Vec<u64>,
}

/// Reads all captures once.
///
/// # Errors
/// If an input cannot be opened or is no capture.
pub fn scan(paths: &[PathBuf]) -> Result<Scan, ReplayError> {
    let mut captures = Captures::open(paths)?;
    let mut scan = Scan::default();
    while let Some(frame) = captures.next_frame() {
        if scan.first_ns == 0 {
            scan.first_ns = frame.time_ns;
        }
        scan.last_ns = scan.last_ns.max(frame.time_ns);
    }
    let mut sum = 0;
    for input in &captures.report().inputs {
        scan.before.push(sum);
        sum += input.frames;
    }
    Ok(scan)
}

/// Inputs that can be read twice: standard input is copied to a file that vanishes with the value.
#[derive(Debug)]
pub struct Rereadable {
    paths: Vec<PathBuf>,
    /// Only held: dropping it deletes the file.
    spool: Option<tempfile::NamedTempFile>,
}

impl Rereadable {
    /// Copies standard input if it is among the inputs.
    ///
    /// # Errors
    /// If there is no room for the copy.
    pub fn of(paths: &[PathBuf]) -> Result<Self, ReplayError> {
        let mut held = Self {
            paths: paths.to_vec(),
            spool: None,
        };
        if let Some(stdin) = held.paths.iter_mut().find(|path| *path == Path::new("-")) {
            let spool = |source| ReplayError::Spool { source };
            let mut file = tempfile::NamedTempFile::new().map_err(spool)?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(spool)?;
            file.path().clone_into(stdin);
            held.spool = Some(file);
        }
        Ok(held)
    }

    /// The inputs, in their order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }
}
