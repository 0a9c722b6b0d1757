//! Outputs that are files of lines. It must never write half a record.

use super::{
    Rotation, Target,
    output::Output,
    worker::{Deliver, Failure},
};
use crate::{config::sinks::FileSink, incidents::Stored};

/// A file and what is written into it.
#[derive(Debug)]
pub(super) struct LineFile {
    output: Output,
    line: fn(&Stored) -> Option<String>,
}

impl LineFile {
    /// Opens the file now: that it cannot be is a mistake of configuration.
    pub(super) fn open(
        path: std::path::PathBuf,
        settings: &FileSink,
        line: fn(&Stored) -> Option<String>,
    ) -> std::io::Result<Self> {
        let rotation = Rotation {
            max_bytes: settings.max_bytes,
            keep: settings.keep,
        };
        let mut output = Output::new(Target::File(path), rotation);
        output.open()?;
        Ok(Self { output, line })
    }
}

impl Deliver for LineFile {
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure> {
        let line = (self.line)(update)
            .ok_or_else(|| Failure::Never("it cannot be written in this format".to_owned()))?;
        self.output
            .write_line(&line)
            .map_err(|cause| Failure::Later(format!("{}: {cause}", self.output)))
    }

    fn reopen(&mut self) {
        self.output.close();
    }
}
