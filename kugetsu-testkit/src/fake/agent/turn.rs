use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AgentError, AgentEvent, AgentSessionId, Failure, Finish, Retry, RunRequest, Usage,
};
use tokio::sync::mpsc;

use super::Control;
use super::tools;
use super::world::{AtWork, World};
use crate::model::{Reply, Role};

/// How often in a row the agent asks its model again when that fails in a way that may pass.
const PATIENCE: u32 = 5;

/// The longest wait that the model may ask for without the turn's end.
const SHORT: Duration = Duration::from_secs(30);

/// Whose the model is.
const PROVIDER: &str = "scripted";

/// One turn of the agent.
pub(super) struct Turn {
    pub(super) world: Arc<World>,
    pub(super) request: RunRequest,
    session: AgentSessionId,
    told: mpsc::UnboundedSender<Result<AgentEvent, AgentError>>,
    /// Whether it has said or done anything.
    active: bool,
}

impl Turn {
    pub(super) fn new(
        world: Arc<World>,
        request: RunRequest,
        session: AgentSessionId,
        told: mpsc::UnboundedSender<Result<AgentEvent, AgentError>>,
    ) -> Self {
        Self { world, request, session, told, active: false }
    }

    /// Carries the turn out until it is done or stopped.
    pub(super) async fn carry_out(mut self, at_work: AtWork, control: Arc<Control>) {
        self.tell(AgentEvent::SessionStarted { session: self.session.clone() });
        let finish = tokio::select! {
            biased;
            () = control.stop.cancelled() => Finish::Stopped,
            finish = self.work(&control) => finish,
        };
        // Whoever hears of the end can go on at once, in this session and with these slots.
        self.request.slots.clear();
        at_work.end(finish.clone());
        self.tell(AgentEvent::Finished(finish));
        control.ended.cancel();
    }

    async fn work(&mut self, control: &Control) -> Finish {
        if let Some(failure) = self.world.next_failure() {
            return Finish::Failed { failure };
        }
        let mut failures = 0;
        loop {
            let messages = self.world.messages(&self.session);
            let failure = match self.world.voice.answer(self.session.as_str(), &messages).await {
                Reply::Answer { thought, text, calls, usage, finish } => {
                    failures = 0;
                    if !thought.is_empty() {
                        self.tell(AgentEvent::Thought { text: thought });
                    }
                    self.say(text).await;
                    self.tell(AgentEvent::Usage(Usage::tokens(usage.0, usage.1)));
                    if calls.is_empty() {
                        return self.finished(&finish);
                    }
                    for (tool, arguments) in calls {
                        self.active = true;
                        tools::call(self, control, &tool, &arguments).await;
                    }
                    continue;
                }
                Reply::Silence(text) => {
                    self.say(vec![(text, Duration::ZERO)]).await;
                    pending().await
                }
                Reply::Refusal { status, retry_after, message } => {
                    refused(status, retry_after, &message)
                }
                Reply::Broken => Failure::passing("the model's answer broke off"),
            };
            failures += 1;
            let is_long = failure.retry.wait() > SHORT;
            if failures > PATIENCE || is_long || !failure.retry.is_possible() {
                return Finish::Failed { failure };
            }
        }
    }

    fn finished(&self, finish: &str) -> Finish {
        let failure = match finish {
            "stop" if self.active => return Finish::Done,
            "stop" => Failure::passing("the agent ended its turn without saying or doing anything"),
            other => Failure::passing(format!("the model's answer ended early: {other}")),
        };
        Finish::Failed { failure }
    }

    async fn say(&mut self, pieces: Vec<(String, Duration)>) {
        let mut said = String::new();
        for (piece, rest) in pieces.into_iter().filter(|(piece, _)| !piece.is_empty()) {
            self.active = true;
            said.push_str(&piece);
            self.tell(AgentEvent::Message { text: piece });
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
        }
        self.world.add(&self.session, Role::Assistant, &said);
    }

    /// Tells the model what came of a call.
    pub(super) fn report(&self, result: &str) {
        self.world.add(&self.session, Role::Tool, result);
    }

    pub(super) fn tell(&self, event: AgentEvent) {
        // Nobody listens any more when the run was dropped, and then it is stopped as well.
        let _ = self.told.send(Ok(event));
    }
}

fn refused(status: u16, retry_after: Option<String>, message: &str) -> Failure {
    let seconds = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let retry = match (status, seconds) {
        (500.., Some(wait)) => Retry::after(wait),
        (408 | 500.., _) => Retry::Later,
        _ => Retry::Never,
    };
    let reason = format!("status {status}: {message}");
    match status {
        429 => Failure::limit(PROVIDER, reason, seconds.unwrap_or(SHORT)),
        _ => Failure::new(reason, retry),
    }
}
