//! Why inputs could not be read at all.
//! It must never say only that something failed: each message names the file, the cause and what to do.

use std::fmt;
use std::io;

use thiserror::Error;

/// Inputs that cannot be read: exit code 3.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// No input was named.
    #[error("no capture was named: give at least one file, or - for standard input")]
    NoInput,
    /// Standard input was named twice.
    #[error("standard input (-) can be read only once")]
    StdinTwice,
    /// The operating system refused it.
    #[error("cannot read {name}: {source}")]
    Io {
        /// The input.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{name} is no capture: {what}")]
    NotACapture {
        /// The input.
        name: String,
        /// What it is.
        what: NotACapture,
    },
}

/// What an input is that is no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotACapture {
    /// Nothing.
    Empty,
    /// The beginning of a capture, shorter than its header.
    HeaderCut,
    /// A format that another tool must turn into a capture first.
    Convert {
        /// Its name.
        format: &'static str,
        /// What turns it into a capture.
        with: &'static str,
    },
    /// Rows that `sensor flows` wrote.
    FlowFile,
    /// It could not be read.
    Unreadable(String),
    /// Something unknown.
    Unknown,
}

/// First bytes of formats that people try.
const KNOWN: [(&[u8], &str, &str); 9] = [
    (b"\xfd7zXZ\0", "xz", "xz -dc FILE | sensor ... -"),
    (b"BZh", "bzip2", "bzip2 -dc FILE | sensor ... -"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc FILE | sensor ... -"),
    (b"PK\x03\x04", "a zip archive", "unzip"),
    (b"\x1f\x8b", "gzip in a compressed file", "decompress it once"),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd in a compressed file",
        "decompress it once",
    ),
    (b"snoop\0\0\0", "a Solaris snoop capture", "editcap -F pcap"),
    (b"RTSS", "a Windows Network Monitor 1 capture", "editcap -F pcap"),
    (b"GMBU", "a Windows Network Monitor 2 capture", "editcap -F pcap"),
];

/// First bytes of flow files, in each format.
const FLOW_FILES: [&[u8]; 3] = [b"PAR1", b"{\"kind\":", b"kind,window_start,"];

/// First bytes of captures.
const MAGICS: [&[u8]; 7] = [
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x34\xcd\xb2\xa1",
    b"\xa1\xb2\xcd\x34",
    b"\x0a\x0d\x0d\x0a",
];

impl NotACapture {
    /// By the first bytes and why there were no more.
    pub(super) fn of(bytes: &[u8], failure: Option<&str>) -> Self {
        if let Some(why) = failure {
            return Self::Unreadable(why.to_owned());
        }
        if bytes.is_empty() {
            return Self::Empty;
        }
        if MAGICS
            .iter()
            .any(|magic| magic.iter().zip(bytes).all(|(left, right)| left == right))
        {
            return Self::HeaderCut;
        }
        if FLOW_FILES.iter().any(|start| bytes.starts_with(start)) {
            return Self::FlowFile;
        }
        KNOWN
            .iter()
            .find(|(magic, ..)| bytes.starts_with(magic))
            .map_or(Self::Unknown, |(_, format, with)| Self::Convert { format, with })
    }
}

impl fmt::Display for NotACapture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("it is empty"),
            Self::HeaderCut => formatter.write_str("it ends within its header, before the first packet"),
            Self::Convert { format, with } => write!(formatter, "it is {format}; convert it first ({with})"),
            Self::FlowFile => formatter.write_str(
                "it is a flow file, which `sensor train` and `sensor evaluate` read; this command needs the packets",
            ),
            Self::Unreadable(why) => write!(formatter, "it cannot be read: {why}"),
            Self::Unknown => formatter.write_str(
                "it begins with neither pcap nor pcapng; tcpdump -w and Wireshark write such files",
            ),
        }
    }
}
