//! One run, read to its end.

use std::path::Path;
use std::sync::Arc;

use kugetsu_core::{
    AgentError, AgentEvent, AgentRun, AgentRunner, AgentSessionId, Conversation, Finish, Retry,
    RunRequest,
};
use tokio_stream::StreamExt;

use super::{AgentRunnerFixture, Deed};
use crate::suite::promise::not_applicable;

/// What a run has told, with its shape checked: a session first, then whatever, then one end.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) session: AgentSessionId,
    pub(super) events: Vec<AgentEvent>,
    pub(super) end: Result<Finish, AgentError>,
}

impl Told {
    /// Reads the run to its end.
    pub(super) async fn by(run: AgentRun) -> Self {
        Self::after(vec![], run).await
    }

    /// Reads the run to its end, when these events have been read already.
    pub(super) async fn after(mut events: Vec<AgentEvent>, mut run: AgentRun) -> Self {
        let mut error = None;
        while let Some(event) = run.events.next().await {
            assert!(error.is_none(), "after {error:?} came {event:?}");
            match event {
                Ok(event) => events.push(event),
                Err(failed) => error = Some(failed),
            }
        }
        Self::of(events, error)
    }

    fn of(mut events: Vec<AgentEvent>, error: Option<AgentError>) -> Self {
        let finishes = events.iter().filter(|e| matches!(e, AgentEvent::Finished(_))).count();
        let ends = finishes + usize::from(error.is_some());
        assert_eq!(ends, 1, "so many ends of one run: {events:?}, {error:?}");
        let end = match error {
            Some(error) => Err(error),
            None => match events.pop() {
                Some(AgentEvent::Finished(finish)) => Ok(finish),
                last => panic!("the finish is not the last event, but {last:?} is"),
            },
        };
        let sessions: Vec<&AgentSessionId> = events.iter().filter_map(started).collect();
        let Some(session) = sessions.first() else {
            panic!("the run has told no session: {events:?}, {end:?}");
        };
        assert!(sessions.iter().all(|other| other == session), "several sessions: {sessions:?}");
        let session = AgentSessionId::clone(session);
        assert_eq!(events.first().and_then(started), Some(&session), "what comes first");
        Self { session, events, end }
    }

    /// All that was said, in one piece.
    pub(super) fn said(&self) -> String {
        let said = self.events.iter().filter_map(|event| match event {
            AgentEvent::Message { text } => Some(text.as_str()),
            _ => None,
        });
        said.collect()
    }

    pub(super) fn assert_done(&self) {
        assert!(matches!(self.end, Ok(Finish::Done)), "the turn ended with {:?}", self.end);
    }

    pub(super) fn assert_stopped(&self) {
        assert!(matches!(self.end, Ok(Finish::Stopped)), "the turn ended with {:?}", self.end);
    }

    /// What the failure says about another attempt.
    pub(super) fn retry(&self) -> Retry {
        match &self.end {
            Ok(Finish::Failed { failure }) => {
                assert!(!failure.reason.trim().is_empty(), "a failure without a reason");
                failure.retry
            }
            Err(error) => error.retry(),
            other => panic!("instead of a failure there was {other:?}: {:?}", self.events),
        }
    }

    pub(super) fn resumed(&self) -> Conversation {
        Conversation::Resume(self.session.clone())
    }

    pub(super) fn forked(&self) -> Conversation {
        Conversation::Fork(self.session.clone())
    }
}

fn started(event: &AgentEvent) -> Option<&AgentSessionId> {
    match event {
        AgentEvent::SessionStarted { session } => Some(session),
        _ => None,
    }
}

/// A request to do this in that directory, in a fresh conversation.
pub(super) fn request(
    f: &dyn AgentRunnerFixture,
    directory: impl AsRef<Path>,
    deed: &Deed,
) -> RunRequest {
    RunRequest::new(directory.as_ref(), f.message(deed)).with_title("A promise")
}

pub(super) async fn start(runner: &Arc<dyn AgentRunner>, request: RunRequest) -> AgentRun {
    match runner.start(request).await {
        Ok(run) => run,
        Err(error) => panic!("the run did not start: {error}"),
    }
}

/// Starts the run, and reads it to its end.
pub(super) async fn turn(runner: &Arc<dyn AgentRunner>, request: RunRequest) -> Told {
    Told::by(start(runner, request).await).await
}

/// Starts the run, and reads until it has told its session.
pub(super) async fn begun(
    runner: &Arc<dyn AgentRunner>,
    request: RunRequest,
) -> (AgentSessionId, Vec<AgentEvent>, AgentRun) {
    let mut run = start(runner, request).await;
    let mut events = vec![];
    while let Some(event) = run.events.next().await {
        let event = event.unwrap_or_else(|error| panic!("the run failed: {error}"));
        let session = started(&event).cloned();
        events.push(event);
        if let Some(session) = session {
            return (session, events, run);
        }
    }
    panic!("the run has told no session: {events:?}");
}

/// Why the run is refused, which it has to be.
pub(super) async fn refusal(runner: &Arc<dyn AgentRunner>, request: RunRequest) -> AgentError {
    let asked = format!("{:?} in {}", request.conversation, request.directory.display());
    match runner.start(request).await {
        Err(error) => error,
        Ok(run) => panic!("{asked} was not refused, but told {:?}", Told::by(run).await),
    }
}

/// Whether the runner can do that. If it cannot, it has to refuse it.
pub(super) async fn can(runner: &Arc<dyn AgentRunner>, able: bool, request: RunRequest) -> bool {
    if !able {
        let refused = refusal(runner, request).await;
        assert!(matches!(refused, AgentError::Unsupported { .. }), "{refused:?}");
    }
    able
}

/// Goes on if the runner can do that, which is called so. Else it has to refuse it, and the promise
/// is none of its own.
pub(super) async fn has_to_be_able(
    runner: &Arc<dyn AgentRunner>,
    what: &str,
    able: bool,
    request: RunRequest,
) {
    if !can(runner, able, request).await {
        not_applicable(&format!("the agent says that it cannot {what}"));
    }
}
