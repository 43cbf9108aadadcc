//! A turn of the program, from its first word to the proof that nothing of it is left.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use kugetsu_core::agent::{AgentEvent, Finish};
use kugetsu_core::slot::Slot;
use kugetsu_guard::Tree;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::account::{Account, Ended};
use super::config::Output;
use super::known::Known;
use super::lines::Lines;
use super::stopping::{Brake, Stopping, Telling};
use super::tail;

/// So many events may wait for whoever reads them; then the program waits.
pub(super) const WAITING: usize = 64;

/// How long a tree may take to end when its grace is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// One turn.
pub(super) struct Turn {
    pub(super) tree: Tree,
    pub(super) account: Account,
    pub(super) output: Output,
    /// Where its sessions are recorded, if it can go on with any.
    pub(super) known: Option<Known>,
    pub(super) directory: PathBuf,
    pub(super) tell: mpsc::Sender<Telling>,
    pub(super) slots: Vec<Slot>,
    pub(super) grace: Duration,
    pub(super) linger: Duration,
}

/// Why a program is not followed any more.
enum Left {
    /// It has nothing more to say.
    Over,
    /// It is to be stopped.
    Stopped(Stopping),
}

impl Turn {
    pub(super) async fn run(mut self, stdout: ChildStdout, stderr: ChildStderr, mut brake: Brake) {
        let last_words = tokio::spawn(tail::of(stderr));
        let mut lines = Lines::of(stdout);
        let mut waiting = VecDeque::new();
        let left = self.follow(&mut lines, &mut brake, &mut waiting).await;
        // Whoever writes on is not held up by nobody reading it.
        let rest = tokio::spawn(async move { while let Ok(Some(_)) = lines.piece().await {} });
        let status = self.end_tree(&left, &mut brake).await;
        rest.abort();
        // Only now is nothing of this run alive.
        drop(std::mem::take(&mut self.slots));
        brake.tell(status.as_ref().map(|_| ()).map_err(ToString::to_string));
        let last_words = match &status {
            // Nobody is left who could hold its other end.
            Ok(_) => last_words.await.unwrap_or_default(),
            Err(error) => {
                last_words.abort();
                error.to_string()
            }
        };
        let ended = Ended { code: status.ok().and_then(|status| status.code()), last_words };
        if let (Some(lost), Some(known)) = (self.account.has_no_session(ended.code), &self.known) {
            known.forget(lost, &self.directory);
        }
        let first = self.begin();
        let last = match left {
            Left::Stopped(_) => Ok(Finish::Stopped),
            Left::Over => self.account.end(&ended),
        };
        // What it had said when it was stopped was said, its session above all.
        let said = waiting.into_iter().chain(first).map(Ok);
        for event in said.chain([last.map(AgentEvent::Finished)]) {
            if self.tell.send(event).await.is_err() {
                break;
            }
        }
    }

    /// Tells what the program says until it ends, or is to be ended.
    async fn follow(
        &mut self,
        lines: &mut Lines<ChildStdout>,
        brake: &mut Brake,
        waiting: &mut VecDeque<AgentEvent>,
    ) -> Left {
        // One that writes events may have a session of its own to tell.
        if self.output == Output::Text {
            waiting.extend(self.begin());
        }
        let mut patience: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                how = brake.pressed(Stopping::Politely) => return Left::Stopped(how),
                permit = self.tell.clone().reserve_owned(), if !waiting.is_empty() => {
                    let Ok(permit) = permit else { return Left::Stopped(Stopping::Now) };
                    if let Some(event) = waiting.pop_front() {
                        permit.send(Ok(event));
                    }
                }
                heard = self.account.hear(lines, self.output), if waiting.is_empty() => {
                    match heard {
                        Some(events) => waiting.extend(self.recorded(events)),
                        None => return self.work_in_silence(brake).await,
                    }
                    if let Some(linger) = self.account.lingers(self.linger) {
                        patience.get_or_insert_with(|| Instant::now() + linger);
                    }
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    return Left::Over;
                }
            }
        }
    }

    /// Waits for the end of one that has closed its output without a last word: it may work on.
    async fn work_in_silence(&mut self, brake: &mut Brake) -> Left {
        if self.account.lingers(self.linger).is_some() {
            return Left::Over;
        }
        tokio::select! {
            biased;
            how = brake.pressed(Stopping::Politely) => Left::Stopped(how),
            () = self.tell.closed() => Left::Stopped(Stopping::Now),
            // How it ended is asked for once more.
            _ = self.tree.wait() => Left::Over,
        }
    }

    fn begin(&mut self) -> Option<AgentEvent> {
        let first = self.account.begin();
        self.recorded(first.into_iter().collect()).into_iter().next()
    }

    /// The events, with a session that begins recorded before anybody hears of it.
    fn recorded(&mut self, events: Vec<AgentEvent>) -> Vec<AgentEvent> {
        for event in &events {
            if let (AgentEvent::SessionStarted { session }, Some(known)) = (event, &self.known)
                && let Err(error) = known.put(session, &self.directory)
            {
                self.account.cannot_record(&error);
            }
        }
        events
    }

    /// Ends whatever is left of the tree, as gently as whoever stops it allows.
    async fn end_tree(&mut self, left: &Left, brake: &mut Brake) -> io::Result<ExitStatus> {
        match left {
            // Its output ends with the tree. If it said its last word and lives on, that is enough.
            Left::Over | Left::Stopped(Stopping::Politely) => self.tree.end(),
            Left::Stopped(_) => self.tree.end_now(),
        }
        let patience = self.grace + PATIENCE;
        let ended = timeout(patience, self.tree.wait());
        let polite = tokio::select! {
            ended = ended => Some(ended),
            _ = brake.pressed(Stopping::Now) => None,
        };
        let ended = if let Some(ended) = polite {
            ended
        } else {
            self.tree.end_now();
            timeout(PATIENCE, self.tree.wait()).await
        };
        ended.unwrap_or_else(|_| Err(io::Error::other("its process tree does not end")))
    }
}
