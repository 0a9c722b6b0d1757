//! The handlers. Bodies are built in memory from what the service shows, all of bounded size.
//! It must never wait for anything.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Shared;
use crate::metrics::Format;

pub(super) async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let format = Format::negotiate(accept);
    shared.view.refresh();
    match shared.metrics.render(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(cause) => problem(StatusCode::INTERNAL_SERVER_ERROR, &cause.to_string()),
    }
}

pub(super) async fn healthz(State(shared): State<Shared>) -> Response {
    condition(shared.view.health())
}

pub(super) async fn readyz(State(shared): State<Shared>) -> Response {
    condition(shared.view.readiness())
}

fn condition(found: Result<(), Vec<String>>) -> Response {
    match found {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(causes) => problem(StatusCode::SERVICE_UNAVAILABLE, &causes.join("; ")),
    }
}

pub(super) async fn status(State(shared): State<Shared>) -> Response {
    Json(shared.view.status()).into_response()
}

pub(super) async fn index() -> Response {
    asset("text/html; charset=utf-8", include_str!("assets/index.html"))
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("assets/style.css"))
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("assets/script.js"))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub(super) async fn not_found(uri: Uri) -> Response {
    let detail = format!(
        "nothing at {}; there is /, /metrics, /healthz, /readyz, /api/v1/status, /api/v1/incidents, /api/v1/incidents/ID",
        uri.path()
    );
    problem(StatusCode::NOT_FOUND, &detail)
}

pub(super) async fn method_not_allowed() -> Response {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take that method; only the feedback on an incident is sent with POST",
    )
}

/// An error in the form of RFC 9457.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}
