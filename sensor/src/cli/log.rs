//! Log lines on standard error, as text or JSON, with a level that can be changed while running.
//! It must never write to standard output: that is for results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::{Failure, exit};
use crate::config::LogFormat;

/// Changes the filter of log lines.
pub struct Filter(Box<dyn Fn(EnvFilter) -> bool + Send + Sync>);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Applies a level or filter; says whether it is in force.
    pub fn set(&self, level: &str) -> bool {
        EnvFilter::try_new(level).is_ok_and(|filter| (self.0)(filter))
    }
}

/// Starts logging, for the whole process.
///
/// # Errors
/// If logging was started before, or the filter does not parse.
pub fn init(format: LogFormat, level: &str) -> Result<Filter, Failure> {
    let fail = |cause: String| Failure::new(exit::FAILED, format!("cannot start logging: {cause}"));
    let filter = EnvFilter::try_new(level).map_err(|cause| fail(cause.to_string()))?;
    let base = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let handle = match format {
        LogFormat::Text => {
            let builder = base
                .with_ansi(colours())
                .with_env_filter(filter)
                .with_filter_reloading();
            let handle = builder.reload_handle();
            install(builder.finish()).map_err(fail)?;
            Filter(Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        LogFormat::Json => {
            let builder = base.json().with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            install(builder.finish()).map_err(fail)?;
            Filter(Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    // Libraries, and the kernel programs through aya-log, speak to the `log` crate.
    tracing_log::LogTracer::init().map_err(|cause| fail(cause.to_string()))?;
    Ok(handle)
}

fn install(subscriber: impl tracing::Subscriber + Send + Sync) -> Result<(), String> {
    tracing::subscriber::set_global_default(subscriber).map_err(|cause| cause.to_string())
}

/// Colours only for a terminal, and never against a `NO_COLOR` that is set to something.
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
