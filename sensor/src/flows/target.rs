//! Where a flow file goes: beside its final place until it is whole, or straight to a stream.
//! It must never leave half a file under the final name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::FlowsError;

/// A file that appears under its name only when it is finished.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    /// Where it is written until then; none for devices and pipes, which cannot be replaced.
    temporary: Option<PathBuf>,
    /// None once it is finished.
    out: Option<Box<dyn Stream>>,
}

/// What rows are written to.
pub(super) trait Stream: Write + Send + std::fmt::Debug {
    /// Makes what was written survive a crash, where that means something.
    fn sync(&mut self) -> io::Result<()>;
}

impl Stream for BufWriter<File> {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        // Devices and pipes have nothing to keep.
        if self.get_ref().metadata()?.is_file() {
            self.get_ref().sync_all()
        } else {
            Ok(())
        }
    }
}

#[derive(Debug)]
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send + std::fmt::Debug> Stream for Plain<W> {
    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Target {
    /// A file; what is there now stays until [`Self::finish`].
    pub(super) fn file(path: &Path) -> Result<Self, FlowsError> {
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        let (temporary, file) = if special {
            (None, OpenOptions::new().write(true).open(path))
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let beside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
            let file = if path.is_dir() {
                Err(io::Error::from(io::ErrorKind::IsADirectory))
            } else {
                File::create(&beside)
            };
            (Some(beside), file)
        };
        let file = file.map_err(|source| FlowsError::Io {
            op: "write",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            out: Some(Box::new(BufWriter::with_capacity(1 << 16, file))),
        })
    }

    /// A stream such as standard output; `name` is for messages.
    pub(super) fn stream(name: &str, out: impl Write + Send + std::fmt::Debug + 'static) -> Self {
        Self {
            path: PathBuf::from(name),
            temporary: None,
            out: Some(Box::new(BufferedStream::new(out))),
        }
    }

    /// Name for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the whole file in its place.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(mut out) = self.out.take() else {
            return Ok(());
        };
        out.sync()?;
        drop(out);
        if let Some(temporary) = self.temporary.take() {
            fs::rename(&temporary, &self.path).inspect_err(|_| {
                let _ = fs::remove_file(&temporary);
            })?;
        }
        Ok(())
    }
}

type BufferedStream<W> = Plain<BufWriter<W>>;

impl<W: Write> BufferedStream<W> {
    fn new(out: W) -> Self {
        Self(BufWriter::with_capacity(1 << 16, out))
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Some(out) => out.write(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            // The writing failed or was given up: nothing of it is of use.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_the_old_one_only_when_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv");
        fs::write(&path, "old").unwrap();
        let mut given_up = Target::file(&path).unwrap();
        given_up.write_all(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let mut target = Target::file(&path).unwrap();
        target.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        target.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn devices_are_written_to_and_directories_refused() {
        let mut target = Target::file(Path::new("/dev/null")).unwrap();
        target.write_all(b"x").unwrap();
        target.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let dir = tempfile::tempdir().unwrap();
        assert!(
            Target::file(dir.path())
                .unwrap_err()
                .to_string()
                .contains("cannot write")
        );
    }
}
