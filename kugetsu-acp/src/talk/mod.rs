//! The conversation with one agent's process: the Agent Client Protocol, version 1, over the
//! process's standard streams. No type of the protocol's crate leaves this module.

mod calls;
mod inbox;
mod judge;
mod lines;
mod translate;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::{ConnectionTo, schema};
use agent_client_protocol::{
    Agent, Client, Error, JsonRpcRequest, Lines, is_connection_terminated,
    is_incoming_transport_closed, on_receive_request,
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::config::Limits;
use crate::failure::Complaint;
use calls::Calls;
use lines::{Head, Messages};

pub(crate) use inbox::Letter;
pub(crate) use judge::Judge;
pub(crate) use lines::Trouble;
pub(crate) use translate::{Translator, Used};

/// How often an agent may ask us something in one run: whoever reads no answers could ask without
/// end, and each of them waits.
const QUESTIONS: usize = 10_000;

/// How many pages of sessions are read.
const PAGES: usize = 1000;

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The agent said no.
    Refused(Complaint),
    /// The agent is gone, or no longer understood.
    Gone,
    /// The agent said nothing in time.
    Late,
}

/// What an agent says of itself.
#[allow(clippy::struct_excessive_bools)] // Each is one of the protocol's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Abilities {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Can take up a session without telling again what was said in it.
    pub(crate) resume: bool,
    /// Can take up a session and tells again what was said in it.
    pub(crate) load: bool,
    pub(crate) fork: bool,
    pub(crate) list: bool,
    pub(crate) close: bool,
    pub(crate) delete: bool,
}

/// How an agent says that its turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Turn,
    TooLong,
    TooManyRequests,
    Refusal,
    Cancelled,
    Unknown,
}

/// A conversation. Dropping it closes the agent's standard input.
#[derive(Debug)]
pub(crate) struct Talk {
    agent: ConnectionTo<Agent>,
    inbox: inbox::Inbox,
    limit: Duration,
    trouble: Trouble,
    driver: Driver,
}

