//! Flow files in the place of captures: the rows of earlier windows, in order of time. It must never mix windows of
//! different lengths, nor put one stretch of time in twice.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::flows::{FlowFile, FlowsError, Format, StoredWindow, columns};

/// Windows may differ from their nominal length by this share: a live sensor closes them when it gets to it.
const LENGTH_TOLERANCE: f64 = 0.25;

/// Why inputs cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// Captures and flow files in one command.
    #[error(
        "{capture} is a capture and {flows} a flow file; one command takes either: make flow files of the captures with `sensor flows`"
    )]
    Mixed {
        /// A capture.
        capture: PathBuf,
        /// A flow file.
        flows: PathBuf,
    },
    /// A file's windows are not of the configured length.
    #[error(
        "{path}: its windows last {found_s} s, {expected_s} s are configured; say `--window {found_s}s`, or write the file again with `sensor flows --window {expected_s}s`"
    )]
    Window {
        /// The file.
        path: PathBuf,
        /// Length of its first window.
        found_s: f64,
        /// Length in the settings.
        expected_s: f64,
    },
    /// Two files cover the same time.
    #[error(
        "{later} begins before {earlier} ends; write one flow file from all captures: `sensor flows CAPTURE... -o FILE`"
    )]
    Overlap {
        /// The file that began first.
        earlier: PathBuf,
        /// The other.
        later: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Flows(#[from] FlowsError),
}

/// What kind of inputs a command was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Packets.
    Captures,
    /// Rows.
    FlowFiles,
}

impl InputKind {
    /// The kind of all inputs together, by suffix, and by content where that says nothing.
    ///
    /// # Errors
    /// [`StoredError::Mixed`].
    pub fn of(paths: &[PathBuf]) -> Result<Self, StoredError> {
        let flows = paths.iter().find(|path| is_flow_file(path));
        let capture = paths.iter().find(|path| !is_flow_file(path));
        match (capture, flows) {
            (Some(capture), Some(flows)) => Err(StoredError::Mixed {
                capture: capture.clone(),
                flows: flows.clone(),
            }),
            (None, Some(_)) => Ok(Self::FlowFiles),
            _ => Ok(Self::Captures),
        }
    }
}

/// Whether a path names rows rather than packets. What cannot be read counts as a capture, whose reader says why. What
/// is no file is only read once: a pipe that was looked into would lack its beginning.
fn is_flow_file(path: &Path) -> bool {
    if Format::of(path).is_ok() {
        return true;
    }
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut start = Vec::new();
    if File::open(path)
        .and_then(|file| file.take(64).read_to_end(&mut start))
        .is_err()
    {
        return false;
    }
    let header = columns().first().map_or("", |column| column.name.as_ref());
    start.starts_with(b"PAR1")
        || start.starts_with(b"{")
        || start.starts_with(format!("{header},").as_bytes())
}

/// Gets a window, and the names of its interfaces.
pub type Each<'a, E> = dyn FnMut(StoredWindow, &dyn Fn(u16) -> String) -> Result<(), E> + 'a;

/// Gives all windows of all files to `each`, in order of time; `window_ns` is the configured length.
///
/// # Errors
/// See [`StoredError`], and whatever `each` returns.
pub fn windows<E: From<StoredError>>(
    paths: &[PathBuf],
    window_ns: u64,
    each: &mut Each<'_, E>,
) -> Result<(), E> {
    let mut files = Vec::new();
    for path in paths {
        let mut file = FlowFile::open(path).map_err(StoredError::from)?;
        let Some(first) = file.next().transpose().map_err(StoredError::from)? else {
            continue;
        };
        check_length(path, &first, window_ns)?;
        files.push((path, first, file));
    }
    files.sort_by_key(|(_, first, _)| first.wall_start_ns);
    let mut before: Option<(&PathBuf, i64)> = None;
    for (path, first, mut file) in files {
        if let Some((earlier, end_ns)) = before
            && first.wall_start_ns < end_ns
        {
            return Err(StoredError::Overlap {
                earlier: earlier.clone(),
                later: path.clone(),
            }
            .into());
        }
        let mut next = Some(first);
        while let Some(window) = next {
            before = Some((path, window.wall_end_ns));
            each(window, &|slot| file.interface_name(slot))?;
            next = file.next().transpose().map_err(StoredError::from)?;
        }
    }
    Ok(())
}

