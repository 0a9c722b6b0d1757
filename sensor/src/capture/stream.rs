//! Files and standard input as uncompressed streams: gzip and zstd are told by their first bytes, never by a name.
//! It must never hold more of a stream than a few pieces, nor end a process because a stream is damaged: what was
//! decompressed before the damage is handed on, then the error.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::{Decompress, FlushDecompress, Status};

use crate::capture::ahead;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Skippable frames of zstd begin with 50 to 5f, then these.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// Compressed bytes read at once.
const PIECE: usize = 128 << 10;
/// Base-two logarithm of the largest gzip window.
const GZIP_WINDOW: u8 = 15;
/// zstd hands out nothing of a call that fails, so that calls are kept small: at most this much before the damage is
/// lost.
const ZSTD_STEP: usize = 4 << 10;
/// Memory that a zstd stream may ask for, as a power of two: the decompressor's own default, 128 MiB.
const ZSTD_WINDOW: u32 = 27;

/// A stream that was opened.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Read + Send>,
    /// Bytes of the file that were read.
    pub(super) read: Arc<AtomicU64>,
    /// Length of the file, if it has one.
    pub(super) total: Option<u64>,
}

/// Opens a file, or standard input for `-`. With `ahead`, a compressed stream is decompressed by a thread of its own.
pub(super) fn open(path: &Path, ahead: bool) -> io::Result<Opened> {
    if path == Path::new("-") {
        let (stream, read) = counted(io::stdin());
        return Ok(Opened {
            stream: plain(Box::new(stream), ahead)?,
            read,
            total: None,
        });
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a directory; name the files in it",
        ));
    }
    let (stream, read) = counted(file);
    Ok(Opened {
        stream: plain(Box::new(stream), ahead)?,
        read,
        total: metadata.is_file().then_some(metadata.len()),
    })
}

/// The uncompressed stream of a possibly compressed one.
pub(super) fn plain(mut stream: Box<dyn Read + Send>, ahead: bool) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::with_capacity(ZSTD.len());
    stream.by_ref().take(ZSTD.len() as u64).read_to_end(&mut first)?;
    let skippable = first.get(1..4) == Some(ZSTD_SKIPPABLE.as_slice())
        && first.first().is_some_and(|byte| byte & 0xf0 == 0x50);
    let (gzip, zstd) = (first.starts_with(&GZIP), first.starts_with(&ZSTD) || skippable);
    let whole = Cursor::new(first).chain(stream);
    let decompressed: Box<dyn Read + Send> = if gzip {
        Box::new(Gzip::new(BufReader::with_capacity(PIECE, whole)))
    } else if zstd {
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(PIECE, whole))?;
        decoder.window_log_max(ZSTD_WINDOW)?;
        Box::new(SmallSteps(decoder))
    } else {
        return Ok(Box::new(whole));
    };
    if ahead {
        return Ok(ahead::spawn(decompressed));
    }
    Ok(decompressed)
}

/// Counts what is read.
struct Counted<R>(R, Arc<AtomicU64>);

fn counted<R>(stream: R) -> (Counted<R>, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    (Counted(stream, Arc::clone(&count)), count)
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads in steps that are so small that a failing one loses little.
struct SmallSteps<R>(R);

impl<R: Read> Read for SmallSteps<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = buffer.len().min(ZSTD_STEP);
        self.0.read(buffer.get_mut(..end).unwrap_or_default())
    }
}

/// The members of a gzip stream, one after the other. Unlike `flate2::read::MultiGzDecoder`, it hands out what the
/// failing call had decompressed before it failed.
struct Gzip<R> {
    stream: R,
    inflate: Decompress,
    /// Between two members.
    between: bool,
    failure: Option<io::Error>,
}

impl<R: BufRead> Gzip<R> {
    fn new(stream: R) -> Self {
        Self {
            stream,
            inflate: Decompress::new_gzip(GZIP_WINDOW),
            between: false,
            failure: None,
        }
    }

    /// Moves to the next member; false at the end. Zero bytes between and behind members are padding.
    fn next_member(&mut self) -> io::Result<bool> {
        loop {
            let input = self.stream.fill_buf()?;
            let Some(first) = input.first() else {
                return Ok(false);
            };
            if *first != 0 {
                self.inflate = Decompress::new_gzip(GZIP_WINDOW);
                return Ok(true);
            }
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            self.stream.consume(zeros);
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.between {
                if !self.next_member()? {
                    return Ok(0);
                }
                self.between = false;
            }
            let input = self.stream.fill_buf()?;
            let ended = input.is_empty();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(input, buffer, FlushDecompress::None);
            let consumed = (self.inflate.total_in() - before_in) as usize;
            let written = (self.inflate.total_out() - before_out) as usize;
            self.stream.consume(consumed);
            match result {
                Ok(Status::StreamEnd) => self.between = true,
                Ok(_) if written == 0 && ended => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the gzip data end too early",
                    ));
                }
                Ok(_) => {}
                Err(error) => {
                    let error = io::Error::new(
                        ErrorKind::InvalidData,
                        format!("the gzip data are damaged ({error})"),
                    );
                    if written == 0 {
                        return Err(error);
                    }
                    self.failure = Some(error);
                }
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}
