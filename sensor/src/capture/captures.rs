//! Several captures as one source of frames in order of time.
//! It must never read an input into memory, nor keep all of many files open at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::capture::error::{CaptureError, NotACapture};
use crate::capture::reader::{CaptureReader, Head};
use crate::capture::report::{InputReport, ReadReport, What};
use crate::capture::slots::{Names, Slots};
use crate::capture::{CapturedFrame, FrameSource, stream};

/// Captures that are read at once, merged by time.
///
/// A file whose frames are not in order is passed on as it is: its frame that comes next counts.
pub struct Captures {
    inputs: Vec<Input>,
    /// Next frame of each input that waits: its time, its index.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    /// The input of the last frame that was handed out, which has not moved on yet.
    current: Option<usize>,
    slots: Slots,
    total: Option<u64>,
}

struct Input {
    path: PathBuf,
    /// What a person calls it.
    name: String,
    state: State,
    head: Option<Head>,
    /// Slot of each interface of its report.
    slots: Vec<u16>,
    read: Arc<AtomicU64>,
}

enum State {
    /// Its first frame is known; it is opened again when it is that frame's turn.
    Parked,
    Open(Box<CaptureReader>),
    Done(InputReport),
}

impl Captures {
    /// Opens every input and reads to its first frame. `-` is standard input. Formats and compressions are told by
    /// what is in the files.
    ///
    /// # Errors
    /// When an input cannot be opened or is no capture. Of several inputs, those that end before their first packet are
    /// reported at the end instead, as damage: rotating capture tools leave them.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        Self::open_as(paths, paths)
    }

    /// The same of inputs that are read from elsewhere than where their names say: copies of pipes.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(paths: &[PathBuf], names: &[PathBuf]) -> Result<Self, CaptureError> {
        if paths.is_empty() {
            return Err(CaptureError::NoInput);
        }
        if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(CaptureError::StdinTwice);
        }
        let several = paths.len() > 1;
        let mut captures = Self {
            inputs: Vec::with_capacity(paths.len()),
            waiting: BinaryHeap::new(),
            current: None,
            slots: Slots::default(),
            total: Some(0),
        };
        for (index, (path, name)) in paths.iter().zip(names).enumerate() {
            let (input, total) = Input::open(path, name.display().to_string(), several)?;
            captures.total = captures.total.zip(total).map(|(sum, total)| sum + total);
            if let Some(head) = &input.head {
                captures.waiting.push(Reverse((head.time_ns, index)));
            }
            captures.inputs.push(input);
        }
        Ok(captures)
    }

    /// What was read so far of each input: complete when there are no more frames.
    pub fn report(&self) -> ReadReport {
        ReadReport {
            inputs: self.inputs.iter().map(Input::report).collect(),
        }
    }

    /// Bytes of the inputs that were read, as they are on disk.
    pub fn bytes_read(&self) -> u64 {
        self.inputs
            .iter()
            .map(|input| input.read.load(Ordering::Relaxed))
            .sum()
    }

    /// Bytes of all inputs on disk; `None` when one of them is a pipe.
    pub const fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    /// Names of the interfaces by slot; they appear while the captures are read.
    pub fn names(&self) -> Names {
        self.slots.names()
    }

    /// Interface slots that frames have had so far: slots are below this number.
    pub const fn interfaces(&self) -> usize {
        self.slots.len()
    }

    /// What a person calls an interface slot: the interface's name where the file has it, else the file's name.
    pub fn interface_name(&self, slot: u16) -> Option<String> {
        self.slots.name(slot)
    }

    /// Moves an input to its next frame; true if it still has the earliest one.
    #[inline]
    fn move_on(&mut self, index: usize) -> bool {
        let Some(input) = self.inputs.get_mut(index) else {
            return false;
        };
        let State::Open(reader) = &mut input.state else {
            return false;
        };
        input.head = reader.advance();
        let Some(head) = &input.head else {
            input.state = State::Done(reader.report());
            self.slots.release(index);
            return false;
        };
        let next = Reverse((head.time_ns, index));
        // The heap's greatest is the earliest frame.
        if self.waiting.peek().is_none_or(|waiting| next > *waiting) {
            return true;
        }
        self.waiting.push(next);
        false
    }

    /// The input with the earliest frame, opened.
    fn earliest(&mut self) -> Option<usize> {
        loop {
            let Reverse((_, index)) = self.waiting.pop()?;
            let input = self.inputs.get_mut(index)?;
            if matches!(input.state, State::Parked) {
                input.reopen();
            }
            if matches!(input.state, State::Open(_)) {
                return Some(index);
            }
        }
    }
}

