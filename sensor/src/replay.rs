//! The offline road: recorded frames through the same stages as live traffic, in the time of the recording.
//! It must never read a clock of its own: the same input and seed give the same bytes.

pub mod clock;
pub mod feed;

pub use feed::{ClosedWindow, Feed, FeedSettings};