fn check_length(path: &Path, first: &StoredWindow, window_ns: u64) -> Result<(), StoredError> {
    let found = first.rows.end_ns.saturating_sub(first.rows.start_ns) as f64;
    let expected = window_ns as f64;
    if (found - expected).abs() <= expected * LENGTH_TOLERANCE {
        return Ok(());
    }
    Err(StoredError::Window {
        path: path.to_owned(),
        found_s: (found / 1e8).round() / 10.0,
        expected_s: expected / 1e9,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::flows::{FlowWriter, Origin, Selection, WindowRef, tests::samples};

    const SECOND_NS: u64 = 1_000_000_000;

    /// A flow file with one host row in each of two windows, the first at `start_s`.
    fn file(directory: &Path, name: &str, start_s: u64) -> PathBuf {
        let path = directory.join(name);
        let origin = Origin {
            window_ns: samples::WINDOW_NS,
            inputs: Vec::new(),
        };
        let mut writer = FlowWriter::create(&path, &origin, Selection::All).unwrap();
        for index in 0..2 {
            let start_ns = (start_s + index * 10) * SECOND_NS;
            let window = samples::stored(start_ns, Vec::new(), vec![samples::row_key([1; 16], [0; 16])]);
            let window = WindowRef {
                rows: &window.rows,
                flows: &window.flows,
                wall_start_ns: window.wall_start_ns,
                wall_end_ns: window.wall_end_ns,
                interface_name: &|_| String::new(),
            };
            writer.write(&window).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    fn starts(paths: &[PathBuf], window_s: u64) -> Result<Vec<u64>, StoredError> {
        let mut starts = Vec::new();
        windows::<StoredError>(paths, window_s * SECOND_NS, &mut |window, _| {
            starts.push(window.rows.start_ns / SECOND_NS);
            Ok(())
        })?;
        Ok(starts)
    }

    #[test]
    fn files_are_read_in_order_of_time_however_they_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let late = file(dir.path(), "a.csv", 1000);
        let early = file(dir.path(), "b.parquet", 500);
        assert_eq!(starts(&[late, early], 10).unwrap(), [500, 510, 1000, 1010]);
    }

    #[test]
    fn files_of_the_same_time_or_of_other_windows_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let one = file(dir.path(), "a.csv", 1000);
        let same = file(dir.path(), "b.csv", 1010);
        let overlap = starts(&[same, one.clone()], 10).unwrap_err().to_string();
        assert!(overlap.contains("b.csv begins before"), "{overlap}");
        let window = starts(&[one], 60).unwrap_err().to_string();
        assert!(window.contains("--window 10s"), "{window}");
    }

    #[test]
    fn rows_are_told_from_packets_by_suffix_or_by_content() {
        let dir = tempfile::tempdir().unwrap();
        let csv = file(dir.path(), "a.csv", 1000);
        let bare = dir.path().join("rows");
        std::fs::copy(&csv, &bare).unwrap();
        let capture = dir.path().join("x.pcap");
        std::fs::write(&capture, [0xd4, 0xc3, 0xb2, 0xa1]).unwrap();
        let kind = |paths: &[&PathBuf]| {
            let paths: Vec<PathBuf> = paths.iter().copied().cloned().collect();
            InputKind::of(&paths)
        };
        assert_eq!(kind(&[&csv, &bare]).unwrap(), InputKind::FlowFiles);
        assert_eq!(kind(&[&capture]).unwrap(), InputKind::Captures);
        assert!(matches!(kind(&[&capture, &bare]), Err(StoredError::Mixed { .. })));
        assert_eq!(kind(&[&PathBuf::from("-")]).unwrap(), InputKind::Captures);
        // Nobody writes to this pipe: looking into it would never return.
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(kind(&[&pipe]).unwrap(), InputKind::Captures);
    }
}
