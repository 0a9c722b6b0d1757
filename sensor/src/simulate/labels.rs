//! Writes labels in the two forms of the contract: by frame, or by interval and addresses.
//! It must never label a frame that no scenario sent.

use std::{
    io::{self, Write},
    net::IpAddr,
};

use super::host::Label;

/// The two forms of labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelForm {
    /// `frame,label`: one line for each malicious frame.
    #[default]
    Frame,
    /// `start,end,src,dst,src_port,dst_port,proto,label`: one line for each way in which a scenario's traffic goes.
    Interval,
}

/// Which packets of an interval are a scenario's; what is absent matches all. Either direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) src: Option<IpAddr>,
    pub(super) dst: Option<IpAddr>,
    pub(super) src_port: Option<u16>,
    pub(super) dst_port: Option<u16>,
    pub(super) proto: Option<&'static str>,
}

/// One run of a scenario, as the labels show it.
#[derive(Clone, Debug, Default)]
pub(super) struct Labelled {
    pub(super) name: &'static str,
    pub(super) patterns: Vec<Pattern>,
    pub(super) frames: u64,
    /// Times of its first and last frame, nanoseconds since the Unix epoch.
    pub(super) span_ns: Option<(u64, u64)>,
}

/// A writer of labels.
pub(super) struct LabelWriter<W> {
    out: W,
    form: LabelForm,
    runs: Vec<Labelled>,
}

impl<W: Write> LabelWriter<W> {
    /// Writes the header. Run `n` (from 0) has the label `n + 1`.
    pub(super) fn new(mut out: W, form: LabelForm, runs: Vec<Labelled>) -> io::Result<Self> {
        out.write_all(match form {
            LabelForm::Frame => b"frame,label\n",
            LabelForm::Interval => b"start,end,src,dst,src_port,dst_port,proto,label\n",
        })?;
        Ok(Self { out, form, runs })
    }

    /// Notes that a frame belongs to a run.
    pub(super) fn note(&mut self, number: u64, time_ns: u64, label: Label) -> io::Result<()> {
        let index = usize::from(label.0).wrapping_sub(1);
        let Some(run) = self.runs.get_mut(index) else {
            return Ok(());
        };
        run.frames += 1;
        let (first, last) = run.span_ns.unwrap_or((time_ns, time_ns));
        run.span_ns = Some((first.min(time_ns), last.max(time_ns)));
        match self.form {
            LabelForm::Frame => writeln!(self.out, "{number},{}", run.name),
            LabelForm::Interval => Ok(()),
        }
    }

    /// Writes what is left and returns the runs with what was noted of them.
    pub(super) fn finish(mut self) -> io::Result<Vec<Labelled>> {
        if self.form == LabelForm::Interval {
            for run in &self.runs {
                let Some((first, last)) = run.span_ns else {
                    continue;
                };
                for pattern in &run.patterns {
                    let (start, end) = (seconds(first, 0), seconds(last, 999));
                    writeln!(
                        self.out,
                        "{start},{end},{},{},{},{},{},{}",
                        text(pattern.src),
                        text(pattern.dst),
                        text(pattern.src_port),
                        text(pattern.dst_port),
                        text(pattern.proto),
                        run.name
                    )?;
                }
            }
        }
        self.out.flush()?;
        Ok(self.runs)
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Epoch seconds with microseconds, after adding `more` nanoseconds so that an end is not before its last frame.
fn seconds(time_ns: u64, more: u64) -> String {
    let time = time_ns + more;
    format!("{}.{:06}", time / 1_000_000_000, time % 1_000_000_000 / 1000)
}
