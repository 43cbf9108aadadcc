//! One process of a plugin, from its start to its end.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::calls::{Asked, Calls, Heard, Trouble};
use super::lines::{self, Line};
use super::process::{self, Streams, Tree};
use crate::config::PluginConfig;
use crate::error::{PluginError, Said};
use crate::protocol::{ErrorObject, LONGEST_LINE, METHOD_NOT_FOUND};

/// How many requests may be on their way at once; more wait for those.
const AT_ONCE: usize = 64;
/// How much of the end of its standard error is kept.
const KEPT: usize = 8 << 10;
/// How long a plugin that says nothing more has to exit by itself, so that its own status is told.
const TO_EXIT: Duration = Duration::from_secs(2);
/// How long the end of a tree, and then the end of what it says, is waited for.
const TO_BE_ENDED: Duration = Duration::from_secs(15);
const LAST_WORDS: Duration = Duration::from_millis(500);

/// One process of a plugin. Dropping it ends the process and all that it has started.
#[derive(Debug)]
pub(crate) struct Connection {
    calls: Arc<Calls>,
    outgoing: mpsc::Sender<Vec<u8>>,
    places: Semaphore,
    stop: mpsc::Sender<Why>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The plugin says why.
    Refused(ErrorObject),
    /// The plugin failed.
    Plugin(PluginError),
}

/// Why a process is ended.
#[derive(Debug)]
enum Why {
    /// It said something that it may not.
    Garbled(String),
    /// It says nothing more.
    Silence,
    /// It did not answer this in time.
    Late { method: &'static str, after: Duration },
    /// It is not needed any more.
    Over,
}

impl Connection {
    /// Starts the program. Nothing was said to it yet.
    pub(crate) async fn open(config: &PluginConfig) -> Result<Self, PluginError> {
        let (tree, streams) = process::start(config).await?;
        let (outgoing, lines) = mpsc::channel(AT_ONCE * 4);
        let (stop, stopped) = mpsc::channel(1);
        let calls = Arc::new(Calls::default());
        let serving = Serving {
            plugin: config.name.clone(),
            calls: Arc::clone(&calls),
            outgoing: outgoing.downgrade(),
            tree,
        };
        let serving = tokio::spawn(serving.serve(streams, lines, stopped));
        let places = Semaphore::new(AT_ONCE);
        Ok(Self { calls, outgoing, places, stop, serving: Mutex::new(Some(serving)) })
    }

    /// Whether it can be asked.
    pub(crate) fn is_open(&self) -> bool {
        !self.calls.is_ending()
    }

    /// Why it is over, if it is.
    pub(crate) fn over(&self) -> Option<PluginError> {
        self.calls.over()
    }

    /// Asks, and waits for the answer no longer than `limit` for it and for each request before it.
    /// Dropping the future tells the plugin that nobody waits any more.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: &impl Serialize,
        limit: Duration,
    ) -> Result<Value, CallError> {
        let Ok(_place) = self.places.acquire().await else {
            return Err(self.lost());
        };
        let Asked { id, ahead, mut answer } = self.calls.ask().map_err(CallError::Plugin)?;
        let _waiting = Waiting { connection: self, id };
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let after = limit.saturating_mul(ahead.saturating_add(1));
        let told = async {
            // If it cannot be sent any more, the answer is that it is over.
            let _ = self.outgoing.send(line(&message)).await;
            (&mut answer).await
        };
        let answered = if let Ok(answered) = timeout(after, told).await {
            answered
        } else {
            let _ = self.stop.try_send(Why::Late { method, after });
            answer.await
        };
        match answered {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Trouble::Refused(error))) => Err(CallError::Refused(error)),
            Ok(Err(Trouble::Over(error))) => Err(CallError::Plugin(error)),
            Err(_) => Err(self.lost()),
        }
    }

    /// Closes the plugin's standard input, ends what is left of it, and returns when it has ended.
    pub(crate) async fn close(&self) {
        let _ = self.stop.send(Why::Over).await;
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            let _ = serving.await;
        }
    }

    fn lost(&self) -> CallError {
        let over = self.calls.over().unwrap_or_else(|| PluginError::Ended {
            plugin: String::new(),
            how: "it is not served any more".into(),
            said: Said::default(),
        });
        CallError::Plugin(over)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.abort();
        }
    }
}

