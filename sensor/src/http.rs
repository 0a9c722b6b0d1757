//! The HTTP listener: metrics, health, a status page and its JSON, and what people say about incidents: the only thing
//! that is taken in. It must never serve more than its limits, load anything from elsewhere, or show an address to who has no token.
//!
//! Limits: [`MAX_CONNECTIONS`] connections, [`MAX_HEADER_BYTES`] of headers, bodies of
//! 16 KiB where one is taken, time limits on reading
//! a request and on a whole connection.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::Request,
    middleware,
    routing::{get, post},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::metrics::Metrics;

mod desk;
mod guard;
mod incidents;
mod pages;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;
mod token;

pub use desk::Desk;
pub use token::Token;

/// Connections served at once; more wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 64;
/// Bytes of request line and headers.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Header fields of a request.
const MAX_HEADERS: usize = 64;
/// Time to read the head of a request; also how long a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest life of a connection; clients that keep theirs open connect anew.
const CONNECTION_TIMEOUT: Duration = Duration::from_mins(10);

/// What the listener shows. Implemented by the service, and by tests.
pub trait View: Send + Sync {
    /// Brings metrics that are read elsewhere up to date, before they are written.
    fn refresh(&self);
    /// What makes the process unhealthy: a stage that does not move.
    ///
    /// # Errors
    /// One sentence per stage.
    fn health(&self) -> Result<(), Vec<String>>;
    /// What keeps the sensor from counting: not attached, not loaded.
    ///
    /// # Errors
    /// One sentence per cause.
    fn readiness(&self) -> Result<(), Vec<String>>;
    /// The body of `/api/v1/status`.
    fn status(&self) -> serde_json::Value;
}

/// Why the listener cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else listens there.
    #[error(
        "listen address {address} is in use by another process; stop that process (another sensor?) or choose another \
         address with --listen"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// Any other failure.
    #[error("cannot listen on {address}: {source}; choose an address of this host with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The token cannot be read or made.
    #[error(
        "access token {path}: {cause}; make it a private file (mode 0600), or remove it to have a new one made"
    )]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The service.
    pub view: Arc<dyn View>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The token that protected paths ask for; `None` on loopback.
    pub token: Option<Token>,
    /// The incident database.
    pub incidents: Desk,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("protected", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// Binds the listener. Separate from [`serve`] so that a taken port ends the start before anything is attached.
///
/// # Errors
/// If the address is taken or not of this host.
pub fn bind(address: SocketAddr) -> Result<std::net::TcpListener, HttpError> {
    let listener = std::net::TcpListener::bind(address).map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => HttpError::InUse { address },
        _ => HttpError::Listen { address, source },
    })?;
    listener
        .set_nonblocking(true)
        .map_err(|source| HttpError::Listen { address, source })?;
    Ok(listener)
}

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(pages::metrics))
        .route("/healthz", get(pages::healthz))
        .route("/readyz", get(pages::readyz))
        .route("/api/v1/status", get(pages::status))
        .route("/api/v1/incidents", get(incidents::list))
        .route("/api/v1/incidents/{id}", get(incidents::show))
        .route("/api/v1/incidents/{id}/feedback", post(incidents::feedback))
        .route("/", get(pages::index))
        .route("/style.css", get(pages::style))
        .route("/script.js", get(pages::script))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(middleware::from_fn_with_state(shared.clone(), guard::check))
        .with_state(shared)
}

/// Serves until the future is dropped.
///
/// # Errors
/// If the listener cannot be handed to the runtime.
pub async fn serve(listener: std::net::TcpListener, shared: Shared) -> Result<(), HttpError> {
    let address = listener
        .local_addr()
        .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
    let listener = TcpListener::from_std(listener).map_err(|source| HttpError::Listen { address, source })?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let router = router(shared);
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return Ok(());
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(cause) => {
                // Out of file descriptors or a connection that died early: neither is a reason to end.
                tracing::debug!(%cause, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(MAX_HEADER_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(cause)) = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                tracing::debug!(%cause, "a connection ended early");
            }
            drop(slot);
        });
    }
}

/// The type of requests the handlers see.
type Incoming = Request<Body>;
