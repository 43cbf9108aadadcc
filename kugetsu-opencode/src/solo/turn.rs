//! A turn by `opencode run`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentEvent, AgentRun, AgentSession, Finish, RunRequest};
use kugetsu_core::error::Failure;
use kugetsu_core::slot::Slot;
use kugetsu_guard::{Plan, Started, Tree};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::run::{Brake, Events, RunControl, Stopped, WAITING, brake};
use crate::runner::OpencodeRunner;
use crate::server::{Inbox, Letter, PostBox};
use crate::wire::{self, News, Permission, ToldError, Translator};
use crate::{environment, failure, fault, limit, quirks, run};

/// After its last word opencode has so long to exit by itself.
const LINGER: Duration = Duration::from_secs(15);

/// Starts `opencode run`; its guard has the message when this returns.
pub(crate) async fn start(
    runner: &OpencodeRunner,
    session: AgentSession,
    directory: PathBuf,
    request: RunRequest,
) -> Result<AgentRun, AgentError> {
    let patience = runner.config().limits.stop;
    let Some(inbox) = runner.post().open(session.id.as_str(), patience).await else {
        return Err(run::busy(session.id.as_str()));
    };
    let state = runner.state().await?;
    let RunRequest { message, slots, .. } = request;
    let mut args: Vec<OsString> =
        ["run", "--format", "json", "--auto", "--session", session.id.as_str(), "--dir"]
            .map(OsString::from)
            .into();
    args.push(directory.clone().into());
    args.extend(["--print-logs", "--log-level", "ERROR"].map(OsString::from));
    if let Some(model) = &runner.config().model {
        args.extend(["--model".into(), model.into()]);
    }
    runner.guard()?;
    let plan = environment::plan("run", runner.config(), &runner.program().await?, &directory)
        .with_args(args)
        .with_environment(environment::changes(runner.config(), &state)?)
        .with_input(message.into_bytes());
    let plan = holding(plan, &slots).map_err(|error| fault::io("hand on its slots", error))?;
    let Started { tree, stdout, stderr, .. } = state
        .trees()
        .start(plan)
        .await
        .map_err(|error| fault::io("run `opencode run`", io::Error::other(error)))?;

    tokio::spawn(read_all(stdout, stderr, Arc::clone(&inbox), session.id.to_string()));
    let (tell, told) = mpsc::channel(WAITING);
    let (pedal, brake) = brake();
    let turn = SoloTurn {
        tree,
        inbox,
        translator: Translator::new(session.id.as_str(), None),
        session,
        tell,
        slots,
        look: runner.config().limits.look,
        at_most: runner.config().limits.stop + runner.config().limits.grace,
        short: runner.config().limits.provider_patience,
        known: Known::of(runner.config().model.as_deref()),
    };
    tokio::spawn(turn.run(brake));
    Ok(AgentRun::new(Box::pin(Events::new(told, pedal.clone())), Arc::new(RunControl::new(pedal))))
}

struct SoloTurn {
    tree: Tree,
    inbox: PostBox,
    session: AgentSession,
    translator: Translator,
    tell: mpsc::Sender<Result<AgentEvent, AgentError>>,
    slots: Vec<Slot>,
    look: Duration,
    /// How long the tree may take to end.
    at_most: Duration,
    /// How long a provider that takes no more is waited for.
    short: Duration,
    known: Known,
}

/// What the run told of its end.
#[derive(Debug, Default)]
struct Known {
    error: Option<ToldError>,
    reason: Option<String>,
    refused: Option<String>,
    complaint: String,
    /// Of whom the model is.
    provider: String,
    /// What the provider says that takes no more, as long as nothing else happens.
    limit: Option<String>,
    /// The limit for which it was not waited to the end.
    gave_up: Option<Failure>,
}

impl SoloTurn {
    async fn run(mut self, mut brake: Brake) {
        let is_stopped = self.follow(&mut brake).await;
        self.tree.end();
        let status = match tokio::time::timeout(self.at_most, self.tree.wait()).await {
            Ok(status) => status,
            Err(_) => Err(io::Error::other("its process tree does not end")),
        };
        // Only now is nothing of this run alive.
        drop(std::mem::take(&mut self.slots));
        brake.tell(match &status {
            Ok(_) => Stopped::Proven,
            Err(error) => Stopped::Unproven(error.to_string()),
        });
        let held_back = self.translator.flush();
        let last =
            if is_stopped { Ok(Finish::Stopped) } else { self.known.end(&self.translator, status) };
        let last = last.map(AgentEvent::Finished);
        for event in held_back.into_iter().map(Ok).chain([last]) {
            if self.tell.send(event).await.is_err() {
                break;
            }
        }
    }