/// Somebody who waits for an answer, and says so when the waiting ends without one.
struct Waiting<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.connection.calls.give_up(self.id) {
            let params = json!({ "id": self.id });
            let message = json!({ "jsonrpc": "2.0", "method": "cancel", "params": params });
            // It is a courtesy: where there is no room for it, it is left out.
            let _ = self.connection.outgoing.try_send(line(&message));
        }
    }
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// The end of what a program has said.
type Kept = Arc<Mutex<Vec<u8>>>;

/// What goes on beside the calls.
struct Serving {
    plugin: String,
    calls: Arc<Calls>,
    outgoing: mpsc::WeakSender<Vec<u8>>,
    tree: Tree,
}

impl Serving {
    async fn serve(
        mut self,
        streams: Streams,
        lines: mpsc::Receiver<Vec<u8>>,
        mut stopped: mpsc::Receiver<Why>,
    ) {
        let kept = Kept::default();
        let (mut writing, mut listening) = (JoinSet::new(), JoinSet::new());
        writing.spawn(write(streams.input, lines));
        listening.spawn(listen(streams.errors, Arc::clone(&kept)));
        let why = tokio::select! {
            why = self.read(streams.output) => why,
            why = stopped.recv() => why.unwrap_or(Why::Over),
        };
        self.calls.begin_to_end();
        // Its standard input is closed, which is the end to a program that reads.
        writing.shutdown().await;
        let patience = match why {
            Why::Silence | Why::Over => TO_EXIT,
            Why::Garbled(_) | Why::Late { .. } => Duration::ZERO,
        };
        let by_itself = timeout(patience, self.tree.wait()).await.ok().and_then(Result::ok);
        if by_itself.is_none() {
            self.tree.end();
            let _ = timeout(TO_BE_ENDED, self.tree.wait()).await;
        }
        let _ = timeout(LAST_WORDS, listening.join_next()).await;
        let said = Said::of(&kept.lock().unwrap_or_else(PoisonError::into_inner));
        let plugin = self.plugin;
        self.calls.end(match why {
            Why::Garbled(why) => PluginError::Garbled { plugin, why, said },
            Why::Late { method, after } => {
                PluginError::Silent { plugin, method: method.to_owned(), after, said }
            }
            Why::Silence => PluginError::Ended { plugin, how: how(by_itself), said },
            Why::Over => PluginError::Ended { plugin, how: "it was not needed".into(), said },
        });
    }

    async fn read(&self, output: impl AsyncRead + Unpin) -> Why {
        let mut output = BufReader::new(output);
        loop {
            let line = match lines::next(&mut output, LONGEST_LINE).await {
                Ok(Some(Line::Whole(line))) => line,
                Ok(Some(Line::TooLong)) => {
                    return Why::Garbled(format!(
                        "it wrote a line of more than {} MiB",
                        LONGEST_LINE >> 20
                    ));
                }
                Ok(None) | Err(_) => return Why::Silence,
            };
            match self.calls.hear(&line) {
                Ok(Heard::Nothing) => {}
                Ok(Heard::Request(id)) => {
                    let error = json!({
                        "code": METHOD_NOT_FOUND, "message": "kugetsu answers no requests",
                    });
                    let answer = json!({ "jsonrpc": "2.0", "id": id, "error": error });
                    let told = self.outgoing.upgrade().map(|out| out.try_send(self::line(&answer)));
                    if told.is_some_and(|told| told.is_err()) {
                        return Why::Garbled("it asks, and does not read the answers".into());
                    }
                }
                Err(why) => return Why::Garbled(why),
            }
        }
    }
}

/// Writes what there is to write, and closes the stream when there will be no more. What cannot be
/// written is no error: the plugin then says nothing either.
async fn write(mut input: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

/// Keeps the end of what is said.
async fn listen(mut errors: impl AsyncRead + Unpin, kept: Kept) {
    let mut some = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut some).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&some[..count]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
}

fn how(status: Option<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.map(|status| (status.code(), status.signal())) {
        None => "it closed its standard output".into(),
        // The guard tells a signal as a shell does.
        Some((Some(code @ 129..=192), _)) => format!("signal {} ended it", code - 128),
        Some((Some(code), _)) => format!("it exited with {code}"),
        Some((None, Some(signal))) => format!("signal {signal} ended it"),
        Some((None, None)) => "it ended".into(),
    }
}
