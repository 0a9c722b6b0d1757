//! One HTTP POST, and what its answer means. It must never follow a redirect: the body and the token are for the server
//! that was named.

use std::path::Path;

use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{set::SinksError, tls, worker::Failure};
use crate::config::sinks::HttpSettings;

/// Longest answer that is read for a message, bytes.
const ANSWER: u64 = 300;

/// A server and how to speak to it.
pub(super) struct Post {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

impl Post {
    /// Reads certificates and token now: what is wrong with them is a mistake of configuration.
    pub(super) fn new(url: String, settings: &HttpSettings) -> Result<Self, SinksError> {
        let mut config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .user_agent(concat!("sensor/", env!("CARGO_PKG_VERSION")));
        if url.starts_with("https:") {
            let authorities: Vec<Certificate<'static>> = tls::authorities(&settings.ca_file)?
                .iter()
                .map(|certificate| Certificate::from_der(certificate).to_owned())
                .collect();
            let tls = TlsConfig::builder()
                .root_certs(RootCerts::from(authorities))
                .unversioned_rustls_crypto_provider(tls::provider())
                .build();
            config = config.tls_config(tls);
        }
        let authorization = settings
            .token_file
            .as_deref()
            .map(|path| secret(path).map(|token| format!("Bearer {token}")))
            .transpose()?;
        Ok(Self {
            agent: config.build().new_agent(),
            url,
            authorization,
        })
    }

    /// Sends a body.
    pub(super) fn send(
        &self,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(), Failure> {
        let mut request = self.agent.post(&self.url).header("content-type", content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request
            .send(body)
            .map_err(|cause| Failure::Later(format!("{}: {cause}", self.url)))?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            // Read to its end, so that the connection can be used again.
            let _ = response.body_mut().with_config().limit(1 << 16).read_to_vec();
            return Ok(());
        }
        let answer = response.body_mut().with_config().limit(ANSWER).read_to_string();
        let answer = answer.unwrap_or_default().replace(char::is_control, " ");
        let message = format!(
            "{}: HTTP {status}{}{answer}",
            self.url,
            if answer.is_empty() { "" } else { ": " }
        );
        Err(if is_final(status) {
            Failure::Never(message)
        } else {
            Failure::Later(message)
        })
    }
}

/// Whether the same request would be refused for ever. Wrong tokens and paths are mended by people, so they are not among
/// these.
const fn is_final(status: u16) -> bool {
    matches!(status, 400 | 406 | 410 | 411 | 413 | 414 | 415 | 422 | 431)
}

/// A secret from a file, without the end of its line.
pub(super) fn secret(path: &Path) -> Result<String, SinksError> {
    let text = std::fs::read_to_string(path).map_err(|source| SinksError::Read {
        path: path.to_owned(),
        source,
    })?;
    match text.trim() {
        "" => Err(SinksError::Secret {
            path: path.to_owned(),
            cause: "it is empty",
        }),
        text if text.contains(char::is_control) => Err(SinksError::Secret {
            path: path.to_owned(),
            cause: "it has more than one line",
        }),
        text => Ok(text.to_owned()),
    }
}
