//! A progress bar on a terminal, nothing when standard error is a file or a pipe. It must never be the reason for which
//! work fails or waits.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::Captures;

/// How far the reading of captures is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over the bytes of the captures, or a counter where their size is not known.
    pub(super) fn over(captures: &Captures, what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let (bar, template) = match captures.bytes_total() {
            Some(total) => (
                ProgressBar::new(total),
                "{prefix} {bar:30} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}",
            ),
            None => (
                ProgressBar::no_length(),
                "{prefix} {spinner} {bytes}  {bytes_per_sec}",
            ),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self { bar }
    }

    /// A bar over a share of some work.
    pub(super) fn share(what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::new(1000);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} %  {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self { bar }
    }

    /// A count of rows whose end is not known.
    pub(super) fn rows(what: &'static str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let bar = ProgressBar::no_length();
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {spinner} {human_pos} rows  {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self { bar }
    }

    /// Shows a number of rows.
    pub(super) fn show_rows(&self, rows: u64) {
        self.bar.set_position(rows);
    }

    /// Shows a share from 0 to 1.
    pub(super) fn show_share(&self, share: f64) {
        self.bar.set_position((share * 1000.0) as u64);
    }

    /// Shows what was read.
    pub(super) fn show(&self, captures: &Captures) {
        self.bar.set_position(captures.bytes_read());
    }

    /// Takes the bar away.
    pub(super) fn done(self) {
        self.bar.finish_and_clear();
    }
}
