//! The event loop of the main thread: listener, signals, changes of interfaces, and a tick a second.
//! It must never do anything that takes long: it answers health checks.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{board::Board, capture::Capture, reload::Reload};
use crate::{
    cli::{Failure, exit},
    http::{self, Shared},
    probe::{KernelLog, follow},
};

const TICK: Duration = Duration::from_secs(1);
/// How often attaching is tried again where it failed, and the interfaces are compared with the attachments.
const RECONCILE: Duration = Duration::from_secs(10);
/// Changes of interfaces come in bursts: one look after the burst is enough.
const SETTLE: Duration = Duration::from_millis(20);

/// Runs until SIGTERM or SIGINT.
pub(super) async fn until_stopped(
    listener: std::net::TcpListener,
    shared: Shared,
    mut watcher: follow::Watcher,
    board: &Arc<Board>,
    capture: &Arc<Capture>,
    reload: &Reload<'_>,
) -> Result<(), Failure> {
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hang_up = on(SignalKind::hangup())?;
    let mut tick = interval(TICK);
    let mut again = interval(RECONCILE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if let Some(log) = capture.take_kernel_log() {
        tokio::spawn(forward(log));
    }
    let address = listener
        .local_addr()
        .map_or_else(|_| "?".to_owned(), |address| address.to_string());
    tracing::info!("listening on http://{address}/");
    let mut serving = std::pin::pin!(http::serve(listener, shared));
    loop {
        tokio::select! {
            outcome = &mut serving => return outcome.map_err(Failure::from),
            _ = terminate.recv() => {
                tracing::info!("SIGTERM: ending");
                return Ok(());
            }
            _ = interrupt.recv() => {
                tracing::info!("SIGINT: ending");
                return Ok(());
            }
            _ = hang_up.recv() => {
                reload.reload();
                reconcile(capture);
            }
            changes = watcher.next() => {
                if let Err(cause) = changes {
                    tracing::warn!("{cause}; interfaces are still compared every {} s", RECONCILE.as_secs());
                }
                tokio::time::sleep(SETTLE).await;
                reconcile(capture);
            }
            _ = again.tick() => reconcile(capture),
            _ = tick.tick() => board.tick(),
        }
    }
}

fn on(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|cause| Failure::new(exit::FAILED, format!("cannot wait for signals: {cause}")))
}

fn reconcile(capture: &Capture) {
    match follow::links() {
        Ok(links) => capture.reconcile(&links),
        Err(cause) => tracing::warn!("{cause}; interfaces stay as they are"),
    }
}

async fn forward(log: KernelLog) {
    if let Err(cause) = log.forward().await {
        tracing::warn!("{cause}; messages of the kernel programs are no longer shown");
    }
}
