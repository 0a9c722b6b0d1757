//! Reading and counting on one thread, whatever comes after on the caller's: two cores where there are two. It must
//! never hold more than a few windows, and never change their order.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use sensor_common::parse::Parsed;

use super::feed::{ClosedWindow, Feed};
use crate::capture::{CapturedFrame, FrameSource};

/// Windows between the two threads at most.
const BETWEEN: usize = 2;
/// Frames between two reports of progress.
const REPORT_EVERY: u32 = 4096;

/// Looks at each frame on its way, and says something about each window.
pub trait Watch: Send {
    /// What it says about a window.
    type Note: Send;
    /// A frame, and what the parser made of it (`None`: skipped).
    fn frame(&mut self, frame: &CapturedFrame<'_>, parsed: Option<&Parsed>);
    /// What there is to say about the frames since the last call.
    fn take(&mut self) -> Self::Note;
}

/// Nothing is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    type Note = ();
    fn frame(&mut self, _: &CapturedFrame<'_>, _: Option<&Parsed>) {}
    fn take(&mut self) {}
}

/// Sends all frames of `source` through `feed`; `consume` gets the windows in order and may end it early. `progress` is
/// called from the reading thread every few thousand frames.
///
/// # Errors
/// If the thread cannot be started.
pub fn stream<S, W>(
    source: &mut S,
    feed: &mut Feed,
    mut watch: W,
    progress: &mut (dyn FnMut(&S) + Send),
    consume: &mut dyn FnMut(ClosedWindow, W::Note) -> ControlFlow<()>,
) -> std::io::Result<()>
where
    S: FrameSource + Send,
    W: Watch,
{
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel::<(ClosedWindow, W::Note)>(BETWEEN);
        let reader = move || {
            let mut gone = false;
            let mut since_report = 0;
            while let Some(frame) = source.next_frame() {
                let parsed = feed.push(&frame, &mut |closed| {
                    gone |= send.send((closed, watch.take())).is_err();
                });
                watch.frame(&frame, parsed);
                if gone {
                    return;
                }
                since_report += 1;
                if since_report == REPORT_EVERY {
                    since_report = 0;
                    progress(source);
                }
            }
            feed.finish(&mut |closed| gone |= send.send((closed, watch.take())).is_err());
        };
        std::thread::Builder::new()
            .name("read".into())
            .spawn_scoped(scope, reader)?;
        for (closed, note) in receive {
            if consume(closed, note).is_break() {
                break;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use sensor_common::parse::Start;

    use super::*;
    use crate::{replay::FeedSettings, window::WindowSettings};

    /// One frame of nothing a second.
    struct Ticks(u64);

    impl FrameSource for Ticks {
        fn next_frame(&mut self) -> Option<CapturedFrame<'_>> {
            self.0 += 1;
            (self.0 <= 10_000).then_some(CapturedFrame {
                time_ns: self.0 * 1_000_000_000,
                start: Start::Ip,
                data: &[0],
                wire_len: 1,
                iface: 0,
                input: 0,
                number: self.0,
            })
        }
    }

    struct Count(u64);

    impl Watch for Count {
        type Note = u64;
        fn frame(&mut self, _: &CapturedFrame<'_>, parsed: Option<&Parsed>) {
            self.0 += u64::from(parsed.is_none());
        }
        fn take(&mut self) -> u64 {
            std::mem::take(&mut self.0)
        }
    }

    fn feed() -> Feed {
        Feed::new(&FeedSettings {
            window_ns: 10_000_000_000,
            window: WindowSettings {
                max_flows: 10,
                idle_timeout_ns: 1,
                active_timeout_ns: 1,
            },
            seed: 1,
        })
    }

    #[test]
    fn notes_belong_to_their_windows() {
        let mut windows = 0;
        stream(
            &mut Ticks(0),
            &mut feed(),
            Count(0),
            &mut |_| (),
            &mut |closed, note| {
                assert_eq!(closed.window.books.seen_packets, note);
                assert_eq!(note, 10);
                windows += 1;
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        assert_eq!(windows, 1000);
    }

    #[test]
    fn a_consumer_that_has_enough_ends_the_reading() {
        let mut ticks = Ticks(0);
        stream(&mut ticks, &mut feed(), Unwatched, &mut |_| (), &mut |_, ()| {
            ControlFlow::Break(())
        })
        .unwrap();
        assert!(ticks.0 < 200, "{}", ticks.0);
    }
}
