//! The offline road: recorded frames through the same stages as live traffic, in the time of the recording.
//! It must never read a clock of its own: the same input and seed give the same bytes.

pub mod clock;
pub mod drive;
pub mod feed;
pub mod lessons;
pub mod outputs;
pub mod scan;
pub mod stored;
pub mod stream;

pub use drive::{Books, Driven, drive};
pub use feed::{ClosedWindow, Feed, FeedSettings};
pub use stream::{Unwatched, Watch, stream};

use crate::{capture::CaptureError, engine::TrainError};

/// Seed where none is given: a replay is the same each time.
pub const DEFAULT_SEED: u64 = 1;

/// Why a replay ended before its captures did.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An input cannot be opened or is no capture.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Flow files cannot be read, or not together.
    #[error(transparent)]
    Stored(#[from] stored::StoredError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// No thread to read with.
    #[error("cannot start the reading thread: {source}; raise the limit of tasks")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
    /// Standard input or a pipe could not be kept for a second reading.
    #[error(
        "cannot copy {what} (- is standard input) to a temporary file: {source}; make room in the directory TMPDIR names, or say how long to learn (--learn), so that one reading is enough"
    )]
    Spool {
        /// The input.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// A result could not be written.
    #[error("{what}: {source}")]
    Write {
        /// The file.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}
