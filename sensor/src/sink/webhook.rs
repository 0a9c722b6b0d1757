//! HTTP POST of each update, signed as Standard Webhooks wants it, so that the receiver can tell who sent it, when, and
//! whether it has seen it before. It must never sign anything but the body that is sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use minijinja::{Environment, UndefinedBehavior, context, value::Serde};
use sha2::Sha256;

use super::{
    ocsf,
    post::{self, Post},
    set::SinksError,
    worker::{Deliver, Failure},
};
use crate::{
    config::sinks::{WebhookFormat, WebhookSink},
    incidents::Stored,
    service::clock,
};

/// Steps that a template may take; a thousand are plenty for one that lists everything.
const TEMPLATE_STEPS: u64 = 100_000;
const TEMPLATE: &str = "webhook";

/// The webhook.
pub(super) struct Webhook {
    post: Post,
    body: Body,
    content_type: String,
    key: Option<Vec<u8>>,
}

enum Body {
    Sensor,
    Ocsf,
    Template(Box<Environment<'static>>),
}

impl Webhook {
    /// Reads everything that is in files now: what is wrong with them is a mistake of configuration.
    pub(super) fn new(url: &str, settings: &WebhookSink) -> Result<Self, SinksError> {
        let body = match (settings.format, &settings.template_file) {
            (WebhookFormat::Sensor, _) | (WebhookFormat::Template, None) => Body::Sensor,
            (WebhookFormat::Ocsf, _) => Body::Ocsf,
            (WebhookFormat::Template, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|source| SinksError::Read {
                    path: path.clone(),
                    source,
                })?;
                Body::Template(Box::new(template(text).map_err(|cause| {
                    SinksError::Template {
                        path: path.clone(),
                        cause: cause.to_string(),
                    }
                })?))
            }
        };
        let key = settings
            .secret_file
            .as_deref()
            .map(|path| {
                key(&post::secret(path)?).ok_or_else(|| SinksError::Secret {
                    path: path.to_owned(),
                    cause: "what follows whsec_ is not base64",
                })
            })
            .transpose()?;
        Ok(Self {
            post: Post::new(url.to_owned(), &settings.http)?,
            body,
            content_type: settings.content_type.clone(),
            key,
        })
    }

    fn body(&self, update: &Stored) -> Result<String, Failure> {
        match &self.body {
            Body::Sensor => {
                serde_json::to_string(&update.alert).map_err(|cause| Failure::Never(cause.to_string()))
            }
            Body::Ocsf => ocsf::record(update)
                .ok_or_else(|| Failure::Never("it cannot be written as an OCSF finding".to_owned())),
            Body::Template(template) => {
                rendered(template, update).map_err(|cause| Failure::Never(format!("{cause:#}")))
            }
        }
    }
}

impl Deliver for Webhook {
    fn deliver(&mut self, update: &Stored) -> Result<(), Failure> {
        let body = self.body(update)?;
        let id = super::update_id(update);
        let timestamp = (clock::unix_ns() / 1_000_000_000).to_string();
        let signature = self
            .key
            .as_deref()
            .and_then(|key| sign(key, &id, &timestamp, &body));
        let mut headers = vec![("webhook-id", id.as_str()), ("webhook-timestamp", &timestamp)];
        if let Some(signature) = &signature {
            headers.push(("webhook-signature", signature));
        }
        self.post.send(&self.content_type, &headers, body.as_bytes())
    }
}

/// The key of a secret: base64 after `whsec_`, else the text itself.
fn key(secret: &str) -> Option<Vec<u8>> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(secret.as_bytes().to_vec()),
    }
}

/// Version 1 of the signature of Standard Webhooks: HMAC-SHA256 over id, time and body. A key of any length will do.
fn sign(key: &[u8], id: &str, timestamp: &str, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// A template that was tried: a misspelt name is found at the start, not at the first incident.
fn template(text: String) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_STEPS));
    environment.add_template_owned(TEMPLATE, text)?;
    rendered(&environment, &super::trial())?;
    Ok(environment)
}

fn rendered(template: &Environment<'_>, update: &Stored) -> Result<String, minijinja::Error> {
    let alert = minijinja::Value::from(Serde(&update.alert));
    template
        .get_template(TEMPLATE)?
        .render(context! { update_id => super::update_id(update), ..alert })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sink::trial::numbered;

    #[test]
    fn the_signature_is_that_of_the_specification_s_example() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(super::key("whsec_?"), None);
    }

    #[test]
    fn a_template_sees_the_fields_of_the_journal_and_writes_json() {
        let text =
            r#"{"text": {{ summary|tojson }}, "id": "{{ update_id }}", "why": "{{ reasons[0].feature }}"}"#;
        let update = numbered(3);
        let body = rendered(&template(text.to_owned()).unwrap(), &update).unwrap();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["text"], update.alert.summary);
        assert_eq!(value["id"], format!("{}-3", update.alert.id));
        assert_eq!(value["why"], "host_ports");
    }

    #[test]
    fn a_template_with_a_misspelt_name_or_without_an_end_is_refused_at_the_start() {
        for text in [
            "{{ sumary }}",
            "{{ summary",
            "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        ] {
            assert!(template(text.to_owned()).is_err(), "{text}");
        }
    }
}