    /// Tells what happens until the run has ended, and returns whether it is to be stopped.
    async fn follow(&mut self, brake: &mut Brake) -> bool {
        let started = AgentEvent::SessionStarted { session: self.session.id.clone() };
        // The channel is empty; even a run that is stopped at once tells its session.
        let _ = self.tell.try_send(Ok(started));
        let mut waiting = VecDeque::new();
        let mut look = interval(self.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended = false;
        let mut patience: Option<Instant> = None;
        let mut limited: Option<Instant> = None;
        while !ended || !waiting.is_empty() {
            tokio::select! {
                biased;
                _ = brake.pressed() => return true,
                permit = self.tell.clone().reserve_owned(), if !waiting.is_empty() => {
                    let Ok(permit) = permit else { return true };
                    if let Some(event) = waiting.pop_front() {
                        permit.send(Ok(event));
                    }
                }
                letter = self.inbox.next(), if waiting.is_empty() => match letter {
                    Letter::News(news) => {
                        waiting.extend(self.translator.read(&news));
                        self.known.read(news, &mut waiting);
                        limited = self.known.limit.as_ref().map(|words| {
                            let short = limit::short(words, self.short);
                            limited.unwrap_or_else(|| Instant::now() + short)
                        });
                        patience = self.known.is_last_word().then(|| Instant::now() + LINGER);
                    }
                    Letter::Gap => {}
                    Letter::Dead(complaint) => {
                        self.known.complaint = complaint;
                        ended = true;
                    }
                },
                () = sleep_until(limited.unwrap_or_else(Instant::now)), if limited.is_some() => {
                    self.known.give_up();
                    ended = true;
                    limited = None;
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    return false;
                }
                _ = look.tick() => waiting.extend(self.translator.flush()),
            }
        }
        false
    }
}

impl Known {
    fn of(model: Option<&str>) -> Self {
        let provider = model.and_then(|model| model.split_once('/')).map(|(provider, _)| provider);
        Self { provider: provider.unwrap_or("of the model").to_owned(), ..Self::default() }
    }

    fn give_up(&mut self) {
        let words = self.limit.take().unwrap_or_default();
        self.gave_up = Some(limit::in_words(&words, &self.provider));
    }

    fn read(&mut self, news: News, waiting: &mut VecDeque<AgentEvent>) {
        match news {
            News::Error { error, .. } => self.error = Some(error),
            News::Part { part, .. } if part.kind == "step-finish" => {
                self.reason = Some(part.reason);
            }
            // Something goes on after all.
            News::Part { part, .. } if part.kind == "step-start" => {
                (self.reason, self.limit) = (None, None);
            }
            News::Failing { provider, message, .. } => {
                let reason = format!("{}: {message}", failure::ASKED_AGAIN);
                waiting.push_back(AgentEvent::Waiting { reason });
                self.provider = provider;
                self.limit = limit::is_told(&message).then_some(message);
            }
            News::Permission { ask, .. } => {
                let text = ask.class;
                self.refused.get_or_insert_with(|| text.clone());
                waiting.push_back(AgentEvent::Asked { question: ask.id, text, refused: true });
            }
            _ => {}
        }
    }

    fn is_last_word(&self) -> bool {
        self.error.is_some() || self.reason.as_deref().is_some_and(|reason| reason != "tool-calls")
    }

    /// How the turn ended: by its own last word, and never by its process's status, which is told
    /// only where there is no word.
    fn end(&self, turn: &Translator, status: io::Result<ExitStatus>) -> Result<Finish, AgentError> {
        self.finish(turn).ok_or_else(|| AgentError::Died {
            who: fault::WHO.into(),
            detail: match status {
                Ok(status) => format!("{status}: {}", self.complaint),
                Err(error) => error.to_string(),
            },
        })
    }

