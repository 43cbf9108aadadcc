//! Notices for a server, signed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use hyper::{Request, StatusCode};
use kugetsu_core::error::Source;
use kugetsu_core::{Clock, Notice, Notifier, NotifyError, Retry};
use sha2::Sha256;

use crate::http::{Address, BadAddress, Http, HttpError};
use crate::secret::Secret;

/// A secret that is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has to be `whsec_` and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

/// The key with which a webhook signs, shown by nothing.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Reads a secret as Standard Webhooks write it: `whsec_` and the base64 of 24 to 64 bytes.
    pub fn parse(secret: &Secret) -> Result<Self, BadSecret> {
        let encoded = secret.reveal().strip_prefix("whsec_").ok_or(BadSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| BadSecret)?;
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(BadSecret) }
    }

    fn sign(
        &self,
        id: &str,
        timestamp: u64,
        body: &[u8],
    ) -> Result<String, hmac::digest::InvalidLength> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// Posts each notice as JSON to a server, signed as [Standard Webhooks] describe it, so that a
/// receiver can use a library that it knows.
///
/// The headers are `webhook-id`, the same for the same notice however often it comes;
/// `webhook-timestamp`, the second in which it was sent; and `webhook-signature`, `v1,` and the
/// base64 of the HMAC-SHA256 of id, timestamp and body with dots between them.
///
/// # Promises
///
/// * One request for each `notify`; whoever calls it repeats it. Delivered is what was answered
///   with 2xx. 408, 425, 429, 5xx and no answer may pass, 429 and 503 no sooner than their
///   `Retry-After` in seconds; any other 4xx refuses the notice. A redirect is not followed, and is
///   the sink's fault.
/// * It goes over TLS, unless the host is this machine or it was made insecure.
/// * No error tells the key, or more of the address than scheme, host and port.
///
/// [Standard Webhooks]: https://www.standardwebhooks.com
#[derive(Clone)]
pub struct WebhookNotifier {
    name: String,
    installation: String,
    address: Address,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    limit: Duration,
    http: Http,
}

impl WebhookNotifier {
    /// A sink of this name that posts to this address.
    ///
    /// The `installation` is put before the key of each notice, so that a receiver can tell apart
    /// the notices of two kugetsus; it should be the same for ever, of letters, digits and hyphens.
    pub fn new(
        name: impl Into<String>,
        address: &str,
        key: SigningKey,
        installation: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadAddress> {
        Self::open(name.into(), Address::parse(address, false)?, key, installation.into(), clock)
    }

    /// As [`new`](Self::new), but it may also go over the network without TLS.
    pub fn insecure(
        name: impl Into<String>,
        address: &str,
        key: SigningKey,
        installation: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadAddress> {
        Self::open(name.into(), Address::parse(address, true)?, key, installation.into(), clock)
    }

    fn open(
        name: String,
        address: Address,
        key: SigningKey,
        installation: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadAddress> {
        let http = Http::new(&address)?;
        let limit = Duration::from_secs(15);
        Ok(Self { name, installation, address, key, clock, limit, http })
    }

    /// Gives the server so much time to answer; 15 s unless set.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn fault(&self, retry: Retry, source: impl Into<Source>) -> NotifyError {
        NotifyError::Backend {
            who: self.name.clone(),
            operation: format!("post to {}", self.address.origin),
            retry,
            source: source.into(),
        }
    }

    fn request(&self, notice: &Notice) -> Result<Request<Full<hyper::body::Bytes>>, Source> {
        let body = serde_json::to_vec(notice)?;
        let id = format!("{}-{}", self.installation, notice.key);
        let timestamp = self.clock.now().as_millis() / 1000;
        let signature = self.key.sign(&id, timestamp, &body)?;
        let request = Request::post(self.address.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("kugetsu/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::from(body))
            .map_err(|_| HttpError::Unmade)?;
        Ok(request)
    }
}

impl fmt::Debug for WebhookNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookNotifier")
            .field("name", &self.name)
            .field("origin", &self.address.origin)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let request = self.request(notice).map_err(|error| self.fault(Retry::Never, error))?;
        let answer = match self.http.send(request, None, self.limit).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.fault(Retry::Later, error)),
        };
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let said = format!("it answered {status}");
        let passing =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        if status.is_client_error() && !passing.contains(&status) {
            return Err(NotifyError::Refused { who: self.name.clone(), why: said });
        }
        Err(if status.is_redirection() {
            self.fault(Retry::Never, format!("{said}, and redirects are not followed"))
        } else {
            self.fault(answer.retry_after.map_or(Retry::Later, Retry::after), said)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, BadSecret> {
        SigningKey::parse(&Secret::new(text))
    }

    #[test]
    fn the_signature_is_that_of_the_published_example() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signature = key.sign(id, 1_614_265_330, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_of_standard_webhooks_is_no_key() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for text in ["", "hunter2", "whsec_", "whsec_%%%", &short, &long] {
            assert!(key(text).is_err(), "{text}");
        }
    }
}
