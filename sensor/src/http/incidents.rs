//! Incidents over HTTP: pages of them, one with everything about it, and what people say. It must never change anything on
//! behalf of another site, nor read a body that is longer than [`MAX_BODY_BYTES`].

use std::time::Duration;

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, pages::problem};
use crate::{
    alert::Alert,
    incidents::{
        feedback::{Feedback, Judgement, Opinion},
        query::{Filter, Listed, MAX_PAGE, severity, since_ns},
        scope::{ScopeText, behaviour},
        suppression::NewSuppression,
    },
    service::clock,
};

/// Bytes of a request's body.
pub(super) const MAX_BODY_BYTES: usize = 16 * 1024;
/// Time to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Incidents on a page when the request does not say.
const DEFAULT_LIMIT: usize = 100;
/// Updates shown of one incident: the latest.
const TIMELINE: usize = 200;
/// The time a dry run looks back at.
const DRY_RUN: Duration = Duration::from_hours(7 * 24);

/// What can be asked of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    state: Option<String>,
    severity: Option<String>,
    behaviour: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
    cursor: Option<i64>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter, String> {
        Ok(Filter {
            open: match self.state.as_deref() {
                None => None,
                Some("open") => Some(true),
                Some("closed") => Some(false),
                Some(other) => return Err(format!("state: \"{other}\" is neither open nor closed")),
            },
            severity: self.severity.as_deref().map(severity).transpose()?,
            behaviour: self.behaviour.as_deref().map(behaviour).transpose()?,
            since_ns: self
                .since
                .as_deref()
                .map(|text| since_ns(text, clock::unix_ns()))
                .transpose()?,
            before: self.cursor,
            limit: self.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_PAGE),
        })
    }
}

pub(super) async fn list(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let filter = match wanted {
        Ok(Query(wanted)) => wanted.filter(),
        Err(cause) => Err(cause.body_text()),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(cause) => {
            let known = "known are state, severity, behaviour, since, limit and cursor";
            return problem(StatusCode::BAD_REQUEST, &format!("{cause}; {known}"));
        }
    };
    let limit = filter.limit;
    match shared
        .incidents
        .with(move |database| database.list(&filter))
        .await
    {
        Ok(found) => {
            let next = found
                .last()
                .filter(|_| found.len() == limit)
                .map(|last| last.number);
            let found: Vec<Value> = found.into_iter().map(Listed::into_json).collect();
            Json(json!({"incidents": found, "next": next})).into_response()
        }
        Err(refusal) => refusal,
    }
}

pub(super) async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let found = shared.incidents.with(move |database| {
        let found = database.incident_of(&id)?;
        let timeline = database.timeline(&found.id, TIMELINE)?;
        let feedback = database.feedback_on(&found.id)?;
        Ok((found, timeline, feedback))
    });
    match found.await {
        Ok((found, timeline, feedback)) => {
            let mut incident = found.into_json();
            if let Some(fields) = incident.as_object_mut() {
                fields.insert("timeline".to_owned(), json!(timeline));
                let feedback: Vec<Value> = feedback.iter().map(Feedback::to_json).collect();
                fields.insert("feedback".to_owned(), feedback.into());
            }
            Json(incident).into_response()
        }
        Err(refusal) => refusal,
    }
}

/// What people send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    verdict: Option<Judgement>,
    #[serde(default)]
    note: String,
    #[serde(default = "anonymous")]
    author: String,
    suppress: Option<Suppress>,
}

fn anonymous() -> String {
    "api".to_owned()
}

/// The suppression that goes with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suppress {
    /// Absent: the scope of the incident.
    scope: Option<ScopeText>,
    expires: String,
    /// Empty: the note.
    #[serde(default)]
    reason: String,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn feedback(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let said = match read(&headers, body).await {
        Ok(said) => said,
        Err(refusal) => return refusal,
    };
    let dry_run = said.suppress.as_ref().is_some_and(|suppress| suppress.dry_run);
    let Some(verdict) = said.verdict.or(dry_run.then_some(Judgement::Note)) else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "verdict: write benign, confirmed or note",
        );
    };
    let answer = shared.incidents.with(move |database| {
        let now_ns = clock::unix_ns();
        let incident = database.incident_of(&id)?;
        let suppression = said.suppress.map(|wanted| NewSuppression {
            scope: wanted.scope.unwrap_or_else(|| scope_of(&incident.alert)),
            author: said.author.clone(),
            reason: if wanted.reason.is_empty() {
                said.note.clone()
            } else {
                wanted.reason
            },
            expires: wanted.expires,
        });
        if let Some(suppression) = suppression.as_ref().filter(|_| dry_run) {
            let since_ns = now_ns.saturating_sub(DRY_RUN.as_nanos() as i64);
            let found = database.would_hide(&suppression.scope, since_ns)?;
            return Ok((StatusCode::OK, json!({"dry_run": found.to_json()})));
        }
        let opinion = Opinion {
            verdict,
            author: said.author,
            text: said.note,
        };
        let (entry, written) = database.judge(&incident.id, &opinion, suppression.as_ref(), now_ns)?;
        let written = written.map(|suppression| suppression.to_json());
        Ok((
            StatusCode::CREATED,
            json!({"feedback": entry.to_json(), "suppression": written}),
        ))
    });
    match answer.await {
        Ok((status, answer)) => (status, Json(answer)).into_response(),
        Err(refusal) => refusal,
    }
}

/// The scope of an incident; empty, and so refused later, if its line cannot be read.
fn scope_of(line: &Value) -> ScopeText {
    Alert::deserialize(line).map_or_else(|_| ScopeText::default(), |alert| ScopeText::of(&alert))
}

/// The body, if it is JSON of the expected form and size.
async fn read(headers: &HeaderMap, body: Body) -> Result<Said, Response> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send JSON: Content-Type: application/json",
        ));
    }
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let detail = format!("the body is longer than {MAX_BODY_BYTES} bytes");
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &detail));
        }
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    };
    serde_json::from_slice(&bytes)
        .map_err(|cause| problem(StatusCode::BAD_REQUEST, &format!("body: {cause}")))
}