    /// How the turn ended by its own words; `None` if it said no last one.
    fn finish(&self, turn: &Translator) -> Option<Finish> {
        let failed = |failure| Some(Finish::Failed { failure });
        if let Some(refused) = self.refused.as_deref().or(turn.rejected()) {
            return failed(failure::refused(refused));
        }
        if let Some(limit) = &self.gave_up {
            return failed(limit.clone());
        }
        if let Some(error) = &self.error {
            return failed(failure::of(error, &self.provider));
        }
        match failure::of_reason(self.reason.as_deref()?, turn.said_anything()) {
            None => Some(Finish::Done),
            Some(failure) => failed(failure),
        }
    }
}

/// The plan of a tree that holds the slots, too.
fn holding(plan: Plan, slots: &[Slot]) -> io::Result<Plan> {
    slots.iter().filter_map(Slot::file).try_fold(plan, Plan::inheriting)
}

/// Both ends of what it says come when the whole tree is gone.
async fn read_all(stdout: ChildStdout, stderr: ChildStderr, inbox: Arc<Inbox>, session: String) {
    let ((), complaint) =
        tokio::join!(read_lines(stdout, &inbox), read_complaints(stderr, &inbox, session));
    inbox.put(Letter::Dead(complaint));
}

/// Reads what `opencode run` says to programs; a line that is not JSON is none of it.
async fn read_lines(stdout: ChildStdout, inbox: &Inbox) {
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if let Ok(Some(news)) = wire::read_line(&String::from_utf8_lossy(&line)) {
            inbox.put(Letter::News(news));
        }
    }
}

/// Reads what `opencode run` says to people: what it refuses on its own, it says nowhere else.
/// Returns its last words.
async fn read_complaints(stderr: ChildStderr, inbox: &Inbox, session: String) -> String {
    let mut lines = BufReader::new(stderr).split(b'\n');
    let mut number = 0_u64;
    let mut last = String::new();
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = wire::first_line(&String::from_utf8_lossy(&line), 1000);
        if line.starts_with(quirks::LOG_LINE) {
            if let Some(news) = wire::read_log(&line) {
                inbox.put(Letter::News(news));
            }
        } else if let Some((_, asked)) = line.split_once(quirks::AUTO_REJECTING) {
            number += 1;
            let class = asked.split(';').next().unwrap_or_default().trim().to_owned();
            let id = format!("refused-{number}");
            let ask = Permission { id, class, ..Permission::default() };
            inbox.put(Letter::News(News::Permission { session: session.clone(), ask }));
        } else if !line.is_empty() {
            last = line;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const SAYS: &str = r#"{"type":"text","sessionID":"ses_1","part":{"id":"prt_1","messageID":"msg_1","type":"text","text":"hi","time":{"end":1}}}"#;
    const STOPS: &str = r#"{"type":"step_finish","sessionID":"ses_1","part":{"id":"prt_2","messageID":"msg_1","type":"step-finish","reason":"stop"}}"#;
    const FAILS: &str = r#"{"type":"error","sessionID":"ses_1","error":{"name":"UnknownError","data":{"message":"oops"}}}"#;

    fn ended(lines: &[&str], code: i32) -> &'static str {
        let mut known = Known::of(None);
        let mut turn = Translator::new("ses_1", None);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let news = wire::read_line(line).unwrap().unwrap();
            turn.read(&news);
            known.read(news, &mut VecDeque::new());
        }
        match known.end(&turn, Ok(ExitStatus::from_raw(code << 8))) {
            Ok(Finish::Done) => "done",
            Ok(Finish::Failed { failure }) if failure.reason.contains("empty") => "empty",
            Ok(Finish::Failed { .. }) => "failed",
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(error.to_string().contains(&format!("exit status: {code}")), "{error}");
                "died"
            }
        }
    }

    #[test]
    fn success_is_a_last_word_and_something_said_whatever_the_exit_status() {
        let cases = [
            (STOPS, SAYS, "done"),
            (STOPS, "", "empty"),
            (FAILS, SAYS, "failed"),
            (FAILS, "", "failed"),
            ("", SAYS, "died"),
            ("", "", "died"),
        ];
        for (last, said, expected) in cases {
            for code in [0, 1] {
                assert_eq!(ended(&[said, last], code), expected, "{said} {last} {code}");
            }
        }
    }
}
