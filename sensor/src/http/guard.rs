//! What happens before and after every handler: access, and headers that keep browsers strict.
//! It must never let a path through by default: open paths are listed.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::{Incoming, Shared, pages::problem};

/// Paths that show neither addresses nor incidents.
const OPEN: [&str; 3] = ["/metrics", "/healthz", "/readyz"];

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) async fn check(State(shared): State<Shared>, request: Incoming, next: Next) -> Response {
    let open = OPEN.contains(&request.uri().path());
    let refusal = if open {
        None
    } else {
        refuse(&shared, request.headers()).or_else(|| refuse_other_sites(&request))
    };
    let mut response = match refusal {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let Some(token) = &shared.token else {
        // Without a token only loopback is served. A web page whose name was made to resolve to 127.0.0.1 (DNS
        // rebinding) still sends its own name as Host: that is refused.
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        return (!is_local_name(host)).then(|| {
            problem(
                StatusCode::MISDIRECTED_REQUEST,
                "this listener answers to localhost and IP addresses only",
            )
        });
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| {
        let (scheme, text) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
    });
    if given.is_some_and(|text| token.accepts(text)) {
        return None;
    }
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "send the token of the state directory: Authorization: Bearer TOKEN",
    );
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"sensor\""),
    );
    Some(response)
}

/// What changes something is taken only from the sensor's own page, or from what is no page at all: a browser says which
/// site a request comes from, and programs say nothing.
fn refuse_other_sites(request: &Incoming) -> Option<Response> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or("unreadable"))
    };
    let own_site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let own_origin = text("origin").is_none_or(|origin| {
        let address = origin.split_once("://").map(|(_, address)| address);
        address.is_some() && address == text("host")
    });
    (!(own_site && own_origin)).then(|| {
        problem(
            StatusCode::FORBIDDEN,
            "this comes from a page of another site; only the sensor's own page and programs may change anything",
        )
    })
}

/// An IP literal, `localhost`, or nothing (HTTP/1.0), each with or without a port.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}
