//! SIGHUP: reads the configuration again, applies what can be applied, says what cannot, and reopens the journal.
//! It must never leave a half-applied configuration: a file with any mistake changes nothing.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{capture::Capture, clock};
use crate::{
    cli::{Loader, log::Filter},
    config::{Settings, changes},
    metrics::Metrics,
    sink,
};

/// What a reload reads and reaches.
pub(super) struct Reload<'a> {
    pub(super) loader: &'a Loader,
    pub(super) filter: &'a Filter,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) capture: Arc<Capture>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) journal: sink::Sender,
    pub(super) sinks: &'a sink::Sinks,
}

impl Reload<'_> {
    /// Notes that a configuration was loaded.
    pub(super) fn loaded(&self) {
        self.metrics.config_last_reload_successful.set(1.0);
        self.metrics
            .config_last_reload_success_timestamp_seconds
            .set(clock::unix_seconds());
    }

    /// Reads everything again and applies it.
    pub(super) fn reload(&self) {
        self.journal.reopen();
        self.sinks.reopen();
        let mut wanted = match self.loader.load() {
            Ok(settings) => settings,
            Err(problems) => {
                self.metrics.config_last_reload_successful.set(0.0);
                for problem in &problems.0 {
                    tracing::error!("configuration not reloaded: {problem}");
                }
                return;
            }
        };
        let current = self.settings.load_full();
        if wanted.interfaces.is_empty() {
            // The interfaces with a default route were looked up at start and stay.
            wanted.interfaces.clone_from(&current.interfaces);
        }
        let applied = self.apply(&current, wanted);
        self.loaded();
        tracing::info!(applied, "configuration reloaded, journal reopened");
    }

    fn apply(&self, current: &Settings, wanted: Settings) -> usize {
        let mut applied = 0;
        for change in changes(current, &wanted) {
            if change.reloads {
                applied += 1;
                tracing::info!("`{}` is now {} (was {})", change.key, change.new, change.old);
            } else {
                tracing::warn!(
                    "`{}` stays {}: {} needs a restart",
                    change.key,
                    change.old,
                    change.new
                );
            }
        }
        let mut next = current.clone();
        next.interfaces = wanted.interfaces;
        next.drain_interval = wanted.drain_interval.min(current.window);
        next.alarm_budget_per_day = wanted.alarm_budget_per_day;
        next.log_level = wanted.log_level;
        self.capture.watch(next.interfaces.clone());
        if !self.filter.set(&next.log_level) {
            tracing::error!("the log level could not be changed");
        }
        self.settings.store(Arc::new(next));
        applied
    }
}
