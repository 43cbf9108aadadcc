use std::io;
use std::sync::Arc;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Collected, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::{ForgeApi, ForgeFault, ForgeRequest, Stage, gitlab, hub};

pub(super) async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    // It fails only when descriptors are short, which no test that goes on would notice.
    while let Ok((stream, _)) = listener.accept().await {
        let stage = Arc::clone(&stage);
        let service = service_fn(move |request: Request<Incoming>| {
            let stage = Arc::clone(&stage);
            async move { respond(&stage, request).await }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    stage: &Stage,
    request: Request<Incoming>,
) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let asked = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let token = shown(stage, &head.headers);
    let writes = head.method != Method::GET;
    let fault = {
        let mut rows = stage.state();
        rows.requests.push(ForgeRequest {
            method: head.method.to_string(),
            path: path.clone(),
            token,
        });
        let at = rows.faults.iter().position(|(only_writes, _)| writes || !only_writes);
        at.and_then(|at| rows.faults.remove(at)).map(|(_, fault)| fault)
    };
    if let Some(ForgeFault::Answer(status, headers, body)) = fault {
        let mut response = Response::new(whole(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<hyper::header::HeaderName>(), value.parse())
            {
                response.headers_mut().append(name, value);
            }
        }
        return Ok(response);
    }
    let answer = answer(stage, &head.method, &path, token, &asked);
    let text = answer.document.to_string();
    let body = match fault {
        Some(ForgeFault::Silence) => std::future::pending().await,
        Some(ForgeFault::LoseAnswer) => {
            return Err(io::Error::other("the answer is lost"));
        }
        Some(ForgeFault::Cut(bytes)) => cut(&text, bytes),
        _ => whole(text),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let (name, value) = match answer.next {
        Some(next) if answer.status.is_redirection() => ("location", next),
        Some(next) => ("link", format!("<{next}>; rel=\"next\"")),
        None => return Ok(response),
    };
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn answer(
    stage: &Stage,
    method: &Method,
    path: &str,
    token: Option<bool>,
    asked: &Value,
) -> Answer {
    let path = path.strip_prefix("/git").unwrap_or(path);
    let Some(below) = path.strip_prefix(stage.api.root()) else { return Answer::not_found() };
    if let Some(answer) = version(stage.api, below, token) {
        return answer;
    }
    if token != Some(true) {
        let words = match stage.api {
            ForgeApi::GitHub => "Bad credentials",
            ForgeApi::Gitea => "invalid username, password or token",
            ForgeApi::GitLab => "401 Unauthorized",
        };
        return Answer::said(StatusCode::UNAUTHORIZED, words);
    }
    match stage.api {
        ForgeApi::GitHub | ForgeApi::Gitea => hub::answer(stage, method, below, asked),
        ForgeApi::GitLab => gitlab::answer(stage, method, below, asked),
    }
}

/// What is told to everybody.
fn version(api: ForgeApi, below: &str, token: Option<bool>) -> Option<Answer> {
    let ok = |document| Some(Answer::new(StatusCode::OK, document));
    match (api, below) {
        (ForgeApi::Gitea, "/version") => ok(serde_json::json!({ "version": "1.24.0" })),
        (ForgeApi::GitHub, "/meta") => {
            ok(serde_json::json!({ "verifiable_password_authentication": true }))
        }
        (ForgeApi::GitLab, "/version") if token == Some(true) => {
            ok(serde_json::json!({ "version": "18.0.0", "revision": "8d0c3a1" }))
        }
        _ => None,
    }
}

/// Whether the request shows the right token, in the way that this API wants it.
fn shown(stage: &Stage, headers: &HeaderMap) -> Option<bool> {
    let name = if stage.api == ForgeApi::GitLab { "private-token" } else { "authorization" };
    let value = headers.get(name)?.to_str().ok()?;
    let value = match stage.api {
        ForgeApi::GitHub => value.strip_prefix("Bearer "),
        ForgeApi::Gitea => value.strip_prefix("token "),
        ForgeApi::GitLab => Some(value),
    };
    Some(value == Some(stage.token.as_str()))
}

fn whole(text: String) -> BoxBody<Bytes, io::Error> {
    Full::<Bytes>::from(text).map_err(|never| match never {}).boxed()
}

/// A body that breaks off.
fn cut(text: &str, bytes: usize) -> BoxBody<Bytes, io::Error> {
    let part = text.as_bytes().get(..bytes).unwrap_or(text.as_bytes());
    let frames = [
        Ok(Frame::data(Bytes::copy_from_slice(part))),
        Err(io::Error::other("the answer breaks off")),
    ];
    StreamBody::new(tokio_stream::iter(frames)).boxed()
}