#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Talk {
    /// Begins a conversation over these streams. Whatever the agent asks is answered by the judge.
    pub(crate) async fn begin(
        stdin: impl AsyncWrite + Send + 'static,
        stdout: impl AsyncRead + Send + 'static,
        judge: Judge,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let trouble = Trouble::default();
        let (tell, inbox) = inbox::inbox();
        let calls: Arc<Mutex<Calls>> = Arc::default();
        let outgoing = FramedWrite::new(stdin, Messages::new(limits, trouble.clone()));
        let incoming = FramedRead::new(stdout, Messages::new(limits, trouble.clone()));
        // Updates take a way of their own, so that an agent that tells more than anybody reads has
        // to wait; the connection's own queue has no end.
        let (delivered, known) = (tell.clone(), Arc::clone(&calls));
        let (mut asked, told) = (0, trouble.clone());
        let incoming = incoming.map(move |line| {
            let head = line.as_ref().ok().and_then(|line| Head::of(line));
            asked += usize::from(head.as_ref().is_some_and(Head::is_question));
            if asked > QUESTIONS {
                let why = format!("it has asked more than {QUESTIONS} things");
                told.tell(why.clone());
                return (Err(io::Error::other(why)), None);
            }
            (line, head)
        });
        let incoming = incoming
            .then(move |(line, head)| deliver(line, head, delivered.clone(), Arc::clone(&known)))
            .filter_map(|line| line);

        let (give, given) = oneshot::channel();
        let connection = Client
            .v1()
            .name("kugetsu")
            .on_receive_request(
                async move |request: schema::RequestPermissionRequest, responder, _| {
                    let answer = answer(request, &judge, &tell, &calls).await;
                    responder.respond(schema::RequestPermissionResponse::new(answer))
                },
                on_receive_request!(),
            )
            .connect_with(Lines::new(outgoing, incoming), async move |agent| {
                let _ = give.send(agent);
                std::future::pending::<Result<(), Error>>().await
            });
        let told = trouble.clone();
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                told.tell(format!("the conversation with it broke: {}", error.message));
            }
        });
        let driver = Driver(driver);
        let agent = given.await.map_err(|_| Fault::Gone)?;
        Ok(Self { agent, inbox, limit: limits.request, trouble, driver })
    }

    /// What was written instead of messages, if anything was: the first of it.
    pub(crate) fn stray(&self) -> String {
        self.trouble.stray()
    }

    /// Why the conversation broke, if that is known.
    pub(crate) fn trouble(&self) -> String {
        self.trouble.told()
    }

    /// Asks who the agent is and what it can do, which has to come first.
    pub(crate) async fn initialize(&mut self, at_most: Duration) -> Result<Abilities, Fault> {
        let us = schema::Implementation::new("kugetsu", env!("CARGO_PKG_VERSION"));
        let request = schema::InitializeRequest::new(ProtocolVersion::V1).client_info(us);
        let told = self.request_within(request, at_most).await?;
        let can = told.agent_capabilities;
        let sessions = can.session_capabilities;
        let (name, version) = told.agent_info.map_or_else(Default::default, |agent| {
            (agent.title.unwrap_or(agent.name), agent.version)
        });
        Ok(Abilities {
            name,
            version,
            resume: sessions.resume.is_some(),
            load: can.load_session,
            fork: sessions.fork.is_some(),
            list: sessions.list.is_some(),
            close: sessions.close.is_some(),
            delete: sessions.delete.is_some(),
        })
    }

    /// Makes a session.
    pub(crate) async fn new_session(&mut self, directory: &Path) -> Result<String, Fault> {
        let made = self.request(schema::NewSessionRequest::new(directory)).await?;
        Ok(made.session_id.to_string())
    }

    /// Takes up a session. What was said in it before is not heard again.
    pub(crate) async fn resume(&mut self, session: &str, directory: &Path) -> Result<(), Fault> {
        self.request(schema::ResumeSessionRequest::new(session.to_owned(), directory)).await?;
        Ok(())
    }

    /// The same with an agent that tells again what was said.
    pub(crate) async fn load(&mut self, session: &str, directory: &Path) -> Result<(), Fault> {
        self.request(schema::LoadSessionRequest::new(session.to_owned(), directory)).await?;
        Ok(())
    }

    /// Makes a session that knows what this one knows.
    pub(crate) async fn fork(&mut self, from: &str, directory: &Path) -> Result<String, Fault> {
        let made =
            self.request(schema::ForkSessionRequest::new(from.to_owned(), directory)).await?;
        Ok(made.session_id.to_string())
    }

    /// Everything that the agent lists as the directory of this session; nothing if it lists none.
    pub(crate) async fn directories(&mut self, session: &str) -> Result<BTreeSet<PathBuf>, Fault> {
        let mut found = BTreeSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            // Asked for one directory only, some tell what they were asked for.
            let request = schema::ListSessionsRequest::new().cursor(cursor.take());
            let page = self.request(request).await?;
            let ours = page.sessions.into_iter().filter(|one| &*one.session_id.0 == session);
            found.extend(ours.map(|one| one.cwd));
            cursor = page.next_cursor;
            if cursor.is_none() || !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Forgets a session as well as the agent can; it is no matter if it cannot.
    pub(crate) async fn discard(&mut self, session: &str, can: &Abilities) {
        let session = session.to_owned();
        if can.delete {
            let _ = self.request(schema::DeleteSessionRequest::new(session)).await;
        } else if can.close {
            let _ = self.request(schema::CloseSessionRequest::new(session)).await;
        }
    }

    /// Sends the message; what comes back tells how the turn ended.
    pub(crate) fn prompt(
        &mut self,
        session: &str,
        message: String,
    ) -> impl Future<Output = Result<End, Fault>> + Send + 'static {
        // What was told before is of no turn of ours.
        while self.inbox.try_recv().is_ok() {}
        let text = schema::ContentBlock::Text(schema::TextContent::new(message));
        let request = schema::PromptRequest::new(session.to_owned(), vec![text]);
        let answer = self.agent.send_request(request).block_task();
        async move {
            let answer = answer.await.map_err(fault)?;
            Ok(match answer.stop_reason {
                schema::StopReason::EndTurn => End::Turn,
                schema::StopReason::MaxTokens => End::TooLong,
                schema::StopReason::MaxTurnRequests => End::TooManyRequests,
                schema::StopReason::Refusal => End::Refusal,
                schema::StopReason::Cancelled => End::Cancelled,
                _ => End::Unknown,
            })
        }
    }

    /// Asks the agent to end its turn.
    pub(crate) fn cancel(&self, session: &str) {
        // Who is gone needs no telling.
        let _ = self.agent.send_notification(schema::CancelNotification::new(session.to_owned()));
    }

    /// The next thing that the agent tells; `None` when nothing more can come.
    pub(crate) async fn next(&mut self) -> Option<Letter> {
        self.inbox.recv().await
    }

    /// What the agent has told already.
    pub(crate) fn next_now(&mut self) -> Option<Letter> {
        self.inbox.try_recv().ok()
    }

    /// Closes the agent's standard input, after which it should end.
    pub(crate) async fn close(mut self) {
        self.driver.0.abort();
        let _ = (&mut self.driver.0).await;
    }

    async fn request<Q: JsonRpcRequest>(&mut self, request: Q) -> Result<Q::Response, Fault> {
        self.request_within(request, self.limit).await
    }

    async fn request_within<Q: JsonRpcRequest>(
        &mut self,
        request: Q,
        at_most: Duration,
    ) -> Result<Q::Response, Fault> {
        let answer = self.agent.send_request(request).block_task();
        let answer = tokio::time::timeout(at_most, answer);
        tokio::pin!(answer);
        let mut is_open = true;
        loop {
            tokio::select! {
                answer = &mut answer => {
                    return answer.map_err(|_| Fault::Late)?.map_err(fault);
                }
                // Who waits for room in the inbox never gets to answer.
                letter = self.inbox.recv(), if is_open => is_open = letter.is_some(),
            }
        }
    }
}

