//! The thread that learns: at the lowest priority, one training at a time, with its outcome sent back to scoring.
//! It must never touch the model in use.

use std::sync::{
    Arc,
    mpsc::{Receiver, channel},
};

use super::{Store, clock, priority};
use crate::{
    engine::{TrainError, TrainingJob},
    metrics::Metrics,
    model::Model,
};

/// The outcome of a training.
pub(super) enum Trained {
    /// A model, saved if that was possible.
    Model(Arc<Model>),
    /// Why there is none.
    Failed(TrainError),
}

/// Starts a training. The receiver gives the outcome once.
pub(super) fn start(job: TrainingJob, metrics: Arc<Metrics>, store: Arc<Store>) -> Receiver<Trained> {
    let (send, receive) = channel();
    metrics.training_runs.inc();
    let failures = metrics.training_failures.clone();
    let spawned = std::thread::Builder::new().name("train".into()).spawn(move || {
        // Nobody receives when the sensor ends: the model is saved and used at the next start.
        let _ = send.send(train(job, &metrics, &store));
    });
    if let Err(cause) = spawned {
        failures.inc();
        tracing::error!(%cause, "the training thread could not be started; raise the limit of tasks");
    }
    receive
}

fn train(job: TrainingJob, metrics: &Metrics, store: &Store) -> Trained {
    if !priority::lower_this_thread() {
        tracing::debug!("the idle scheduling class is not available; training runs at nice 19");
    }
    let began_ns = clock::monotonic_ns();
    let mut tenths = 0;
    let outcome = job.run(&mut |share| {
        let now = (share * 10.0) as u32;
        if now > tenths {
            tenths = now;
            tracing::info!("training: {} %", now * 10);
        }
    });
    let seconds = clock::monotonic_ns().saturating_sub(began_ns) as f64 / 1e9;
    metrics.training_duration_seconds.observe(seconds);
    let model = match outcome {
        Ok(model) => Arc::new(model),
        Err(cause) => {
            metrics.training_failures.inc();
            return Trained::Failed(cause);
        }
    };
    match store.install(&model) {
        Ok(directory) => tracing::info!(model = model.id, path = %directory.display(), seconds, "learned"),
        Err(cause) => {
            // The model works without its file; only the next start would learn again.
            metrics.model_swap_failures.inc();
            tracing::error!("the new model is used but could not be saved: {cause}");
        }
    }
    Trained::Model(model)
}
