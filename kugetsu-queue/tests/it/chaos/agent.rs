//! An agent whose turns take milliseconds. It tells on whoever lets too many of it live.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSessionId, Conversation, Failure, Finish, RunRequest, Slot, Stop,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::Dice;
use super::site::{lowest_canary, write_down};
use crate::process::say;

#[derive(Debug)]
pub(crate) struct ChaosAgent {
    id: AgentId,
    home: PathBuf,
    limit: u32,
    dice: Mutex<Dice>,
}

impl ChaosAgent {
    pub(crate) fn new(home: &Path, limit: u32, seed: u64) -> Self {
        let (id, dice) = (AgentId::new("chaos").unwrap(), Mutex::new(Dice::new(seed)));
        Self { id, home: home.to_owned(), limit, dice }
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.lock().unwrap().roll(sides)
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

#[async_trait]
impl AgentRunner for ChaosAgent {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default().with_resume()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("chaos", "1"))
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        let message = request.message.lines().last().unwrap_or_default().to_owned();
        let session = match &request.conversation {
            Conversation::Resume(id) => id.clone(),
            _ => AgentSessionId::new(format!("chaos-{:016x}", self.roll(u64::MAX))).unwrap(),
        };
        let canaries = Canaries::take(&self.home, self.limit, &request.directory, &message);
        let (tell, told) = mpsc::channel(8);
        let control = Arc::new(Control::default());
        let turn = Turn {
            home: self.home.clone(),
            message,
            session,
            length: Duration::from_micros(500 + self.roll(4000)),
            fails: self.roll(30) == 0,
            slots: request.slots,
            canaries,
        };
        let ended = Arc::clone(&control);
        tokio::spawn(async move {
            tokio::select! {
                () = turn.carry_out(tell.clone()) => {}
                () = ended.stop.cancelled() => {
                    let _ = tell.try_send(Ok(AgentEvent::Finished(Finish::Stopped)));
                }
                // Nobody listens any more.
                () = tell.closed() => {}
            }
            ended.ended.cancel();
        });
        Ok(AgentRun::new(Box::pin(ReceiverStream::new(told)), control))
    }
}

/// What an agent holds as long as it is alive.
#[derive(Debug)]
struct Canaries {
    _any: File,
    _issue: File,
}

impl Canaries {
    fn take(home: &Path, limit: u32, worktree: &Path, message: &str) -> Self {
        let violations = home.join("violations");
        let (index, any) = lowest_canary(home);
        if index >= limit {
            write_down(&violations, &format!("{message}: {} agents are alive", index + 1));
        }
        let issue = File::create(home.join("issues").join(worktree.file_name().unwrap())).unwrap();
        if issue.try_lock().is_err() {
            write_down(&violations, &format!("{message}: another agent works on its issue"));
        }
        Self { _any: any, _issue: issue }
    }
}

struct Turn {
    home: PathBuf,
    message: String,
    session: AgentSessionId,
    length: Duration,
    fails: bool,
    slots: Vec<Slot>,
    canaries: Canaries,
}

impl Turn {
    async fn carry_out(self, tell: mpsc::Sender<Result<AgentEvent, AgentError>>) {
        let Self { home, message, session, length, fails, slots, canaries } = self;
        let _ = tell.send(Ok(AgentEvent::SessionStarted { session })).await;
        match message.split_whitespace().next() {
            Some("poison") => poison(&home).await,
            Some("slow") => tokio::time::sleep(Duration::from_millis(150)).await,
            _ => tokio::time::sleep(length).await,
        }
        let finish = if fails {
            Finish::Failed { failure: Failure::passing(format!("{message} has no luck")) }
        } else {
            let _ = tell.send(Ok(AgentEvent::Message { text: "done".into() })).await;
            write_down(&home.join("done"), &message);
            Finish::Done
        };
        // Canaries first: whoever gets the slots next has to find them free.
        drop(canaries);
        drop(slots);
        say("turn");
        let _ = tell.send(Ok(AgentEvent::Finished(finish))).await;
    }
}

/// Takes its process with it, beside two others if they come soon enough.
async fn poison(home: &Path) {
    for _ in 0..100 {
        if (0..3).all(|index| {
            let canary = File::create(home.join(format!("canaries/{index}"))).unwrap();
            canary.try_lock().is_err()
        }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    write_down(&home.join("poisoned"), "dies");
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::future::pending::<()>().await;
}

#[derive(Debug, Default)]
struct Control {
    stop: CancellationToken,
    ended: CancellationToken,
}

#[async_trait]
impl AgentControl for Control {
    async fn stop(&self, _: Stop) -> Result<(), AgentError> {
        self.stop.cancel();
        self.ended.cancelled().await;
        Ok(())
    }
}
