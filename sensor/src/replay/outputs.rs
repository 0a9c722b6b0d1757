//! Files that a replay writes: incidents as JSON lines and scores as CSV, both contracts. It must never leave a buffer
//! unwritten without saying so.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::ReplayError;
use crate::alert::{Alert, rfc3339};
use crate::engine::ScoreRow;
use crate::privacy::AddressNames;

/// Header of the scores.
const SCORES_HEADER: &str = "window_start,src,dst,src_port,dst_port,proto,score,p_value,alarm\n";

/// A text output; a reader that has gone away (`| head`) ends it quietly.
pub struct Output {
    what: String,
    writer: Option<Box<dyn Write>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Makes a file with mode 0600, empties the one that is there, or takes standard output for `-`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, ReplayError> {
        if path == Path::new("-") {
            return Ok(Self {
                what: "standard output".to_owned(),
                writer: Some(Box::new(BufWriter::new(io::stdout()))),
            });
        }
        let what = path.display().to_string();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path);
        match file {
            Ok(file) => Ok(Self {
                what,
                writer: Some(Box::new(BufWriter::with_capacity(1 << 16, file))),
            }),
            Err(source) => Err(ReplayError::Write { what, source }),
        }
    }

    /// Writes a text.
    ///
    /// # Errors
    /// If it cannot be written, but not because the reader has gone.
    pub fn write(&mut self, text: &str) -> Result<(), ReplayError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let written = writer.write_all(text.as_bytes());
        self.judge(written)
    }

    /// Writes what is still in the buffer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Result<(), ReplayError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        let flushed = writer.flush();
        self.judge(flushed)
    }

    fn judge(&mut self, result: io::Result<()>) -> Result<(), ReplayError> {
        match result {
            Ok(()) => Ok(()),
            Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => {
                self.writer = None;
                Ok(())
            }
            Err(source) => Err(ReplayError::Write {
                what: self.what.clone(),
                source,
            }),
        }
    }
}

/// Incidents, one JSON object a line.
///
/// # Errors
/// If a line cannot be written.
pub fn write_alerts(output: &mut Output, alerts: &[Alert]) -> Result<(), ReplayError> {
    for alert in alerts {
        let line = serde_json::to_string(alert).map_err(|cause| ReplayError::Write {
            what: format!("incident {}", alert.id),
            source: io::Error::other(cause),
        })?;
        output.write(&line)?;
        output.write("\n")?;
    }
    Ok(())
}

/// Scores of flow rows as CSV.
#[derive(Debug)]
pub struct Scores {
    output: Output,
    names: AddressNames,
    lines: Vec<String>,
}

impl Scores {
    /// Begins with the header. Addresses are written as `names` says.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, names: AddressNames) -> Result<Self, ReplayError> {
        let mut output = Output::create(path)?;
        output.write(SCORES_HEADER)?;
        Ok(Self {
            output,
            names,
            lines: Vec::new(),
        })
    }

    /// The scores of a window that began at this time.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, wall_start_ns: i64, rows: &[ScoreRow]) -> Result<(), ReplayError> {
        self.lines.clear();
        let start = rfc3339(wall_start_ns);
        for row in rows {
            let key = &row.key;
            self.lines.push(format!(
                "{start},{},{},{},{},{},{},{:e},{}\n",
                self.names.text(&key.initiator),
                self.names.text(&key.responder),
                key.initiator_port,
                key.service_port,
                key.proto,
                row.score,
                row.p_value,
                u8::from(row.alarm),
            ));
        }
        if !self.names.is_plain() {
            // They come in the order of addresses, which would tell about them.
            self.lines.sort_unstable();
        }
        self.lines.iter().try_for_each(|line| self.output.write(line))
    }

    /// Writes what is still in the buffer.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<(), ReplayError> {
        self.output.finish()
    }
}
