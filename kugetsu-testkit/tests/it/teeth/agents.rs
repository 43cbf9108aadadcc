use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSession, AgentSessionId, AgentSessions, Conversation, Failure, Finish,
    NewAgentSession, RunRequest, Stop,
};
use kugetsu_testkit::fake::FakeAgent;
use kugetsu_testkit::suite::{AgentRunnerFixture, agents};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{assert_each_is_noticed, assert_sound, faults};
use crate::suites::agent::Fake;

struct Fixture {
    fault: &'static str,
    inner: Fake,
    astray: PathBuf,
}

#[derive(Debug, Clone)]
struct Faulty {
    fault: &'static str,
    inner: FakeAgent,
    astray: PathBuf,
}

#[async_trait]
impl AgentRunnerFixture for Fixture {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        let inner = match self.fault {
            "forgets when it is closed" => FakeAgent::new(),
            _ => self.inner.agent.clone(),
        };
        Arc::new(Faulty { fault: self.fault, inner, astray: self.astray.clone() })
    }

    async fn directory(&self) -> PathBuf {
        self.inner.directory().await
    }

    async fn open(&self, gate: &str) {
        self.inner.open(gate).await;
    }

    async fn heard(&self) -> Vec<String> {
        self.inner.heard().await
    }

    async fn until_at_work(&self, turns: usize) {
        self.inner.until_at_work(turns).await;
    }
}

impl Faulty {
    fn told(&self, event: AgentEvent) -> Vec<AgentEvent> {
        let finished = |finish| vec![AgentEvent::Finished(finish)];
        match (self.fault, event) {
            ("tells no session", AgentEvent::SessionStarted { .. })
            | ("never finishes", AgentEvent::Finished(_))
            | ("keeps its tools secret", AgentEvent::ToolStarted { .. })
            | ("hides what was refused", AgentEvent::Asked { .. }) => vec![],
            ("says before it is asked", AgentEvent::SessionStarted { session }) => vec![
                AgentEvent::Message { text: "Hello!".into() },
                AgentEvent::SessionStarted { session },
            ],
            ("finishes twice", AgentEvent::Finished(finish)) => {
                vec![AgentEvent::Finished(finish.clone()), AgentEvent::Finished(finish)]
            }
            ("mumbles", AgentEvent::Message { text }) => {
                vec![AgentEvent::Message { text: text.replace(|c: char| !c.is_ascii(), "?") }]
            }
            ("takes all ends for good", AgentEvent::Finished(_)) => finished(Finish::Done),
            ("gives up", AgentEvent::Finished(Finish::Failed { failure })) => {
                finished(Finish::Failed { failure: Failure::fatal(failure.reason) })
            }
            ("never gives up", AgentEvent::Finished(Finish::Failed { failure })) => {
                finished(Finish::Failed { failure: Failure::passing(failure.reason) })
            }
            ("hides what was refused", AgentEvent::ToolEnded { call, tool, summary, .. }) => {
                vec![AgentEvent::ToolEnded { call, tool, ok: true, summary }]
            }
            (_, event) => vec![event],
        }
    }

    fn request(&self, mut request: RunRequest) -> RunRequest {
        match self.fault {
            "goes astray" => request.directory.clone_from(&self.astray),
            "shortens messages" => {
                let end = request.message.floor_char_boundary(100_000);
                request.message.truncate(end);
            }
            "ends messages at a NUL" => {
                let end = request.message.find('\0').unwrap_or(request.message.len());
                request.message.truncate(end);
            }
            "goes on with what was last" => {
                if let Some(last) = self.inner.runs().last() {
                    request.conversation = Conversation::Resume(last.session.clone());
                }
            }
            "forks in place" => {
                let (Conversation::Fork(id) | Conversation::Resume(id)) = &request.conversation
                else {
                    return request;
                };
                let origin = self.inner.runs().into_iter().find(|run| run.session == *id);
                if let Some(origin) = origin {
                    request.directory = origin.directory;
                    request.conversation = Conversation::Resume(id.clone());
                }
            }
            "splits lines" => request.message = request.message.replace("\r\n", "\n"),
            "gives slots back early" => request.slots.clear(),
            "forgets its origin" => {
                if let Conversation::Fork(_) = request.conversation {
                    request.conversation = Conversation::Fresh;
                }
            }
            "begins anew" => {
                if let Conversation::Resume(_) = request.conversation {
                    request.conversation = Conversation::Fresh;
                }
            }
            _ => {}
        }
        request
    }
}

#[async_trait]
impl AgentRunner for Faulty {
    fn id(&self) -> &AgentId {
        self.inner.id()
    }

