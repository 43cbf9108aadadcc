//! Starting a server, and watching over it until it is gone.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use kugetsu_guard::{Plan, StartError, Started, Tree};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::occupied::Occupied;
use super::password::Password;
use super::post::PostOffice;
use super::{Http, Server, events};
use crate::config::OpencodeConfig;
use crate::quirks;
use crate::state::State;
use crate::{environment, wire};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    Environment(#[from] kugetsu_core::AgentError),
    #[error("{0}")]
    Http(#[from] super::HttpError),
    #[error("the server ended before it listened{}", said(.0))]
    Ended(Vec<String>),
    #[error("the server did not listen within {0} seconds")]
    TooSlow(u64),
}

/// Another program may take the port between our choice and the server's start.
const TRIES: u32 = 5;

/// Starts a server and returns once it listens and its events arrive.
pub(crate) async fn boot(
    config: &OpencodeConfig,
    state: &State,
    program: &Path,
    version: &str,
) -> Result<Server, BootError> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match boot_once(config, state, program, version).await {
            Err(BootError::Ended(said)) if tries > 0 && is_port_taken(&said) => {}
            booted => return booted,
        }
    }
}

async fn boot_once(
    config: &OpencodeConfig,
    state: &State,
    program: &Path,
    version: &str,
) -> Result<Server, BootError> {
    let port = free_port()?;
    let password = Password::new()?;
    let opening = state.first_opening(version).await?;
    let plan = plan(config, state, program, port, &password)?;
    let Started { mut tree, stdout, stderr, .. } = state.trees().start(plan).await?;
    let mut log = Log::create(&state.logs(), tree.name())?;
    let (say, mut said) = mpsc::channel(64);
    read_lines(stdout, say.clone());
    // Only what the server says keeps the channel open, so that it ends with the server.
    let log_line = say.downgrade();
    read_lines(stderr, say);

    let listening = tokio::time::timeout(config.limits.boot, listens(&mut said, &mut log)).await;
    match listening {
        Ok(Ok(())) => {}
        Ok(Err(heard)) => {
            tree.end();
            let _ = tree.wait().await;
            return Err(BootError::Ended(heard));
        }
        Err(_) => {
            tree.end();
            let _ = tree.wait().await;
            return Err(BootError::TooSlow(config.limits.boot.as_secs()));
        }
    }
    if let Some(opening) = opening {
        opening.done();
    }
    let http = Http::new(port, password, config.limits.request)?;
    Ok(supervise(tree, http, log_line, said, log).await)
}

/// Hands the server to tasks of its own: one that reads its events, and one that sees its end.
async fn supervise(
    tree: Tree,
    http: Http,
    say: mpsc::WeakSender<String>,
    mut said: mpsc::Receiver<String>,
    mut log: Log,
) -> Server {
    let post = Arc::new(PostOffice::default());
    let ending = CancellationToken::new();
    let (is_open, mut open) = watch::channel(false);
    let (died, death) = watch::channel(None);
    let guard = tree.guard();

    let reader: JoinHandle<()> =
        tokio::spawn(events::read(http.clone(), Arc::clone(&post), is_open, say));
    tokio::spawn(async move {
        while let Some(line) = said.recv().await {
            log.line(&line);
        }
    });
    tokio::spawn(watch_over(tree, Arc::clone(&post), ending.clone(), died, reader));

    let server = Server { http, post, occupied: Occupied::default(), guard, death, ending };
    // A server that dies here is found dead by its first use.
    let mut death = server.death.clone();
    tokio::select! {
        _ = open.wait_for(|open| *open) => {}
        _ = death.wait_for(Option::is_some) => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(10)) => {}
    }
    server
}

async fn watch_over(
    mut tree: Tree,
    post: Arc<PostOffice>,
    ending: CancellationToken,
    died: watch::Sender<Option<String>>,
    reader: JoinHandle<()>,
) {
    let status = tokio::select! {
        status = tree.wait() => status,
        () = ending.cancelled() => {
            tree.end();
            tree.wait().await
        }
    };
    reader.abort();
    let why = match status {
        _ if ending.is_cancelled() => "the server was ended".to_owned(),
        Ok(status) => format!("the server ended by itself ({status})"),
        Err(error) => format!("the server was lost: {error}"),
    };
    post.dead(&why);
    died.send_replace(Some(why));
}

fn plan(
    config: &OpencodeConfig,
    state: &State,
    program: &Path,
    port: u16,
    password: &Password,
) -> Result<Plan, BootError> {
    let env =
        environment::changes(config, state)?.with("OPENCODE_SERVER_PASSWORD", password.reveal());
    let port = port.to_string();
    let args = ["serve", "--hostname", "127.0.0.1", "--port", &port];
    Ok(environment::plan("server", config, program, state.root())
        .with_args(args)
        .with_environment(env))
}

/// Waits for the line before which no request is ever answered. What was said instead is returned
/// if the server ends.
async fn listens(said: &mut mpsc::Receiver<String>, log: &mut Log) -> Result<(), Vec<String>> {
    let mut heard = Vec::new();
    while let Some(line) = said.recv().await {
        log.line(&line);
        if line.contains(quirks::LISTENING) {
            return Ok(());
        }
        if heard.len() < 5 {
            heard.push(wire::first_line(&line, 200));
        }
    }
    Err(heard)
}

fn read_lines(from: impl AsyncRead + Send + Unpin + 'static, say: mpsc::Sender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            if say.send(String::from_utf8_lossy(&line).into_owned()).await.is_err() {
                break;
            }
        }
    });
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_port_taken(said: &[String]) -> bool {
    said.iter().any(|line| line.contains("port") || line.contains("EADDRINUSE"))
}

fn said(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" / ")) }
}
