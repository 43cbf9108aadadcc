//! Requests to the world: over TLS unless it is said otherwise, never redirected, never without a
//! time limit, and with errors that name nothing of an address but its origin.

use std::error::Error as _;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::RETRY_AFTER;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

/// The longest that a server's `Retry-After` is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// An address that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAddress {
    /// It is no address.
    #[error("it is no address such as https://example.com/notices")]
    Unreadable,
    /// It holds a user or a password.
    #[error("it has a user or a password in it, which do not belong into an address")]
    UserInfo,
    /// It would be sent over the network for everybody to read.
    #[error("http:// is only for this machine; use https://, or say that it may be insecure")]
    Insecure,
    /// TLS cannot be had on this machine.
    #[error("there is no TLS on this machine: {0}")]
    NoTls(String),
}

/// Where a sink's server is.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) uri: Uri,
    /// What may be shown of it.
    pub(crate) origin: String,
}

impl Address {
    pub(crate) fn parse(text: &str, insecure: bool) -> Result<Self, BadAddress> {
        let uri: Uri = text.trim().parse().map_err(|_| BadAddress::Unreadable)?;
        let (Some(scheme), Some(authority), Some(host)) =
            (uri.scheme_str(), uri.authority(), uri.host())
        else {
            return Err(BadAddress::Unreadable);
        };
        if authority.as_str().contains('@') {
            return Err(BadAddress::UserInfo);
        }
        match scheme {
            "https" => {}
            "http" if insecure || is_loopback(host) => {}
            "http" => return Err(BadAddress::Insecure),
            _ => return Err(BadAddress::Unreadable),
        }
        let origin = format!("{scheme}://{authority}");
        Ok(Self { uri, origin })
    }

    fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// What may be shown of an address: scheme, host and port; `?` of what is none.
pub fn origin(address: &str) -> String {
    Address::parse(address, true).map_or("?".to_owned(), |address| address.origin)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("there was no answer within {} s", .0.as_secs())]
    Late(Duration),
    #[error("{0}")]
    Unanswered(String),
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the request could not be made")]
    Unmade,
}

/// A client for one address.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    pub(crate) fn new(address: &Address) -> Result<Self, BadAddress> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = hyper_rustls::HttpsConnectorBuilder::new();
        let connector = if address.is_https() {
            builder
                .with_provider_and_platform_verifier(provider)
                .map_err(|error| no_tls(&error))?
                .https_only()
                .enable_http1()
                .build()
        } else {
            // It is never used for TLS, so it trusts nobody.
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| no_tls(&error))?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth();
            builder.with_tls_config(config).https_or_http().enable_http1().build()
        };
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends it once and reads at most so many bytes of the answer's body, all within the limit;
    /// with `None` the body is not waited for.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        most: Option<usize>,
        limit: Duration,
    ) -> Result<Answer, HttpError> {
        tokio::time::timeout(limit, self.exchange(request, most))
            .await
            .unwrap_or(Err(HttpError::Late(limit)))
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        most: Option<usize>,
    ) -> Result<Answer, HttpError> {
        let response = self.0.request(request).await.map_err(|error| {
            // Neither hyper nor what is below it names the address; its words are chained here, since
            // "client error" alone helps nobody.
            HttpError::Unanswered(chained(&error))
        })?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let Some(most) = most else {
            return Ok(Answer { status, retry_after, body: Bytes::new() });
        };
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong(most)
            } else {
                HttpError::Unanswered(error.to_string())
            }
        })?;
        Ok(Answer { status, retry_after, body: body.to_bytes() })
    }
}

fn no_tls(error: &dyn std::fmt::Display) -> BadAddress {
    BadAddress::NoTls(error.to_string())
}

fn chained(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let _ = write!(text, ": {error}");
        below = error.source();
    }
    text
}