    fn capabilities(&self) -> AgentCapabilities {
        self.inner.capabilities()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        let mut info = self.inner.probe().await?;
        if self.fault == "does not know its version" {
            info.version.clear();
        }
        Ok(info)
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        if self.fault == "makes directories" {
            let _ = std::fs::create_dir_all(&request.directory);
        }
        let mut run = match self.inner.start(self.request(request.clone())).await {
            Err(AgentError::WrongDirectory { found: Some(found), .. })
                if self.fault == "resumes anywhere" =>
            {
                let mut elsewhere = request;
                elsewhere.directory = found;
                self.inner.start(elsewhere).await?
            }
            Err(AgentError::UnknownSession { .. }) if self.fault == "makes up sessions" => {
                let fresh = request.with_conversation(Conversation::Fresh);
                self.inner.start(fresh).await?
            }
            other => other?,
        };
        let faulty = self.clone();
        if self.fault == "goes on when it is dropped" {
            let (told, events) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Some(event) = run.events.next().await {
                    let _ = told.send(event);
                }
            });
            let events = Box::pin(UnboundedReceiverStream::new(events));
            return Ok(AgentRun::new(events, run.control));
        }
        let events = run.events.map(move |event| match event {
            Ok(event) => faulty.told(event).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        let events = flattened(events);
        let control = Arc::new(FaultyControl { fault: self.fault, inner: run.control });
        Ok(AgentRun::new(events, control))
    }

    fn sessions(&self) -> Option<&dyn AgentSessions> {
        (self.fault != "has no sessions").then_some(self as &dyn AgentSessions)
    }
}

type Told = Result<AgentEvent, AgentError>;

/// Lazy, so that dropping it drops the run.
fn flattened(
    events: impl tokio_stream::Stream<Item = Vec<Told>> + Send + 'static,
) -> kugetsu_core::AgentEvents {
    struct Flattened<S> {
        events: std::pin::Pin<Box<S>>,
        next: std::collections::VecDeque<Told>,
    }
    impl<S: tokio_stream::Stream<Item = Vec<Told>>> tokio_stream::Stream for Flattened<S> {
        type Item = Told;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Told>> {
            loop {
                if let Some(event) = self.next.pop_front() {
                    return std::task::Poll::Ready(Some(event));
                }
                match std::task::ready!(self.events.as_mut().poll_next(cx)) {
                    Some(events) => self.next.extend(events),
                    None => return std::task::Poll::Ready(None),
                }
            }
        }
    }
    Box::pin(Flattened { events: Box::pin(events), next: std::collections::VecDeque::new() })
}

#[derive(Debug)]
struct FaultyControl {
    fault: &'static str,
    inner: Arc<dyn AgentControl>,
}

#[async_trait]
impl AgentControl for FaultyControl {
    async fn stop(&self, how: Stop) -> Result<(), AgentError> {
        match self.fault {
            "does not stop" => Ok(()),
            "stops once" => {
                self.inner.stop(how).await?;
                Err(AgentError::Unsupported { who: "faulty".into(), operation: "stop".into() })
            }
            _ => self.inner.stop(how).await,
        }
    }

    async fn answer(&self, question: &str, answer: &str) -> Result<(), AgentError> {
        match self.fault {
            "takes any answer" => Ok(()),
            _ => self.inner.answer(question, answer).await,
        }
    }
}

#[async_trait]
impl AgentSessions for Faulty {
    async fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError> {
        let mut new = new.clone();
        if self.fault == "forgets its briefing" {
            new.briefing = None;
        }
        AgentSessions::create(&self.inner, &new).await
    }

    async fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError> {
        match self.fault {
            "forgets its origin" => self.inner.create(new).await,
            "copies nothing" => Ok(AgentSession::new(from.clone(), &new.directory, "none")),
            _ => self.inner.fork(from, new).await,
        }
    }

    async fn describe(&self, id: &AgentSessionId) -> Result<Option<AgentSession>, AgentError> {
        let mut found = self.inner.describe(id).await?;
        if let (Some(found), "goes astray") = (&mut found, self.fault) {
            found.directory.clone_from(&self.astray);
        }
        Ok(found)
    }

    async fn delete(&self, id: &AgentSessionId) -> Result<(), AgentError> {
        match self.fault {
            "deletes nothing" => Ok(()),
            "deletes once" if self.inner.describe(id).await?.is_none() => {
                Err(AgentError::UnknownSession { session: id.clone() })
            }
            _ => self.inner.delete(id).await,
        }
    }
}