/// Puts an update into the inbox; anything else goes on to the connection.
async fn deliver(
    line: io::Result<String>,
    head: Option<Head>,
    inbox: mpsc::Sender<Letter>,
    calls: Arc<Mutex<Calls>>,
) -> Option<io::Result<String>> {
    let (Ok(text), true) = (&line, head.is_some_and(|head| head.is_update())) else {
        return Some(line);
    };
    if let Some(letter) = inbox::read(text) {
        if let Letter::Update { session, update } = &letter {
            calls.lock().unwrap_or_else(PoisonError::into_inner).note(session, update);
        }
        let _ = inbox.send(letter).await;
    }
    None
}

/// Decides, and tells of a refusal before the agent can tell what came of it.
async fn answer(
    request: schema::RequestPermissionRequest,
    judge: &Judge,
    tell: &mpsc::Sender<Letter>,
    calls: &Mutex<Calls>,
) -> schema::RequestPermissionOutcome {
    let session = request.session_id.to_string();
    let id = request.tool_call.tool_call_id.0.to_string();
    let call = calls.lock().unwrap_or_else(PoisonError::into_inner).with(
        &session,
        &id,
        &request.tool_call.fields,
    );
    let answer = judge.answer(&call, &request.options);
    if answer.is_refused {
        let text = judge::words(&call);
        let _ = tell.send(Letter::Refused { session, call: id, text }).await;
    }
    match answer.option {
        Some(option) => schema::RequestPermissionOutcome::Selected(
            schema::SelectedPermissionOutcome::new(option),
        ),
        None => schema::RequestPermissionOutcome::Cancelled,
    }
}

fn fault(error: Error) -> Fault {
    if is_incoming_transport_closed(&error) || is_connection_terminated(&error) {
        return Fault::Gone;
    }
    Fault::Refused(Complaint {
        code: error.code.into(),
        message: error.message,
        data: error.data.unwrap_or(Value::Null),
    })
}
