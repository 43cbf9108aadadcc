//! Requests to a server: authenticated, on loopback, and never without a time limit.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::password::Password;
use crate::fault;
use crate::quirks;

/// One server's address, and the way to talk to it.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    base: String,
    password: Password,
    limit: Duration,
}

/// Why a request was not answered as hoped for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Nothing came back, or not in time.
    #[error("the server did not answer: {0}")]
    Unanswered(#[source] reqwest::Error),
    /// The server said no.
    #[error("the server answered {status}: {message}")]
    Refused { status: StatusCode, message: String },
    /// The answer is not what the server is known to say.
    #[error("the server's answer could not be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

impl HttpError {
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// As core's error, naming what was tried.
    pub(crate) fn during(self, operation: impl Into<String>) -> AgentError {
        let retry = match &self {
            Self::Refused { status, .. } if status.is_client_error() => Retry::Never,
            _ => Retry::Later,
        };
        fault::backend(operation, retry, self)
    }
}

impl Http {
    pub(crate) fn new(port: u16, password: Password, limit: Duration) -> Result<Self, HttpError> {
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(HttpError::Unanswered)?;
        Ok(Self { client, base: format!("http://127.0.0.1:{port}"), password, limit })
    }

    pub(crate) fn password(&self) -> &Password {
        &self.password
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        directory: Option<&Path>,
    ) -> Result<T, HttpError> {
        self.call(Method::GET, path, directory, None::<&()>).await
    }

    /// Sends something and reads the answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        directory: Option<&Path>,
        body: &impl Serialize,
    ) -> Result<T, HttpError> {
        self.call(Method::POST, path, directory, Some(body)).await
    }

    /// Sends something for which no answer but success is awaited.
    pub(crate) async fn tell(
        &self,
        method: Method,
        path: &str,
        directory: Option<&Path>,
        body: Option<&impl Serialize>,
    ) -> Result<(), HttpError> {
        self.send(method, path, directory, body).await.map(drop)
    }

    /// Opens a stream that has no end and so no time limit, but for its beginning.
    pub(crate) async fn stream(&self, path: &str) -> Result<Response, HttpError> {
        let request = self
            .client
            .get(format!("{}{path}", self.base))
            .basic_auth(quirks::USER, Some(self.password.reveal()));
        let response = match tokio::time::timeout(self.limit, request.send()).await {
            Ok(answered) => answered.map_err(HttpError::Unanswered)?,
            Err(_) => {
                return Err(HttpError::Refused {
                    status: StatusCode::REQUEST_TIMEOUT,
                    message: "the event stream did not open in time".into(),
                });
            }
        };
        refuse_errors(response).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        directory: Option<&Path>,
        body: Option<&impl Serialize>,
    ) -> Result<T, HttpError> {
        let response = self.send(method, path, directory, body).await?;
        let bytes = response.bytes().await.map_err(HttpError::Unanswered)?;
        serde_json::from_slice(&bytes).map_err(HttpError::Unreadable)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        directory: Option<&Path>,
        body: Option<&impl Serialize>,
    ) -> Result<Response, HttpError> {
        // A header would have to be ASCII.
        let query = directory.map(|path| format!("?directory={}", encoded(path)));
        let url = format!("{}{path}{}", self.base, query.unwrap_or_default());
        let mut request = self
            .client
            .request(method, url)
            .basic_auth(quirks::USER, Some(self.password.reveal()))
            .timeout(self.limit);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(HttpError::Unanswered)?;
        refuse_errors(response).await
    }
}

/// The path for a URL's query, byte for byte.
fn encoded(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

async fn refuse_errors(response: Response) -> Result<Response, HttpError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    Err(HttpError::Refused { status, message: message_of(&text) })
}

/// The message inside of an error's body, or the start of the body itself.
fn message_of(body: &str) -> String {
    let found = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|value| {
        let message = value.pointer("/data/message").or_else(|| value.get("message"))?;
        Some(message.as_str()?.to_owned())
    });
    found.unwrap_or_else(|| body.chars().take(300).collect())
}