faults! {
    the_agent_could_run_now {
        "does not know its version" => "version: \"\"",
    }
    a_turn_begins_with_its_session_and_ends_with_one_finish {
        "tells no session" => "the run has told no session",
        "says before it is asked" => "what comes first",
        "finishes twice" => "Finished(Done), Finished(Done)]",
        "never finishes" => "left: 0",
    }
    what_the_agent_says_arrives {
        "mumbles" => "?",
    }
    the_agent_works_in_the_directory_it_was_given {
        "goes astray" => "No such file or directory",
        "keeps its tools secret" => "right: [\"call_1\"]",
    }
    a_message_reaches_the_agent_byte_for_byte {
        "splits lines" => "arrived as Some(\"two\\nlines\\nand\\ttabs \\n\\n\")",
    }
    a_message_of_a_megabyte_reaches_the_agent {
        "shortens messages" => "there arrived [99999]",
    }
    a_message_that_cannot_be_sent_is_refused {
        "ends messages at a NUL" => "was not refused, but told Told",
    }
    a_directory_that_cannot_be_worked_in_is_refused {
        "makes directories" => "/missing was not refused, but told Told",
    }
    a_failure_for_good_is_told_as_such {
        "never gives up" => "left: Later",
    }
    a_rate_limit_is_told_as_one_of_its_provider {
        "gives up" => "retry: Never",
    }
    an_empty_turn_is_a_failure {
        "takes all ends for good" => "instead of a failure there was Ok(Done)",
    }
    what_nobody_may_grant_is_refused_and_told {
        "hides what was refused" => "nothing tells of a refusal",
    }
    two_runs_at_once_do_not_mix {
        "goes astray" => "0.txt",
    }
    an_agent_that_is_stopped_politely_can_be_resumed {
        "takes all ends for good" => "the turn ended with Ok(Done)",
    }
    an_agent_that_is_stopped_by_force_can_be_resumed {
        "begins anew" => "left: AgentSessionId(\"fake_2\")",
    }
    stopping_needs_nobody_who_reads {
        "does not stop" => "nothing within 180 s",
    }
    stopping_twice_is_stopping_once {
        "stops once" => "operation: \"stop\"",
    }
    stopping_what_has_ended_is_done_already {
        "finishes twice" => "something came after the finish",
    }
    a_run_that_is_dropped_is_stopped {
        "goes on when it is dropped" => "nothing within 180 s",
    }
    a_run_that_is_dropped_at_once_is_stopped {
        "goes on when it is dropped" => "nothing within 180 s",
    }
    the_end_of_one_run_is_not_the_end_of_another {
        "goes on when it is dropped" => "nothing within 180 s",
    }
    a_slot_is_held_as_long_as_its_run {
        "gives slots back early" => "the slot is free, and the agent is at work",
    }
    an_answer_that_nobody_takes_is_refused {
        "takes any answer" => "an answer to no question was taken",
    }
    a_fresh_conversation_knows_nothing {
        "goes on with what was last" => "\"marmalade\" is in what it recalls",
    }
    a_session_that_is_resumed_remembers {
        "begins anew" => "\"marmalade\" is not in what it recalls",
    }
    a_session_is_resumed_after_reopening {
        "forgets when it is closed" => "the agent has no session fake_1",
    }
    a_session_is_resumed_in_its_own_directory_only {
        "resumes anywhere" => "Resume(AgentSessionId(\"fake_1\"))",
    }
    a_session_that_is_not_there_is_refused {
        "makes up sessions" => "nowhere",
    }
    a_fork_knows_what_its_origin_knows {
        "forgets its origin" => "\"marmalade\" is not in what it recalls",
    }
    a_fork_leaves_its_origin_as_it_was {
        "forks in place" => "\"tuba\" is in what it recalls",
    }
    sixteen_forks_at_once_are_sixteen_sessions {
        "goes astray" => "what is in ",
    }
    there_are_sessions_where_there_should_be {
        "has no sessions" => "left: false",
    }
    a_session_made_is_described {
        "goes astray" => "left: (AgentSessionId(",
    }
    a_session_made_is_resumed_in_its_directory {
        "begins anew" => "left: AgentSessionId(\"fake_2\")",
    }
    a_session_made_knows_its_briefing {
        "forgets its briefing" => "\"Mind the marmalade.\" is not in what it recalls",
    }
    a_copy_of_a_session_knows_what_it_knows {
        "forgets its origin" => "\"Mind the marmalade.\" is not in what it recalls",
        "copies nothing" => "left != right",
    }
    sixteen_copies_at_once_are_sixteen_sessions {
        "copies nothing" => "where fake_1 works",
    }
    a_session_deleted_is_gone {
        "deletes nothing" => "left: Some(AgentSession {",
    }
    deleting_what_is_not_there_is_done_already {
        "deletes once" => "the agent has no session ses_0000000000000000000000nowhere",
    }
}

#[tokio::test]
async fn a_faulty_runner_is_noticed() {
    let faulty = async |fault| {
        let inner = Fake::able();
        let astray = inner.directory().await;
        Box::new(Fixture { fault, inner, astray }) as Box<dyn AgentRunnerFixture>
    };
    assert_sound(agents::PROMISES, &faulty).await;
    assert_each_is_noticed(agents::PROMISES, FAULTS, &faulty).await;
}
