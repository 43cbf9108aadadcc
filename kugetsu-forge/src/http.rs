//! Requests to one server: over TLS unless it is this machine, within a time limit, with bounded
//! answers.

use std::error::Error as _;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

/// The longest answer that is read, in bytes. A page of a hundred comments of the longest kind that
/// forges take (65,536 characters at GitHub) is smaller.
const LONGEST: usize = 32 << 20;

/// A server's address that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadServer {
    /// It is no address.
    #[error("it is no address such as https://git.example.com")]
    Unreadable,
    /// It holds a user or a password.
    #[error("it has a user or a password in it, which do not belong into an address")]
    UserInfo,
    /// A token would be sent over the network for everybody to read.
    #[error("http:// is only for this machine; use https://")]
    Insecure,
    /// TLS cannot be had on this machine.
    #[error("there is no TLS on this machine: {0}")]
    NoTls(String),
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("there was no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    #[error("{0}")]
    Unanswered(String),
    #[error(
        "it could not prove who it is: {0}; a certificate of one's own belongs into the system's store"
    )]
    Untrusted(String),
    #[error("its answer is longer than {LONGEST} bytes")]
    TooLong,
}

/// A client for one server.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// How long each request may take, the reading of its answer included.
    pub(crate) limit: Duration,
}

impl Http {
    /// For the server at this address, with a time limit for each request.
    pub(crate) fn new(server: &str, limit: Duration) -> Result<Self, BadServer> {
        let is_https = is_https(server)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = hyper_rustls::HttpsConnectorBuilder::new();
        let no_tls = |error: &dyn std::fmt::Display| BadServer::NoTls(error.to_string());
        let connector = if is_https {
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
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), limit })
    }

    /// Sends it once and reads the answer, all within the limit.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        tokio::time::timeout(self.limit, self.exchange(request))
            .await
            .unwrap_or(Err(HttpError::Late(self.limit)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let response =
            self.client.request(request).await.map_err(|error| match untrusted(&error) {
                Some(why) => HttpError::Untrusted(why),
                None => HttpError::Unanswered(chained(&error)),
            })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpError::TooLong
            } else {
                HttpError::Unanswered(error.to_string())
            }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

/// Whether requests to this address go over TLS; an error if they may not go at all.
fn is_https(server: &str) -> Result<bool, BadServer> {
    let uri: Uri = server.parse().map_err(|_| BadServer::Unreadable)?;
    let (Some(scheme), Some(authority), Some(host)) =
        (uri.scheme_str(), uri.authority(), uri.host())
    else {
        return Err(BadServer::Unreadable);
    };
    if authority.as_str().contains('@') {
        return Err(BadServer::UserInfo);
    }
    if uri.query().is_some() || server.contains('#') {
        return Err(BadServer::Unreadable);
    }
    match scheme {
        "https" => Ok(true),
        "http" if is_loopback(host) => Ok(false),
        "http" => Err(BadServer::Insecure),
        _ => Err(BadServer::Unreadable),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Why the server's certificate is not taken, if that is what failed.
fn untrusted(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(error.to_string());
    }
    // What an I/O error holds is not its source, but stands in its place.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match held {
        Some(held) => untrusted(held),
        None => untrusted(error.source()?),
    }
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