impl FrameSource for Captures {
    #[inline]
    fn next_frame(&mut self) -> Option<CapturedFrame<'_>> {
        let index = match self.current.take() {
            Some(index) if self.move_on(index) => index,
            _ => self.earliest()?,
        };
        self.current = Some(index);
        let input = self.inputs.get_mut(index)?;
        let (State::Open(reader), Some(head)) = (&input.state, &input.head) else {
            return None;
        };
        let interface = usize::from(head.interface);
        while input.slots.len() <= interface {
            let interface = reader.interface(input.slots.len())?;
            input.slots.push(self.slots.take(index, &input.name, interface));
        }
        Some(CapturedFrame {
            time_ns: head.time_ns,
            start: head.start,
            data: reader.data(head),
            wire_len: head.wire_len,
            iface: *input.slots.get(interface)?,
            input: index as u32,
            number: head.number,
        })
    }
}

impl Input {
    /// Opens an input and reads to its first frame. Of several, files are closed again until their time comes, so that
    /// a thousand rotated files need neither a thousand descriptors nor as many buffers.
    fn open(path: &Path, name: String, several: bool) -> Result<(Self, Option<u64>), CaptureError> {
        let opened = match stream::open(path, !several) {
            Ok(opened) => opened,
            Err(source) => return Err(CaptureError::Io { name, source }),
        };
        let mut input = Self {
            path: path.to_owned(),
            name,
            state: State::Parked,
            head: None,
            slots: Vec::new(),
            read: opened.read,
        };
        match CaptureReader::new(opened.stream, &input.name) {
            Ok(mut reader) => {
                input.head = reader.advance();
                if input.head.is_none() {
                    input.state = State::Done(reader.report());
                } else if several && opened.total.is_some() {
                    // Counted again from the beginning.
                    input.read.store(0, Ordering::Relaxed);
                } else {
                    input.state = State::Open(Box::new(reader));
                }
            }
            Err(NotACapture::Empty | NotACapture::HeaderCut) if several => {
                input.state = State::Done(lost(&input.name, What::Truncated));
            }
            Err(what) => {
                let name = input.name;
                return Err(CaptureError::NotACapture { name, what });
            }
        }
        Ok((input, opened.total))
    }

    /// Opens a parked input for good.
    #[cold]
    fn reopen(&mut self) {
        let opened = stream::open(&self.path, true).map_err(|error| error.to_string());
        let reader = opened.and_then(|opened| {
            self.read = opened.read;
            CaptureReader::new(opened.stream, &self.name).map_err(|what| what.to_string())
        });
        self.state = match reader {
            Ok(mut reader) => {
                self.head = reader.advance();
                if self.head.is_some() {
                    State::Open(Box::new(reader))
                } else {
                    State::Done(reader.report())
                }
            }
            Err(why) => State::Done(lost(&self.name, What::Unreadable { why })),
        };
    }

    fn report(&self) -> InputReport {
        match &self.state {
            State::Parked => InputReport {
                name: self.name.clone(),
                ..InputReport::default()
            },
            State::Open(reader) => reader.report(),
            State::Done(report) => report.clone(),
        }
    }
}

/// The report of an input of which nothing was read.
fn lost(name: &str, what: What) -> InputReport {
    let mut report = InputReport {
        name: name.to_owned(),
        ..InputReport::default()
    };
    report.damaged(0, what, 0);
    report
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

impl fmt::Debug for Captures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Captures")
            .field("inputs", &self.inputs.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
