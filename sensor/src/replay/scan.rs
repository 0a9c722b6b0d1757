//! A first look at captures, for what has to be known before they are read: their time span and their frames.
//! It must never keep frames.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::ReplayError;
use crate::capture::{CaptureError, Captures, FrameSource as _};

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
pub fn scan(inputs: &Rereadable) -> Result<Scan, ReplayError> {
    let mut captures = inputs.open()?;
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

/// Inputs that can be read twice: standard input and pipes are copied to files that vanish with the value.
#[derive(Debug)]
pub struct Rereadable {
    /// What is read.
    paths: Vec<PathBuf>,
    /// What they are called: a copy has the name of what it is a copy of, or each run would say something else.
    names: Vec<PathBuf>,
    /// Only held: dropping it deletes the files.
    spools: Vec<tempfile::NamedTempFile>,
}

impl Rereadable {
    /// Copies standard input and pipes if they are among the inputs.
    ///
    /// # Errors
    /// If there is no room for the copy, or standard input is named twice.
    pub fn of(paths: &[PathBuf]) -> Result<Self, ReplayError> {
        let mut held = Self {
            paths: paths.to_vec(),
            names: paths.to_vec(),
            spools: Vec::new(),
        };
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(CaptureError::StdinTwice.into());
        }
        for path in &mut held.paths {
            let mut pipe: Box<dyn Read> = if is_stdin(path) {
                Box::new(std::io::stdin().lock())
            } else if is_pipe(path) {
                let name = path.display().to_string();
                Box::new(File::open(&*path).map_err(|source| CaptureError::Io { name, source })?)
            } else {
                continue;
            };
            let spool = |source| ReplayError::Spool {
                what: path.display().to_string(),
                source,
            };
            let mut file = tempfile::NamedTempFile::new().map_err(spool)?;
            std::io::copy(&mut pipe, &mut file).map_err(spool)?;
            file.path().clone_into(path);
            held.spools.push(file);
        }
        Ok(held)
    }

    /// Opens the inputs, in their order.
    ///
    /// # Errors
    /// If one cannot be opened or is no capture.
    pub fn open(&self) -> Result<Captures, ReplayError> {
        Ok(Captures::open_as(&self.paths, &self.names)?)
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a path can be read once only: a named pipe, or what a shell puts in the place of a command.
fn is_pipe(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A pcap of two frames, five seconds apart.
    fn capture() -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([0xff, 0xff, 0, 0, 1, 0, 0, 0]);
        for second in [7, 12] {
            file.extend([second, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 14, 0, 0, 0]);
            file.extend([0; 14]);
        }
        file
    }

    #[test]
    fn a_pipe_can_be_read_twice_and_keeps_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let to = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::write(to, capture()));
        let inputs = Rereadable::of(std::slice::from_ref(&pipe)).unwrap();
        writer.join().unwrap().unwrap();
        for _ in 0..2 {
            let seen = scan(&inputs).unwrap();
            assert_eq!((seen.first_ns, seen.last_ns), (7_000_000_000, 12_000_000_000));
        }
        let mut captures = inputs.open().unwrap();
        while captures.next_frame().is_some() {}
        assert_eq!(captures.report().inputs[0].name, pipe.display().to_string());
        assert_eq!(captures.interface_name(0).unwrap(), "pipe");
    }

    #[test]
    fn standard_input_is_refused_the_second_time() {
        let error = Rereadable::of(&["-".into(), "-".into()]).unwrap_err();
        assert!(error.to_string().contains("only once"), "{error}");
    }
}
