use super::answer::{Answer, answer};
use super::conversation::Conversation;
use super::play::Play;
use super::record::{Ended, Entry, Recorded};
use super::script::Pause;
use super::stage::Stage;
use super::wire;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Serves until `stop`. What is still in flight then ends with the runtime.
pub(super) async fn serve(listener: TcpListener, stage: Arc<Stage>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, Arc::clone(&stage)))),
            // Out of descriptors: some connection has to end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn converse(stream: TcpStream, stage: Arc<Stage>) {
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let stage = Arc::clone(&stage);
        let reset = Arc::clone(&reset);
        Box::pin(async move { route(request, &stage, &reset).await })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // An error here is a caller that went away, or a break that the script asked for.
    let _ = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    if reset.load(Ordering::Relaxed) {
        let _ = stream.set_zero_linger();
    }
}

async fn route(
    request: Request<Incoming>,
    stage: &Stage,
    reset: &AtomicBool,
) -> io::Result<Response<Play>> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::POST, "/v1/chat/completions") => complete(request, stage, reset).await,
        (&Method::GET, "/v1/models") => {
            let model = |id| json!({"id": id, "object": "model", "owned_by": "kugetsu"});
            Ok(document(&json!({"object": "list", "data": [model("model"), model("small")]})))
        }
        (&Method::GET, "/health") => {
            let ledger = stage.journal.watch();
            let ledger = ledger.borrow();
            Ok(document(&json!({
                "ok": true, "requests": ledger.arrived, "in_flight": ledger.in_flight(),
                "most_in_flight": ledger.most_in_flight,
            })))
        }
        (&Method::POST, gate) if gate.starts_with("/gate/") => {
            stage.open(gate.trim_start_matches("/gate/"));
            Ok(document(&json!({"ok": true})))
        }
        (method, path) => Ok(refusal(
            Entry::unrecorded(),
            StatusCode::NOT_FOUND,
            &format!("kugetsu-model: there is no {method} {path}"),
        )),
    }
}

async fn complete(
    request: Request<Incoming>,
    stage: &Stage,
    reset: &AtomicBool,
) -> io::Result<Response<Play>> {
    let session = session(request.headers());
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let asked: Conversation = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            let why = format!("kugetsu-model: this is no chat completion request: {error}");
            return Ok(refusal(Entry::unrecorded(), StatusCode::BAD_REQUEST, &why));
        }
    };
    let step = stage.choose(&asked, session.as_deref());
    let mut entry = if asked.wants_title() {
        Entry::unrecorded()
    } else {
        stage.journal.open(Recorded {
            number: 0,
            session,
            model: asked.model.clone(),
            step: asked.answers(),
            directive: step.written.clone(),
            bytes: body.len(),
            messages: Arc::clone(&asked.messages),
            ended: None,
        })
    };
    for pause in &step.modifiers.before {
        match pause {
            Pause::Gate(gate) => stage.pass(gate).await,
            Pause::Sleep(time) => tokio::time::sleep(*time).await,
        }
    }
    match answer(step, &asked, body.len()) {
        Answer::Completion(completion) => {
            let finally = completion.ended();
            Ok(if asked.stream {
                respond("text/event-stream", Play::new(wire::streamed(completion), entry, finally))
            } else {
                respond("application/json", Play::new(wire::whole(completion), entry, finally))
            })
        }
        Answer::Refusal { status, retry_after, message } => {
            let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
            let mut response = refusal(entry, status, &message);
            if let Some(time) = retry_after {
                let time = time.parse().map_err(io::Error::other)?;
                response.headers_mut().insert(RETRY_AFTER, time);
            }
            Ok(response)
        }
        Answer::Silence => pending().await,
        Answer::Reset => {
            entry.end(Ended::Broken);
            reset.store(true, Ordering::Relaxed);
            Err(io::Error::other("the script resets the connection here"))
        }
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    ["x-session-affinity", "x-session-id"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok().map(str::to_owned))
}

fn document(document: &Value) -> Response<Play> {
    let play = Play::once(document.to_string(), Entry::unrecorded(), Ended::Answered);
    respond("application/json", play)
}

fn refusal(entry: Entry, status: StatusCode, message: &str) -> Response<Play> {
    let kind = match status.as_u16() {
        401 => "invalid_api_key",
        429 => "rate_limit_exceeded",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    let error = json!({"error": {"message": message, "type": kind, "code": kind}});
    let play = Play::once(error.to_string(), entry, Ended::Refused(status.as_u16()));
    let mut response = respond("application/json", play);
    *response.status_mut() = status;
    response
}

fn respond(kind: &'static str, play: Play) -> Response<Play> {
    let mut response = Response::new(play);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
